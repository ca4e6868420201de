"""Which backend a run gets."""

from __future__ import annotations

from core.ports import Endpoints
from core.request import BackendName, PortChoice
from core.settings import Settings
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
    return _docker(ports, settings, endpoints)


def _embedded(ports: PortChoice, settings: Settings, played: Profile | None) -> Backend:
    # Imported here because it is of Linux only; docker and external must load without it.
    from infra.embedded.catalogue import open_backend as open_embedded
    from infra.embedded.plays import Plays

    plays = Plays.of(played) if played else None
    return open_embedded(any_ports=ports == "free", state_dir=settings.state_dir, plays=plays)


def _docker(ports: PortChoice, settings: Settings, endpoints: Endpoints) -> Backend:
    # Imported here because its client library takes a while, and most runs need none.
    from infra.docker.catalogue import open_backend as open_docker

    return open_docker(ports, settings, endpoints)
