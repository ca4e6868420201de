"""docs/kills.md: each of twelve processes is killed under load, and the run must say so (`make proof`).

python -m tests.proof.kills [VICTIM ...]
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.ports import ServiceId
from core.settings import ROOT
from tests.proof.suite_process import SuiteProcess
from tests.proof.table import asked_for, machine, today

VICTIMS = (
    "k6",
    ServiceId.PROMETHEUS,
    ServiceId.MYSQL,
    ServiceId.REDIS,
    ServiceId.KAFKA,
    ServiceId.ELASTICSEARCH,
    ServiceId.ZIPKIN,
    ServiceId.MYSQL_EXPORTER,
    ServiceId.REDIS_EXPORTER,
    ServiceId.KAFKA_EXPORTER,
    ServiceId.CADVISOR,
    ServiceId.GATEWAY,
)
RESTARTED = "prometheus, restarted"
"""A service that comes back in mid-run has lost what it was told meanwhile; that is no green run either."""
PAGE = ROOT / "docs" / "kills.md"


@dataclass(frozen=True)
class Row:
    """What came of one kill."""

    victim: str
    verdict: str
    exit_code: int
    named_by: list[str]
    orphans: list[str]
    seconds: float

    @property
    def caught(self) -> bool:
        return self.verdict not in ("PASS", "none") and self.exit_code != 0 and bool(self.named_by) and not self.orphans


def kill_under_load(victim: str) -> Row:
    """One run with its own stack; `victim` gets SIGKILL while scenario A runs."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="suite-kill-") as folder:
        run = SuiteProcess(Path(folder))
        try:
            run.wait_until_under_load()
            if victim == RESTARTED:
                run.restart(ServiceId.PROMETHEUS)
            else:
                run.kill(victim, signal.SIGKILL)
        finally:
            ended = run.end()
        verdict = ended.report["verdict"] if ended.report else "none"
        named = ended.named(victim.partition(",")[0]) if ended.report else []
    return Row(victim, verdict, ended.exit_code, named, ended.orphans, time.monotonic() - began)


def page(rows: Sequence[Row]) -> str:
    """The table as Markdown, with date and machine."""
    head = (
        "# Killed under load\n\n"
        "Each process gets SIGKILL (or is restarted) while scenario A runs; the run must not be PASS, name the dead\n"
        f"one, write its report and leave no process behind. Made by `make proof` on {today()}, {machine()}.\n\n"
        "| killed | run verdict | exit code | named by | processes left | caught |\n|---|---|---|---|---|---|\n"
    )
    lines = [
        f"| {row.victim} | {row.verdict} | {row.exit_code} | {', '.join(row.named_by) or '-'} "
        f"| {len(row.orphans)} | {'yes' if row.caught else 'NO'} |\n"
        for row in rows
    ]
    caught = sum(row.caught for row in rows)
    return f"{head}{''.join(lines)}\n{caught} of {len(rows)} caught.\n"


def main(arguments: Sequence[str]) -> int:
    """Kill each, print a line a kill; the page is written only when all victims were tried."""
    everyone = (*VICTIMS, RESTARTED)
    victims = asked_for(arguments, everyone, __doc__)
    rows = []
    for victim in victims or everyone:
        row = kill_under_load(victim)
        rows.append(row)
        said = f"{row.verdict}, exit {row.exit_code}, named by {', '.join(row.named_by) or 'nobody'}"
        print(
            f"{'ok  ' if row.caught else 'MISS'} {victim}: {said}, {len(row.orphans)} left, {row.seconds:.0f} s",
            flush=True,
        )
    if not victims:
        PAGE.write_text(page(rows), encoding="utf-8")
    return 0 if all(row.caught for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
