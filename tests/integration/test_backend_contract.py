"""What every backend must do (infra/stack.py), shown with the real Redis, its exporter and a gateway that needs it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pymysql
import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from core.errors import SuiteError
from core.ports import ServiceId
from infra.embedded.catalogue import open_backend
from infra.embedded.lease import SupervisorClient
from infra.embedded.statedir import StateDir
from infra.mysql.account import ensure_exporter_account
from infra.stack import Backend

Open = Callable[[], Backend]
EXPORTER, REDIS, GATEWAY, PROMETHEUS = (
    ServiceId.REDIS_EXPORTER,
    ServiceId.REDIS,
    ServiceId.GATEWAY,
    ServiceId.PROMETHEUS,
)


@contextmanager
def embedded(folder: Path) -> Iterator[Open]:
    state_dir = folder / "a stack with spaces"
    yield lambda: open_backend(any_ports=True, state_dir=state_dir)
    client = SupervisorClient(StateDir(state_dir))
    client.ensure_running()
    client.ask("stop")
    os.kill(client.ask("hello")["pid"], signal.SIGTERM)


BACKENDS = {"embedded": embedded}


@pytest.fixture(params=BACKENDS)
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens backends that look at the same stack; whatever still runs in it ends with the test."""
    with BACKENDS[request.param](tmp_path) as opener:
        yield opener


@pytest.fixture
def backend(open_one: Open) -> Iterator[Backend]:
    """A backend in which Redis and its exporter run."""
    with open_one() as backend:
        backend.start([REDIS, EXPORTER])
        backend.wait_ready([REDIS, EXPORTER])
        yield backend


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as trial:
        return trial.connect_ex((host, int(port))) == 0


def eventually(holds: Callable[[], object]) -> None:
    retry(retry=retry_if_result(lambda held: not held), stop=stop_after_delay(10), wait=wait_fixed(0.05))(holds)()


class TestBackend:
    def test_ready_means_that_the_endpoint_answers(self, backend):
        metrics = httpx.get(f"http://{backend.endpoint(EXPORTER)}/metrics", trust_env=False).text
        assert "redis_up 1" in metrics

    def test_starts_what_a_service_needs_too(self, open_one):
        with open_one() as backend:
            backend.start([GATEWAY])
            backend.wait_ready([GATEWAY])
            assert {GATEWAY, REDIS} <= backend.started_by_us()
            assert answers(backend.endpoint(REDIS))

    def test_knows_the_instance_that_runs(self, backend):
        first, again = backend.identity(REDIS), backend.identity(REDIS)
        assert first.alive
        assert first.instance
        assert first.started.endswith("Z")
        assert first == again

    def test_knows_that_a_service_runs_nowhere(self, backend):
        assert not backend.identity(PROMETHEUS).alive

    def test_restart_makes_another_instance_at_the_same_endpoint(self, backend):
        before, address = backend.identity(REDIS), backend.endpoint(REDIS)
        backend.restart(REDIS)
        after = backend.identity(REDIS)
        assert after.alive
        assert (after.instance, after.started) != (before.instance, before.started)
        assert backend.endpoint(REDIS) == address
        assert answers(address)

    def test_shows_the_last_lines_of_a_log_also_after_the_end(self, backend):
        assert any("Ready to accept connections" in line for line in backend.logs(REDIS))
        backend.stop()
        assert len(backend.logs(REDIS, lines=1)) == 1

    def test_copies_its_logs(self, backend, tmp_path):
        copies = backend.collect_logs(tmp_path / "logs of a run")
        assert any("redis" in copy.name and "Ready" in copy.read_text() for copy in copies)
        assert all(copy.parent == tmp_path / "logs of a run" for copy in copies)

    def test_copies_no_log_of_a_service_that_it_does_not_use(self, backend, open_one, tmp_path):
        with open_one() as second:
            second.start([REDIS])
            copies = second.collect_logs(tmp_path / "logs")
        assert not [copy for copy in copies if "exporter" in copy.name]

    def test_lets_the_exporters_user_be_made(self, open_one):
        """Twice, as on a volume that knows the user already; it may then read what the exporter reads."""
        with open_one() as backend:
            backend.start([ServiceId.MYSQL])
            backend.wait_ready([ServiceId.MYSQL])
            account = backend.exporter_account()
            for _ in range(2):
                ensure_exporter_account(account)
            with (
                pymysql.connect(
                    host=account.host, port=account.port, user=account.user, password=account.password
                ) as sql,
                sql.cursor() as cursor,
            ):
                assert cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_connected'") == 1

    def test_says_what_runs_in_which_version(self, backend):
        assert any("redis" in name for name in backend.versions())

    def test_stops_what_it_started_and_leaves_nothing(self, backend):
        address = backend.endpoint(REDIS)
        assert backend.started_by_us() == {REDIS, EXPORTER}
        backend.stop()
        assert not answers(address)
        assert backend.leftovers() == []
        backend.stop()

    def test_names_what_is_still_there(self, backend):
        """Not stopped yet, so all of it is."""
        assert {leftover.service for leftover in backend.leftovers()} == {REDIS, EXPORTER}
        assert any(backend.endpoint(REDIS).rpartition(":")[2] in leftover.what for leftover in backend.leftovers())

    def test_attaches_to_what_runs_and_leaves_it_running(self, backend, open_one):
        with open_one() as second:
            second.start([REDIS])
            second.wait_ready([REDIS])
            assert second.started_by_us() == frozenset()
            assert second.endpoint(REDIS) == backend.endpoint(REDIS)
        assert answers(backend.endpoint(REDIS))
        assert second.leftovers() == []

    def test_keep_leaves_running_what_was_started(self, open_one):
        with open_one() as first:
            first.start([REDIS])
            first.wait_ready([REDIS])
            first.keep()
        assert answers(first.endpoint(REDIS))
        assert first.leftovers() == []

    def test_start_is_safe_to_repeat(self, backend):
        before = backend.identity(REDIS)
        backend.start([REDIS, EXPORTER])
        backend.wait_ready([REDIS, EXPORTER])
        assert backend.identity(REDIS) == before
        assert backend.started_by_us() == {REDIS, EXPORTER}

    def test_refuses_a_service_that_it_does_not_have(self, backend):
        with pytest.raises(SuiteError) as caught:
            backend.start([ServiceId.KAFKA_BOT])
        assert "kafka-bot" in caught.value.what
        assert caught.value.cure


class TestEmbeddedBackend:
    def test_sees_that_a_service_has_died(self, tmp_path):
        with embedded(tmp_path) as open_one, open_one() as backend:
            backend.start([REDIS])
            backend.wait_ready([REDIS])
            os.kill(int(backend.identity(REDIS).instance), signal.SIGKILL)
            eventually(lambda: "SIGKILL" in backend.identity(REDIS).detail)
            assert not backend.identity(REDIS).alive
