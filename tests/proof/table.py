"""What the pages of `make proof` share: the rows that are asked for, date and machine, and cells."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from datetime import UTC, datetime


def asked_for(arguments: Sequence[str], known: Sequence[str], about: str | None) -> list[str]:
    """The rows that a command line names, none for all; `--help` says which there are, another name ends with 2."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"without one: all of {', '.join(known)}")
    rows: list[str] = parser.parse_args(arguments).rows
    if unknown := [row for row in rows if row not in known]:
        parser.error(f"no row {' or '.join(unknown)}; there are {', '.join(known)}")
    return rows


def machine() -> str:
    """What a table was made on."""
    return f"{platform.machine()}, Python {platform.python_version()}"


def today() -> str:
    """The UTC day."""
    return day_of(datetime.now(UTC))


def day_of(moment: datetime) -> str:
    """Its UTC day."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def cell(text: str) -> str:
    """A text in one cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())
