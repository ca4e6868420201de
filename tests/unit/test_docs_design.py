"""docs/design-map.md is complete: everything that the design document names is in the inventory, and in the map.

Where the document lies beside the checkout, it is read again by rules that know nothing of the inventory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.checks import CHECKS
from docs.design_map import Entry, Item, answers, design_map, inventory

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT.parent / "shared" / "design" / "design-of-the-user.md"
beside_the_document = pytest.mark.skipif(
    not DOCUMENT.is_file(), reason="the design document does not lie beside this checkout"
)

ITEMS = inventory()
MAP = design_map()
ENTRIES = [(section, entry) for section, entries in MAP.sections.items() for entry in entries]

HEADING = re.compile(r"^#{2,4} (?:(?P<number>\d+(?:\.\d+)?)|시나리오 (?P<scenario>[A-E]))\b.*$", re.M)
CODE_BLOCK = re.compile(r"```\w*\n(.*?)```", re.S)
ANYWHERE = {
    "flag": r"(?<![\w-])--[a-z][\w.-]*",
    "environment variable or constant": r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b",
    "port": r"\b\d{4,5}:\d{4,5}\b|(?<=localhost):\d{4,5}\b",
    "metric": r"\b(?:container|mysql_global|redis|kafka|k6|hikaricp)_[a-z0-9]+_[a-z0-9_]+\b|\bjob:[a-z0-9_:]+",
    "image": r"(?<=image: )\S+",
    "service": r"container_name: \S+$",
    "dependency of a service": r"\w+:\n +condition: \w+$|(?<=depends_on:\n) +- \w+$",
    "volume": r"(?<=- )/\S+:ro$",
    "network": r"(?<=networks:\n    - )\S+$",
    "restart policy": r"restart: \S+$",
    "assignment": r"\b[A-Z][A-Z_]+=\S+$",
    "scrape job": r"job_name: '\S+'",
    "scrape target": r"(?<=targets: )\[.*\]",
    "service label": r"replacement: '\S+'",
    "threshold": r"'(?:p\(\d+\)|rate)<[\d.]+'",
    "threshold selector": r"\{(?:name|scenario):\w+\}",
    "request tag": r"name: '\w+'",
    "route": r"(?:\$\{config\.\w+\})?/api/v1/[^\s'\"`)]*|`\$\{config\.AUTH_URL\}[^`]*`",
    "address": r"\w+_URL: '[^']+'",
    "body path": r"\b\w+\.json\('[\w.]+'\)",
    "header": r"'(?:Content-Type|Authorization)': [^,}\n]*[^,}\s]",
    "check": r"\[`\$\{name\}[^`]*`\]: [^,\n]+",
    "account": r"login\('[^)]*\)",
    "script variable": r"__ENV\.\w+ \|\| '\w+'",
    "share or choice": r"Math\.random\(\) < [\d.]+|Math\.floor\(Math\.random\(\) \* \d+\)(?: \+ \d)?",
    "function of a scenario": r"exec: '\w+'",
    "argument of a script": r"^[A-Z_]+=\$\{\d:-[^}]*\}",
    "file of the tree": r"── \S+",
    "word": r"'[가-힣]+'",
    "variable of a dashboard": r'"(?:query|options)": (?:"[^\n]*"|\[.*\])',
    "option of the producer": r"\b(?:acks|retries|value_serializer)=[^\n]+?(?=,\n)|producer\.(?:send|flush)\([^)]*\)",
    "quantity of an event": r"'quantity': [^}]+",
    "load of an example": r"--(?:rate|duration) \d+",
    "load number": r"\b(?:rate|vus|iterations|startVUs|startRate|preAllocatedVUs|maxVUs): \d+",
    "stage": r"\{ duration: '\w+', target: \d+ \}",
    "load time": r"\b(?:maxDuration|startTime|timeUnit|duration): '\w+'",
    "executor": r"(?<=executor: )'[\w-]+'",
    "exported function": r"export function (?!setup\b|default\b)\w+",
    "pause": r"\bsleep\([\d.]+\)",
    "script file": r"[\w-]+\.(?:js|py|sh|txt|sql)\b",
    "SQL": r"^(?:CREATE|GRANT|FLUSH)\b.*;$",
    "default of an option": r"'--[\w-]+'(?:, type=\w+)?, default=[^,)]+",
    "dependency": r"^[a-z-]+>=[\d.]+$",
    "event field": r"^\s+'\w+':(?= (?:'ORDER|str|random|round|datetime))",
}
"""What is looked for in code blocks and prose alike, one regular expression a kind."""
IMPORT_LINE = re.compile(r"^(?:import|from) .*$", re.M)
PHASE = re.compile(r"^Phase \d: .*$", re.M)
NOTE = re.compile(r"^> (\*\*.+?\*\*)", re.M)
STEP = re.compile(r"^- \[ \] (.*)$", re.M)
TABLE_ROW = re.compile(r"^\| (?!-)(.*) \|$", re.M)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """(section as the inventory calls it, its text) for each heading."""
    heads = list(HEADING.finditer(text))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        name = head["number"] or f"4.3-{head['scenario'].lower()}"
        yield name, text[head.end() : following.start() if following else len(text)]


def plain(text: str) -> str:
    return " ".join(text.replace("\\|", "|").split())


def tokens(section: str, text: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of everything that the section names, found by rules."""
    code = "\n".join(CODE_BLOCK.findall(text))
    prose = CODE_BLOCK.sub("", text)
    ours = IMPORT_LINE.sub("", text)
    for kind, pattern in ANYWHERE.items():
        yield from ((kind, match[0]) for match in re.finditer(pattern, ours, re.M))
    yield from (("quoted", match) for match in re.findall(r"`([^`]+)`", prose))
    yield from (("phase", match) for match in PHASE.findall(code))
    yield from (("note", match) for match in NOTE.findall(prose))
    yield from (("step", match) for match in STEP.findall(prose))
    yield from (("panel", panel) for panel in panels(code))
    if section in ("9", "10"):
        yield from (("row", row) for row in TABLE_ROW.findall(prose)[1:])


