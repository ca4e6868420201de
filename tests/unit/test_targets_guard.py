"""targets.guard: deny by default. No address here is contacted; names are answered by a table, not by a resolver."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from core.errors import TargetRefused
from core.ports import ServiceId
from targets.guard import refuse_unless_loopback, require_loopback
from targets.model import load_profile


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Sequence[str]]:
    """Name -> addresses; a name that is not in it does not exist."""
    table: dict[str, Sequence[str]] = {}
    monkeypatch.setattr(socket, "getaddrinfo", _answers_from(table, socket.getaddrinfo))
    return table


def _answers_from(table: Mapping[str, Sequence[str]], real: Any) -> Any:
    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host in table:
            return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, 0)) for address in table[host]]
        return list(real(host, port, *args, **{**kwargs, "flags": socket.AI_NUMERICHOST}))

    return getaddrinfo


class TestRequireLoopback:
    @pytest.mark.parametrize(
        "address",
        [
            "http://127.0.0.1:8080",
            "http://127.0.0.1",
            "http://[::1]:8080/api",
            "127.0.0.1:9092",
            "[::1]:9092",
            "tcp://127.0.0.1:9092",
            "http://127.8.9.10:8080",
        ],
    )
    def test_lets_this_machine_pass(self, address: str) -> None:
        require_loopback(address, "base_url")

    def test_lets_a_name_pass_that_is_only_this_machine(self, names: dict[str, Sequence[str]]) -> None:
        names["localhost"] = ["127.0.0.1", "::1"]
        require_loopback("http://localhost:8080", "base_url")

    @pytest.mark.parametrize(
        "address",
        [
            pytest.param("http://192.0.2.1:8080", id="another IPv4"),
            pytest.param("http://[2001:db8::1]:8080", id="another IPv6"),
            pytest.param("192.0.2.1:9092", id="another broker"),
            pytest.param("http://169.254.169.254", id="metadata address"),
            pytest.param("http://0.0.0.0:8080", id="unspecified IPv4"),
            pytest.param("http://[::]:8080", id="unspecified IPv6"),
            pytest.param("http://10.0.0.7", id="private range"),
            pytest.param("http://[::ffff:192.0.2.1]", id="IPv4-mapped IPv6"),
            pytest.param("http://3232235777", id="integer address"),
            pytest.param("http://0300.0.2.1", id="octal address"),
            pytest.param("http://0177.0.0.1", id="octal form of this machine"),
            pytest.param("http://127.1", id="short form of this machine"),
            pytest.param("http://0x7f.0.0.1", id="hexadecimal form of this machine"),
            pytest.param("http://localhost@192.0.2.1/", id="userinfo"),
            pytest.param("http://127.0.0.1\\@192.0.2.1/", id="backslash"),
            pytest.param("http://127.0.0.1 .example/", id="whitespace"),
            pytest.param("http://127.0.0.1\n", id="newline"),
            pytest.param("http:///path-only", id="no host"),
            pytest.param("", id="empty"),
            pytest.param("http://[::1", id="broken brackets"),
            pytest.param("http://a..b/", id="empty label"),
            pytest.param(f"http://{'a' * 300}/", id="label too long"),
            pytest.param("http://nobody.invalid/", id="unknown name"),
        ],
    )
    def test_refuses_every_other_address(self, address: str, names: dict[str, Sequence[str]]) -> None:
        with pytest.raises(TargetRefused):
            require_loopback(address, "base_url")

    @pytest.mark.parametrize(
        "addresses",
        [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["192.0.2.1", "127.0.0.1"], ["127.0.0.1", "2001:db8::1"]],
    )
    def test_refuses_a_name_of_which_any_address_is_elsewhere(
        self, addresses: list[str], names: dict[str, Sequence[str]]
    ) -> None:
        names["portal.test"] = addresses
        with pytest.raises(TargetRefused, match=r"portal\.test"):
            require_loopback("http://portal.test:8080", "base_url")

    def test_refuses_localhost_when_the_hosts_file_sends_it_elsewhere(self, names: dict[str, Sequence[str]]) -> None:
        names["localhost"] = ["192.0.2.1"]
        with pytest.raises(TargetRefused, match=r"192\.0\.2\.1"):
            require_loopback("localhost:9092", "bootstrap servers")

    def test_says_the_address_the_place_and_the_way_out(self) -> None:
        with pytest.raises(TargetRefused) as caught:
            require_loopback("http://192.0.2.1:8080", "target 'mine', addresses.api-gateway")
        assert "192.0.2.1" in caught.value.what
        assert caught.value.where == "target 'mine', addresses.api-gateway"
        assert "127.0.0.1" in caught.value.cure


class TestRefuseUnlessLoopback:
    @pytest.mark.parametrize("name", ["portal", "portal-universe"])
    def test_lets_the_committed_profiles_pass(self, name: str) -> None:
        refuse_unless_loopback(load_profile(name))

    @pytest.mark.parametrize("service", [ServiceId.GATEWAY, ServiceId.PROMETHEUS, ServiceId.KAFKA])
    def test_refuses_a_profile_with_one_address_elsewhere_and_names_it(self, service: ServiceId) -> None:
        profile = load_profile("portal")
        elsewhere = {**profile.addresses, service: "http://192.0.2.1:8080"}
        with pytest.raises(TargetRefused) as caught:
            refuse_unless_loopback(profile.model_copy(update={"addresses": elsewhere}))
        assert caught.value.where == f"target 'portal', addresses.{service}"
