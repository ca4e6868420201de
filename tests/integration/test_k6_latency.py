"""Latency from the intended start: the schedules as k6 runs them, and a target that makes iterations wait."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from core.ports import Endpoints, ServiceId
from core.settings import ROOT, Settings, process_environment
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.load import Load, load_load
from targets.model import load_profile

ANSWER_S = 0.1
# schedule, iteration -> when it is due, in ms
CONSTANT = "schedule.constantRate(50)"
# design 4.3 D in small: 10/s rising to 40/s within 4 s, 40/s for 10 s, falling to 0 within 2 s
RAMPING = (
    "schedule.rampingRate(10, [{duration_s: 4, target_per_s: 40}, {duration_s: 10, target_per_s: 40},"
    " {duration_s: 2, target_per_s: 0}])"
)
DUE = [
    (CONSTANT, 0, 0),
    (CONSTANT, 1, 20),  # 1 / 50 s
    (CONSTANT, 749, 14_980),  # 749 / 50 s
    # k6 starts iteration i when N(t) = i + 1; rising: N(t) = 10 t + 3.75 t^2
    (RAMPING, 12, 1_000 * (-10 + (100 + 15 * 13) ** 0.5) / 7.5),
    (RAMPING, 34, 2_000),  # N(2) = 20 + 15 = 35
    (RAMPING, 99, 4_000),  # N(4) = 40 + 60 = 100, the end of the rise
    (RAMPING, 139, 5_000),  # N(5) = 100 + 40
    (RAMPING, 499, 14_000),  # N(14) = 100 + 400, the end of the steady part
    (RAMPING, 529, 15_000),  # falling: N(15) = 500 + 40 - 10 = 530
    (RAMPING, 539, 16_000),  # N(16) = 500 + 40
]


@pytest.fixture(scope="session")
def k6() -> K6Program:
    return K6Program(built_k6(Settings().cache_dir))


class TestSchedule:
    def test_says_when_an_iteration_is_due(self, k6: K6Program, tmp_path: Path) -> None:
        expected = ",".join(f"[{schedule}, {i}, {due_ms}]" for schedule, i, due_ms in DUE)
        script = tmp_path / "schedule.js"
        script.write_text(
            f"import * as schedule from {json.dumps(str(ROOT / 'k6' / 'lib' / 'schedule.js'))};\n"
            f"for (const [dueMs, i, wanted] of [{expected}]) {{\n"
            "  if (Math.abs(dueMs(i) - wanted) > 1e-6) { throw new Error(`${i}: ${dueMs(i)}, not ${wanted}`); }\n"
            "}\n"
            "export default () => {};\n"
        )
        ran = subprocess.run(
            [k6.path, "run", "--quiet", "--no-usage-report", "--address=127.0.0.1:0", script],
            capture_output=True,
            text=True,
            env=process_environment(),
            check=False,
        )
        assert ran.returncode == 0, ran.stderr


@pytest.fixture
def slow_target() -> Iterator[str]:
    """Answers logins and searches; a search takes ANSWER_S."""

    async def login(_: Request) -> JSONResponse:
        return JSONResponse({"success": True, "data": {"accessToken": "t", "expiresIn": 900}})

    async def search(request: Request) -> JSONResponse:
        await asyncio.sleep(ANSWER_S)
        hits = load_profile("portal").catalogue.search_words[request.query_params["keyword"]]
        return JSONResponse({"success": True, "data": {"results": [], "totalHits": hits}})

    routes = load_profile("portal").routes
    by_name = {name.value: route for name, route in routes.items()}
    app = Starlette(
        routes=[
            Route(by_name["login"].path, login, methods=["POST"]),
            Route(by_name["product_search"].path, search),
        ]
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def search_load(k6: K6Program, url: str, folder: Path, rate_per_s: int, vus: int) -> tuple[ScenarioResult, float]:
    """Three seconds of D at a fixed rate: its result, and the slowest latency from the intended start in ms."""
    d = {
        "start_rate_per_s": rate_per_s, "rate_per_s": rate_per_s, "ramp_up_s": 1, "steady_s": 1.9, "ramp_down_s": 0.1,
        "pre_allocated_vus": vus, "max_vus": vus,
    }  # fmt: skip
    load = Load.model_validate({**load_load("smoke").model_dump(), "name": "short", "d": d})
    request = ScenarioRequest(
        scenario="d", profile=load_profile("portal").at(Endpoints({ServiceId.GATEWAY: url})), load=load, run_id="r",
        run_mark="m", coupon_id="1", product_id="1", k6=k6, out_dir=folder, remote_write_url=None,
    )  # fmt: skip
    result = run_scenario(request, lambda progress: None, threading.Event())
    assert result.error is None
    metrics = json.loads((folder / "summary.json").read_bytes())["metrics"]
    values = metrics["latency_from_intended"]["values"]
    assert values["count"] == result.iterations
    assert {"p(95)", "p(99)"} <= values.keys()
    return result, values["max"]


class TestLatencyFromIntended:
    def test_is_the_requests_own_where_nothing_waits(self, k6: K6Program, slow_target: str, tmp_path: Path) -> None:
        result, slowest_ms = search_load(k6, slow_target, tmp_path, rate_per_s=10, vus=5)
        assert result.dropped_iterations == 0
        assert 1_000 * ANSWER_S - 2 <= slowest_ms < 1_000 * ANSWER_S + 200

    def test_holds_the_wait_of_iterations_that_were_late(self, k6: K6Program, slow_target: str, tmp_path: Path) -> None:
        # 2 VUs of 0.1 s make 20 of 40 a second: about 58 are made in 2.9 s, and number 58 was due at 1.5 s
        result, slowest_ms = search_load(k6, slow_target, tmp_path, rate_per_s=40, vus=2)
        assert result.dropped_iterations > 0
        assert result.p99_ms is not None
        assert slowest_ms > 1_000
        assert result.p99_ms < slowest_ms / 2
