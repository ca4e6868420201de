"""The few pieces of Markdown that the generated pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; `|` and line breaks inside a cell are taken care of."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def code(text: str) -> str:
    """`text` as code on one line, whatever it holds."""
    one_line = " ".join(text.replace("\\|", "|").split())
    fence = "``" if "`" in one_line else "`"
    space = " " if "`" in one_line else ""
    return f"{fence}{space}{one_line}{space}{fence}"


def link(path: str) -> str:
    """A link from docs/ to a file of the checkout."""
    return f"[{path}](../{path})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
