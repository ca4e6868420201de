"""What the pages of `make proof` share: date and machine, and cells."""

from __future__ import annotations

import platform
from datetime import UTC, datetime


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
