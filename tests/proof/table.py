"""What the pages of `make proof` share: date and machine, and cells."""

from __future__ import annotations

import platform
from datetime import UTC, datetime


def made_on() -> str:
    """When and where a table was made."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}"


def cell(text: str) -> str:
    """A text in one cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())