def panels(code: str) -> Iterator[str]:
    """The cells of a page drawn with box characters, row by row."""
    row: list[list[str]] = []
    for line in code.splitlines():
        if line.startswith("│") and line.endswith("│"):
            row.append([cell.strip() for cell in line.strip("│").split("│")])
        elif row:
            yield from (" ".join(parts).strip() for parts in zip(*row, strict=True))
            row = []


class TestInventory:
    def test_names_each_item_once(self) -> None:
        names = [(item.section, item.id) for item in ITEMS]
        assert len(names) == len(set(names))

    def test_holds_the_19_files_of_section_7(self) -> None:
        assert [item.name for item in ITEMS if item.section == "7"] == [f"{row:02}" for row in range(1, 20)]

    @pytest.mark.parametrize(
        ("section", "kind", "count"),
        [
            ("2.4", "metric", 15),
            ("5.1", "panel", 12),
            ("5.1", "query", 9),
            ("5.2", "panel", 16),
            ("5.2", "query", 7),
            ("8", "step", 21),
            ("9", "data", 4),
            ("10", "verification", 7),
        ],
    )
    def test_holds_every_row(self, section: str, kind: str, count: int) -> None:
        assert len([item for item in ITEMS if (item.section, item.kind) == (section, kind)]) == count

    @beside_the_document
    def test_quotes_the_document_word_for_word(self) -> None:
        document = plain(DOCUMENT.read_text(encoding="utf-8"))
        drawn = [item for item in ITEMS if item.kind == "panel"]  # their cells are drawn over several lines
        assert [item for item in ITEMS if item not in drawn and plain(item.text) not in document] == []

    @beside_the_document
    def test_lacks_nothing_that_the_document_names(self) -> None:
        lacking = []
        for section, text in sections(DOCUMENT.read_text(encoding="utf-8")):
            known = plain(" \n ".join(item.text for item in ITEMS if item.section == section))
            lacking += [(section, *token) for token in tokens(section, text) if plain(token[1]) not in known]
        assert sorted(set(lacking)) == []

    @beside_the_document
    def test_has_the_sections_of_the_document(self) -> None:
        found = {
            section for section, text in sections(DOCUMENT.read_text(encoding="utf-8")) if any(tokens(section, text))
        }
        assert found - {item.section for item in ITEMS} == set()


