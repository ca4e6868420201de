"""Where each item of the design document lives here: the inventory, the map, and the page drawn from both.

`design-inventory.yaml` lists what the design document names, in its own words. `design_map.yaml` says for each item
where it lives, what shows it, what it still waits for, or why we do otherwise (and by which row of corrections).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from core.checks import CHECKS
from docs.markdown import code, link, table

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Data):
    """One answer, for one item or several of the same section."""

    items: tuple[str, ...] = Field(min_length=1, description="`kind/name`, or `kind` for all of that kind")
    here: tuple[str, ...] = Field(default=(), description="paths, each with a text that stands there: `path#text`")
    shown_by: tuple[str, ...] = Field(default=(), description="check ids and test files")
    waits_for: str | None = Field(default=None, description="id of a capability that is still to come")
    note: str | None = Field(default=None, description="why it is otherwise, or what to know")
    corrections: tuple[int, ...] = ()


class Correction(_Data):
    """A detail of the design document that does not work as written."""

    design: str
    happens: str
    we: str
    tests: tuple[str, ...] = Field(min_length=1, description="each fails with the design's version")


class DesignMap(_Data):
    titles: Mapping[str, str]
    capabilities: Mapping[str, str]
    sections: Mapping[str, tuple[Entry, ...]]
    corrections: Mapping[int, Correction]


@dataclass(frozen=True)
class Item:
    """One thing that the design document names."""

    section: str
    kind: str
    name: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"


@cache
def inventory() -> tuple[Item, ...]:
    """Every item of the design document, in its order."""
    sections: dict[str, dict[str, dict[str, str]]] = _read("design-inventory.yaml")
    return tuple(
        Item(section, kind, name, text)
        for section, kinds in sections.items()
        for kind, items in kinds.items()
        for name, text in items.items()
    )


@cache
def design_map() -> DesignMap:
    return DesignMap.model_validate(_read("design_map.yaml"))


def answers(item: Item, known: DesignMap) -> list[Entry]:
    """The entries that speak of `item`; there is one."""
    return [entry for entry in known.sections.get(item.section, ()) if {item.id, item.kind} & set(entry.items)]


def map_page() -> str:
    """docs/design-map.md."""
    known = design_map()
    items = inventory()
    waiting = [f"- **{name}**: {what}" for name, what in known.capabilities.items()]
    parts = [
        "# Design map\n",
        f"Every item that the design document names ({len(items)} of them), where it lives here, and what shows it. "
        "A number in brackets is a row of [corrections.md](corrections.md): a detail that does not work as written.\n",
        "Still to come:\n",
        "\n".join(waiting) + "\n",
        *(_section(section, title, items, known) for section, title in known.titles.items()),
    ]
    return "\n".join(parts)


def corrections_page() -> str:
    """docs/corrections.md."""
    rows = [
        (str(number), each.design, each.happens, each.we, "<br>".join(_shown(test) for test in each.tests))
        for number, each in design_map().corrections.items()
    ]
    return (
        "# Where the design document is wrong, and what we do instead\n\n"
        "Its intent stands; these details do not work as written. A row's tests fail with the design's version.\n\n"
        + table(("#", "the design", "what happens", "we", "tests"), rows)
    )


def _section(section: str, title: str, items: tuple[Item, ...], known: DesignMap) -> str:
    rows = [_row(item, entry) for item in items if item.section == section for entry in answers(item, known)]
    heading = section.partition("-")[0]
    return f"## {heading} {title}\n\n" + table(("kind", "the design", "here", "shown by", "note"), rows)


def _row(item: Item, entry: Entry) -> tuple[str, ...]:
    here = "<br>".join(link(path) for path in dict.fromkeys(place.partition("#")[0] for place in entry.here))
    shown = "<br>".join(_shown(each) for each in entry.shown_by)
    return item.kind, code(item.text.strip("| ")), here, shown, " ".join(_notes(entry))


def _shown(by: str) -> str:
    """A check, or a test as `file`, `file::class` or `file::class::test`."""
    if by in CHECKS:
        return f"[{by}](checks.md#{by})"
    file, *inside = by.split("::")
    return " ".join([link(file), *(code(inside[-1]) for _ in inside[:1])])


def _notes(entry: Entry) -> Iterator[str]:
    if entry.note:
        yield entry.note
    if entry.corrections:
        yield f"[{', '.join(str(row) for row in entry.corrections)}]"
    if entry.waits_for:
        yield f"Waits for: {entry.waits_for}."


def _read(name: str) -> dict[str, dict[str, dict[str, str]]]:
    document: dict[str, dict[str, dict[str, str]]] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return document
