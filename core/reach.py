"""Where this process may send: names, ports and networks, asked again for every connection.

Deny by default. `localhost:8080` allows a name at a port, `10.20.0.0/16` a network; a name that is allowed may stand
for this machine, or for addresses that are allowed themselves. A process has one target at a time (`reaching`); before
that it reaches this machine only.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from core.errors import TargetRefused

THIS_MACHINE = ("localhost", "127.0.0.0/8", "::1")
"""What is allowed where nothing is said."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*")
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
_CURE = "Load goes only to what `allow` of the profile names; without it to 127.0.0.1, ::1 and localhost."


class Place(NamedTuple):
    """Where an address leads; port None: any, or the scheme has none of its own."""

    host: str
    port: int | None


class _Entry(NamedTuple):
    """One line of `allow`: a name or a network, at one port or at any."""

    name: str | None
    network: Network | None
    port: int | None

    def has_port(self, port: int | None) -> bool:
        return self.port is None or self.port == port


@dataclass(frozen=True)
class Reach:
    """What may be reached."""

    entries: tuple[_Entry, ...]

    @classmethod
    def of(cls, allow: Iterable[str]) -> Reach:
        """From lines such as `perf.internal:8080`, `10.20.0.0/16`; ValueError names one that cannot be allowed."""
        return cls(tuple(map(_entry, allow)))

    def addresses(self, address: str, where: str) -> tuple[str, ...]:
        """All that a URL or `host:port` stands for just now, IPv4 first.

        TargetRefused unless its notation is plain, its name is allowed at its port, and so is every one of them.
        """
        place = _place(address, where)
        literal = _literal(place.host)
        if literal is None and not any(
            entry.name == place.host and entry.has_port(place.port) for entry in self.entries
        ):
            raise TargetRefused(f"'{_shown(place)}' is not allowed", where=where, cure=_CURE)
        found = _resolved(place.host, where) if literal is None else (literal,)
        for each in found:
            if not self._has(each, place, named=literal is None):
                raise TargetRefused(_refusal(place, each), where=where, cure=_CURE)
        return tuple(map(str, sorted(found, key=lambda each: each.version)))

    def _has(self, address: Address, place: Place, *, named: bool) -> bool:
        if _is_nobodys(address):
            return False
        return (named and address.is_loopback) or any(
            entry.network is not None and entry.has_port(place.port) and address in entry.network
            for entry in self.entries
        )


def current() -> Reach:
    """What this process may reach now."""
    return _reach


@contextmanager
def reaching(reach: Reach) -> Iterator[None]:
    """While the block runs, this process (all of its threads) may reach `reach` and nothing else."""
    global _reach  # noqa: PLW0603 - one target a process: threads beside the load must be held by it too
    before, _reach = _reach, reach
    try:
        yield
    finally:
        _reach = before


def _entry(text: str) -> _Entry:
    if "/" in text:
        network = ipaddress.ip_network(text)
        port = None
    else:
        host, port = _host_and_port(text)
        literal = _literal(host)
        if literal is None:
            return _Entry(host, None, port)
        network = ipaddress.ip_network(literal)
    if _is_nobodys(network.network_address):
        raise ValueError(f"'{text}' is nobody's test system (unspecified, link-local, multicast or reserved)")
    if network.num_addresses > 1 and not network.is_private:
        raise ValueError(f"'{text}' is a public network: name its single addresses")
    return _Entry(None, network, port)


def _host_and_port(text: str) -> Place:
    """`host`, `host:port`, an IPv6 address bare or in brackets; ValueError for anything that is not plainly written."""
    try:
        return Place(str(ipaddress.IPv6Address(text)), None)
    except ValueError:
        place = _plain(f"tcp://{text}")
    if place is None:
        raise ValueError(f"'{text}' is neither name, address nor network, with or without :port, in lower case")
    return place


def _place(address: str, where: str) -> Place:
    place = _plain(address if "://" in address else f"tcp://{address}")
    if place is None:
        raise TargetRefused(f"{_unsigned(address)!r} is not a plain scheme://host:port", where=where, cure=_CURE)
    return place


def _plain(url: str) -> Place | None:
    """Where a URL leads; None for every trick of notation, which is refused and not interpreted.

    Userinfo, backslash, blanks, capitals, a dot at the end, letters outside ASCII, and numbers that resolvers read in
    different ways (0177.0.0.1, 127.1, 3232235777).
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    written = parts.netloc.removesuffix(f":{parts.port}").strip("[]")
    if written != host or re.search(r"[\\\s]", url) or "@" in parts.netloc or "%" in host:
        return None
    return Place(host, port) if _literal(host) is not None or _is_name(host) else None


def _is_name(host: str) -> bool:
    return _NAME.fullmatch(host) is not None and _NUMBERS.fullmatch(host) is None and len(host) <= 253


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_nobodys(address: Address) -> bool:
    """Addresses at which no test system can be, whatever the profile says; an IPv4 address in IPv6's clothes too."""
    if address.is_loopback:
        return False
    return address.is_unspecified or address.is_link_local or address.is_multicast or address.is_reserved


def _resolved(name: str, where: str) -> tuple[Address, ...]:
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(ipaddress.ip_address(row[4][0]) for row in rows))
    except (OSError, ValueError) as error:
        raise TargetRefused(f"'{name}' cannot be resolved: {error}", where=where, cure=_CURE) from error


def _unsigned(address: str) -> str:
    """Without what stands before an '@': it may be a password."""
    return re.sub(r"(//|^)[^/]*@", r"\1***@", address)


def _refusal(place: Place, address: Address) -> str:
    if _literal(place.host) is not None:
        return f"'{_shown(place)}' is not allowed"
    return f"'{place.host}' is {address}, which is not allowed"


def _shown(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port is None else f"{host}:{place.port}"


_reach = Reach.of(THIS_MACHINE)
