"""From what k6 leaves behind to the result: summary, log and exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from k6.command import Files
from k6.exit_codes import meaning
from k6.log_file import FIRST_LINES, LAST_LINES, complaints, keep_log, noting_receipts
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from k6.result import Ending, scenario_result
from targets.load import load_load
from targets.model import load_profile

BEGAN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
ENDED = datetime(2026, 1, 1, 12, 1, 0, tzinfo=UTC)
LATENCY = "http_req_duration{expected_response:true,part:load}"


def counter(count: int) -> dict[str, Any]:
    return {"type": "counter", "values": {"count": count, "rate": 0}}


def trend(count: int) -> dict[str, Any]:
    values = {"avg": 4.0, "min": 1.0, "med": 3.0, "max": 9.0, "p(90)": 5.0, "p(95)": 6.0, "p(99)": 7.0, "count": count}
    return {"type": "trend", "values": values}


SUMMARY: dict[str, Any] = {
    "scenario": "b-blog-read",
    "run_id": "run-1",
    "load_started_ms": 1767268810_000,  # 12:00:10
    "ended_ms": 1767268820_000,  # 12:00:20
    "thresholds": [{"metric": LATENCY, "expression": "p(95)<100", "ok": True, "samples": 90}],
    "metrics": {
        "http_reqs": counter(103),
        "http_reqs{part:load}": counter(100),
        "http_req_failed{part:load}": {"type": "rate", "values": {"rate": 0.1, "passes": 10, "fails": 90}},
        LATENCY: trend(90),
        "iterations{part:load}": counter(100),
        "iteration_duration{part:load}": trend(100),
        "dropped_iterations": counter(2),
        "answers_429": counter(8),
        "answers_other": counter(2),
        "orders_created": counter(5),
        "vus_max": {"type": "gauge", "values": {"value": 0, "min": 0, "max": 12}},
    },
}


@pytest.fixture
def request_b(tmp_path: Path) -> ScenarioRequest:
    return ScenarioRequest(
        scenario="b", profile=load_profile("portal"), load=load_load("design"), run_id="run-1", run_mark="mark-1",
        coupon_id="7", product_id="3", k6=K6Program(Path("/k6")), out_dir=tmp_path, remote_write_url=None,
    )  # fmt: skip


def read(request: ScenarioRequest, summary: dict[str, Any] | None, **ending: Any) -> ScenarioResult:
    files = Files.of(request.out_dir, request.out_dir)
    if summary is not None:
        files.summary.write_text(json.dumps(summary))
    end = Ending(exit_code=0, started=BEGAN, ended=ENDED)
    return scenario_result(request, files, replace(end, **ending))


class TestSummary:
    def test_figures_are_those_of_the_load_without_setup(self, request_b: ScenarioRequest) -> None:
        result = read(request_b, SUMMARY)
        assert result.requests == 100
        assert (result.p50_ms, result.p95_ms, result.p99_ms) == (3.0, 6.0, 7.0)
        assert result.error_rate == 0.1
        assert result.iterations == 100
        assert result.dropped_iterations == 2

    def test_window_begins_when_setup_has_ended(self, request_b: ScenarioRequest) -> None:
        result = read(request_b, SUMMARY)
        assert result.window == (BEGAN.replace(second=10), BEGAN.replace(second=20))
        assert result.rate_per_s == 10  # 100 requests in 10 s

    def test_outcomes_add_up_to_the_requests(self, request_b: ScenarioRequest) -> None:
        assert read(request_b, SUMMARY).outcomes == {"200": 90, "429": 8, "other": 2}

    def test_counters_are_the_scripts_own(self, request_b: ScenarioRequest) -> None:
        assert read(request_b, SUMMARY).counters == {"orders_created": 5}

    def test_generator_figures(self, request_b: ScenarioRequest) -> None:
        figures = read(request_b, SUMMARY, run_delay_ratio=0.02, steal_ratio=0.03).generator
        assert figures.offered_iterations == 300_000
        assert (figures.allocated_vus, figures.max_vus) == (12, 500)
        assert figures.mean_iteration_s == 0.004
        assert (figures.run_delay_ratio, figures.steal_ratio) == (0.02, 0.03)

    def test_latency_from_the_intended_start_is_given_beside_that_of_the_requests(
        self, request_b: ScenarioRequest
    ) -> None:
        late = {"type": "trend", "values": {"p(95)": 60.0, "p(99)": 70.0, "count": 100}}
        result = read(request_b, {**SUMMARY, "metrics": {**SUMMARY["metrics"], "latency_from_intended": late}})
        assert (result.p95_from_intended_ms, result.p99_from_intended_ms) == (60.0, 70.0)
        assert (result.p95_ms, result.p99_ms) == (6.0, 7.0)

    @pytest.mark.parametrize("metrics", [{}, {"latency_from_intended": trend(0)}], ids=["closed model", "no samples"])
    def test_latency_from_the_intended_start_is_else_unknown(
        self, request_b: ScenarioRequest, metrics: dict[str, Any]
    ) -> None:
        result = read(request_b, {**SUMMARY, "metrics": {**SUMMARY["metrics"], **metrics}})
        assert (result.p95_from_intended_ms, result.p99_from_intended_ms) == (None, None)

    def test_keeps_the_receipts(self, request_b: ScenarioRequest) -> None:
        assert read(request_b, SUMMARY, receipts=("11", "12")).receipts == ("11", "12")

    def test_percentiles_without_samples_are_unknown_and_not_zero(self, request_b: ScenarioRequest) -> None:
        metrics = {**SUMMARY["metrics"], LATENCY: trend(0)}
        result = read(request_b, {**SUMMARY, "metrics": metrics})
        assert result.p95_ms is None

    def test_a_k6_that_left_none_measured_nothing(self, request_b: ScenarioRequest) -> None:
        result = read(request_b, None, exit_code=104)
        assert result.requests == 0
        assert result.error_rate is None
        assert result.thresholds == ()
        assert result.window == (BEGAN, ENDED)


class TestEnding:
    @pytest.mark.parametrize("exit_code", [0, 99])
    def test_exit_0_and_99_are_k6s_own_end(self, request_b: ScenarioRequest, exit_code: int) -> None:
        result = read(request_b, SUMMARY, exit_code=exit_code)
        assert result.ended_by_itself
        assert result.error is None

    def test_a_stopped_run_did_not_end_by_itself_whatever_the_code(self, request_b: ScenarioRequest) -> None:
        result = read(request_b, SUMMARY, exit_code=0, cut_short="the run was stopped")
        assert not result.ended_by_itself
        assert result.error is not None
        assert "the run was stopped" in result.error["what"]

    @pytest.mark.parametrize(
        ("exit_code", "words"),
        [(107, "exception"), (105, "signal"), (108, "aborted"), (110, "marked"), (106, "port is taken"),
         (-9, "killed by signal 9"), (42, "does not document")],
    )  # fmt: skip
    def test_every_other_code_has_a_meaning(self, exit_code: int, words: str) -> None:
        assert words in meaning(exit_code)

    @pytest.mark.parametrize(
        ("exit_code", "summary", "never_began"),
        [
            pytest.param(107, None, True, id="setup() threw"),
            pytest.param(100, None, True, id="setup() took too long"),
            pytest.param(104, None, True, id="options refused"),
            pytest.param(108, SUMMARY, False, id="aborted in mid-load"),
            pytest.param(-9, None, False, id="killed: how far it came is not known"),
            pytest.param(109, None, False, id="crashed: how far it came is not known"),
            pytest.param(0, SUMMARY, False, id="ended"),
        ],
    )
    def test_a_load_that_never_began_is_told_from_one_that_broke_off(
        self, request_b: ScenarioRequest, exit_code: int, summary: dict[str, Any] | None, never_began: bool
    ) -> None:
        assert read(request_b, summary, exit_code=exit_code).never_began is never_began

    @pytest.mark.parametrize(
        ("exit_code", "what"),
        [
            (107, "the load did not begin: setup: login answered 503"),
            (-9, "k6 did not end by itself, it was killed by signal 9: setup: login answered 503"),
        ],
    )
    def test_quotes_the_last_error_of_the_log(self, request_b: ScenarioRequest, exit_code: int, what: str) -> None:
        log = Files.of(request_b.out_dir, request_b.out_dir).log
        entry = {"level": "error", "msg": "Error: setup: login answered 503\n\tat refuse (file:///x.js)\n"}
        log.write_text(json.dumps(entry))
        error = read(request_b, None, exit_code=exit_code).error
        assert error == {"what": what, "where": "scenario b-blog-read", "cure": f"See {log}."}


class TestLog:
    def test_is_bounded_and_keeps_both_ends(self, tmp_path: Path) -> None:
        lines = [f"{number}\n".encode() for number in range(FIRST_LINES + LAST_LINES + 7)]
        keep_log(lines, tmp_path / "k6.log")
        kept = (tmp_path / "k6.log").read_text().splitlines()
        assert len(kept) == FIRST_LINES + 1 + LAST_LINES
        assert kept[0] == "0"
        assert "7 lines left out here" in kept[FIRST_LINES]
        assert kept[-1] == str(len(lines) - 1)

    def test_is_whole_when_it_is_short(self, tmp_path: Path) -> None:
        keep_log([b"a\n", b"b\n"], tmp_path / "k6.log")
        assert (tmp_path / "k6.log").read_text() == "a\nb\n"

    def test_its_bound_loses_no_receipt(self, tmp_path: Path) -> None:
        said = [{"level": "info", "msg": f"receipt {n}", "source": "console"} for n in range(FIRST_LINES + 3_000)]
        receipts: list[str] = []
        keep_log(noting_receipts([json.dumps(entry).encode() + b"\n" for entry in said], receipts), tmp_path / "k6.log")
        assert "2000 lines left out here" in (tmp_path / "k6.log").read_text()
        assert receipts == [str(n) for n in range(FIRST_LINES + 3_000)]

    @pytest.mark.parametrize(
        "line",
        [
            b'{"level":"warning","msg":"Request Failed","error":"\\"receipt 1"}',
            b'{"level":"info","msg":"receipt 1"}',  # not said by the script
            b'"receipt 1"',
            b'not JSON "receipt 1',
        ],
    )
    def test_takes_nothing_else_for_a_receipt(self, line: bytes) -> None:
        receipts: list[str] = []
        assert list(noting_receipts([line], receipts)) == [line]
        assert receipts == []

    def test_complaints_are_distinct_errors_and_no_warnings(self, tmp_path: Path) -> None:
        log = tmp_path / "k6.log"
        entries = [
            {"level": "warning", "msg": "Request Failed", "error": "refused"},
            {"level": "error", "msg": "Failed to send", "error": "connection refused"},
            {"level": "error", "msg": "Failed to send", "error": "connection refused"},
        ]
        log.write_text("not JSON\n" + "\n".join(json.dumps(entry) for entry in entries))
        assert complaints(log) == ("Failed to send connection refused",)

    def test_a_missing_log_has_none(self, tmp_path: Path) -> None:
        assert complaints(tmp_path / "k6.log") == ()
