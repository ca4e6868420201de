"""Phase 1's claims and the stack's life, against small servers that answer what real ones would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from core.ports import EXPORTERS, LOOPBACK, Endpoints, ServiceId
from core.words import Verdict
from infra.stack import Identity
from infra.verify.alive import stack_alive_check
from infra.verify.exporters import EXPECTED, exporter_metrics_check
from infra.verify.targets import prometheus_targets_check

Answer = tuple[int, str]


@contextmanager
def serving(answer: Callable[[str], Answer]) -> Iterator[str]:
    """`host:port` of a server that answers each path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Tests stay quiet."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"{LOOPBACK}:{server.server_port}"
        server.shutdown()


def exposition(without: str = "", **values: float) -> str:
    """Every metric of design section 2.4 at a good value, except as told."""
    names = [metric.name for metrics in EXPECTED.values() for metric in metrics if metric.name != without]
    return "".join(f"{name} {values.get(name, 2_000_000)}\n" for name in names)


def exporters(text: str, status: int = 200) -> tuple[Verdict, str]:
    with serving(lambda _: (status, text)) as address:
        check = exporter_metrics_check(Endpoints(dict.fromkeys(EXPORTERS, address)), timeout_s=0)
    return check.verdict, check.observed


class TestExporterMetrics:
    def test_passes_when_every_metric_has_a_plausible_value(self) -> None:
        assert exporters(exposition()) == (Verdict.PASS, "4 exporters answered 200 with all 17 metrics")

    def test_mysql_up_0_is_named_with_its_cure(self) -> None:
        verdict, observed = exporters(exposition(mysql_up=0))
        assert verdict is Verdict.FAIL
        assert (
            "mysql-exporter: mysql_up is 0, at least 1 expected. Is the exporter's database account there?" in observed
        )

    def test_a_missing_metric_is_named(self) -> None:
        verdict, observed = exporters(exposition(without="kafka_consumergroup_lag"))
        assert verdict is Verdict.FAIL
        assert "kafka-exporter: kafka_consumergroup_lag is missing" in observed

    def test_nan_is_not_plausible(self) -> None:
        assert exporters(exposition(redis_memory_used_bytes=float("nan")))[0] is Verdict.FAIL

    def test_another_status_than_200_fails(self) -> None:
        assert "answered 503" in exporters(exposition(), status=503)[1]

    def test_are_skipped_where_the_profile_names_none(self) -> None:
        assert exporter_metrics_check(Endpoints(), timeout_s=0).verdict is Verdict.SKIPPED

    def test_that_the_profile_does_not_name_are_said(self) -> None:
        with serving(lambda _: (200, exposition())) as address:
            check = exporter_metrics_check(Endpoints({ServiceId.REDIS_EXPORTER: address}), timeout_s=0)
        assert check.verdict is Verdict.PASS
        assert "not named in the profile: cadvisor, kafka-exporter, mysql-exporter" in check.observed

    def test_an_exporter_that_is_not_there_fails(self) -> None:
        check = exporter_metrics_check(Endpoints(dict.fromkeys(EXPORTERS, f"{LOOPBACK}:1")), timeout_s=0)
        assert "does not answer" in check.observed


def target(job: str, health: str = "up") -> dict[str, object]:
    error = "" if health == "up" else "connection refused"
    return {"labels": {"job": job}, "scrapeUrl": f"http://{job}/metrics", "health": health, "lastError": error}


def targets(*rows: dict[str, object], ours: tuple[str, ...] | None = None) -> tuple[Verdict, str]:
    body = json.dumps({"status": "success", "data": {"activeTargets": rows}})
    with serving(lambda _: (200, body)) as address:
        named = Endpoints({ServiceId.PROMETHEUS: address, **dict.fromkeys(EXPORTERS, "127.0.0.1:1")})
        check = prometheus_targets_check(named, timeout_s=0, ours=ours)
    return check.verdict, check.observed


ALL_UP = tuple(target(job.value) for job in EXPORTERS)


class TestPrometheusTargets:
    def test_passes_when_all_are_up(self) -> None:
        assert targets(*ALL_UP) == (Verdict.PASS, "4 targets UP")

    def test_names_the_one_that_is_down_with_the_reason(self) -> None:
        verdict, observed = targets(*ALL_UP, target("api-gateway", "down"))
        assert (verdict, observed) == (Verdict.FAIL, "api-gateway is down (connection refused)")

    def test_an_exporter_that_nobody_scrapes_fails(self) -> None:
        assert targets(*ALL_UP[1:])[1] == f"{EXPORTERS[0]} is not a scrape target"

    def test_of_somebody_elses_prometheus_claims_only_what_the_run_is_about(self) -> None:
        stranger, own = target("billing", "down"), target("api-gateway", "down")
        assert targets(*ALL_UP, stranger)[0] is Verdict.FAIL
        assert targets(*ALL_UP, stranger, ours=("api-gateway",)) == (Verdict.PASS, "4 targets UP")
        assert targets(*ALL_UP, stranger, own, ours=("api-gateway",))[0] is Verdict.FAIL

    def test_knows_an_exporter_under_another_job_by_its_address(self) -> None:
        other = {**target("node-1"), "scrapeUrl": "http://127.0.0.1:1/metrics"}
        assert targets(other, ours=()) == (Verdict.PASS, "1 targets UP")

    def test_the_bot_is_up_only_in_its_own_phase(self) -> None:
        assert targets(*ALL_UP, target("kafka-bot", "down"))[0] is Verdict.PASS

    def test_no_target_at_all_is_no_pass(self) -> None:
        assert targets()[0] is Verdict.FAIL

    def test_a_prometheus_that_does_not_answer_fails(self) -> None:
        check = prometheus_targets_check(Endpoints({ServiceId.PROMETHEUS: f"{LOOPBACK}:1"}), timeout_s=0)
        assert check.verdict is Verdict.FAIL


def identity(instance: str, started: str = "2026-11-22T02:00:00Z", alive: bool = True) -> Identity:
    return Identity(ServiceId.REDIS, instance, started, alive, "" if alive else "killed by SIGKILL")


class TestStackAlive:
    @pytest.mark.parametrize(
        ("last", "said"),
        [
            (identity("7", alive=False), "redis died during the run (was 7; killed by SIGKILL)"),
            (identity("8"), "redis was restarted during the run (7 -> 8)"),
            (identity("7", "2026-11-22T02:05:00Z"), "redis was restarted during the run (7 -> 7)"),
        ],
        ids=["died", "other-pid", "same-pid-again"],
    )
    def test_names_the_service_that_changed(self, last: Identity, said: str) -> None:
        check = stack_alive_check({"redis": identity("7")}, {"redis": last})
        assert check.verdict is Verdict.FAIL
        assert said in check.observed

    def test_passes_when_each_is_the_process_that_was_started(self) -> None:
        assert stack_alive_check({"redis": identity("7")}, {"redis": identity("7")}).verdict is Verdict.PASS

    def test_nothing_started_is_no_pass(self) -> None:
        assert stack_alive_check({}, {}).verdict is Verdict.FAIL
