"""The embedded backend: the stack as local processes, run by the supervisor on behalf of this run's lease.

The backend takes its lease with the first service that it starts; whatever then ends this process ends those services
too. What the supervisor ran before is used where it is, on the ports it has, and stays.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from core.errors import ConfigError, SetupError
from core.ports import DEFAULT_PORTS, LOOPBACK, ServiceId
from infra.embedded import logfiles, portcheck, procfs
from infra.embedded.cgroups import Cgroups, cgroup_root, hierarchies_here
from infra.embedded.lease import Lease, SupervisorClient
from infra.embedded.spec import ServiceSpec
from infra.embedded.statedir import StateDir
from infra.mysql.account import ExporterAccount
from infra.secrets import EXPORTER_USER, load_secrets
from infra.stack import Backend, Identity, Leftover

log = logging.getLogger("infra")


class Catalogue(Protocol):
    """What the embedded stack can run (services.py)."""

    def specs(self, state: StateDir, ports: Mapping[ServiceId, int]) -> list[ServiceSpec]:
        """Every service, at these ports; `ports[0]` of a spec is the one of its endpoint."""

    def versions(self) -> Mapping[str, str]:
        """Program -> version, and what it stands in for."""


class EmbeddedBackend(Backend):
    """Local processes, held by this run's lease."""

    name = "embedded"

    def __init__(self, state_dir: Path, catalogue: Catalogue, ports: Mapping[ServiceId, int] = DEFAULT_PORTS) -> None:
        self._state = StateDir(state_dir)
        self._client = SupervisorClient(self._state)
        self._catalogue = catalogue
        self._ports = dict(ports)
        self._lease: Lease | None = None
        self._specs: dict[str, ServiceSpec] = {}
        self._started: dict[str, dict[str, Any]] = {}  # last known status row of each service that we started
        self._used: set[str] = set()
        self._kept: set[str] = set()

    def start(self, services: Collection[ServiceId]) -> None:
        """See Backend; what is running is attached to, on the ports that it has."""
        if self._lease is None:
            self._lease = Lease(self._client)
        self._adopt_ports()
        self._specs = {spec.name: spec for spec in self._catalogue.specs(self._state, self._ports)}
        wanted = _with_dependencies(services, self._specs)
        answer = self._client.ask("start", lease=self._lease.id, specs=[spec.to_json() for spec in wanted])
        self._used |= {spec.name for spec in wanted}
        self._started.update({name: {} for name in answer["started"]})
        log.info("started: %s; already running: %s", _listed(answer["started"]), _listed(answer["attached"]))
        self._warn_of_borrowed(answer["attached"])

    def wait_ready(self, services: Collection[ServiceId]) -> None:
        """See Backend; each step is logged."""
        self._client.ask("wait", names=list(services), on_event=_log_event)
        self._remember_instances()

    def endpoint(self, service: ServiceId) -> str:
        """`127.0.0.1:port`."""
        return f"{LOOPBACK}:{self._ports[service]}"

    def identity(self, service: ServiceId) -> Identity:
        """The process that the supervisor started for the service."""
        row = self._row(service)
        if row is None:
            return Identity(service, "", "", alive=False, detail="not running")
        alive = row["state"] == "running" and procfs.is_alive(row["pid"], row["start_ticks"])
        detail = row["detail"] or ("has just ended" if row["state"] == "running" and not alive else row["state"])
        return Identity(service, str(row["pid"] or ""), row["start_time"] or "", alive, detail)

    def restart(self, service: ServiceId) -> None:
        """See Backend."""
        log.info("restarting %s", service)
        self._client.ask("restart", name=service)
        self._remember_instances()

    def logs(self, service: ServiceId, lines: int = 50) -> list[str]:
        """Read from the file, so also when the supervisor is gone."""
        return logfiles.tail(self._log_file(service), lines)

    def collect_logs(self, folder: Path) -> list[Path]:
        """The logs of all services that this backend uses, and the supervisor's."""
        sources = [Path(self._specs[name].log_file) for name in self._used] + [self._state.supervisor_log]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [Path(shutil.copy2(source, folder)) for source in sources if source.exists()]
        except OSError as error:
            raise SetupError(
                f"the logs cannot be copied: {error.strerror}", where=str(folder), cure="Free some disk space."
            ) from error

    def exporter_account(self) -> ExporterAccount:
        """See Backend; the passwords were made with the stack's data."""
        secrets = load_secrets(self._state.data)
        return ExporterAccount(
            host=LOOPBACK,
            port=self._ports[ServiceId.MYSQL],
            admin="root",
            admin_password=secrets.mysql_root_password,
            user=EXPORTER_USER,
            password=secrets.exporter_password,
        )

    def versions(self) -> Mapping[str, str]:
        """See Backend."""
        return self._catalogue.versions()

    def started_by_us(self) -> frozenset[ServiceId]:
        """See Backend."""
        return frozenset(map(ServiceId, self._started))

    def cgroups(self) -> str:
        """`/perf-suite-<key>`, below which each service has its control group; empty when none may be written."""
        return cgroup_root(self._state.path) if self._client.ask("hello")["cgroups"] == "ok" else ""

    def keep(self) -> None:
        """See Backend; from here on `stack-down` stops what was started."""
        if self._lease is not None:
            self._kept.update(self._client.ask("keep", lease=self._lease.id))

    def stop(self) -> None:
        """See Backend."""
        if self._lease is None:
            return
        self._remember_instances()
        if ending := self._started.keys() - self._kept:
            log.info("stopping: %s", _listed(ending))
        self._lease.close()
        self._lease = None

    def leftovers(self) -> list[Leftover]:
        """See Backend; looks at processes, control groups, markers and ports itself, whatever the supervisor says."""
        successors = {row["name"] for row in self._client.status() if row["pid"] != self._pid(row["name"])}
        return [
            Leftover(ServiceId(name), what)
            for name in self._started.keys() - self._kept - successors
            for what in (*self._living(name), *self._listening(name))
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def _adopt_ports(self) -> None:
        for row in self._client.status():
            if row["ports"]:
                self._ports[ServiceId(row["name"])] = row["ports"][0]

    def _warn_of_borrowed(self, attached: Collection[str]) -> None:
        mine = self._lease.id if self._lease else None
        borrowed = [
            row["name"] for row in self._client.status() if row["name"] in attached and row["lease"] not in (None, mine)
        ]
        if borrowed:
            log.warning("another run has started %s and stops it when it ends", _listed(borrowed))

    def _remember_instances(self) -> None:
        for row in self._client.status():
            if row["name"] in self._started:
                self._started[row["name"]] = row

    def _row(self, service: ServiceId) -> dict[str, Any] | None:
        return next((row for row in self._client.status() if row["name"] == service), None)

    def _log_file(self, service: ServiceId) -> Path:
        if service in self._specs:
            return Path(self._specs[service].log_file)
        row = self._row(service)
        return Path(row["log_file"]) if row else self._state.logs / f"{service}.log"

    def _pid(self, name: str) -> int | None:
        return self._started.get(name, {}).get("pid")

    def _living(self, name: str) -> list[str]:
        pids = Cgroups.existing(cgroup_root(self._state.path), hierarchies_here()).members(name)
        pids |= procfs.marked(f"{self._state.key}/{name}\0")
        pid = self._pid(name)
        if pid is not None and procfs.is_alive(pid, self._started[name]["start_ticks"]):
            pids.add(pid)
        return [f"pid {pid} ({procfs.command_line(pid)})" for pid in sorted(pids)]

    def _listening(self, name: str) -> list[str]:
        return [
            f"port {port}: {portcheck.holder(port)}" for port in self._specs[name].ports if portcheck.is_taken(port)
        ]


def _with_dependencies(services: Iterable[str], specs: Mapping[str, ServiceSpec]) -> list[ServiceSpec]:
    """The services and all that they need; ConfigError for one that this backend does not have."""
    chosen: dict[str, ServiceSpec] = {}
    rest = list(services)
    while rest:
        name = rest.pop()
        if name not in specs:
            raise ConfigError(
                f"the embedded backend has no {name}", where="backend", cure="Use the docker backend for it."
            )
        if name not in chosen:
            chosen[name] = specs[name]
            rest.extend(specs[name].depends_on)
    return [spec for spec in specs.values() if spec.name in chosen]


def _log_event(event: Mapping[str, Any]) -> None:
    service, state = event["service"], event["state"]
    if "after_s" in event:
        log.info("%s: ready after %.1f s", service, event["after_s"])
    elif "waited_s" in event:
        log.info("%s: not ready after %d s (%s)", service, event["waited_s"], event["seen"])
    else:
        log.info("%s: %s", service, state)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
