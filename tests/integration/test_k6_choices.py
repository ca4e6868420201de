"""What a profile may choose (targets/model.py: Limiter, Tokens), by the real k6 against a server that takes notes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.ports import Endpoints, ServiceId
from core.settings import Settings
from core.words import Verdict
from k6.checks import thresholds_check
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.load import Load, load_load
from targets.model import Profile, load_profile

KEY = "a key of this test, as long as HS256 wants it to be"
SMOKE = load_load("smoke")
LOAD = SMOKE.model_copy(
    update={
        "a": SMOKE.a.model_copy(update={"vus": 3, "ramp_up_s": 0, "steady_s": 5, "ramp_down_s": 0}),
        "b": SMOKE.b.model_copy(update={"rate_per_s": 30, "duration_s": 3, "pre_allocated_vus": 3, "max_vus": 6}),
        "c": SMOKE.c.model_copy(update={"users": 20}),
    }
)
POSTS = [f"{number:024x}" for number in range(20)]
CART = {"totalAmount": 10, "items": [{"subtotal": 10}]}


@dataclass
class Noted:
    """What the server was asked."""

    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    lifetime_s: float = 900
    refuses: bool = False  # the second half of each hundred requests is answered 429
    fails_after: int | None = None  # this many requests
    url: str = ""

    def header(self, name: str, path: str = "") -> Counter[str]:
        """How often each value of a header came, on paths that contain `path`."""
        return Counter(headers.get(name, "-") for asked, headers in self.requests if path in asked)

    def paths(self) -> set[str]:
        return {path.split("/items")[0] for path, _ in self.requests}


def _good(data: object) -> Response:
    return JSONResponse({"success": True, "data": data})


def token_of(user: str) -> str:
    return jwt.encode({"sub": f"id-of-{user}", "exp": int(time.time()) + 900}, KEY, "HS256")


class Server:
    """Every path of the platform's, with its gateway's prefix or without."""

    def __init__(self, noted: Noted) -> None:
        self.noted = noted

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.noted.requests.append((path, dict(request.headers)))
        if path.endswith("/auth/login"):
            return self._granted(token_of((await request.json())["email"]))
        if path.endswith("/auth/refresh"):
            self.noted.refreshed.append((await request.json())["refreshToken"])
            return self._granted(token_of("refreshed"))
        if self.noted.fails_after is not None and len(self.noted.requests) > self.noted.fails_after:
            return JSONResponse({"success": False}, status_code=500)
        if self.noted.refuses and len(self.noted.requests) % 100 >= 50:
            return Response(status_code=429)
        return self._read(path)

    def _granted(self, token: str) -> Response:
        renewal = f"renewal-{len(self.noted.requests)}"
        return _good({"accessToken": token, "refreshToken": renewal, "expiresIn": self.noted.lifetime_s})

    def _read(self, path: str) -> Response:
        last = path.rsplit("/", 1)[-1]
        if last == "posts":
            return _good({"items": [{"id": post} for post in POSTS]})
        if last == "products":
            return _good({"items": [{"id": number} for number in range(1, 21)]})
        if last == "items":
            return _good(CART)
        return _good({"id": int(last) if last.isdigit() and len(last) < 9 else last})


@pytest.fixture
def noted() -> Iterator[Noted]:
    noted = Noted()
    app = Starlette(routes=[Route("/{path:path}", Server(noted).answer, methods=["GET", "POST"])])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        noted.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        yield noted
        server.should_exit = True
        thread.join()


def chosen(noted: Noted, limiter: str, **tokens: Any) -> Profile:
    """portal-universe at the test's server, every service at the same address."""
    profile = load_profile("portal-universe")
    document = profile.model_dump()
    document["limiter"]["way"] = limiter
    document["users"]["tokens"] |= tokens
    services = ("api-gateway", "auth-service", "blog-service", "shopping-service")
    at = {ServiceId(service): urlsplit(noted.url).netloc for service in services}
    return Profile.model_validate(document).at(Endpoints(at))


def run(scenario: str, profile: Profile, folder: Path, load: Load = LOAD) -> ScenarioResult:
    request = ScenarioRequest(
        scenario=scenario,
        profile=profile,
        load=load,
        run_id="run-1",
        run_mark="mark",
        coupon_id="7",
        product_id="3",
        k6=K6Program(built_k6(Settings().cache_dir)),
        out_dir=folder,
        remote_write_url=None,
    )
    result = run_scenario(request, lambda _: None, threading.Event())
    assert result.error is None, result.error
    return result


def all_right(result: ScenarioResult) -> bool:
    """Every answer was right, however long it took."""
    return result.requests > 0 and (result.wrong_answers, result.error_rate) == (0, 0.0)