class TestRules:
    """The rules find what they are there for."""

    @pytest.mark.parametrize(
        ("text", "token"),
        [
            ("use `--tsdb.path=x` now", ("flag", "--tsdb.path")),
            ("```yaml\nredis:\n  container_name: redis\n```", ("service", "container_name: redis")),
            ("```js\nhttp_req_failed: ['rate<0.02'],\n```", ("threshold", "'rate<0.02'")),
            ("```bash\nexport LOAD_USERS=3\n```", ("environment variable or constant", "LOAD_USERS")),
            ("- [ ] 검증: 하나", ("step", "검증: 하나")),
            ("```\n┌──┬──┐\n│ A │ B │\n│ (stat) │  │\n└──┴──┘\n```", ("panel", "A (stat)")),
            ("| a | `kafka_new_metric_total` |", ("metric", "kafka_new_metric_total")),
        ],
    )
    def test_find(self, text: str, token: tuple[str, str]) -> None:
        assert token in set(tokens("2.1", text))


class TestMap:
    @pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.section}-{item.id}")
    def test_answers_every_item_once(self, item: Item) -> None:
        assert len(answers(item, MAP)) == 1

    def test_speaks_of_no_item_that_the_inventory_does_not_have(self) -> None:
        known = {(item.section, name) for item in ITEMS for name in (item.id, item.kind)}
        assert [
            (section, name) for section, entry in ENTRIES for name in entry.items if (section, name) not in known
        ] == []

    def test_has_a_title_for_every_section(self) -> None:
        assert list(MAP.titles) == list(dict.fromkeys(item.section for item in ITEMS))

    @pytest.mark.parametrize(("section", "entry"), ENTRIES, ids=lambda part: getattr(part, "items", (part,))[0])
    def test_says_where_and_how_it_is_shown_or_what_it_waits_for_or_why_not(self, section: str, entry: Entry) -> None:
        assert (entry.here and entry.shown_by) or entry.waits_for or entry.note

    def test_waits_only_for_capabilities_that_it_describes(self) -> None:
        waited = {entry.waits_for for _, entry in ENTRIES if entry.waits_for}
        assert waited <= set(MAP.capabilities)

    def test_refers_only_to_corrections_that_exist(self) -> None:
        assert {row for _, entry in ENTRIES for row in entry.corrections} <= set(MAP.corrections)

    def test_holds_the_21_corrections_and_each_concerns_an_item(self) -> None:
        assert list(MAP.corrections) == list(range(1, 22))
        assert {row for _, entry in ENTRIES for row in entry.corrections} == set(MAP.corrections)

    def test_names_places_that_exist_and_hold_what_it_says(self) -> None:
        places = sorted({place for _, entry in ENTRIES for place in entry.here})
        assert [place for place in places if not _holds(place)] == []

    def test_names_checks_and_tests_that_exist(self) -> None:
        shown = {by for _, entry in ENTRIES for by in entry.shown_by}
        shown |= {test for correction in MAP.corrections.values() for test in correction.tests}
        assert sorted(by for by in shown if by not in CHECKS and not _is_a_test(by)) == []

    def test_shows_something_by_every_check_of_the_five_phases(self) -> None:
        shown = {by for _, entry in ENTRIES for by in entry.shown_by}
        assert {id for id, spec in CHECKS.items() if spec.phase} - shown == {
            "doctor",
            "generator-valid",
            "traces-complete",
        }


def _holds(place: str) -> bool:
    """Whether `path` exists, or `path#text` and the text stands in it."""
    name, _, text = place.partition("#")
    path = ROOT / name
    return path.exists() and (not text or text in path.read_text(encoding="utf-8"))


def _is_a_test(name: str) -> bool:
    """Whether `file`, `file::class` or `file::class::test` exists."""
    file, *inside = name.split("::")
    path = ROOT / file
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    return all(re.search(rf"^\s*(?:async )?(?:class|def) {part}\b", text, re.M) for part in inside)
