"""Deny by default: nothing is sent to an address that is not loopback, by name and by every address it resolves to."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from core.errors import TargetRefused
from targets.model import Profile

_TRICKS = re.compile(r"[\\\s]")
_NUMBERS = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+))*\.?")
_CURE = "Load goes to this machine only: use 127.0.0.1, ::1 or localhost."


def refuse_unless_loopback(profile: Profile) -> None:
    """TargetRefused unless every address of the profile is on this machine; asked before any request."""
    for service, address in profile.addresses.items():
        require_loopback(address, f"target '{profile.name}', addresses.{service}")


def require_loopback(address: str, where: str) -> None:
    """TargetRefused unless `address` (a URL or `host:port`) and all that its name resolves to are loopback."""
    host = _host(address, where)
    for resolved in _resolve(host, where):
        if not ipaddress.ip_address(resolved).is_loopback:
            raise TargetRefused(f"'{host}' is {resolved}, which is not this machine", where=where, cure=_CURE)


def _host(address: str, where: str) -> str:
    """The host of a plainly written address; tricks of notation are refused, not interpreted."""
    host = _plain_host(address)
    if not host:
        raise TargetRefused(f"'{address}' is not a plain scheme://host:port", where=where, cure=_CURE)
    return host


def _plain_host(address: str) -> str | None:
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        if parts.hostname and _NUMBERS.fullmatch(parts.hostname):
            ipaddress.ip_address(parts.hostname)  # not 0177.0.0.1 or 127.1, which resolvers read in different ways
    except ValueError:
        return None
    return None if _TRICKS.search(address) or "@" in parts.netloc else parts.hostname


def _resolve(host: str, where: str) -> set[str]:
    try:
        return {str(row[4][0]) for row in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise TargetRefused(f"'{host}' cannot be resolved: {error}", where=where, cure=_CURE) from error
