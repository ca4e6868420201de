"""Which backend a run gets."""

from __future__ import annotations

from core.errors import ConfigError
from core.ports import Endpoints
from core.request import BackendName, PortChoice
from core.settings import Settings
from infra.external.backend import ExternalBackend
from infra.stack import Backend


def open_backend(name: BackendName, ports: PortChoice, settings: Settings, endpoints: Endpoints) -> Backend:
    """The backend called `name`; ConfigError where it does not exist yet. `endpoints` are those of the profile."""
    if name == "embedded":
        return _embedded(ports, settings)
    if name == "external":
        return ExternalBackend(endpoints)
    raise ConfigError(f"the {name} backend is not available yet", cure="Use --backend embedded.")


def _embedded(ports: PortChoice, settings: Settings) -> Backend:
    # Imported here because it is of Linux only; docker and external must load without it.
    from infra.embedded import catalogue

    return catalogue.open_backend(any_ports=ports == "free", state_dir=settings.state_dir)
