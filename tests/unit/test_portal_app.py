"""The application around the handlers: dialect, metering, tracing, admin endpoints. No process, no network."""

import logging
from collections.abc import Awaitable, Callable, Mapping

import httpx
import pytest
from pydantic import BaseModel, Field
from pymysql.err import OperationalError
from starlette.requests import Request
from starlette.responses import Response

from infra.portal.app import App, Route, admin
from infra.portal.faults import Fault, Faults
from infra.portal.http import ApiError, ok, page_of, paging, payload, user_id
from infra.portal.metrics import Meters
from infra.portal.tracing import Tracer


class Body(BaseModel):
    quantity: int = Field(ge=1)


async def echo(request: Request) -> Response:
    return ok({"id": request.path_params["id"], "user": user_id(request)})


async def listed(request: Request) -> Response:
    page, size, offset = paging(request, default_size=12)
    return page_of([offset], page, size, total=25)


async def posted(request: Request) -> Response:
    return ok((await payload(request, Body)).quantity)


async def without_store(_request: Request) -> Response:
    raise OperationalError(2003, "refused")


async def broken(_request: Request) -> Response:
    raise LookupError("a mistake of ours")


async def refusing(_request: Request) -> Response:
    raise ApiError(409, "S602", "Coupon exhausted")


async def away() -> None:
    raise ConnectionRefusedError


async def there() -> None:
    return None


ROUTES = [
    Route("GET", "/things/{id}", echo),
    Route("GET", "/things", listed),
    Route("POST", "/things", posted),
    Route("GET", "/store", without_store),
    Route("GET", "/broken", broken),
    Route("GET", "/refusing", refusing),
    Route("GET", "/admin/secret", admin(listed)),
]

Get = Callable[..., Awaitable[httpx.Response]]


def app_with(probes: Mapping[str, Callable[[], Awaitable[object]]] | None = None) -> App:
    meters = Meters("test-service", "unit")
    faults = Faults({"weather": Fault("it rains", 0.5)})
    return App(meters, Tracer(meters, "", 0), ROUTES, probes=probes or {}, faults=faults)


async def ask(app: App, method: str, path: str, *, peer: str = "127.0.0.1", **kwargs: object) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(peer, 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://portal") as client:
        return await client.request(method, path, **kwargs)  # type: ignore[arg-type]


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


USER = {"X-User-Id": "u1", "X-User-Effective-Roles": "ROLE_USER"}


class TestDialect:
    async def test_success_is_in_the_envelope(self) -> None:
        answer = await ask(app_with(), "GET", "/things/7", headers=USER)
        assert answer.json() == {"success": True, "data": {"id": "7", "user": "u1"}}

    async def test_an_error_names_its_code_and_leaves_out_what_it_has_not(self) -> None:
        answer = await ask(app_with(), "GET", "/refusing")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["message"]) == (409, "S602", "Coupon exhausted")
        assert set(error) == {"code", "message", "timestamp"}

    async def test_pages_start_at_one(self) -> None:
        page = (await ask(app_with(), "GET", "/things?page=3&size=10")).json()["data"]
        assert page == {"items": [20], "page": 3, "size": 10, "totalElements": 25, "totalPages": 3}

    @pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "size=0", "size=101", "page=1.5", "page="])
    async def test_a_page_that_cannot_be_is_c002(self, query: str) -> None:
        assert code_of(await ask(app_with(), "GET", f"/things?{query}")) == (400, "C002")

    @pytest.mark.parametrize("body", [b"", b"{", b'{"quantity":0}', b'{"quantity":"many"}', b"[]"])
    async def test_a_body_that_cannot_be_is_c002(self, body: bytes) -> None:
        assert code_of(await ask(app_with(), "POST", "/things", content=body)) == (400, "C002")

    async def test_the_field_at_fault_is_named(self) -> None:
        answer = await ask(app_with(), "POST", "/things", content=b'{"quantity":0}')
        assert answer.json()["error"]["details"][0]["field"] == "quantity"

    async def test_no_user_is_403_with_an_empty_body(self) -> None:
        answer = await ask(app_with(), "GET", "/things/7", headers={"X-User-Id": "u1"})
        assert (answer.status_code, answer.content) == (403, b"")

    async def test_a_path_that_nobody_has_is_404(self) -> None:
        assert code_of(await ask(app_with(), "GET", "/nowhere")) == (404, "C003")


