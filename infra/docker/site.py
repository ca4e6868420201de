"""What the docker backend works on: the suite's own project, or a platform's with the overlay beside it."""

from __future__ import annotations

import configparser
import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from string import Template
from typing import Any, Protocol

from core.errors import ConfigError
from core.ports import DEFAULT_PORTS, LOOPBACK, ServiceId, loopback_endpoints
from infra.docker.compose import Project
from infra.docker.engine import reachable
from infra.docker.joined import HOST, Joined
from infra.docker.merged import mounted_file, rewrite
from infra.docker.variables import port_variables, portal_image, project_name, secret_variables
from infra.mysql.account import ExporterAccount
from infra.prometheus.scrape import scrape_config, scrape_jobs
from infra.secrets import EXPORTER_USER, Secrets, load_secrets

PLATFORM = Path(__file__).parent / "compose.platform.yml"
INFRA = PLATFORM.parents[1]
PORTS_INSIDE: Mapping[ServiceId, int] = {**DEFAULT_PORTS, ServiceId.CADVISOR: 8080}
"""The port of each service in its container."""


class Site(Protocol):
    """One compose project and what the suite knows of it.

    `names`: which of its services is which. `altered`: services of the platform that the overlay extends; `theirs` is
    the project without the overlay, to put them back. `endpoints`: `host:port` by the files; what runs already may
    have others.
    """

    names: Mapping[ServiceId, str]
    altered: Collection[str]
    theirs: Project | None
    state: Path
    endpoints: Mapping[ServiceId, str]

    def project(self, lease: str = "") -> Project:
        """The project to bring up; its containers carry the lease."""

    def prepare(self) -> None:
        """Write the configuration that containers mount."""

    def write_scrape_config(self, containers: Mapping[str, str], bot_port: int) -> bool:
        """Let Prometheus know containers (id -> service) and the bot; whether that is news."""

    def account(self, mysql: str) -> ExporterAccount | None:
        """The exporter's account at `host:port`; None where it is not ours to make."""


class Platform:
    """Everything with the reference portal: compose.platform.yml."""

    names: Mapping[ServiceId, str] = {service: str(service) for service in ServiceId if service != ServiceId.KAFKA_BOT}
    altered: Collection[str] = ()
    theirs: Project | None = None

    def __init__(self, state: Path, ports: Mapping[ServiceId, int], variables: Mapping[str, str]) -> None:
        self.state = state
        self.endpoints: Mapping[ServiceId, str] = loopback_endpoints(ports)
        self._variables = {
            **variables,
            **secret_variables(state),
            **port_variables(ports),
            "SUITE_PORTAL_IMAGE": portal_image(),
            "SUITE_DOCKER_STATE": str(state),
        }

    def project(self, lease: str = "") -> Project:
        """See Site."""
        return Project(
            project_name(self.state), (PLATFORM,), PLATFORM.parent, {**self._variables, "SUITE_LEASE": lease}
        )

    def prepare(self) -> None:
        """See Site; the folder itself is this user's only, the files are read by the containers' own users."""
        secrets = self._secrets
        init = Template((INFRA / "mysql" / "init.sql").read_text(encoding="utf-8"))
        _readable(self.state / "mysql")
        rewrite(
            self.state / "mysql" / "init.sql",
            init.substitute(
                portal_password=secrets.portal_password,
                exporter_password=secrets.exporter_password,
            ),
        )
        _readable(self.state / "prometheus")
        rewrite(self.state / "prometheus" / "rules.yml", (INFRA / "prometheus" / "rules.yml").read_text("utf-8"))
        if not (self.state / "prometheus" / "prometheus.yml").exists():
            self.write_scrape_config({}, DEFAULT_PORTS[ServiceId.KAFKA_BOT])

    def write_scrape_config(self, containers: Mapping[str, str], bot_port: int) -> bool:
        """See Site."""
        inside = {service: f"{name}:{PORTS_INSIDE[service]}" for service, name in self.names.items()}
        jobs = scrape_jobs({**inside, ServiceId.KAFKA_BOT: f"{HOST}:{bot_port}"})
        text = scrape_config(jobs, ("/etc/prometheus/rules.yml",), containers)
        return rewrite(self.state / "prometheus" / "prometheus.yml", text)

    def account(self, mysql: str) -> ExporterAccount | None:
        """See Site; the passwords were made with the volume's data."""
        return _account(mysql, self._secrets.mysql_root_password, EXPORTER_USER, self._secrets.exporter_password)

    @property
    def _secrets(self) -> Secrets:
        return load_secrets(self.state)


