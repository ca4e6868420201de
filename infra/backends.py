"""Which backend a run gets."""

from __future__ import annotations

from core.errors import ConfigError
from core.request import BackendName, PortChoice
from core.settings import Settings
from infra.stack import Backend


def open_backend(name: BackendName, ports: PortChoice, settings: Settings) -> Backend:
    """The backend called `name`; ConfigError where it does not exist yet."""
    if name == "embedded":
        return _embedded(ports, settings)
    raise ConfigError(f"the {name} backend is not available yet", cure="Use --backend embedded.")


def _embedded(ports: PortChoice, settings: Settings) -> Backend:
    # Imported here because it is of Linux only; docker and external must load without it.
    from infra.embedded import catalogue

    return catalogue.open_backend(any_ports=ports == "free", state_dir=settings.state_dir)
