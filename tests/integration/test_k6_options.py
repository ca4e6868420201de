"""k6's own reading of the five scripts with `design` load, beside the numbers of the design document (section 4.3)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.checks import SCENARIOS
from core.settings import ROOT, Settings, process_environment
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest
from k6.plan import plan_document
from targets.load import load_load
from targets.model import load_profile

OK = "expected_response:true"
# scenario -> the design's executor blocks, durations as k6 prints them
EXECUTORS: dict[str, dict[str, dict[str, Any]]] = {
    "a": {
        "shopping_flow": {
            "executor": "ramping-vus",
            "startVUs": 0,
            "stages": [
                {"duration": "2m0s", "target": 100},
                {"duration": "10m0s", "target": 100},
                {"duration": "2m0s", "target": 0},
            ],
        }
    },
    "b": {
        "blog_read": {
            "executor": "constant-arrival-rate",
            "rate": 500,
            "timeUnit": "1s",
            "duration": "10m0s",
            "preAllocatedVUs": 200,
            "maxVUs": 500,
        }
    },
    "c": {
        "coupon_spike": {
            "executor": "shared-iterations",
            "vus": 500,
            "iterations": 500,
            "maxDuration": "30s",
            "startTime": "1s",
        }
    },
    "d": {
        "search_load": {
            "executor": "ramping-arrival-rate",
            "startRate": 50,
            "timeUnit": "1s",
            "stages": [
                {"duration": "3m0s", "target": 200},
                {"duration": "10m0s", "target": 200},
                {"duration": "2m0s", "target": 0},
            ],
            "preAllocatedVUs": 100,
            "maxVUs": 300,
        }
    },
    "e": {
        "cache_warm": {
            "executor": "shared-iterations",
            "vus": 1,
            "iterations": 1,
            "maxDuration": "10s",
            "exec": "warmCache",
            "startTime": "0s",
        },
        "thundering_herd": {
            "executor": "shared-iterations",
            "vus": 200,
            "iterations": 200,
            "maxDuration": "10s",
            "exec": "thunderingHerd",
            # the portal's TTL of 10 s and a margin of 1 s, where the design has a fixed 15 s (corrections 8)
            "startTime": "11s",
        },
    },
}
# scenario -> the design's thresholds; selectors as corrections 4 and 20 make them
THRESHOLDS = {
    "a": {
        f"http_req_duration{{{OK},part:load}}": ["p(95)<200", "p(99)<500"],
        "http_req_failed{part:load}": ["rate<0.001"],
        f"http_req_duration{{{OK},name:login}}": ["p(95)<150"],
        f"http_req_duration{{{OK},name:product_list}}": ["p(95)<100"],
        f"http_req_duration{{{OK},name:product_detail}}": ["p(95)<80"],
        f"http_req_duration{{{OK},name:add_to_cart}}": ["p(95)<120"],
        f"http_req_duration{{{OK},name:create_order}}": ["p(95)<300"],
    },
    "b": {
        f"http_req_duration{{{OK},part:load}}": ["p(95)<100"],
        "http_req_failed{part:load}": ["rate<0.001"],
        f"http_req_duration{{{OK},name:post_list}}": ["p(95)<80"],
        f"http_req_duration{{{OK},name:post_detail}}": ["p(95)<50"],
    },
    "c": {
        f"http_req_duration{{{OK},name:coupon_issue}}": ["p(99)<500"],
        "http_req_failed{part:load}": ["rate<0.5"],
    },
    "d": {
        f"http_req_duration{{{OK},part:load}}": ["p(95)<100"],
        "http_req_failed{part:load}": ["rate<0.01"],
    },
    "e": {f"http_req_duration{{{OK},name:thundering_herd}}": ["p(95)<500"]},
}
# what we judge besides: failures in E too, as its latency is that of expected answers
ADDED: dict[str, dict[str, list[str]]] = {"e": {"http_req_failed{part:load}": ["rate<0.001"]}}


@pytest.fixture(scope="module", params=list(SCENARIOS))
def scenario(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def options(scenario: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp(scenario)
    k6 = K6Program(built_k6(Settings().cache_dir))
    request = ScenarioRequest(
        scenario=scenario, profile=load_profile("portal"), load=load_load("design"), run_id="r", run_mark="r",
        coupon_id="1", product_id="1", k6=k6, out_dir=folder, remote_write_url=None,
    )  # fmt: skip
    plan = folder / "plan.json"
    plan.write_text(json.dumps(plan_document(request)))
    script = ROOT / "k6" / "scenarios" / f"{SCENARIOS[scenario]}.js"
    inspected = subprocess.run(
        [k6.path, "inspect", f"--env=SUITE_PLAN={plan}", script],
        capture_output=True,
        env=process_environment(),
        check=True,
    )
    found: dict[str, Any] = json.loads(inspected.stdout)
    return found


class TestDesignLoad:
    def test_has_the_designs_executors(self, scenario: str, options: dict[str, Any]) -> None:
        assert options["scenarios"].keys() == EXECUTORS[scenario].keys()
        for name, wanted in EXECUTORS[scenario].items():
            found = options["scenarios"][name]
            assert {key: found[key] for key in wanted} == wanted

    def test_has_the_designs_thresholds_and_the_one_we_add(self, scenario: str, options: dict[str, Any]) -> None:
        judged = {metric: expressions for metric, expressions in options["thresholds"].items() if expressions}
        assert judged == {**THRESHOLDS[scenario], **ADDED.get(scenario, {})}

    def test_follows_no_redirect(self, options: dict[str, Any]) -> None:
        assert options["maxRedirects"] == 0


class TestScripts:
    @pytest.mark.parametrize("name", ["b-blog-read", "d-search-load"])
    def test_an_open_model_does_not_sleep(self, name: str) -> None:
        assert "sleep" not in Path(ROOT, "k6", "scenarios", f"{name}.js").read_text().replace("no sleep", "")

    def test_nothing_is_imported_from_elsewhere(self) -> None:
        for script in Path(ROOT, "k6").rglob("*.js"):
            assert "http://" not in script.read_text(), script
            assert "https://" not in script.read_text(), script
