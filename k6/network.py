"""k6's own locks: names lead to the addresses that the guard has just seen, and to no other address does it connect.

k6 looks at both whenever it opens a connection, whatever a script, a redirect or a resolver says then.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from core.reach import Address, Network


def network_options(pins: Mapping[str, str]) -> Mapping[str, Any]:
    """k6's options `hosts` and `blacklistIPs`, from host -> its one address (targets.guard.pinned)."""
    addresses = {ipaddress.ip_address(address) for address in pins.values()}
    return {
        "hosts": {host: address for host, address in pins.items() if host != address},
        "blacklistIPs": [str(network) for network in _everywhere_but(addresses)],
    }


def _everywhere_but(addresses: Iterable[Address]) -> list[Network]:
    """The networks that hold every address but these."""
    rest: list[Network] = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    for address in addresses:
        rest = list(chain.from_iterable(_without(network, address) for network in rest))
    return rest


def _without(network: Network, address: Address) -> Iterable[Network]:
    if address not in network:
        return [network]
    return network.address_exclude(ipaddress.ip_network(address))  # type: ignore[arg-type]  # of the same version