class TestXRealIp:
    def test_each_vu_names_one_address_of_its_own_on_every_request(self, noted: Noted, tmp_path: Path) -> None:
        result = run("a", chosen(noted, "x-real-ip"), tmp_path)
        assert all_right(result)
        addresses = noted.header("x-real-ip", "cart") | noted.header("x-real-ip", "auth/login")
        setup = "10.77.0.0"
        assert set(addresses) - {setup} == {"10.77.0.1", "10.77.0.2", "10.77.0.3"}  # LOAD's three VUs
        assert noted.header("x-forwarded-for") == {"-": len(noted.requests)}  # alone it is a 500 there

    def test_each_user_of_the_spike_has_a_login_lock_of_its_own(self, noted: Noted, tmp_path: Path) -> None:
        run("c", chosen(noted, "x-real-ip"), tmp_path)
        assert noted.header("x-real-ip", "auth/login") == {f"10.77.0.{number}": 1 for number in range(1, 21)}


class TestDirect:
    def test_asks_the_services_with_the_users_identity_and_no_token(self, noted: Noted, tmp_path: Path) -> None:
        result = run("a", chosen(noted, "direct"), tmp_path)
        assert all_right(result)
        details = {path for path in noted.paths() if path.startswith("/products/")}
        assert noted.paths() - details == {"/api/v1/auth/login", "/products", "/cart"}
        carts = noted.header("x-user-id", "cart")
        assert set(carts) == {f"id-of-load000{number}@test.com" for number in (1, 2, 3)}
        assert set(noted.header("x-user-effective-roles", "cart")) == {"ROLE_USER"}
        assert set(noted.header("authorization")) == {"-"}
        assert set(noted.header("x-real-ip")) == {"-"}


class TestMeasure:
    def test_refusals_are_an_outcome_of_their_own_and_no_failure(self, noted: Noted, tmp_path: Path) -> None:
        noted.refuses = True
        result = run("b", chosen(noted, "measure"), tmp_path)
        assert result.outcomes["429"] > 0.2 * result.requests
        assert set(noted.header("x-real-ip")) == {"-"}
        judged = next(row for row in result.thresholds if row.metric == "http_req_failed{part:load} without 429")
        assert (judged.expression, judged.ok) == ("rate<0.001", True)
        assert judged.samples == result.requests - result.outcomes["429"]
        assert "http_req_failed{part:load}" not in {row.metric for row in result.thresholds}

    def test_other_failures_still_fail(self, noted: Noted, tmp_path: Path) -> None:
        noted.fails_after = 50
        result = run("b", chosen(noted, "measure"), tmp_path)
        assert result.outcomes["500"] > 0
        check = thresholds_check(result)
        assert check.verdict is Verdict.FAIL
        assert "without 429: rate<0.001" in check.observed


class TestTokens:
    def test_are_renewed_by_their_refresh_token(self, noted: Noted, tmp_path: Path) -> None:
        noted.lifetime_s = 2  # renewed after 1.6 to 1.9 s
        run("a", chosen(noted, "x-real-ip", way="refresh"), tmp_path)
        logins = noted.header("x-real-ip", "auth/login")
        assert sum(logins.values()) == 1 + 3  # setup's and one a VU
        assert len(noted.refreshed) >= 3
        assert len(set(noted.refreshed)) == len(noted.refreshed)  # each is good once

    def test_are_got_by_a_new_login_where_the_profile_says_so(self, noted: Noted, tmp_path: Path) -> None:
        noted.lifetime_s = 2
        run("a", chosen(noted, "x-real-ip", way="login"), tmp_path)
        assert sum(noted.header("x-real-ip", "auth/login").values()) > 1 + 3
        assert noted.refreshed == []

    @pytest.mark.parametrize("scenario", ["a", "b", "c"])
    def test_are_minted_with_the_targets_own_key(self, noted: Noted, tmp_path: Path, scenario: str) -> None:
        profile = chosen(noted, "x-real-ip", way="mint", key=KEY, lifetime_s=600)
        result = run(scenario, profile, tmp_path)
        assert noted.header("host", "/auth/") == Counter()  # nobody signs in
        tokens = {value.removeprefix("Bearer ") for value in noted.header("authorization")}
        read = [jwt.decode(token, KEY, ["HS256"]) for token in tokens]
        numbers = {"a": [0, 1, 2, 3], "b": [0], "c": range(1, 21)}[scenario]
        assert {claims["sub"] for claims in read} == {profile.users.tokens.minted_id(number) for number in numbers}
        assert all(claims["exp"] - claims["iat"] == 600 for claims in read)
        assert all(claims["effectiveRoles"] == ["ROLE_USER"] for claims in read)
        assert {jwt.get_unverified_header(token)["kid"] for token in tokens} == {"key-default"}
        assert [row.metric for row in result.thresholds if "login" in row.metric] == []
        assert all_right(result)