class TestFailures:
    async def test_a_store_that_is_away_is_503_and_named(self) -> None:
        answer = await ask(app_with(), "GET", "/store")
        assert code_of(answer) == (503, "C005")
        assert answer.json()["error"]["message"] == "MySQL does not answer"

    async def test_a_mistake_of_ours_is_500_and_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR, "infra.portal"):
            assert code_of(await ask(app_with(), "GET", "/broken")) == (500, "C001")
        assert "a mistake of ours" in caplog.text


class TestHealth:
    async def test_is_503_while_a_store_is_away(self) -> None:
        answer = await ask(app_with({"db": there, "redis": away}), "GET", "/actuator/health")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "DOWN",
            "components": {"db": {"status": "UP"}, "redis": {"status": "DOWN"}},
        }

    async def test_is_200_when_all_answer(self) -> None:
        assert (await ask(app_with({"db": there}), "GET", "/actuator/health")).status_code == 200


class TestMeters:
    async def test_count_under_the_template_with_micrometers_labels(self) -> None:
        app = app_with()
        for path in ("/things/1", "/things/2"):
            await ask(app, "GET", path, headers=USER)
        labels = (
            'application="test-service",environment="unit",exception="None",method="GET",'
            'outcome="SUCCESS",status="200",uri="/things/{id}"'
        )
        assert f"http_server_requests_seconds_count{{{labels}}} 2.0" in await self.scraped(app)

    @pytest.mark.parametrize(
        ("path", "labels"),
        [
            ("/refusing", 'exception="ApiError",method="GET",outcome="CLIENT_ERROR",status="409",uri="/refusing"'),
            ("/store", 'exception="OperationalError",method="GET",outcome="SERVER_ERROR",status="503",uri="/store"'),
            ("/nowhere/else", 'exception="ApiError",method="GET",outcome="CLIENT_ERROR",status="404",uri="/**"'),
        ],
    )
    async def test_count_failures_too(self, path: str, labels: str) -> None:
        app = app_with()
        await ask(app, "GET", path)
        assert labels in await self.scraped(app)

    async def test_have_buckets_at_the_platforms_objectives(self) -> None:
        app = app_with()
        await ask(app, "GET", "/things")
        text = await self.scraped(app)
        assert all(f'le="{bound}"' in text for bound in ("0.05", "0.1", "0.2", "0.5", "1.0", "5.0", "+Inf"))

    @staticmethod
    async def scraped(app: App) -> str:
        return (await ask(app, "GET", "/actuator/prometheus")).text


class TestAdmin:
    async def test_answers_this_machine(self) -> None:
        assert (await ask(app_with(), "GET", "/admin/secret")).status_code == 200
        assert (await ask(app_with(), "GET", "/admin/secret", peer="::1")).status_code == 200

    async def test_answers_no_other_machine(self) -> None:
        assert code_of(await ask(app_with(), "GET", "/admin/secret", peer="192.0.2.1")) == (403, "C004")

    async def test_answers_nobody_who_came_through_a_proxy(self) -> None:
        answer = await ask(app_with(), "GET", "/admin/secret", headers={"X-Forwarded-For": "127.0.0.1"})
        assert code_of(answer) == (403, "C004")


class TestFaults:
    async def test_are_switched_on_at_their_own_strength_and_off_again(self) -> None:
        app = app_with()
        on = await ask(app, "PUT", "/admin/faults/weather")
        assert on.json() == {"weather": {"description": "it rains", "strength": 0.5}}
        off = await ask(app, "DELETE", "/admin/faults/weather")
        assert off.json()["weather"]["strength"] == 0

    async def test_take_the_strength_that_is_asked_for(self) -> None:
        answer = await ask(app_with(), "PUT", "/admin/faults/weather", json={"strength": 2})
        assert answer.json()["weather"]["strength"] == 2

    async def test_an_unknown_one_is_refused_with_the_known_ones(self) -> None:
        answer = await ask(app_with(), "PUT", "/admin/faults/famine")
        assert code_of(answer) == (404, "C003")
        assert "weather" in answer.json()["error"]["message"]
