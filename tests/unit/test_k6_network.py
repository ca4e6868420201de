"""k6.network: the options by which k6 itself connects to no other address than those that were just allowed."""

from __future__ import annotations

import ipaddress

import pytest

from k6.network import network_options

PINS = {"perf.internal": "10.20.0.9", "127.0.0.1": "127.0.0.1", "six.internal": "fd00::7"}


def is_shut(address: str) -> bool:
    """Whether k6 would refuse to connect to it."""
    shut = network_options(PINS)["blacklistIPs"]
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in shut)


class TestNetworkOptions:
    def test_lead_each_name_to_its_address(self) -> None:
        assert network_options(PINS)["hosts"] == {"perf.internal": "10.20.0.9", "six.internal": "fd00::7"}

    @pytest.mark.parametrize("address", PINS.values())
    def test_leave_open_what_was_allowed(self, address: str) -> None:
        assert not is_shut(address)

    @pytest.mark.parametrize(
        "address",
        ["10.20.0.8", "10.20.0.10", "127.0.0.2", "0.0.0.0", "255.255.255.255", "8.8.8.8", "::1", "fd00::8", "::"],
    )
    def test_shut_every_other_address(self, address: str) -> None:
        assert is_shut(address)
