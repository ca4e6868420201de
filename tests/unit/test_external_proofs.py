"""Each part of a stack that somebody else runs is proven to be what the profile says, or named with its cure."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import SuiteError
from core.ports import EXPORTERS, PORTAL, Endpoints, ServiceId
from core.settings import ROOT, Settings
from infra.backends import open_backend
from infra.external.proofs import missing_flags, prometheus_version, prove
from tests.canned import Answer, canned

REMOTE_WRITE, NATIVE = "--web.enable-remote-write-receiver", "--enable-feature=native-histograms"
BUILDINFO, FLAGS = "GET /api/v1/status/buildinfo", "GET /api/v1/status/flags"


def prometheus(version: str, **flags: str) -> dict[str, Answer]:
    named = {name.replace("_", "-").replace("web-", "web."): value for name, value in flags.items()}
    return {BUILDINFO: Answer({"data": {"version": version}}), FLAGS: Answer({"data": named})}


class TestPrometheusFlags:
    @pytest.mark.parametrize(
        ("flags", "version", "missing"),
        [
            ({}, "2.42.0+ds", [REMOTE_WRITE, NATIVE]),
            ({"web.enable-remote-write-receiver": "true"}, "2.53.5", [NATIVE]),
            ({"web.enable-remote-write-receiver": "true", "enable-feature": "agent"}, "3.7.1", [NATIVE]),
            ({"web.enable-remote-write-receiver": "true", "enable-feature": "agent,native-histograms"}, "2.53.5", []),
            ({"web.enable-remote-write-receiver": "true"}, "3.8.0", []),
            ({"web.enable-remote-write-receiver": "false"}, "3.11.0-rc.1", [REMOTE_WRITE]),
        ],
    )
    def test_that_are_missing_are_named(self, flags: dict[str, str], version: str, missing: list[str]) -> None:
        assert missing_flags(flags, version) == missing

    @pytest.mark.parametrize(("text", "numbers"), [("2.42.0+ds", (2, 42, 0)), ("3.11.0-rc.1", (3, 11, 0)), ("", ())])
    def test_go_by_the_version(self, text: str, numbers: tuple[int, ...]) -> None:
        assert prometheus_version(text) == numbers


class TestAPart:
    def test_is_prometheus_with_its_flags(self) -> None:
        flags = {"web_enable_remote_write_receiver": "true", "enable_feature": "native-histograms"}
        with canned(prometheus("2.42.0", **flags)) as server:
            proof = prove(ServiceId.PROMETHEUS, Endpoints({ServiceId.PROMETHEUS: server.address}))
        assert str(proof) == "Prometheus 2.42.0, takes remote write and native histograms"

    def test_is_prometheus_without_a_flag_and_the_cure_names_it(self) -> None:
        with (
            canned(prometheus("2.42.0", web_enable_remote_write_receiver="true")) as server,
            pytest.raises(SuiteError) as caught,
        ):
            prove(ServiceId.PROMETHEUS, Endpoints({ServiceId.PROMETHEUS: server.address}))
        assert caught.value.cure == f"Start it with {NATIVE}."

    def test_only_speaks_prometheus_language_and_claims_no_flags(self) -> None:
        answers = {**prometheus("2.11.0"), FLAGS: Answer({"status": "error"}, 404)}
        with canned(answers) as server:
            proof = prove(ServiceId.PROMETHEUS, Endpoints({ServiceId.PROMETHEUS: server.address}))
        assert "shows no flags" in proof.note

    def test_is_zipkin_only_when_a_span_comes_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("infra.external.proofs.READ_BACK_WITHIN_S", 0.1)
        answers = {"POST /api/v2/spans": Answer({}, 202)}
        with canned(answers, otherwise=Answer({}, 404)) as server, pytest.raises(SuiteError) as caught:
            prove(ServiceId.ZIPKIN, Endpoints({ServiceId.ZIPKIN: server.address}))
        assert "did not give it back" in caught.value.what
        assert "http.compression=false" in caught.value.cure

    def test_is_another_exporter(self) -> None:
        with canned({"GET /metrics": Answer({"go_info": 1})}) as server, pytest.raises(SuiteError) as caught:
            prove(ServiceId.MYSQL_EXPORTER, Endpoints({ServiceId.MYSQL_EXPORTER: server.address}))
        assert "gives no mysql_up" in caught.value.what

    @pytest.mark.parametrize(
        "service",
        [ServiceId.PROMETHEUS, ServiceId.ELASTICSEARCH, ServiceId.ZIPKIN, *EXPORTERS],
    )
    def test_hidden_by_a_login_page_is_named(self, service: ServiceId) -> None:
        with canned({}) as server, pytest.raises(SuiteError) as caught:
            prove(service, Endpoints({service: server.address}))
        assert "a page of HTML, 'Sign in'" in caught.value.what
        assert "behind the login" in caught.value.cure

    @pytest.mark.parametrize("service", [ServiceId.REDIS, ServiceId.MYSQL, *PORTAL])
    def test_that_does_not_run_is_named(self, service: ServiceId) -> None:
        with pytest.raises(SuiteError) as caught:
            prove(service, Endpoints({service: "127.0.0.1:1"}))
        assert f"addresses.{service}" in caught.value.cure

    def test_is_no_redis(self) -> None:
        with canned({}) as server, pytest.raises(SuiteError) as caught:
            prove(ServiceId.REDIS, Endpoints({ServiceId.REDIS: server.address}))
        assert "does not answer as Redis does" in caught.value.what


class TestExternalBackend:
    def test_loads_nothing_of_the_embedded_stack_also_not_by_what_it_imports(self) -> None:
        code = "import sys, infra.backends; print([name for name in sys.modules if name.startswith('infra.embedded')])"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_sends_nothing_before_it_is_asked(self, tmp_path: Path) -> None:
        with canned({}) as server:
            named = Endpoints({ServiceId.PROMETHEUS: server.address})
            backend = open_backend("external", "default", Settings(stack_dir=tmp_path), named)
            backend.start([ServiceId.PROMETHEUS])
            backend.stop()
            assert server.asked == []

    def test_has_only_what_the_profile_names(self, tmp_path: Path) -> None:
        backend = open_backend("external", "default", Settings(stack_dir=tmp_path), Endpoints())
        with pytest.raises(SuiteError) as caught:
            backend.start([ServiceId.KAFKA])
        assert "addresses.kafka" in caught.value.cure

    def test_names_every_part_that_is_not_as_it_has_to_be(self, tmp_path: Path) -> None:
        with canned({}) as server:
            named = Endpoints({service: server.address for service in (ServiceId.PROMETHEUS, ServiceId.ZIPKIN)})
            backend = open_backend("external", "default", Settings(stack_dir=tmp_path), named)
            with pytest.raises(SuiteError) as caught:
                backend.wait_ready(list(named))
        assert "prometheus: answered 200 with a page of HTML" in str(caught.value)
        assert "zipkin: answered 200 with a page of HTML" in str(caught.value)


class TestPostgresql:
    """It is asked in its own protocol whether it speaks TLS, which it says to strangers."""

    @staticmethod
    def proven(answer: bytes) -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(8)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            address = f"127.0.0.1:{server.getsockname()[1]}"
            try:
                return str(prove(ServiceId.POSTGRESQL, Endpoints({ServiceId.POSTGRESQL: address})))
            finally:
                thread.join()

    @pytest.mark.parametrize("answer", [b"N", b"S"])
    def test_is_known_by_its_answer(self, answer: bytes) -> None:
        assert "PostgreSQL's protocol" in self.proven(answer)

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    def test_is_not_what_answers_otherwise(self, answer: bytes) -> None:
        with pytest.raises(SuiteError, match="does not answer as PostgreSQL does") as error:
            self.proven(answer)
        assert "addresses.postgresql" in error.value.cure
