"""core.errors: one failure as a person needs it."""

from __future__ import annotations

import pytest

from core.errors import (
    ConfigError,
    LoadError,
    SetupError,
    SuiteError,
    TargetError,
    TargetRefused,
    VerificationError,
)


class TestSuiteError:
    def test_says_what_where_and_what_to_do(self) -> None:
        error = SetupError("port 9090 is taken by pid 77", where="prometheus", cure="Stop it, or use `--ports free`.")
        assert str(error) == "port 9090 is taken by pid 77 (prometheus). Stop it, or use `--ports free`."

    def test_leaves_out_what_it_does_not_know(self) -> None:
        assert str(LoadError("k6 ended with 107")) == "k6 ended with 107."

    def test_becomes_the_row_of_report_json(self) -> None:
        row = TargetError("503", where="api-gateway", cure="Start it.").as_row()
        assert row == {"where": "api-gateway", "what": "503", "cure": "Start it."}

    @pytest.mark.parametrize(
        "kind", [SetupError, ConfigError, TargetRefused, TargetError, LoadError, VerificationError]
    )
    def test_is_the_root_of_every_error_of_the_suite(self, kind: type[SuiteError]) -> None:
        assert issubclass(kind, SuiteError)

    def test_counts_a_refused_target_as_configuration(self) -> None:
        assert issubclass(TargetRefused, ConfigError)
