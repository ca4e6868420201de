"""A Prefect server for one run, where the user has none: it dies with the run, also after SIGKILL.

Prefect's own temporary server is the same program, but outlives a run that is killed.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, temporary_settings

from core.errors import SetupError
from core.http import http_client
from core.ports import LOOPBACK
from core.processes import dies_with_its_parent, free_port
from core.settings import process_environment
from core.waiting import wait_for

log = logging.getLogger("suite")
READY_WITHIN_S = 120.0
STOP_WITHIN_S = 5.0
AS_TEMPORARY = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""How Prefect starts its own temporary server: no UI, no schedulers."""


@contextmanager
def prefect_server() -> Iterator[None]:
    """The user's own server (PREFECT_API_URL), or one while the block runs; SetupError when it does not start."""
    if PREFECT_API_URL.value():
        yield
        return
    port = free_port()
    api = f"http://{LOOPBACK}:{port}/api"
    log.info("starting a Prefect server for this run (set PREFECT_API_URL to use your own)")
    with _server(port) as server:
        _wait_until_healthy(server, api)
        with temporary_settings(updates={PREFECT_API_URL: api}):
            try:
                yield
            finally:
                APILogHandler().flush()  # what is still on its way would find no server later


@contextmanager
def _server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A session of its own keeps a Ctrl-C at the terminal away: the run still reports to it while it ends."""
    program = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    options = ["--host", LOOPBACK, "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    command = [*dies_with_its_parent(), *program, *options]
    with subprocess.Popen(command, env=process_environment(**AS_TEMPORARY), start_new_session=True) as server:
        try:
            yield server
        finally:
            server.terminate()
            try:
                server.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_until_healthy(server: subprocess.Popen[bytes], api: str) -> None:
    def healthy() -> bool | None:
        """None: it has ended, and no waiting helps."""
        if server.poll() is not None:
            return None
        try:
            with http_client() as client:
                return client.get(f"{api}/health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    seen = wait_for(healthy, lambda found: found is not False, READY_WITHIN_S, every_s=0.2)
    if not seen:
        said = "ended at once" if seen is None else f"did not answer within {READY_WITHIN_S:.0f} s"
        raise SetupError(
            f"the Prefect server {said}",
            where=api,
            cure="Its own words are above. Is its database from another version? Set PREFECT_HOME to a new folder.",
        )
