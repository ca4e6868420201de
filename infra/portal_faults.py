"""Switching the reference portal's faults on; the names go to the portal and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from core.errors import ConfigError, TargetError
from core.http import http_client
from core.ports import PORTAL, Endpoints, ServiceId
from infra.portal.faults import (
    AUTH_FAULTS,
    BLOG_FAULTS,
    GATEWAY_FAULTS,
    NOTIFICATION_FAULTS,
    SHOPPING_FAULTS,
)

FAULTS = GATEWAY_FAULTS | AUTH_FAULTS | BLOG_FAULTS | SHOPPING_FAULTS | NOTIFICATION_FAULTS
"""Name -> what it does, for help and for refusing a wrong name before anything is started."""


def require_faults(names: Iterable[str]) -> None:
    """ConfigError for a fault that there is not; whether the target has any is for `targets.resolve` to say."""
    for name in names:
        if name not in FAULTS:
            raise ConfigError(f"unknown fault '{name}'", where="--fault", cure=f"Known: {', '.join(sorted(FAULTS))}.")


def switch_on(faults: Iterable[str], endpoints: Endpoints) -> None:
    """Switch each fault on in every service that knows it."""
    known = {service: _known(service, endpoints) for service in PORTAL}
    for fault in faults:
        for service in PORTAL:
            if fault in known[service]:
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
