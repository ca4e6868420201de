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
import prefect
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings

from core.errors import SetupError
from core.http import http_client
from core.ports import LOOPBACK
from core.processes import dies_with_its_parent, free_port
from core.settings import process_environment
from core.waiting import wait_for
from flows.site import running_site

log = logging.getLogger("suite")
READY_WITHIN_S = 120.0
STOP_WITHIN_S = 5.0
AS_TEMPORARY = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
"""How Prefect starts its own temporary server: no UI, no schedulers; nor does it act on automations, and says so."""


@contextmanager
def prefect_server() -> Iterator[None]:
    """The user's own server (PREFECT_API_URL), that of `make ui`, or one while the block runs.

    SetupError when the user's does not answer or is too old, or ours does not start.
    """
    api = PREFECT_API_URL.value()
    if api:
        require_usable(api)
        yield
        return
    site = running_site()
    if site is not None:
        log.info("this run is shown at %s", site.ui)
        with temporary_settings(updates={PREFECT_API_URL: site.api}):
            yield
        return
    log.info("starting a Prefect server for this run (`make ui` starts one to look at)")
    port = free_port()
    with serving(port, **AS_TEMPORARY), temporary_settings(updates={PREFECT_API_URL: api_at(port)}):
        try:
            yield
        finally:
            APILogHandler().flush()  # what is still on its way would find no server later


def api_at(port: int) -> str:
    """The API's address of a server of ours."""
    return f"http://{LOOPBACK}:{port}/api"


@contextmanager
def serving(port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server on `port` while the block runs; SetupError when it does not start.

    A session of its own keeps a Ctrl-C at the terminal away: runs still report to it while they end.
    """
    program = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    options = ["--host", LOOPBACK, "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    command = [*dies_with_its_parent(), *program, *options]
    with subprocess.Popen(command, env=process_environment(**environment), start_new_session=True) as server:
        try:
            _wait_until_healthy(server, api_at(port))
            yield server
        finally:
            stop(server)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, then make it."""
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()


def give_events_up_soon() -> None:
    """Events of a server that has gone are tried twice: by Prefect's default each of hundreds takes eight seconds."""
    if PREFECT_API_KEY.value() is None:  # else it is Prefect's cloud, which has a client of its own
        EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=1)


def require_usable(api: str) -> None:
    """SetupError when no Prefect server answers at `api`, or one that is older than our client."""
    try:
        with http_client() as client:
            answer = client.get(f"{api}/admin/version")
            answer.raise_for_status()
            theirs = str(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        raise SetupError(
            f"the Prefect server does not answer: {error}",
            where=f"PREFECT_API_URL={api}",
            cure="Start it (`make ui`), or unset PREFECT_API_URL: a run then starts a server of its own.",
        ) from error
    if _numbers(theirs) < _numbers(prefect.__version__) or _numbers(theirs)[0] != _numbers(prefect.__version__)[0]:
        raise SetupError(
            f"the Prefect server is of version {theirs}, this suite's client of {prefect.__version__}",
            where=f"PREFECT_API_URL={api}",
            cure=f"Upgrade the server to {prefect.__version__} or a later 3.x (docs/prefect.md, Upgrade).",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """(3, 8) of '3.8.8': patches of one minor version understand each other."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


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
