"""Prefect's server is away, too old, or goes in mid-run: said in words, and the run comes to its report."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import prefect
import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from core.checks import of_phase, passed_if
from core.errors import SetupError
from core.ports import LOOPBACK
from core.processes import free_port
from core.request import Request
from core.words import Phase, Verdict
from flows import full_suite as suite
from flows.phase import phase_flow
from flows.server import api_at, require_usable, serving
from report.model import read_report
from tasks import report as steps
from tasks.run import Run
from tests.made_up_run import made_up_run


@contextmanager
def answering_version(version: str) -> Iterator[str]:
    """A server that knows nothing but its version."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(version).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        server.server_close()


def observing(phase: Phase, *, meanwhile: Any = None) -> Any:
    """A phase whose checks all pass."""

    def body(run: Run) -> None:
        for spec in of_phase(phase):
            run.observe(spec.id, lambda id=spec.id: passed_if(id, True, "seen"))
        if meanwhile:
            meanwhile()

    return phase_flow(phase)(body)


class TestServerOfTheUser:
    def test_that_does_not_answer_is_named_with_the_cure(self) -> None:
        with pytest.raises(SetupError) as raised:
            require_usable(api_at(free_port()))
        assert "does not answer" in raised.value.what
        assert "unset PREFECT_API_URL" in raised.value.cure

    @pytest.mark.parametrize("version", ["3.7.9", "2.20.1", "4.0.0"])
    def test_of_a_version_that_does_not_fit_is_named_with_both_versions(self, version: str) -> None:
        with answering_version(version) as api, pytest.raises(SetupError) as raised:
            require_usable(api)
        assert version in raised.value.what
        assert prefect.__version__ in raised.value.what
        assert "Upgrade the server" in raised.value.cure

    @pytest.mark.parametrize("version", [prefect.__version__, "3.8.0", "3.9.1"])
    def test_of_the_same_or_a_newer_version_is_used(self, version: str) -> None:
        with answering_version(version) as api:
            require_usable(api)


class TestServerThatGoesInMidRun:
    def test_costs_its_picture_of_the_run_but_no_phase_no_report_and_no_verdict(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The server ends while the first phase is under way; one retry only, so that the test is short."""
        run = made_up_run(tmp_path, Request(keep_stack=True))
        port = free_port()
        with serving(port) as server:

            def end_the_server() -> None:
                server.kill()
                server.wait()

            phases = {phase: observing(phase) for phase in Phase}
            phases[Phase.EXPORTERS] = observing(Phase.EXPORTERS, meanwhile=end_the_server)
            monkeypatch.setattr(suite, "PHASE_FLOWS", phases)
            monkeypatch.setattr(steps, "ENDED", [])
            settings = {PREFECT_API_URL: api_at(port), PREFECT_CLIENT_MAX_RETRIES: 1}
            with temporary_settings(updates=settings), pytest.raises(httpx.ConnectError):
                flow(name="whole", validate_parameters=False)(lambda: suite.carry_out(run))()
        report = read_report(run.directory.report_json)
        phases_seen = {row.id: row.verdict for row in report.phases}
        assert phases_seen == dict.fromkeys(Phase, Verdict.PASS)
        assert [ended.run_id for ended in steps.ENDED] == [report.run_id]
        assert (run.directory.path / "report.html").is_file()
