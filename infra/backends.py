"""Which backend a run gets."""

from __future__ import annotations

from core.ports import Endpoints
from core.request import BackendName, PortChoice
from core.settings import Settings
from infra.docker import catalogue
from infra.external.backend import ExternalBackend
from infra.stack import Backend


def open_backend(name: BackendName, ports: PortChoice, settings: Settings, endpoints: Endpoints) -> Backend:
    """The backend called `name`; `endpoints` are those of the profile."""
    if name == "embedded":
        return _embedded(ports, settings)
    if name == "external":
        return ExternalBackend(endpoints)
    return catalogue.open_backend(ports, settings, endpoints)


def _embedded(ports: PortChoice, settings: Settings) -> Backend:
    # Imported here because it is of Linux only; docker and external must load without it.
    from infra.embedded.catalogue import open_backend as open_embedded

    return open_embedded(any_ports=ports == "free", state_dir=settings.state_dir)
