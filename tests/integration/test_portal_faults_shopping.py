"""Faults of the shopping service: each is measured in the real parts, switched on and switched off again.

The fixture `portal_urls` gives the base URLs of a running portal.
"""

import asyncio
import secrets
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp
import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.requests import Request

from core.ports import ServiceId
from infra.embedded.catalogue import open_backend
from infra.embedded.statedir import StateDir
from infra.portal import cart, orders
from infra.portal.coupon_rows import SCHEMA
from infra.portal.events import Publisher
from infra.portal.faults import SHOPPING_FAULTS, Faults
from infra.portal.metrics import Meters
from infra.portal.orders import Orders
from infra.portal.pool import Pool
from infra.portal.settings import PortalSettings
from infra.secrets import load_secrets

USERS, STOCK = 500, 100
"""Scenario C's: so many at once for so many coupons."""
ADDRESS = {"receiverName": "Kim", "receiverPhone": "010-0000-0000", "zipCode": "04524", "address1": "Seoul"}
Answer = tuple[int, Any]
"""Status and body."""


@dataclass(frozen=True)
class Shop:
    """The shopping service, asked directly as the gateway asks it, and the gateway and auth beside it."""

    service: httpx.Client
    gateway: httpx.Client
    auth: httpx.Client

    @contextmanager
    def ill_with(self, fault: str) -> Iterator[None]:
        self.service.put(f"/admin/faults/{fault}").raise_for_status()
        try:
            yield
        finally:
            self.service.delete(f"/admin/faults/{fault}").raise_for_status()

    def coupon(self, total: int = STOCK) -> int:
        body = {"code": f"FAULT-{secrets.token_hex(6)}", "total": total}
        return int(self.service.post("/admin/coupons", json=body).raise_for_status().json()["id"])

    def ledger(self, coupon: int) -> dict[str, Any]:
        return dict(self.service.get(f"/admin/coupons/{coupon}/ledger").raise_for_status().json())

    def burst(self, coupon: int) -> list[Answer]:
        """Every user asks for the coupon, all at once."""
        return self.at_once([("POST", f"/coupons/{coupon}/issue", user(number)) for number in range(USERS)])

    def at_once(self, requests: Sequence[tuple[str, str, dict[str, str]]]) -> list[Answer]:
        """The answers to (method, path, headers), all sent together."""

        async def ask(client: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str]) -> Answer:
            async with client.request(method, path, headers=headers) as answer:
                return answer.status, orjson.loads(await answer.read())

        async def ask_all() -> list[Answer]:
            async with aiohttp.ClientSession(
                str(self.service.base_url), connector=aiohttp.TCPConnector(limit=len(requests))
            ) as client:
                return await asyncio.gather(*(ask(client, *request) for request in requests))

        return asyncio.run(ask_all())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name whose labels match."""
        families = text_string_to_metric_families(self.service.get("/actuator/prometheus").text)
        samples = (sample for family in families for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    urls = request.getfixturevalue("portal_urls")
    service, gateway, auth = (
        httpx.Client(base_url=url, timeout=10, trust_env=False) for url in (urls.shopping, urls.gateway, urls.auth)
    )
    with service, gateway, auth:
        for planted in (service, auth):
            planted.post("/admin/seed").raise_for_status()
        yield Shop(service, gateway, auth)


def user(number: int) -> dict[str, str]:
    """The headers by which the gateway vouches for a user."""
    return {"X-User-Id": f"00000000-0000-4000-8000-{number:012d}", "X-User-Effective-Roles": "ROLE_USER"}


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(status for status, _ in answers)


class TestOversell:
    def test_more_are_issued_than_there_are_and_the_rows_are_those_answered(self, shop: Shop) -> None:
        with shop.ill_with("oversell"):
            coupon = shop.coupon()
            answers = shop.burst(coupon)
            ledger = shop.ledger(coupon)
        assert statuses(answers)[200] > STOCK
        assert ledger["rows"] == ledger["distinct_users"] == ledger["redis_issued"] == statuses(answers)[200]
        assert ledger["redis_stock"] == STOCK - ledger["rows"]

    def test_it_still_tells_a_duplicate_and_a_coupon_that_is_not_there(self, shop: Shop) -> None:
        with shop.ill_with("oversell"):
            coupon = shop.coupon()
            issued, again = (shop.service.post(f"/coupons/{coupon}/issue", headers=user(1)) for _ in range(2))
            nowhere = shop.service.post("/coupons/999999999/issue", headers=user(1))
        assert (issued.status_code, again.status_code, nowhere.status_code) == (200, 409, 404)
        assert again.json()["error"]["code"] == "S604"

    def test_a_healthy_shop_issues_what_there_is(self, shop: Shop) -> None:
        coupon = shop.coupon()
        answers = shop.burst(coupon)
        assert statuses(answers) == {200: STOCK, 409: USERS - STOCK}
        ledger = shop.ledger(coupon)
        assert sorted(ledger["row_ids"]) == sorted(body["data"]["id"] for status, body in answers if status == 200)
        counts = {name: ledger[name] for name in ("rows", "issued_quantity", "redis_issued", "redis_stock")}
        assert counts == {"rows": STOCK, "issued_quantity": STOCK, "redis_issued": STOCK, "redis_stock": 0}


class TestLostUpdate:
    def test_the_counter_stays_behind_the_rows_which_are_right(self, shop: Shop) -> None:
        with shop.ill_with("lost-update"):
            coupon = shop.coupon()
            answers = shop.burst(coupon)
        ledger = shop.ledger(coupon)
        assert statuses(answers) == {200: STOCK, 409: USERS - STOCK}
        assert (ledger["rows"], ledger["redis_issued"], ledger["redis_stock"]) == (STOCK, STOCK, 0)
        assert 0 < ledger["issued_quantity"] < STOCK
        shown = next(each for each in shop.service.get("/coupons").json()["data"] if each["id"] == coupon)
        assert shown["remainingQuantity"] == STOCK - ledger["issued_quantity"]


class TestNoSingleFlight:
    PRODUCTS = iter(range(150, 200))
    """Each is nobody's until it is asked for here, so that it is in no cache."""

    def test_a_herd_on_an_expired_product_loads_it_many_times(self, shop: Shop) -> None:
        with shop.ill_with("no-single-flight"):
            assert self.loads_of_a_herd(shop) > 10

    def test_a_healthy_shop_loads_it_once(self, shop: Shop) -> None:
        assert self.loads_of_a_herd(shop) == 1

    def loads_of_a_herd(self, shop: Shop) -> float:
        name, labels = "cache_load_duration_seconds_count", {"cache": "product", "result": "success"}
        before = shop.metric(name, **labels)
        path = f"/products/{next(self.PRODUCTS)}"
        assert statuses(shop.at_once([("GET", path, {})] * 200)) == {200: 200}
        return shop.metric(name, **labels) - before


