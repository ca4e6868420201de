"""Switching the reference portal's faults on; the names go to the portal and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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

_STRENGTH = re.compile(r"\d+(\.\d+)?")


def require_faults(names: Iterable[str]) -> None:
    """ConfigError for a fault that there is not; whether the target has any is for `targets.resolve` to say."""
    for name in names:
        fault, strength = parted(name)
        if fault not in FAULTS:
            raise ConfigError(f"unknown fault '{fault}'", where="--fault", cure=f"Known: {', '.join(sorted(FAULTS))}.")
        if strength is not None and not is_strength(strength):
            raise ConfigError(f"'{strength}' is no strength of a fault", where=f"--fault {name}", cure="Say a number.")


def is_strength(text: str) -> bool:
    return _STRENGTH.fullmatch(text) is not None


def parted(name: str) -> tuple[str, str | None]:
    """`memory-leak=0.05` is a fault and its strength; without one it has its own (docs/faults.md)."""
    fault, given, strength = name.partition("=")
    return fault, strength if given else None


def switch_on(faults: Iterable[str], endpoints: Endpoints) -> None:
    """Switch each fault on in every service that knows it."""
    known = {service: _known(service, endpoints) for service in PORTAL}
    for fault, strength in map(parted, faults):
        body = {"strength": float(strength)} if strength else None
        for service in PORTAL:
            if fault in known[service]:
                _ask("PUT", endpoints.url(service, f"/admin/faults/{fault}"), body)


def switch_all_off(endpoints: Endpoints) -> None:
    """Switch every fault off, for a stack that goes on after the run."""
    for service in PORTAL:
        for fault in _known(service, endpoints):
            _ask("DELETE", endpoints.url(service, f"/admin/faults/{fault}"))


def _known(service: ServiceId, endpoints: Endpoints) -> set[str]:
    return set(_ask("GET", endpoints.url(service, "/admin/faults")).json())


def _ask(method: str, url: str, body: Mapping[str, float] | None = None) -> httpx.Response:
    try:
        with http_client() as client:
            return client.request(method, url, json=body).raise_for_status()
    except httpx.HTTPError as error:
        raise TargetError(
            f"the portal's faults cannot be switched: {error}", where=url, cure="Faults need the reference portal."
        ) from error
