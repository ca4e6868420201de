"""targets.guard: deny by default. No address here is contacted; names are answered by a table, not by a resolver."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from core.errors import TargetRefused
from core.ports import ServiceId
from core.reach import Reach, reaching
from targets.guard import pinned, refuse_unless_allowed, require_allowed, require_consent
from targets.model import Profile, load_profile


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


class TestRequireAllowed:
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
        require_allowed(address, "base_url")

    def test_lets_a_name_pass_that_is_only_this_machine(self, names: dict[str, Sequence[str]]) -> None:
        names["localhost"] = ["127.0.0.1", "::1"]
        require_allowed("http://localhost:8080", "base_url")

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
            require_allowed(address, "base_url")

    @pytest.mark.parametrize(
        "addresses",
        [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["192.0.2.1", "127.0.0.1"], ["127.0.0.1", "2001:db8::1"]],
    )
    def test_refuses_a_name_of_which_any_address_is_elsewhere(
        self, addresses: list[str], names: dict[str, Sequence[str]]
    ) -> None:
        names["portal.test"] = addresses
        with pytest.raises(TargetRefused, match=r"portal\.test"):
            require_allowed("http://portal.test:8080", "base_url")

    def test_refuses_localhost_when_the_hosts_file_sends_it_elsewhere(self, names: dict[str, Sequence[str]]) -> None:
        names["localhost"] = ["192.0.2.1"]
        with pytest.raises(TargetRefused, match=r"192\.0\.2\.1"):
            require_allowed("localhost:9092", "bootstrap servers")

    def test_says_the_address_the_place_and_the_way_out(self) -> None:
        with pytest.raises(TargetRefused) as caught:
            require_allowed("http://192.0.2.1:8080", "target 'mine', addresses.api-gateway")
        assert "192.0.2.1" in caught.value.what
        assert caught.value.where == "target 'mine', addresses.api-gateway"
        assert "127.0.0.1" in caught.value.cure


class TestAllow:
    OWN = ("perf.internal:8080", "10.20.0.0/16", "[fd00::7]:9090")

    @pytest.mark.parametrize(
        "address",
        ["http://perf.internal:8080", "http://10.20.3.4:8080", "tcp://10.20.0.1:9092", "http://[fd00::7]:9090/api"],
    )
    def test_lets_pass_what_is_named(self, address: str, names: dict[str, Sequence[str]]) -> None:
        names["perf.internal"] = ["10.20.0.9"]
        require_allowed(address, "here", Reach.of(self.OWN))

    @pytest.mark.parametrize(
        "address",
        [
            pytest.param("http://perf.internal:9090", id="the name at another port"),
            pytest.param("http://perf.internal", id="the name at the scheme's own port"),
            pytest.param("http://[fd00::7]:9091", id="the address at another port"),
            pytest.param("http://10.21.0.1:8080", id="an address beside the network"),
            pytest.param("http://localhost:8080", id="this machine by name, which is not named"),
            pytest.param("http://127.0.0.1:8080", id="this machine, which is not named"),
            pytest.param("http://perf.internal.:8080", id="a dot at the end"),
            pytest.param("http://Perf.internal:8080", id="a capital"),
            pytest.param("http://perf.intern\u0430l:8080", id="a look-alike letter"),
            pytest.param("http://xn--perf-5cd.internal:8080", id="punycode"),
        ],
    )
    def test_refuses_all_else(self, address: str, names: dict[str, Sequence[str]]) -> None:
        names["perf.internal"] = ["10.20.0.9"]
        with pytest.raises(TargetRefused):
            require_allowed(address, "here", Reach.of(self.OWN))

    def test_a_name_may_stand_for_this_machine(self, names: dict[str, Sequence[str]]) -> None:
        names["perf.internal"] = ["127.0.0.1"]
        require_allowed("http://perf.internal:8080", "here", Reach.of(["perf.internal:8080"]))

    def test_a_name_needs_its_addresses_allowed_as_well(self, names: dict[str, Sequence[str]]) -> None:
        names["perf.internal"] = ["10.20.0.9"]
        with pytest.raises(TargetRefused, match=r"'perf\.internal' is 10\.20\.0\.9, which is not allowed"):
            require_allowed("http://perf.internal:8080", "here", Reach.of(["perf.internal:8080"]))

    @pytest.mark.parametrize(
        "line",
        ["0.0.0.0/0", "::/0", "169.254.169.254", "fe80::/10", "224.0.0.1", "240.0.0.1", "::ffff:10.0.0.1",
         "8.8.8.0/24", "10.1.2.3/8", "*", "", "http://perf.internal", "Perf.internal", "127.1", "perf.internal:http"],
    )  # fmt: skip
    def test_a_line_that_allows_too_much_or_is_unclear_is_no_line(self, line: str) -> None:
        with pytest.raises(ValueError, match=re.escape(line) or "neither name"):
            Reach.of([line])

    def test_a_password_in_an_address_is_not_repeated(self) -> None:
        with pytest.raises(TargetRefused) as caught:
            require_allowed("http://me:canary@localhost:8080/", "here")
        assert "canary" not in str(caught.value)


class TestReaching:
    def test_a_process_reaches_this_machine_and_in_a_run_what_its_target_allows(self) -> None:
        with pytest.raises(TargetRefused):
            require_allowed("http://10.20.0.1", "here")
        with reaching(Reach.of(["10.20.0.0/16"])):
            require_allowed("http://10.20.0.1", "here")
            with pytest.raises(TargetRefused):
                require_allowed("http://127.0.0.1", "here")
        with pytest.raises(TargetRefused):
            require_allowed("http://10.20.0.1", "here")


class TestProduction:
    @staticmethod
    def profile(environment: str = "production") -> Profile:
        known = load_profile("portal").model_dump(mode="json") | {
            "environment": environment,
            "budget": {"requests": 1000, "minutes": 5},
        }
        return Profile.model_validate(known)

    @pytest.mark.parametrize("typed", [None, "", "yes", "Portal", "portal "])
    def test_takes_no_load_unless_its_name_was_typed(self, typed: str | None) -> None:
        with pytest.raises(TargetRefused, match="is production") as caught:
            require_consent(self.profile(), typed)
        assert "--i-mean portal" in caught.value.cure

    def test_takes_load_when_its_name_was_typed(self) -> None:
        require_consent(self.profile(), "portal")

    @pytest.mark.parametrize("environment", ["test", "staging"])
    def test_is_the_only_environment_that_asks(self, environment: str) -> None:
        require_consent(self.profile(environment), None)

    def test_needs_a_budget(self) -> None:
        with pytest.raises(ValidationError, match="needs a `budget`"):
            Profile.model_validate(self.profile().model_dump(mode="json") | {"budget": None})


class TestPinned:
    def test_has_one_address_for_each_host_of_the_profile(self, names: dict[str, Sequence[str]]) -> None:
        names["localhost"] = ["::1", "127.0.0.1"]
        profile = load_profile("portal")
        moved = {**profile.addresses, ServiceId.GATEWAY: "http://localhost:8080"}
        pins = pinned(profile.model_copy(update={"addresses": moved}))
        assert pins == {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1"}


class TestRefuseUnlessAllowed:
    @pytest.mark.parametrize("name", ["portal", "portal-universe"])
    def test_lets_the_committed_profiles_pass(self, name: str) -> None:
        refuse_unless_allowed(load_profile(name))

    @pytest.mark.parametrize("service", [ServiceId.GATEWAY, ServiceId.PROMETHEUS, ServiceId.KAFKA])
    def test_refuses_a_profile_with_one_address_elsewhere_and_names_it(self, service: ServiceId) -> None:
        profile = load_profile("portal")
        elsewhere = {**profile.addresses, service: "http://192.0.2.1:8080"}
        with pytest.raises(TargetRefused) as caught:
            refuse_unless_allowed(profile.model_copy(update={"addresses": elsewhere}))
        assert caught.value.where == f"target 'portal', addresses.{service}"
