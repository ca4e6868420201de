"""A plain function as a task: its value, its verdict as state, its error as one sentence."""

from __future__ import annotations

import logging

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName
from prefect.flow_engine import run_flow

from core.checks import Check, passed_if
from core.errors import SetupError, SuiteError
from core.words import Verdict
from tasks.step import step, verdict_state


@step
def doubled(number: int) -> int:
    return 2 * number


@step
def a_failing_check() -> Check:
    return passed_if("k6-run", False, "k6 was killed")


@step
def a_known_error() -> None:
    raise SetupError("port 9090 is taken", where="prometheus", cure="Use --ports free.")


@step
def an_unknown_error() -> None:
    raise KeyError("surprise")


class TestStep:
    def test_returns_the_functions_value(self) -> None:
        assert flow(lambda: doubled(21), name="value")() == 42

    def test_raises_a_suite_error_as_itself(self) -> None:
        @flow
        def run() -> str:
            with pytest.raises(SetupError) as raised:
                a_known_error()
            return str(raised.value)

        assert run() == "port 9090 is taken (prometheus). Use --ports free."

    def test_an_unknown_error_is_one_sentence_and_its_trace_back_goes_to_the_log_file(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        @flow
        def run() -> str:
            with pytest.raises(SuiteError) as raised:
                an_unknown_error()
            return raised.value.what

        with caplog.at_level(logging.DEBUG, logger="suite"):
            assert run() == "unexpected KeyError: 'surprise'"
        kept = [record for record in caplog.records if record.exc_info and record.name == "suite"]
        assert [record.levelno for record in kept] == [logging.DEBUG]

    def test_a_checks_verdict_is_the_name_of_the_task_runs_state(self) -> None:
        flow(lambda: a_failing_check(), name="check")()
        with get_client(sync_client=True) as client:
            wanted = TaskRunFilter(name=TaskRunFilterName(like_="a-failing-check"))
            runs = client.read_task_runs(task_run_filter=wanted)
        assert [(run.state.name, run.state.message) for run in runs if run.state] == [("FAIL", "k6 was killed")]


class TestVerdictState:
    @pytest.mark.parametrize("data", [SetupError("port 9090 is taken"), {"report": 1}], ids=["error", "report"])
    def test_is_told_and_not_raised_where_prefect_asks_a_run_for_its_result(self, data: object) -> None:
        """As the engine of a worker's process does; what it raised would stand in the run's log as a trace-back."""
        assert run_flow(flow(lambda: verdict_state(Verdict.FAIL, "1 claim did not hold", data), name="told")) is data
