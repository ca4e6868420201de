"""The docker backend: one compose project, brought up by `docker compose`, looked at through the engine's API.

What runs already is used where it is and stays. What a run starts carries its lease and ends with it (lease.py).
"""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import SecretStr

from core.errors import ConfigError, SetupError
from core.http import http_client
from core.ports import LOOPBACK, ServiceId
from infra.docker.engine import Container, Engine
from infra.docker.lease import Lease, is_held
from infra.docker.readiness import look
from infra.docker.site import PORTS_INSIDE, Site
from infra.mysql.account import ExporterAccount
from infra.stack import Backend, Identity, Leftover, NotToBeHad, OwnGrafana

log = logging.getLogger("infra")

READY_WITHIN_S = 240.0
POLL_S = 0.5
NEWS_EVERY_S = 10.0
SHOWN_LINES = 8


class DockerBackend(Backend):
    """The containers of one compose project."""

    name = "docker"

    def __init__(self, site: Site, engine: Engine) -> None:
        self._site, self._engine = site, engine
        self._config = site.project().config()
        self._project = str(self._config["name"])
        self._endpoints = dict(site.endpoints)
        self._lease: Lease | None = None
        self._own: dict[str, str] = {}  # what we started: name -> container id, "" before it is known
        self._before: set[str] = set()  # ids of stopped containers that were found: they are stopped again, not removed
        self._used: set[ServiceId] = set()
        self._altered: list[str] = []
        self._made_network = False
        self._kept = False
        self._logs = site.state / "logs"

    def start(self, services: Collection[ServiceId]) -> None:
        """See Backend; compose waits for what a service depends on. A start that fails is for `stop` to take down."""
        self._require_known(services)
        self._site.prepare()
        self._reap()
        running = self._running()
        wanted = self._with_dependencies(self._names(services))
        missing = [name for name in wanted if name not in running]
        self._hold(missing)
        self._extend(running, wanted)
        if missing:
            log.info("starting: %s; already running: %s", _listed(missing), _listed({*wanted} - {*missing}))
            self._up("--no-recreate", *missing)
        self._remember()
        self._tell_prometheus()

    def wait_ready(self, services: Collection[ServiceId]) -> None:
        """See Backend; a container that has ended is not waited for."""
        started = time.monotonic()
        for service in services:
            self._wait_for(service, started)
        self._tell_prometheus()

    def endpoint(self, service: ServiceId) -> str:
        """See Backend; the bot runs on this machine."""
        return self._endpoints[service]

    @property
    def prometheus_is_ours(self) -> bool:
        """See Backend."""
        return self._site.theirs is None

    @property
    def bot_address(self) -> str:
        """On Linux a container reaches this machine at the bridge's address; Docker Desktop leads to loopback."""
        gateway = self._engine.bridge_gateway() if sys.platform == "linux" else ""
        return gateway if gateway and _is_here(gateway) else LOOPBACK

    def grafana(self) -> OwnGrafana | None:
        """See Backend; a platform's own lets in whom its compose files say, `admin` where they say nothing."""
        name = self._site.names.get(ServiceId.GRAFANA)
        if name is None:
            return None
        self._fetch(name)
        environment = self._config["services"][name].get("environment") or {}
        user, password = (environment.get(f"GF_SECURITY_ADMIN_{key}", "admin") for key in ("USER", "PASSWORD"))
        return OwnGrafana(
            login=SecretStr(f"{user}:{password}"),
            prometheus_url=f"http://{self._site.names[ServiceId.PROMETHEUS]}:{PORTS_INSIDE[ServiceId.PROMETHEUS]}",
        )

    def identity(self, service: ServiceId) -> Identity:
        """The service's container; a service that is not in the project is known by its answer alone."""
        if service not in self._site.names:
            seen = look(service, self._endpoints[service])
            return Identity(service, self._endpoints[service], "", alive=seen is None, detail=seen or "on this machine")
        container = self._container(service)
        if container is None:
            return Identity(service, "", "", alive=False, detail="not running")
        return Identity(service, container.id[:12], container.started, container.running, container.detail)

    def restart(self, service: ServiceId) -> None:
        """See Backend."""
        log.info("restarting %s", service)
        self._site.project(self._lease_id).run("restart", self._site.names[service])
        self.wait_ready([service])

    def logs(self, service: ServiceId, lines: int = 50) -> list[str]:
        """See Backend; what a container said is kept when it is removed."""
        container = self._container(service) if service in self._site.names else None
        text = self._engine.log(container.id, lines) if container else self._kept_log(service)
        return text.splitlines()[-lines:]

    def collect_logs(self, folder: Path) -> list[Path]:
        """See Backend."""
        folder.mkdir(parents=True, exist_ok=True)
        copies = []
        for service in sorted(self._used):
            container = self._container(service)
            copy = folder / f"{service}.log"
            copy.write_text(self._engine.log(container.id) if container else self._kept_log(service), encoding="utf-8")
            copies.append(copy)
        return copies

    def exporter_account(self) -> ExporterAccount | None:
        """See Backend."""
        return self._site.account(self._endpoints[ServiceId.MYSQL]) if ServiceId.MYSQL in self._site.names else None

    def versions(self) -> Mapping[str, str]:
        """See Backend; an image that stands in for the public one of its tag says so by a label."""
        images = {service: self._image(self._site.names[service]) for service in sorted(self._used)}
        return {str(service): self._version(image) for service, image in images.items() if image}

    def started_by_us(self) -> frozenset[ServiceId]:
        """See Backend."""
        return frozenset(service for service, name in self._site.names.items() if name in self._own)

    def keep(self) -> None:
        """See Backend; from here on `python -m infra.docker down` stops what was started."""
        self._kept = True
        if self._lease is not None:
            self._lease.keep()

    def stop(self) -> None:
        """See Backend; what the overlay has altered of a platform's is put back."""
        if self._lease is None:
            return
        if not self._kept:
            self._take_down()
        self._lease.close()
        self._lease = None

    def leftovers(self) -> list[Leftover]:
        """See Backend."""
        if self._kept:
            return []
        names = {name: service for service, name in self._site.names.items()}
        left = (each for each in self._engine.containers(self._project).values() if self._is_left(each))
        return [Leftover(names[each.service], _described(each)) for each in left if each.service in names]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def _require_known(self, services: Iterable[ServiceId]) -> None:
        for service in services:
            if service is ServiceId.KAFKA_BOT or service not in {*self._site.names, *self._endpoints}:
                raise ConfigError(
                    f"the docker backend has no {service}",
                    where="backend",
                    cure="Use a service of the compose project.",
                )

    def _names(self, services: Iterable[ServiceId]) -> list[str]:
        return [self._site.names[service] for service in services if service in self._site.names]

    def _with_dependencies(self, names: Iterable[str]) -> list[str]:
        chosen: set[str] = set()
        rest = list(names)
        while rest:
            name = rest.pop()
            if name not in chosen:
                chosen.add(name)
                rest.extend(self._config["services"][name].get("depends_on") or {})
        self._used |= {service for service, name in self._site.names.items() if name in chosen}
        return [name for name in self._config["services"] if name in chosen]

    def _hold(self, missing: list[str]) -> None:
        """Whatever happens from here on, somebody stops what is started."""
        if self._lease is None:
            self._lease = Lease(self._project, self._site.state)
        self._made_network |= not self._engine.networks(self._project)
        found = self._engine.containers(self._project).values()
        self._before |= {each.id for each in found if not each.running and each.id not in self._own.values()}
        self._lease.own(missing, self._before, self._made_network)
        self._own.update(dict.fromkeys(missing, ""))

    def _extend(self, running: Mapping[str, Container], wanted: Collection[str]) -> None:
        """Bring the overlay's additions to services of the platform that run without them."""
        altered = [
            name for name in self._site.altered if name in running and name in wanted and name not in self._altered
        ]
        if altered and self._site.theirs is not None and self._lease is not None:
            log.info("extending the platform's %s for this run", _listed(altered))
            self._lease.restore(self._site.theirs, altered)
            self._altered += altered
            self._up("--no-deps", *altered)

    def _up(self, *arguments: str) -> None:
        self._site.project(self._lease_id).run("up", "--detach", "--quiet-pull", *arguments)

    def _fetch(self, name: str) -> None:
        """Have the image of a service that can be done without; NotToBeHad with the reason."""
        image = self._image(name)
        if name in self._running() or self._engine.has_image(image):
            return
        log.info("pulling %s", image)
        try:
            self._site.project().run("pull", "--quiet", name)
        except SetupError as error:
            raise NotToBeHad(f"{image} is not here and cannot be pulled", where=name, cure=error.cure) from error

    def _remember(self) -> None:
        """The ids of what we started, and the ports that running containers really have."""
        containers = self._engine.containers(self._project)
        self._own = {name: containers[name].id if name in containers else id for name, id in self._own.items()}
        for service, name in self._site.names.items():
            if name in containers and (address := containers[name].published.get(PORTS_INSIDE[service])):
                self._endpoints[service] = address

    def _tell_prometheus(self) -> None:
        """A cAdvisor may know containers by their ids only (macOS), so Prometheus is told who is who."""
        running = self._running()
        known = {container.id: name for name, container in running.items()}
        prometheus = self._site.names.get(ServiceId.PROMETHEUS)
        if self._site.write_scrape_config(known, self._bot_port) and prometheus in running:
            _reload(self._endpoints[ServiceId.PROMETHEUS])

    def _wait_for(self, service: ServiceId, started: float) -> None:
        seen: str | None = "not looked at yet"
        news = time.monotonic()
        while (seen := self._not_ready(service)) is not None:
            if time.monotonic() - started > READY_WITHIN_S:
                raise self._never_ready(service, f"not ready after {READY_WITHIN_S:.0f} s ({seen})")
            if time.monotonic() - news > NEWS_EVERY_S:
                news = time.monotonic()
                log.info("%s: not ready after %d s (%s)", service, news - started, seen)
            time.sleep(POLL_S)
        log.info("%s: ready after %.1f s", service, time.monotonic() - started)

    def _not_ready(self, service: ServiceId) -> str | None:
        container = self._container(service) if service in self._site.names else None
        if service in self._site.names and (container is None or not container.running):
            raise self._never_ready(service, container.detail if container else "its container is gone")
        return look(service, self._endpoints[service])

    def _never_ready(self, service: ServiceId, why: str) -> SetupError:
        tail = "\n".join(self.logs(service, SHOWN_LINES)) if service in self._site.names else ""
        return SetupError(
            f"{service}: {why}; its last lines:\n{tail}\n",
            where=f"container of {service}",
            cure=f"`docker logs {self._project}-{service}-1` says more; `docker ps -a` shows what ended.",
        )

    def _take_down(self) -> None:
        self._remember()
        self.collect_logs(self._logs)
        if self._own:
            log.info("stopping: %s", _listed(self._own))
            self._engine.take_down([id for id in self._own.values() if id], self._before)
        if self._altered and self._site.theirs is not None:
            log.info("putting back the platform's %s", _listed(self._altered))
            self._site.theirs.run("up", "--detach", "--no-deps", *self._altered)
        if self._made_network and not self._engine.containers(self._project):
            self._engine.remove_networks(self._project)

    def _is_left(self, container: Container) -> bool:
        """Whether we started it and it is neither gone nor as it was found."""
        ours = container.id in self._own.values()
        return ours and (container.running or container.id not in self._before)

    def _kept_log(self, service: ServiceId) -> str:
        file = self._logs / f"{service}.log"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def _reap(self) -> None:
        """Remove what a run has left that was killed together with its watchdog."""
        for container in self._engine.containers(self._project).values():
            if container.lease and container.lease != self._lease_id and not is_held(container.lease, self._site.state):
                log.warning("%s is left over from a run that was killed: removing it", container.service)
                self._engine.take_down([container.id])

    def _running(self) -> dict[str, Container]:
        return {name: each for name, each in self._engine.containers(self._project).items() if each.running}

    def _container(self, service: ServiceId) -> Container | None:
        name = self._site.names[service]
        return self._engine.containers(self._project, name).get(name)

    @property
    def _lease_id(self) -> str:
        return self._lease.id if self._lease else ""

    @property
    def _bot_port(self) -> int:
        return int(self._endpoints[ServiceId.KAFKA_BOT].rpartition(":")[2])

    def _image(self, name: str) -> str:
        return str(self._config["services"].get(name, {}).get("image", ""))

    def _version(self, image: str) -> str:
        stand_in = self._engine.stand_in(image)
        return f"{stand_in}, standing in for {image}" if stand_in else image


def _described(container: Container) -> str:
    return f"container {container.id[:12]}, {container.detail}, at {_listed(container.published.values())}"


def _reload(prometheus: str) -> None:
    """Prometheus reads its configuration again; one that may not be told so keeps the old one, and that is said."""
    try:
        with http_client() as client:
            client.post(f"http://{prometheus}/-/reload").raise_for_status()
    except httpx.HTTPError as error:
        log.warning("Prometheus at %s did not take its new scrape configuration: %s", prometheus, error)


def _is_here(address: str) -> bool:
    """Whether this machine has the address: Docker Desktop on Linux has its bridge in a machine of its own."""
    try:
        with socket.socket() as trial:
            trial.bind((address, 0))
    except OSError:
        return False
    return True


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names))) or "nothing"