class TestPoolExhaustion:
    def test_the_pool_runs_dry_the_books_stay_open_and_all_is_given_back(self, shop: Shop) -> None:
        coupon = shop.coupon()
        size = shop.metric("hikaricp_connections_max")
        waits_given_up = shop.metric("hikaricp_connections_timeout_total")
        with shop.ill_with("pool-exhaustion"):
            answers = list(iter(lambda: self.listed(shop), 503))
            assert size <= len(answers) < 10 * size  # a request whose connection leaks is answered all the same
            assert shop.metric("hikaricp_connections_active") == size
            assert shop.metric("hikaricp_connections_timeout_total") > waits_given_up
            assert shop.ledger(coupon)["rows"] == 0
            assert shop.service.get("/admin/orders/ledger").status_code == 200
            assert shop.service.get("/admin/seed").status_code == 200
        assert shop.metric("hikaricp_connections_active") == 0
        assert [self.listed(shop) for _ in range(20)] == [200] * 20

    @staticmethod
    def listed(shop: Shop) -> int:
        return shop.service.get("/products?page=1&size=1").status_code


class TestMemoryLeak:
    REQUESTS = 200
    """At 1 MiB each."""

    def test_resident_memory_grows_with_the_requests_and_is_let_go(self, shop: Shop) -> None:
        before_mib = self.resident_mib(shop)
        with shop.ill_with("memory-leak"):
            shop.at_once([("GET", "/products/1", {})] * self.REQUESTS)
            grown_mib = self.resident_mib(shop) - before_mib
        assert grown_mib >= self.REQUESTS
        assert self.resident_mib(shop) - before_mib < self.REQUESTS / 4

    @staticmethod
    def resident_mib(shop: Shop) -> float:
        return shop.metric("process_resident_memory_bytes") / 2**20


