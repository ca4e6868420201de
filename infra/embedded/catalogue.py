"""The embedded stack as a whole: its programs, its services at given ports, and a backend that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from core.ports import DEFAULT_PORTS, ServiceId
from core.processes import free_ports
from core.settings import Settings
from infra.embedded import programs
from infra.embedded.backend import EmbeddedBackend
from infra.embedded.cgroups import cgroup_root
from infra.embedded.plays import STANDS_IN, Plays
from infra.embedded.programs import EMBEDDED, Installed, ProgramId
from infra.embedded.services import BUILDERS, KAFKA_CONTROLLER_PORT, StackPlan, service_specs
from infra.embedded.spec import ServiceSpec
from infra.embedded.statedir import StateDir
from infra.secrets import load_secrets

CONTROLLER = "kafka-controller"


class EmbeddedCatalogue:
    """Everything that this machine can run by itself; programs that are missing are fetched when first asked for."""

    services: tuple[ServiceId, ...] = tuple(BUILDERS)

    def __init__(
        self,
        kafka_controller_port: int = KAFKA_CONTROLLER_PORT,
        portal_env: Mapping[str, str] | None = None,
        plays: Plays | None = None,
    ) -> None:
        self._kafka_controller_port = kafka_controller_port
        self._portal_env = dict(portal_env or {})
        self._plays = plays

    def specs(self, state: StateDir, ports: Mapping[ServiceId, int]) -> list[ServiceSpec]:
        """Every service at these ports."""
        plan = StackPlan(
            ports=ports,
            data_root=state.data,
            log_root=state.logs,
            installed=self._installed,
            secrets=load_secrets(state.data),
            cgroup_root=cgroup_root(state.path),
            kafka_controller_port=self._kafka_controller_port,
            portal_env=self._portal_env,
            plays=self._plays,
        )
        return service_specs(plan)

    def versions(self) -> Mapping[str, str]:
        """For the report: program -> version, and what it stands in for."""
        return {**programs.versions(self._installed), **(STANDS_IN if self._plays else {})}

    @cached_property
    def _installed(self) -> dict[ProgramId, Installed]:
        return programs.ensure((*EMBEDDED, ProgramId.POSTGRESQL) if self._plays else EMBEDDED)


def open_backend(
    *,
    any_ports: bool = False,
    state_dir: Path | None = None,
    portal_env: Mapping[str, str] | None = None,
    plays: Plays | None = None,
) -> EmbeddedBackend:
    """The embedded backend of this checkout; `any_ports` takes free ports instead of the design's (`--ports free`).

    `plays`: the platform whose dialect the portal speaks; None: its own.
    """
    ports, controller_port = dict(DEFAULT_PORTS), KAFKA_CONTROLLER_PORT
    if any_ports:
        chosen = free_ports([*DEFAULT_PORTS, CONTROLLER])
        controller_port = chosen.pop(CONTROLLER)
        ports = {ServiceId(name): port for name, port in chosen.items()}
    return EmbeddedBackend(
        state_dir or Settings().state_dir, EmbeddedCatalogue(controller_port, portal_env, plays), ports
    )