class Theirs:
    """A platform's own project with the overlay: what is not in it runs on this machine, where the profile says."""

    def __init__(self, joined: Joined, profile: Mapping[ServiceId, str], exporter_password: str) -> None:
        self._joined, self._exporter_password = joined, exporter_password
        self._config = joined.both.config()
        self.theirs: Project | None = joined.theirs
        self.state = joined.state
        self.names: Mapping[ServiceId, str] = {
            **joined.fitted.names,
            **{ServiceId(name): name for name in joined.fitted.added},
        }
        self.altered: Collection[str] = joined.fitted.altered
        bot = {ServiceId.KAFKA_BOT: f"{LOOPBACK}:{DEFAULT_PORTS[ServiceId.KAFKA_BOT]}"}
        self.endpoints: Mapping[ServiceId, str] = {**bot, **profile, **self._published()}

    def project(self, lease: str = "") -> Project:
        """See Site."""
        both = self._joined.both
        return dataclasses.replace(both, variables={**both.variables, "SUITE_LEASE": lease})

    def prepare(self) -> None:
        """See Site; joining wrote it."""

    def write_scrape_config(self, containers: Mapping[str, str], bot_port: int) -> bool:
        """See Site."""
        return self._joined.write_scrape_config(containers, bot_port)

    def account(self, mysql: str) -> ExporterAccount | None:
        """See Site; where the platform has an exporter, its account gets the password that this exporter uses."""
        root = self._environment(ServiceId.MYSQL).get("MYSQL_ROOT_PASSWORD")
        if not root:
            return None
        if ServiceId.MYSQL_EXPORTER not in self._joined.fitted.names:
            return _account(mysql, root, EXPORTER_USER, self._exporter_password)
        login = self._exporters_login()
        return _account(mysql, root, *login) if login else None

    def _exporters_login(self) -> tuple[str, str] | None:
        """User and password of the platform's own exporter, from the files that it mounts or its environment."""
        environment = self._environment(ServiceId.MYSQL_EXPORTER)
        if password := environment.get("MYSQLD_EXPORTER_PASSWORD"):
            return EXPORTER_USER, password
        try:
            file = mounted_file(self._service(ServiceId.MYSQL_EXPORTER), "/.my.cnf")
        except ConfigError:
            return None
        client = configparser.ConfigParser(interpolation=None)
        client.read_string(file.read_text(encoding="utf-8"))
        return client.get("client", "user"), client.get("client", "password")

    def _environment(self, service: ServiceId) -> Mapping[str, str]:
        return dict(self._service(service).get("environment") or {})

    def _service(self, service: ServiceId) -> dict[str, Any]:
        return dict(self._config["services"].get(self.names.get(service, ""), {}))

    def _published(self) -> dict[ServiceId, str]:
        return {
            service: f"{reachable(port.get('host_ip', ''))}:{port['published']}"
            for service in self.names
            for port in self._service(service).get("ports") or ()
            if port["target"] == PORTS_INSIDE[service] and port.get("published")
        }


def _account(mysql: str, root_password: str, user: str, password: str) -> ExporterAccount:
    host, _, port = mysql.rpartition(":")
    return ExporterAccount(host, int(port), "root", root_password, user, password)


def _readable(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
