"""A real Prometheus of the test's own: scrapes nothing, takes remote writes and blocks made beforehand."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from core.settings import process_environment
from core.waiting import wait_for
from infra.embedded.programs import Installed


def make_blocks(installed: Installed, folder: Path, openmetrics: str) -> None:
    """Put samples of the past into `folder`/data, before a server runs over it."""
    (folder / "series.txt").write_text(openmetrics, encoding="utf-8")
    blocks = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "series.txt"), str(folder / "data")]
    promtool = str(installed.path.with_name("promtool"))
    subprocess.run([promtool, *blocks], check=True, capture_output=True, env=process_environment(**installed.env))


@contextmanager
def prometheus_at(installed: Installed, folder: Path, port: int | None = None) -> Iterator[str]:
    """A server over `folder`/data; yields its URL."""
    url = f"127.0.0.1:{port or free_port()}"
    (folder / "prometheus.yml").write_text("scrape_configs: []\n", encoding="utf-8")
    options = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url}",
        "--storage.tsdb.retention.time=10y",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        environment = process_environment(**installed.env)
        process = subprocess.Popen([str(installed.path), *options], stdout=log, stderr=log, env=environment)
        try:
            ready = wait_for(lambda: _answers(f"http://{url}/-/ready"), bool, timeout_s=30, every_s=0.1)
            assert ready, (folder / "prometheus.log").read_text(encoding="utf-8")[-2_000:]
            yield f"http://{url}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
