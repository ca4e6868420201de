"""A stack by hand (`python -m infra.embedded`, `python -m infra.docker`): here errors become text and exit code."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rich.console import Console
from rich.logging import RichHandler

from core.errors import SuiteError
from core.words import EXIT_CODES, EXIT_SIGINT, Verdict


def carry_out(command: Callable[[], None], console: Console) -> int:
    """The exit code of one command; what it logs and what went wrong stand on the console."""
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        command()
    except SuiteError as error:
        console.print(f"[red]error:[/red] {error.what}", highlight=False)
        console.print(f"where: {error.where}\ncure:  {error.cure}", highlight=False, markup=False)
        return EXIT_CODES[Verdict.ERROR]
    except KeyboardInterrupt:
        console.print("interrupted: what this command had started is stopped")
        return EXIT_SIGINT
    return 0
