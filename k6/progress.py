"""What a running k6 says of itself over its REST API."""

from __future__ import annotations

import logging
import time
from typing import Any

import httpx

from core.ports import LOOPBACK
from core.processes import free_port
from k6.model import Progress

log = logging.getLogger("k6")

_ANSWER_WITHIN_S = 1.0


def log_progress(progress: Progress) -> None:
    """Progress as one log line."""
    log.info("%s", progress)


def free_address() -> str:
    """`host:port` on loopback that nothing listens on now."""
    return f"{LOOPBACK}:{free_port()}"


class ProgressReader:
    """Asks one k6 for its figures; the rate is that since the last question."""

    def __init__(self, scenario: str, api: str, planned_s: float) -> None:
        self._scenario = scenario
        self._planned_s = planned_s
        self._started = time.monotonic()
        self._last = (self._started, 0)
        self._client = httpx.Client(base_url=f"http://{api}", timeout=_ANSWER_WITHIN_S, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def restart(self) -> None:
        """The load begins now, not when k6 was started."""
        self._started = time.monotonic()

    def read(self) -> Progress | None:
        """None while k6 has nothing to say yet, or no longer."""
        try:
            answer = self._client.get("/v1/metrics")
        except httpx.HTTPError:
            return None
        return self._progress(answer.json()["data"] or []) if answer.is_success else None

    def _progress(self, metrics: list[dict[str, Any]]) -> Progress:
        samples = {metric["id"]: metric["attributes"]["sample"] for metric in metrics}
        now, requests = time.monotonic(), int(samples.get("http_reqs", {}).get("count", 0))
        then, before = self._last
        self._last = (now, requests)
        elapsed_s = now - self._started
        return Progress(
            scenario=self._scenario,
            elapsed_s=elapsed_s,
            left_s=max(0.0, self._planned_s - elapsed_s),
            vus=int(samples.get("vus", {}).get("value", 0)),
            requests=requests,
            rate_per_s=(requests - before) / max(now - then, 1e-3),
            failed_ratio=float(samples.get("http_req_failed", {}).get("rate", 0.0)),
            refused=int(samples.get("answers_429", {}).get("count", 0)),
        )
