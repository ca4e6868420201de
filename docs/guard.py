"""docs/guard.md: the ways to aim at the wrong host, and what keeps each from being taken."""

from __future__ import annotations

from pathlib import Path

import yaml

from docs.markdown import code, table

ROWS = Path(__file__).parent / "guard_rows.yaml"
TEST = "tests/integration/test_guard.py"


def guard_page() -> str:
    """One line a way, with the id under which it is tested."""
    rows = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    lines = ((str(number), row["way"], row["kept"], code(row["id"])) for number, row in enumerate(rows, start=1))
    return (
        "# Ways to aim at the wrong host\n\n"
        "Each is refused before anything is sent, or leads to the target all the same. "
        f"`{TEST}` tries every one in a network of its own, where the other hosts are real and every packet to them is "
        "seen: there are none. Its first test shows that the same places, asked without a guard, are seen.\n\n"
        f"One alone: `pytest '{TEST}::TestGuard::test_sends_nothing_elsewhere[redirect]'`.\n\n"
        + table(("#", "way", "what keeps it from being taken", "tested as"), lines)
        + "\nWhat it does not do: between two looks at a broker's advertised names (one a second while the bot runs) "
        "the Kafka clients resolve them by themselves. Name brokers by address where a resolver is not to be trusted.\n"
    )
