"""Switching the reference portal's faults on; the names go to the portal and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from core.errors import ConfigError, TargetError
from core.http import http_client
from core.ports import PORTAL, Endpoints, ServiceId


def switch_on(faults: Iterable[str], endpoints: Endpoints) -> None:
    """Switch each fault on in every service that knows it; ConfigError lists the known ones."""
    known = {service: _known(service, endpoints) for service in PORTAL}
    for fault in faults:
        places = [service for service in PORTAL if fault in known[service]]
        if not places:
            everything = sorted(set().union(*known.values()))
            raise ConfigError(f"unknown fault '{fault}'", cure=f"Known: {', '.join(everything)}.")
        for service in places:
            _ask("PUT", endpoints.url(service, f"/admin/faults/{fault}"))


def switch_all_off(endpoints: Endpoints) -> None:
    """Switch every fault off, for a stack that goes on after the run."""
    for service in PORTAL:
        for fault in _known(service, endpoints):
            _ask("DELETE", endpoints.url(service, f"/admin/faults/{fault}"))


def _known(service: ServiceId, endpoints: Endpoints) -> set[str]:
    return set(_ask("GET", endpoints.url(service, "/admin/faults")).json())


def _ask(method: str, url: str) -> httpx.Response:
    try:
        with http_client() as client:
            return client.request(method, url).raise_for_status()
    except httpx.HTTPError as error:
        raise TargetError(
            f"the portal's faults cannot be switched: {error}", where=url, cure="Faults need the reference portal."
        ) from error
