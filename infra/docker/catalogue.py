"""The docker backend of this checkout: the reference portal's project, or the platform's that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from core.ports import DEFAULT_PORTS, LOOPBACK, ServiceId
from core.processes import free_port, free_ports
from core.request import PortChoice
from core.settings import Settings
from infra.docker.backend import DockerBackend
from infra.docker.engine import Engine
from infra.docker.joined import join, named_files, named_services
from infra.docker.site import Platform, Site, Theirs
from infra.docker.variables import secret_variables, state_folder


def open_backend(ports: PortChoice, settings: Settings, profile: Mapping[ServiceId, str]) -> DockerBackend:
    """SetupError where no engine answers, ConfigError where the platform's files do not fit.

    `profile`: `host:port` of the target's parts; it matters for those that run outside of the project.
    """
    engine = Engine()
    return DockerBackend(_site(engine, ports, settings, profile), engine)


def _site(engine: Engine, ports: PortChoice, settings: Settings, profile: Mapping[ServiceId, str]) -> Site:
    state = state_folder(settings)
    if files := named_files(settings.compose_files):
        variables = {**engine.mounts(), **secret_variables(state)}
        joined = join(files, state / "overlay", variables, named_services(settings.compose_services))
        bot = {ServiceId.KAFKA_BOT: f"{LOOPBACK}:{free_port()}"} if ports == "free" else {}
        return Theirs(joined, {**profile, **bot}, variables["SUITE_EXPORTER_PASSWORD"])
    chosen = free_ports(list(DEFAULT_PORTS)) if ports == "free" else DEFAULT_PORTS
    return Platform(state, chosen, engine.mounts())
