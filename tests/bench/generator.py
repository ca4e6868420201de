"""What k6 can send with the scenarios' checks, beside bare requests that keep the body (programs.md, yardsticks)."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from core.ports import Endpoints, ServiceId
from core.settings import Settings, process_environment
from infra.embedded import golang
from infra.embedded.tools import GO, require
from infra.embedded.workshop import Workshop
from k6.command import Files, k6_environment
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest
from k6.plan import plan_document
from k6.runner import run_scenario
from targets.load import Load, load_load
from targets.model import load_profile
from tests.bench.answers import COUPON, PRODUCT, TOKEN, Answers, answers_of, mix_of

HERE = Path(__file__).parent
VUS = 20
"""As the yardstick in programs.md."""
REPETITIONS = 5
REQUESTS = 30_000
"""As many a VU as B makes with the design's numbers: 500/s for 600 s on 200 VUs."""
WRAPPED_S = 4


@dataclass(frozen=True)
class Rate:
    """Requests by second of wall time, and by second of k6's own processor time (its start included)."""

    per_s: float
    per_cpu_s: float


@dataclass(frozen=True)
class Cost:
    """Medians of one scenario's loop, of bare requests, and of bare requests with the design's own checks."""

    scenario: Rate
    bare: Rate
    checked: Rate


def generator_cost(scenario: str, folder: Path, repetitions: int = REPETITIONS) -> Cost:
    """Measure one scenario's loop and its yardsticks in turn, against a server that answers from memory."""
    with fast_server(answers_of(load_profile("portal")), folder) as address:
        bench = Bench(_request(scenario, address, folder, load_load("design")))
        kinds = (bench.scenario, bench.bare, bench.checked)
        rounds = [[measure() for measure in kinds] for _ in range(repetitions)]
    return Cost(*(_median(rates) for rates in zip(*rounds, strict=True)))


def wrapper_s(folder: Path) -> tuple[float, float]:
    """Seconds that `run_scenario` takes around one scenario, and those of the load itself."""
    smoke = load_load("smoke")
    load = smoke.model_copy(update={"b": smoke.b.model_copy(update={"duration_s": WRAPPED_S})})
    with fast_server(answers_of(load_profile("portal")), folder) as address:
        began = time.monotonic()
        result = run_scenario(_request("b", address, folder, load), lambda progress: None, threading.Event())
        wall_s = time.monotonic() - began
    assert result.error is None, result.error
    load_s = (result.ended - result.started).total_seconds()
    return wall_s - load_s, load_s


def _request(scenario: str, address: str, folder: Path, load: Load) -> ScenarioRequest:
    profile = load_profile("portal").at(Endpoints({ServiceId.GATEWAY: address}))
    return ScenarioRequest(
        scenario=scenario, profile=profile, load=load, run_id="bench", run_mark="bench", coupon_id=COUPON,
        product_id=PRODUCT, k6=K6Program(built_k6(Settings().cache_dir)), out_dir=folder, remote_write_url=None,
    )  # fmt: skip


def _median(rates: Sequence[Rate]) -> Rate:
    return Rate(statistics.median(r.per_s for r in rates), statistics.median(r.per_cpu_s for r in rates))


@contextmanager
def fast_server(served: Answers, folder: Path) -> Iterator[str]:
    """`host:port` of a server that gives `served` from memory."""
    program, document = folder / "fast_server", folder / "answers.json"
    if not program.exists():
        command = (require(GO), "build", *golang.FLAGS, "-o", str(program), ".")
        Workshop().run("building the fast server", command, cwd=HERE / "fast_server", env=golang.ENV, cure=golang.CURE)
    document.write_bytes(orjson.dumps(served))
    with subprocess.Popen([program, document], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


class Bench:
    """Runs k6 loops of one scenario against one address; its files are in the request's folder."""

    def __init__(self, request: ScenarioRequest) -> None:
        self._request = request
        self._files = Files.of(request.out_dir, request.out_dir)
        self._files.config.write_text("{}")
        document = plan_document(replace(request, tokens=()))
        document["tokens"] = [TOKEN] * REQUESTS if request.scenario == "c" else []
        self._files.plan.write_text(json.dumps(document))
        mix = mix_of(request.profile)[request.scenario]
        self._requests = [(method, request.profile.base_url + path, body) for method, path, body in mix]
        self._iterations = REQUESTS // len(mix) if request.scenario == "a" else REQUESTS

    def scenario(self) -> Rate:
        """The scenario's loop with k6's environment as the runner sets it, on as many processors as the bare one."""
        environment = k6_environment(self._request, self._files)
        placed = {name: value for name, value in environment.items() if name != "GOMAXPROCS"}
        return self._run("loop.js", self._iterations, placed)

    def bare(self) -> Rate:
        """The same requests with k6's own defaults, the bodies kept and not looked at."""
        return self._run("bare.js", REQUESTS, process_environment(BENCH_EXEC="default"))

    def checked(self) -> Rate:
        """The bare loop with the design's checks."""
        return self._run("bare.js", REQUESTS, process_environment(BENCH_EXEC="checked"))

    def _run(self, script: str, iterations: int, environment: Mapping[str, str]) -> Rate:
        settings = {
            "SUITE_SUMMARY": str(self._files.summary),
            "K6_WEB_DASHBOARD": "false",
            "BENCH_VUS": str(VUS),
            "BENCH_ITERATIONS": str(iterations),
            "BENCH_REQUESTS": json.dumps(self._requests),
            "BENCH_TOKEN": TOKEN,
        }
        command = [
            str(self._request.k6.path), "run", "--quiet", "--no-color", "--no-usage-report", "--log-format=json",
            f"--config={self._files.config}", "--address=127.0.0.1:0", str(HERE / script),
        ]  # fmt: skip
        with self._files.log.open("wb") as output:
            process = subprocess.Popen(command, env={**environment, **settings}, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode in (0, 99), self._files.log.read_text()[-2000:]
        measured = json.loads(self._files.summary.read_bytes())
        assert measured["wrong"] == 0, f"{measured['wrong']} wrong answers of a server that gives right ones"
        cpu_s = usage.ru_utime + usage.ru_stime
        return Rate(measured["requests"] / measured["seconds"], measured["requests"] / cpu_s)