class TestCpuBurn:
    def test_each_request_costs_far_more_cpu_than_a_healthy_one(self, shop: Shop) -> None:
        with shop.ill_with("cpu-burn"):
            ill_s = self.cpu_s_a_request(shop)
        assert ill_s > 0.02
        assert ill_s > 5 * self.cpu_s_a_request(shop)

    @staticmethod
    def cpu_s_a_request(shop: Shop) -> float:
        requests = 20
        before = shop.metric("process_cpu_seconds_total")
        for _ in range(requests):
            assert shop.service.get("/products/1").status_code == 200
        return (shop.metric("process_cpu_seconds_total") - before) / requests


class TestSlowRedis:
    def test_what_asks_redis_once_takes_two_times_60_ms_longer(self, shop: Shop) -> None:
        with shop.ill_with("slow-redis"):
            assert self.median_latency_s(shop) >= 0.120
        assert self.median_latency_s(shop) < 0.060

    def test_no_request_fails_while_it_is_switched(self, shop: Shop) -> None:
        for _ in range(3):
            with shop.ill_with("slow-redis"):
                assert statuses(shop.at_once([("GET", "/products/1", {})] * 100)) == {200: 100}
            assert statuses(shop.at_once([("GET", "/products/1", {})] * 100)) == {200: 100}

    @staticmethod
    def median_latency_s(shop: Shop) -> float:
        def latency_s() -> float:
            started = time.perf_counter()
            assert shop.service.get("/products/1").status_code == 200
            return time.perf_counter() - started

        return statistics.median(latency_s() for _ in range(9))


class TestWrongStatus:
    def test_a_refusal_is_200_without_success_and_409_when_healthy(self, shop: Shop) -> None:
        coupon = shop.coupon(total=1)

        def refused() -> httpx.Response:
            return shop.service.post(f"/coupons/{coupon}/issue", headers=user(2))

        assert shop.service.post(f"/coupons/{coupon}/issue", headers=user(1)).status_code == 200
        with shop.ill_with("wrong-status"):
            answer = refused()
            books = shop.service.post("/admin/clean-up", json={"since": "no instant"})
        assert (answer.status_code, answer.json()["success"]) == (200, False)
        assert answer.json()["error"]["code"] == "S602"
        assert books.status_code == 400
        assert refused().status_code == 409


class TestMintedTokens:
    def test_are_those_of_the_load_users_in_order_and_open_the_shop(self, shop: Shop) -> None:
        minted = shop.auth.post("/admin/tokens", json={"count": 600}).raise_for_status().json()["users"]
        assert [each["user_id"] for each in minted] == [user(number)["X-User-Id"] for number in range(1, 601)]
        cart = shop.gateway.get("/api/v1/shopping/cart", headers={"Authorization": f"Bearer {minted[-1]['token']}"})
        assert cart.json()["data"]["userId"] == minted[-1]["user_id"]

    def test_are_not_made_for_users_that_are_not_there(self, shop: Shop) -> None:
        answer = shop.auth.post("/admin/tokens", json={"count": 601})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "C003")
        assert "600 load users" in answer.json()["error"]["message"]


