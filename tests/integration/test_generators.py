"""Generators as tasks on Dask workers: real k6, a temporary cluster, and the small server of test_k6_runner."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
from distributed import Client
from prefect.testing.utilities import prefect_test_harness

from core.errors import ConfigError
from core.waiting import wait_for
from k6.model import Progress
from tasks.dask_signals import Signals
from tasks.generators import Crew, dask_cluster, run_on_generators
from tests.integration.test_k6_runner import SHORT, Portal, Runner, k6, portal, runner

__all__ = ["k6", "portal", "runner"]
LONG = SHORT.model_copy(update={"b": SHORT.b.model_copy(update={"duration_s": 60})})


@pytest.fixture(scope="module", autouse=True)
def prefect_database() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="module")
def two_workers() -> Iterator[str]:
    with dask_cluster(None, 2) as address:
        yield address


def k6_processes(run_id: str) -> list[psutil.Process]:
    """Every k6 that works for the run."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if f"--tag=run_id={run_id}" in (process.info["cmdline"] or []):
            found.append(process)
    return found


class TestTwoGenerators:
    def test_make_one_load_together(self, runner: Runner, portal: Portal, two_workers: str) -> None:
        shown: list[Progress] = []
        request = runner.request("b", run_id="together")
        parts = run_on_generators(Crew(request, 2), two_workers, shown.append, threading.Event())
        results = [part.result for part in parts]
        assert all(result is not None and result.ended_by_itself for result in results)
        # what a crowded machine could not start is counted as dropped
        assert sum(r.iterations + r.dropped_iterations for r in results if r) == pytest.approx(100, abs=1)
        begun = [result.started for result in results if result]
        assert (max(begun) - min(begun)).total_seconds() < 1
        assert shown  # k6's progress came from the workers
        for n in (1, 2):
            assert (request.out_dir / f"generator-{n}" / "k6.log").exists()
            assert (request.out_dir / f"generator-{n}" / "summary.json").exists()

    def test_end_when_the_run_is_stopped(self, runner: Runner, portal: Portal, two_workers: str) -> None:
        stop = threading.Event()
        request = runner.request("b", run_id="stopped", load=LONG)
        threading.Thread(target=lambda: (under_load(portal), stop.set()), daemon=True).start()
        parts = run_on_generators(Crew(request, 2), two_workers, lambda _: None, stop)
        assert all(part.result is not None and not part.result.ended_by_itself for part in parts)
        assert k6_processes("stopped") == []


class TestALostWorker:
    def test_stops_the_others_and_its_load_is_not_put_again(self, runner: Runner, portal: Portal) -> None:
        killed: list[int] = []

        def kill_one(address: str) -> None:
            under_load(portal)
            with Client(address, set_as_default=False) as client:
                pids = list(client.run(os.getpid).values())
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

        request = runner.request("b", run_id="lost", load=LONG)
        with dask_cluster(None, 2) as address:
            threading.Thread(target=kill_one, args=(address,), daemon=True).start()
            parts = run_on_generators(Crew(request, 2), address, lambda _: None, threading.Event())
        assert killed
        stopped = next(part.result for part in parts if part.result)
        assert stopped.iterations < 1000  # its half of the minute's load are 1,500
        assert sorted(part.result is None for part in parts) == [False, True]
        assert next(part.why_none for part in parts if part.result is None) == "its worker is gone"
        assert wait_for(lambda: k6_processes("lost"), lambda left: not left, 10) == []
        logins = portal.answers["login", 200]
        assert logins == 2  # one setup() a generator, none again


class TestNobodyWaitsAnyMore:
    def test_ends_the_generators(self, two_workers: str) -> None:
        with Client(two_workers, set_as_default=False) as run, Client(two_workers, set_as_default=False) as worker:
            waiting = Signals("gone", run)
            waiting.beat()
            generator = Signals("gone", worker, silent_after_s=3)
            assert not generator.wait(0.1)
            # the run is gone: no beat comes any more
            assert wait_for(lambda: generator.wait(0.1), bool, 10, every_s=0.1)

    def test_is_not_so_while_the_run_says_so(self, two_workers: str) -> None:
        with Client(two_workers, set_as_default=False) as run, Client(two_workers, set_as_default=False) as worker:
            waiting, generator = Signals("there", run), Signals("there", worker, silent_after_s=3)

            def one_look() -> bool:
                waiting.beat()
                return generator.wait(0.1)

            assert not wait_for(one_look, bool, 7, every_s=0.1)


class TestACluster:
    def test_of_our_own_listens_on_loopback_only(self, two_workers: str) -> None:
        me = psutil.Process()
        listening = [
            address.laddr.ip
            for process in (me, *me.children(recursive=True))
            for address in process.net_connections("inet")
            if address.status == psutil.CONN_LISTEN
        ]
        assert len(listening) >= 5  # a scheduler, two nannies, two workers
        assert set(listening) <= {"127.0.0.1", "::1"}

    def test_that_is_not_there_is_named(self) -> None:
        with (
            pytest.raises(ConfigError, match="no Dask scheduler answers") as refused,
            dask_cluster("tcp://127.0.0.1:9", 2),
        ):
            pass
        assert "--dask tcp://127.0.0.1:9" in refused.value.where

    def test_with_too_few_workers_is_refused(self, two_workers: str) -> None:
        with (
            pytest.raises(ConfigError, match="3 generators need as many worker threads, the cluster has 2"),
            dask_cluster(two_workers, 3),
        ):
            pass


def under_load(portal: Portal) -> None:
    """Return when the load has begun."""
    assert wait_for(lambda: portal.total("post_detail"), lambda seen: seen > 10, 180, every_s=0.05) > 10
