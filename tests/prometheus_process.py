"""A Prometheus of a test's own, and made-up series one after another in it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from core.settings import process_environment
from infra.embedded.programs import Installed
from tests.made_up import Line, write

READY_S = 20.0
NATIVE_HISTOGRAMS = "--enable-feature=native-histograms"
REMOTE_WRITE = "--web.enable-remote-write-receiver"
SCRAPES_NOTHING: Mapping[str, Any] = {"scrape_configs": []}
WORLDS_APART_S = 1800
"""More than the longest range of a query before and after: one world does not see the other."""


def make_blocks(installed: Installed, folder: Path, openmetrics: str) -> None:
    """Put samples of the past into `folder`/data, before a server runs over it."""
    (folder / "series.txt").write_text(openmetrics, encoding="utf-8")
    blocks = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "series.txt"), str(folder / "data")]
    promtool = str(installed.path.with_name("promtool"))
    subprocess.run([promtool, *blocks], check=True, capture_output=True, env=process_environment(**installed.env))


@contextmanager
def prometheus_at(
    installed: Installed,
    folder: Path,
    config: Mapping[str, Any] = SCRAPES_NOTHING,
    features: Sequence[str] = (NATIVE_HISTOGRAMS, REMOTE_WRITE),
    port: int | None = None,
) -> Iterator[str]:
    """A Prometheus over `folder`/data, by default on a free port; its URL."""
    (folder / "prometheus.yml").write_text(httpx.Response(200, json=config).text, encoding="utf-8")
    port = port or free_port()
    arguments = [
        str(installed.path),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=30d",
        *features,
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, env=process_environment(**installed.env))
        try:
            eventually("Prometheus is ready", lambda: answers(f"http://127.0.0.1:{port}/-/ready"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@dataclass
class Worlds:
    """Series of one world after another in the Prometheus at `url`, far enough apart not to be mixed up."""

    url: str
    next_start: float

    @classmethod
    def of(cls, url: str) -> Worlds:
        """The first begins two days ago, on a block's border."""
        return cls(url, (time.time() // 7200 - 24) * 7200)

    def put(self, lines: Sequence[Line], length_s: float = 600, every_s: float = 5) -> float:
        """Write `lines` for `length_s` of scrapes each `every_s`; the unix time of the last."""
        start = self.next_start
        self.next_start += length_s + WORLDS_APART_S
        if lines:
            answer = write(self.url, lines, start, length_s, every_s)
            assert answer.status_code in (200, 204), answer.text
        return start + length_s


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def eventually(claim: str, holds: Callable[[], object], within_s: float = READY_S) -> None:
    """Poll until the claim holds; fails with the claim's words."""
    poll = retry(
        retry=retry_if_result(lambda held: not held),
        stop=stop_after_delay(within_s),
        wait=wait_fixed(0.1),
        retry_error_callback=lambda _: pytest.fail(f"not within {within_s:g} s: {claim}"),
    )
    poll(holds)()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
