"""Looking at containers through the engine's API: which run, since when, what they said, what may be left."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import docker
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from core.errors import ConfigError, SetupError
from core.ports import LOOPBACK
from core.settings import process_environment
from infra.docker.compose import explain

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
LEASE_LABEL = "perf-suite.lease"
STAND_IN_LABEL = "perf-suite.stands-in"
TIMEOUT_S = 30.0
TOGETHER = 8
"""Containers that are stopped at the same time: each may take its grace."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Container:
    """One container of a project. `started` is UTC ISO 8601; `detail` says why it does not run, or its health.

    `published`: port inside -> `host:port` on this machine.
    """

    id: str
    service: str
    running: bool
    started: str
    detail: str
    lease: str
    published: Mapping[int, str]


def _told(call: Callable[P, T]) -> Callable[P, T]:
    """Turn what the client library raises into a SetupError with a cure."""

    @wraps(call)
    def told(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return call(*arguments, **named)
        except APIError as error:
            raise explain(str(error.explanation or error), "the Docker engine") from error
        except (DockerException, RequestException, OSError) as error:
            raise SetupError(
                f"the Docker engine does not answer: {_innermost(error)}",
                where="docker",
                cure="Start Docker Desktop, or `systemctl start docker`; `docker info` must answer.",
            ) from error

    return told


class Engine:
    """The engine that `docker` on the command line talks to, by DOCKER_HOST or the current context."""

    @_told
    def __init__(self, host: str = "") -> None:
        self.host = host or process_environment().get("DOCKER_HOST") or ContextAPI.get_current_context().Host
        _require_local(self.host)
        self._version = "auto"
        with self._api() as api:
            self._version = api.api_version

    @_told
    def containers(self, project: str, service: str = "") -> dict[str, Container]:
        """Service -> its container, running or not; only that of `service`, where one is named."""
        labels = [f"{PROJECT_LABEL}={project}", *([f"{SERVICE_LABEL}={service}"] if service else [])]
        with self._api() as api:
            found = [_inspected(api, row["Id"]) for row in api.containers(all=True, filters={"label": labels})]
        return {container.service: container for container in found if container is not None}

    @_told
    def log(self, container_id: str, lines: int | None = None) -> str:
        """What a container wrote, oldest first; empty when it is gone."""
        with self._api() as api, suppress(NotFound):
            return bytes(api.logs(container_id, tail=lines or "all")).decode(errors="replace")
        return ""

    @_told
    def take_down(self, ids: Iterable[str], only_stop: Collection[str] = (), grace_s: int = 10) -> None:
        """Stop and remove side by side; those in `only_stop` stay as they were found. One that is gone is no error."""

        def end(id: str) -> None:
            with self._api() as api, _unless_gone():
                api.stop(id, timeout=grace_s)
                if id not in only_stop:
                    api.remove_container(id, v=True, force=True)

        with ThreadPoolExecutor(max_workers=TOGETHER) as pool:
            list(pool.map(end, ids))

    @_told
    def networks(self, project: str) -> list[str]:
        """Names of the project's networks."""
        with self._api() as api:
            return [row["Name"] for row in api.networks(filters={"label": f"{PROJECT_LABEL}={project}"})]

    @_told
    def remove_networks(self, project: str) -> None:
        """Remove the project's networks; nothing may use them any more."""
        with self._api() as api:
            for name in self.networks(project):
                api.remove_network(name)

    @_told
    def remove_volumes(self, project: str) -> list[str]:
        """Delete the project's data; returns the names."""
        with self._api() as api:
            found = api.volumes(filters={"label": f"{PROJECT_LABEL}={project}"})["Volumes"] or []
            for row in found:
                api.remove_volume(row["Name"])
        return [row["Name"] for row in found]

    @_told
    def stand_in(self, image: str) -> str:
        """What an image says it stands in with; empty for the real one and for one that is not there."""
        with self._api() as api, suppress(ImageNotFound):
            return str((api.inspect_image(image)["Config"].get("Labels") or {}).get(STAND_IN_LABEL, ""))
        return ""

    @_told
    def has_image(self, image: str) -> bool:
        """Whether the image is here."""
        with self._api() as api:
            return bool(api.images(name=image))

    @_told
    def mounts(self) -> Mapping[str, str]:
        """SUITE_DOCKER_SOCKET and _ROOT, where cAdvisor finds the engine: in Docker Desktop they lie in its machine."""
        with self._api() as api:
            root = str(api.info().get("DockerRootDir") or "/var/lib/docker")
        listens_at = urlsplit(self.host).path if sys.platform == "linux" else ""
        return {"SUITE_DOCKER_ROOT": root, "SUITE_DOCKER_SOCKET": listens_at or "/var/run/docker.sock"}

    @_told
    def bridge_gateway(self) -> str:
        """The address that `host.docker.internal` has in a container, where this machine runs the engine itself."""
        with self._api() as api:
            configs = api.inspect_network("bridge")["IPAM"]["Config"]
        return next((str(config["Gateway"]) for config in configs if "Gateway" in config), "")

    def _api(self) -> closing[docker.APIClient]:
        """A connection for one question: none is left open, and an engine that was restarted is found again."""
        _knock(self.host)
        return closing(docker.APIClient(base_url=self.host, version=self._version, timeout=TIMEOUT_S))


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Somebody else may remove the same container, as a watchdog does: that is what was wanted."""
    try:
        yield
    except APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def _inspected(api: docker.APIClient, id: str) -> Container | None:
    try:
        row = api.inspect_container(id)
    except NotFound:
        return None
    labels, state = row["Config"]["Labels"] or {}, row["State"]
    return Container(
        id=row["Id"],
        service=labels.get(SERVICE_LABEL, ""),
        running=bool(state["Running"]),
        started=_to_microseconds(state["StartedAt"]),
        detail=_detail(state),
        lease=labels.get(LEASE_LABEL, ""),
        published=_published(row["HostConfig"].get("PortBindings") or {}),
    )


def _detail(state: Mapping[str, Any]) -> str:
    if state["Running"]:
        return str((state.get("Health") or {}).get("Status") or "running")
    killed = ", out of memory" if state.get("OOMKilled") else ""
    return f"{state['Status']} with exit code {state['ExitCode']}{killed}"


def _published(bindings: Mapping[str, Any]) -> dict[int, str]:
    """From `{"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9090"}]}`."""
    return {
        int(inside.partition("/")[0]): f"{reachable(rows[0]['HostIp'])}:{rows[0]['HostPort']}"
        for inside, rows in bindings.items()
        if rows and rows[0]["HostPort"]
    }


def reachable(address: str) -> str:
    """Where this machine reaches a port that is published on `address`."""
    return LOOPBACK if address in ("", "0.0.0.0", "::") else address


def _to_microseconds(moment: str) -> str:
    """`2026-11-27T21:00:00.123456789Z`, to microseconds."""
    whole, _, fraction = moment.rstrip("Z").partition(".")
    return f"{whole}.{fraction[:6]:0<6}Z"


def _knock(host: str) -> None:
    """OSError where nobody listens; the client library would leave its socket open then."""
    parts = urlsplit(host)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(TIMEOUT_S)
            trial.connect(parts.path)


def _require_local(host: str) -> None:
    """Ports are published on loopback, so an engine on another machine would publish them there."""
    parts = urlsplit(host)
    if parts.scheme not in ("unix", "npipe") and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigError(
            f"the Docker engine {parts.scheme}://{parts.hostname} is on another machine",
            where="DOCKER_HOST",
            cure="Use this machine's engine, or `--backend external` for a stack that runs elsewhere.",
        )


def _innermost(error: BaseException) -> str:
    """The operating system's words, also out of `(… FileNotFoundError(2, 'No such file or directory'))`."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    quoted = re.findall(r"'([^']+)'", str(error))
    return quoted[-1] if quoted else str(error) or type(error).__name__
