"""Who may stop a run, and when a second wish is the same one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from prefect import flow, get_client
from prefect.runtime import flow_run
from prefect.states import Cancelling

from flows.interrupts import SAME_AS_CANCEL_S, ask_to_stop, stop_on_cancel, stop_on_signals
from tests.flows.test_resume import a_run


class TestSignals:
    def test_the_first_asks_and_one_right_after_it_is_the_same(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        with stop_on_signals(run):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        assert run.stop.is_set()
        assert run.stopped_by == signal.SIGTERM

    def test_a_later_one_ends_at_once(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        ask_to_stop(run, signal.SIGINT, same_within_s=-1.0)
        with stop_on_signals(run), pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGINT)
        assert ended.value.code == 128 + signal.SIGINT

    def test_that_prefect_sends_after_a_cancel_is_the_same_wish(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        with stop_on_signals(run):
            ask_to_stop(run, signal.SIGTERM, "cancelled", SAME_AS_CANCEL_S)
            os.kill(os.getpid(), signal.SIGTERM)
        assert run.stop.is_set()


class TestCancel:
    def test_of_a_flow_run_without_a_worker_stops_the_run(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)

        @flow
        def suite() -> None:
            run.flow_run = flow_run.get_id()
            with stop_on_cancel(run), get_client(sync_client=True) as client:
                client.set_flow_run_state(run.flow_run or "", Cancelling(), force=True)
                assert run.stop.wait(5.0)  # the load ends within 5 s of a cancel

        suite(return_state=True)
        assert run.stop.is_set()
        assert run.stopped_by == signal.SIGTERM

    def test_is_not_looked_for_outside_of_prefect(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        with stop_on_cancel(run):
            assert not run.stop.is_set()
