"""How k6 is called: arguments and environment of one run.

The Prometheus output reads its settings from the process environment only (corrections 1). Nothing of the caller's own
K6_* variables, k6 configuration or proxies reaches k6: they could send load or samples elsewhere (guard.md 21, 22).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.processes import dies_with_its_parent
from core.settings import ROOT, Settings, process_environment
from k6.model import ScenarioRequest
from k6.plan import planned_s, scenario_name

SCRIPTS = ROOT / "k6" / "scenarios"
PUSH_INTERVAL = "1s"
"""C and E last seconds: k6's 5 s would leave one sample of them (corrections 19)."""
PROCESSORS_SHARE = 2
"""k6 takes one processor in two: the target runs on the same machine, and a k6 that spreads over all of them is in its
way and waits for its turn more. Measured with B at 500/s on two: p99 7 instead of 9 ms, run delay 7 instead of 13 %."""
GARBAGE_PERCENT = 400
MEMORY_LIMIT = "1GiB"
"""Go's collector runs a fifth as often, which shows in p99, as long as memory stays below this."""
WEB_DASHBOARD_FROM_S = 30.0
"""k6's web dashboard takes a sample every 10 s and exports nothing from shorter runs."""
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"})


@dataclass(frozen=True)
class Files:
    """Where one run's files are; `plan` and `config` are private and go when the run ends."""

    plan: Path
    config: Path
    summary: Path
    log: Path
    web_dashboard: Path

    @classmethod
    def of(cls, out_dir: Path, private: Path) -> Files:
        return cls(
            plan=private / "plan.json",
            config=private / "k6.json",
            summary=out_dir / "summary.json",
            log=out_dir / "k6.log",
            web_dashboard=out_dir / "web-dashboard.html",
        )


def k6_arguments(request: ScenarioRequest, files: Files, api: str, *, paused: bool = False) -> list[str]:
    """The command line; the labels of corrections 21 are tags of every sample. `api` is `host:port`.

    A `paused` k6 makes itself ready and waits to be let go over its API (start_gate.py).
    """
    name = scenario_name(request.scenario)
    return [
        *dies_with_its_parent(),
        str(request.k6.path),
        "run",
        "--quiet",
        "--no-color",
        "--no-usage-report",
        f"--config={files.config}",
        f"--address={api}",
        *(["--paused"] if paused else []),
        "--log-format=json",
        f"--tag=run_id={request.run_id}",
        f"--tag=scenario={name}",
        f"--tag=generator={request.generator}",
        *([f"--tag=segment={request.segment.number}"] if request.segment else []),
        *(["--out=experimental-prometheus-rw"] if request.remote_write_url else []),
        str(SCRIPTS / f"{name}.js"),
    ]


def k6_environment(request: ScenarioRequest, files: Files, caller: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of k6; `caller` is this process' own by default."""
    kept = process_environment() if caller is None else caller
    return {
        **{name: value for name, value in kept.items() if not _is_dropped(name)},
        **request.k6.env,
        "SUITE_PLAN": str(files.plan),
        "SUITE_SUMMARY": str(files.summary),
        "K6_AUTO_EXTENSION_RESOLUTION": "false",
        "GOMAXPROCS": str(max(1, (os.cpu_count() or 1) // PROCESSORS_SHARE)),
        "GOGC": str(GARBAGE_PERCENT),
        "GOMEMLIMIT": MEMORY_LIMIT,
        **_authorities(),
        **_remote_write(request),
        **_web_dashboard(request, files),
    }


def has_web_dashboard(request: ScenarioRequest) -> bool:
    return planned_s(request.scenario, request.load, request.profile) >= WEB_DASHBOARD_FROM_S


def _is_dropped(name: str) -> bool:
    return name.startswith("K6_") or name.lower() in PROXIES


def _authorities() -> dict[str, str]:
    """Who may vouch for the target's certificate, for Go on Linux; on macOS it is the keychain's to say."""
    file = Settings().ca_file
    return {} if file is None else {"SSL_CERT_FILE": str(file)}


def _remote_write(request: ScenarioRequest) -> dict[str, str]:
    """Native histograms (corrections 2); stale markers, so that k6_vus ends with its run and not 5 minutes later."""
    if request.remote_write_url is None:
        return {}
    return {
        "K6_PROMETHEUS_RW_SERVER_URL": request.remote_write_url,
        "K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM": "true",
        "K6_PROMETHEUS_RW_PUSH_INTERVAL": PUSH_INTERVAL,
        "K6_PROMETHEUS_RW_STALE_MARKERS": "true",
    }


def _web_dashboard(request: ScenarioRequest, files: Files) -> dict[str, str]:
    """Port -1: the dashboard is exported, not served."""
    if not has_web_dashboard(request):
        return {}
    return {
        "K6_WEB_DASHBOARD": "true",
        "K6_WEB_DASHBOARD_PORT": "-1",
        "K6_WEB_DASHBOARD_EXPORT": str(files.web_dashboard),
    }
