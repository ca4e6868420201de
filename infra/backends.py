"""Which backend a run gets."""

from __future__ import annotations

from core.ports import Endpoints
from core.request import BackendName, PortChoice
from core.settings import Settings
from infra.docker import catalogue
from infra.external.backend import ExternalBackend
from infra.stack import Backend
from targets.model import Profile


def open_backend(
    name: BackendName, ports: PortChoice, settings: Settings, endpoints: Endpoints, played: Profile | None = None
) -> Backend:
    """The backend called `name`; `endpoints` are those of the profile.

    `played`: the profile whose platform's dialect the reference portal plays where it is embedded.
    """
    if name == "embedded":
        return _embedded(ports, settings, played)
    if name == "external":
        return ExternalBackend(endpoints)
    return catalogue.open_backend(ports, settings, endpoints)


def _embedded(ports: PortChoice, settings: Settings, played: Profile | None) -> Backend:
    # Imported here because it is of Linux only; docker and external must load without it.
    from infra.embedded.catalogue import open_backend as open_embedded
    from infra.embedded.plays import Plays

    plays = Plays.of(played) if played else None
    return open_embedded(any_ports=ports == "free", state_dir=settings.state_dir, plays=plays)
