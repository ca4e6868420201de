"""The stack's services, whoever runs them: the protocol that every backend fulfils (architecture.md, "Backends").

One contract test covers all backends (tests/integration/test_backend_contract.py). Nothing here is Linux's alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pydantic import SecretStr

from core.errors import SetupError
from core.ports import LOOPBACK, ServiceId
from infra.mysql.account import ExporterAccount


@dataclass(frozen=True)
class Identity:
    """Which instance of a service answers: the same at both ends of a run, or it was replaced (check `stack-alive`).

    `instance` is a pid or a container id, `started` UTC ISO 8601; both empty for a service that runs nowhere.
    """

    service: ServiceId
    instance: str
    started: str
    alive: bool
    detail: str = ""


@dataclass(frozen=True)
class Leftover:
    """Something that this backend started and that is still there after its stop (check `teardown-clean`)."""

    service: ServiceId
    what: str


@dataclass(frozen=True)
class OwnGrafana:
    """What a Grafana that is part of the stack asks for besides its endpoint: `user:password`, and its Prometheus."""

    login: SecretStr
    prometheus_url: str  # as Grafana reaches it


class NotToBeHad(SetupError):
    """A part that the stack can do without is neither here nor to be fetched."""


class Backend(Protocol):
    """Where the stack runs. Every method raises SetupError, with the cure, when it cannot do what it says.

    As a context manager it stops at exit what it started, unless `keep` was called; what ran before stays untouched.
    """

    @property
    def name(self) -> str:
        """`embedded`, `docker` or `external`."""

    def start(self, services: Collection[ServiceId]) -> None:
        """Start the services and what they depend on, except for what runs already; returns before they are ready."""

    def wait_ready(self, services: Collection[ServiceId]) -> None:
        """Return when each service was read back as ready; the error shows what was seen last and the log's tail."""

    def endpoint(self, service: ServiceId) -> str:
        """`host:port` at which this machine reaches the service."""

    @property
    def prometheus_is_ours(self) -> bool:
        """Whether Prometheus scrapes this run's services only; somebody's own may scrape much that is no part of it."""
        return True

    @property
    def bot_address(self) -> str:
        """Where on this machine the bot serves its metrics, so that the stack's Prometheus reaches it."""
        return LOOPBACK

    def grafana(self) -> OwnGrafana | None:
        """The stack's own Grafana, which `start` may have to start; None where it has none.

        NotToBeHad where its image is neither here nor to be pulled.
        """
        return None

    def identity(self, service: ServiceId) -> Identity:
        """Which instance runs now."""

    def restart(self, service: ServiceId) -> None:
        """Stop and start one service on purpose; returns when it is ready again."""

    def logs(self, service: ServiceId, lines: int = 50) -> list[str]:
        """The service's last log lines, oldest first; also after its end."""

    def collect_logs(self, folder: Path) -> list[Path]:
        """Copy the logs of this backend's services into the folder; returns the copies."""

    def exporter_account(self) -> ExporterAccount | None:
        """Where MySQL is, who may create users there, and the exporter's user that phase 1 creates.

        None where nothing may be changed there.
        """

    def versions(self) -> Mapping[str, str]:
        """What runs, for the report: program -> version, and what it stands in for."""

    def started_by_us(self) -> frozenset[ServiceId]:
        """The services that this backend started; the others ran before."""

    def keep(self) -> None:
        """Leave running at the end what was started (`--keep-stack`)."""

    def stop(self) -> None:
        """Stop what this backend started, in reverse order; returns when it is gone. Safe to call twice."""

    def leftovers(self) -> list[Leftover]:
        """After `stop`: what this backend started and that still runs or listens; empty is clean."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: object) -> None: ...
