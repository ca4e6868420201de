"""Which rows of a proof's table a command line asks for."""

from __future__ import annotations

import pytest

from tests.proof.table import asked_for

KNOWN = ("load/SIGINT", "load/SIGKILL")


class TestAskedFor:
    @pytest.mark.parametrize("arguments", [[], ["load/SIGKILL"]])
    def test_takes_the_rows_that_are_named(self, arguments: list[str]) -> None:
        assert asked_for(arguments, KNOWN, None) == arguments

    def test_refuses_a_row_that_is_not_there_and_says_which_are(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            asked_for(["load/KILL"], KNOWN, None)
        assert ended.value.code == 2
        assert "no row load/KILL; there are load/SIGINT, load/SIGKILL" in capsys.readouterr().err

    def test_explains_itself(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            asked_for(["--help"], KNOWN, "What the table shows.")
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert "What the table shows." in said
        assert "load/SIGKILL" in said
