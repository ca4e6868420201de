"""docs/guard.md: the design's 25 rows are all there, and each is tried by a test of its own."""

from __future__ import annotations

import ast

import yaml

from core.settings import ROOT
from docs.guard import ROWS

TRIED = ROOT / "tests" / "elsewhere" / "rows.py"


class TestGuardRows:
    def test_are_the_25_that_are_tried(self) -> None:
        ids = [row["id"] for row in yaml.safe_load(ROWS.read_text(encoding="utf-8"))]
        calls = (node for node in ast.walk(ast.parse(TRIED.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        tried = [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "row"]
        assert ids == tried
        assert len(set(ids)) == 25
