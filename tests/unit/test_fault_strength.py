"""A fault may be given a strength: a leak of 1 MiB a request is over before a soak is."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from flows.cli import parse
from infra.portal_faults import parted, require_faults


class TestStrength:
    def test_stands_behind_the_name(self) -> None:
        assert parse(["--fault", "memory-leak=0.05", "oversell"]).fault == ("memory-leak=0.05", "oversell")
        assert parted("memory-leak=0.05") == ("memory-leak", "0.05")
        assert parted("oversell") == ("oversell", None)

    @pytest.mark.parametrize("given", ["much", "", "-1", "1e3"])
    def test_is_a_number_or_refused_before_anything_is_started(
        self, given: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            parse(["--fault", f"memory-leak={given}"])
        assert "is no strength of a fault" in capsys.readouterr().err
        with pytest.raises(ConfigError, match="no strength of a fault"):
            require_faults([f"memory-leak={given}"])
