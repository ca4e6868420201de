"""docs/report-schema.json, generated from the model: `python -m report.schema [--check]`."""

from __future__ import annotations

import sys

import orjson

from core.settings import ROOT
from report.model import Report

PATH = ROOT / "docs" / "report-schema.json"


def schema() -> bytes:
    """The JSON Schema of report.json, keys sorted."""
    document = Report.model_json_schema(by_alias=True, mode="serialization")
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def main(check: bool) -> int:
    """Write the schema, or with `check` say whether the committed one is current."""
    if not check:
        PATH.write_bytes(schema())
        return 0
    current = PATH.is_file() and PATH.read_bytes() == schema()
    if not current:
        print(f"{PATH} is not current. Run `python -m report.schema`.", file=sys.stderr)  # noqa: T201
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