@pytest.fixture(scope="module")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSettings]:
    """A database server without a portal, so that the books can be spoiled."""
    state_dir = tmp_path_factory.mktemp("books") / "stack"
    with open_backend(any_ports=True, state_dir=state_dir) as backend:
        backend.start([ServiceId.MYSQL])
        backend.wait_ready([ServiceId.MYSQL])
        password = load_secrets(StateDir(state_dir).data).portal_password
        port = int(backend.endpoint(ServiceId.MYSQL).rpartition(":")[2])
        yield PortalSettings(mysql_port=port, mysql_password=SecretStr(password))


@asynccontextmanager
async def database(settings: PortalSettings, name: str, schema: Sequence[str]) -> AsyncIterator[Pool]:
    pool = Pool(settings, name, Meters("test-service", "integration"), "HikariPool-1", Faults(SHOPPING_FAULTS))
    await pool.open(schema)
    try:
        yield pool
    finally:
        await pool.close()


class TestCounterOfAnOlderDatabase:
    BEFORE = tuple(statement.replace("issued_quantity INT NOT NULL DEFAULT 0,", "") for statement in SCHEMA[:2])

    async def test_is_added_once_and_counts_the_rows(self, mysql: PortalSettings) -> None:
        async with database(mysql, "older_db", self.BEFORE) as pool, pool.session() as session:
            await session.execute(
                "INSERT INTO coupons (code, total_quantity, starts_at, expires_at) VALUES ('OLD', 5, NOW(), NOW())"
            )
            await session.insert_many(
                "INSERT INTO user_coupons (user_id, coupon_id, issued_at) VALUES (%s, 1, NOW())", [("a",), ("b",)]
            )
        for _ in range(2):
            async with database(mysql, "older_db", SCHEMA) as pool:
                assert await pool.row("SELECT issued_quantity FROM coupons") == (2,)


class TestOrderBooks:
    async def test_an_order_that_is_not_the_sum_of_its_lines_is_counted(self, mysql: PortalSettings) -> None:
        async with database(mysql, "books_db", (*cart.SCHEMA, *orders.SCHEMA)) as pool:
            async with pool.session() as session:
                await session.execute("INSERT INTO carts (id, user_id, active) VALUES (1, 'a', NULL), (2, 'a', NULL)")
                await session.execute(
                    "INSERT INTO cart_items (cart_id, product_id, product_name, price, quantity)"
                    " VALUES (1, 1, 'one', 100, 2), (1, 2, 'two', 50, 1), (2, 1, 'one', 100, 1)"
                )
                await session.insert_many(
                    "INSERT INTO orders (order_number, user_id, cart_id, total_amount, created_at)"
                    " VALUES (%s, 'a', %s, %s, '2026-01-01')",
                    [("right", 1, 250), ("too little", 2, 99), ("of no cart", 3, 1)],
                )
            request = Request({"type": "http", "query_string": b"", "headers": []})
            answer = orjson.loads((await Orders(pool, cast(Publisher, None)).ledger(request)).body)
        assert (answer["orders"], answer["total"], answer["wrong_totals"]) == (3, 350, 2)

    def test_the_amount_of_an_order_is_that_of_its_lines(self, shop: Shop) -> None:
        since = {"since": datetime.now(UTC).isoformat()}
        buyer = user(3)
        shop.service.post("/cart/items", json={"productId": 7, "quantity": 3}, headers=buyer).raise_for_status()
        shop.service.post("/cart/checkout", headers=buyer).raise_for_status()
        order = shop.service.post("/orders", json={"shippingAddress": ADDRESS}, headers=buyer).json()["data"]
        assert shop.service.get("/admin/orders/ledger", params=since).json() == {
            "orders": 1,
            "total": order["totalAmount"],
            "wrong_totals": 0,
            "order_numbers": [order["orderNumber"]],
            "carts": 1,
        }
