"""A scenario on several k6 in a Kubernetes cluster: manifests for Grafana's k6-operator, with the parameters of a run.

python -m k6.kubernetes --scenario b --generators 4 --load design > testrun.yaml && kubectl apply -f testrun.yaml

Three documents: a ConfigMap with the scripts, a Secret with the plan (it holds passwords), and the TestRun (API
k6.io/v1alpha1). The operator deals the load out by execution segments, starts all runners paused and lets them go
together, as k6/start_gate.py does on one's own machines. Nothing is sent from here. Names and types of the TestRun's
fields are those of k6-operator's published API; tests/testrun-schema.json holds the ones that are used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from core.checks import SCENARIOS
from core.errors import ConfigError, SuiteError
from core.rundir import new_run_id, utc_now
from core.settings import ROOT
from core.words import EXIT_CODES, Verdict
from k6.command import PUSH_INTERVAL
from k6.model import K6Program, ScenarioRequest
from k6.plan import plan_document, scenario_name
from targets.load import load_load
from targets.model import load_profile

IMAGE = "grafana/k6:1.8.1"
"""The version that the embedded stack builds."""
SCRIPTS, PLAN = "/suite/k6", "/suite/plan"
SUMMARY = "/tmp/summary.json"
REMOTE_WRITE_URL = "http://prometheus.monitoring.svc:9090/api/v1/write"


def manifests(request: ScenarioRequest) -> list[dict[str, Any]]:
    """ConfigMap, Secret and TestRun of one scenario over `request.generators` runners.

    ConfigError when the load does not fit k6 or the target, or the profile's addresses are this machine's.
    """
    plan = plan_document(request)
    _require_cluster_addresses(request, plan["routes"])
    name = f"{scenario_name(request.scenario)}-{request.run_id.rsplit('-', 1)[-1]}"
    scripts = {_key(path): path.read_text(encoding="utf-8") for path in _scripts()}
    labels = {"app.kubernetes.io/managed-by": "perf-suite", "perf-suite/run-id": request.run_id}
    return [
        _document("v1", "ConfigMap", f"{name}-scripts", labels, data=scripts),
        _document(
            "v1", "Secret", f"{name}-plan", labels, stringData={"plan.json": json.dumps(plan, ensure_ascii=False)}
        ),
        _document("k6.io/v1alpha1", "TestRun", name, labels, spec=_spec(request, name)),
    ]


def _document(version: str, kind: str, name: str, labels: Mapping[str, str], **parts: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": dict(labels)}, **parts}


def _spec(request: ScenarioRequest, name: str) -> dict[str, Any]:
    """The operator adds segments, `--paused` and a tag `instance_id` for each runner."""
    scenario = scenario_name(request.scenario)
    tags = [f"--tag run_id={request.run_id}", f"--tag scenario={scenario}"]
    pod = {
        "image": IMAGE,
        "env": [{"name": key, "value": value} for key, value in _environment(request).items()],
        "volumes": [
            {
                "name": "scripts",
                "configMap": {"name": f"{name}-scripts", "items": [_item(path) for path in _scripts()]},
            },
            {"name": "plan", "secret": {"secretName": f"{name}-plan"}},
        ],
        "volumeMounts": [
            {"name": "scripts", "mountPath": SCRIPTS, "readOnly": True},
            {"name": "plan", "mountPath": PLAN, "readOnly": True},
        ],
    }
    return {
        "parallelism": request.generators,
        "separate": True,
        "cleanup": "post",
        "script": {"localFile": f"{SCRIPTS}/scenarios/{scenario}.js"},
        "arguments": " ".join([*tags, "--out experimental-prometheus-rw"]),
        "initializer": pod,
        "runner": pod,
    }


def _environment(request: ScenarioRequest) -> dict[str, str]:
    """As k6.command sets it; the plan is read inside the pod."""
    return {
        "SUITE_PLAN": f"{PLAN}/plan.json",
        "SUITE_SUMMARY": SUMMARY,
        "K6_NO_USAGE_REPORT": "true",
        "K6_PROMETHEUS_RW_SERVER_URL": str(request.remote_write_url),
        "K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM": "true",
        "K6_PROMETHEUS_RW_PUSH_INTERVAL": PUSH_INTERVAL,
        "K6_PROMETHEUS_RW_STALE_MARKERS": "true",
    }


def _scripts() -> list[Path]:
    return sorted((ROOT / "k6").rglob("*.js"))


def _relative(path: Path) -> str:
    return path.relative_to(ROOT / "k6").as_posix()


def _key(path: Path) -> str:
    """A ConfigMap's keys have no slashes."""
    return _relative(path).replace("/", "__")


def _item(path: Path) -> dict[str, str]:
    return {"key": _key(path), "path": _relative(path)}


def _require_cluster_addresses(request: ScenarioRequest, routes: Mapping[str, Mapping[str, str]]) -> None:
    for address in sorted({route["base_url"] for route in routes.values()}):
        if any(own in address for own in ("127.0.0.1", "localhost", "[::1]")):
            raise ConfigError(
                f"{address} is this machine's own: in a pod it would be the pod itself",
                where=f"target '{request.profile.name}', addresses",
                cure="Give a profile whose addresses are those of the cluster's services (docs/scale.md).",
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the manifests; 2 with one sentence where there can be none."""
    given = _parser().parse_args(arguments)
    try:
        documents = manifests(_request(given))
    except SuiteError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]ERROR[/] {escape(str(error))}", highlight=False)
        return EXIT_CODES[Verdict.ERROR]
    yaml.safe_dump_all(documents, sys.stdout, sort_keys=False, allow_unicode=True)
    return 0


def _request(given: argparse.Namespace) -> ScenarioRequest:
    profile, load = load_profile(given.target), load_load(given.load)
    run_id = new_run_id(profile.name, load.name, utc_now())
    return ScenarioRequest(
        scenario=given.scenario,
        profile=profile,
        load=load,
        run_id=run_id,
        run_mark=run_id,
        coupon_id=given.coupon_id,
        product_id="",
        k6=K6Program(Path("k6")),
        out_dir=Path(),
        remote_write_url=given.remote_write,
        generators=given.generators,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m k6.kubernetes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", required=True, metavar="NAME|FILE", help="profile with the cluster's addresses")
    parser.add_argument("--load", default="smoke", metavar="NAME|FILE", help="default: smoke")
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="b", help="letter; default: b")
    parser.add_argument("--generators", type=int, default=2, metavar="N", help="k6 runners; default: 2")
    parser.add_argument("--coupon-id", default="1", metavar="ID", help="C: its limited coupon")
    parser.add_argument("--remote-write", default=REMOTE_WRITE_URL, metavar="URL", help=f"default: {REMOTE_WRITE_URL}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
