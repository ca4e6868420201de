"""The portal in portal-universe's dialect, and its adapter against real PostgreSQL, Redis and MySQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
import psycopg
import pytest
import redis

from core.errors import TargetError
from core.ports import PORTAL, STORES, Endpoints, ServiceId
from core.words import Verdict
from infra.embedded.catalogue import open_backend
from infra.embedded.plays import Plays
from k6.model import ScenarioResult
from targets.adapter import Adapter, Fixtures, adapter_for
from targets.load import load_load
from targets.model import Profile, load_profile
from tasks.seeding import seed_check
from tests.integration.test_k6_choices import run

SERVICES = (*STORES, ServiceId.POSTGRESQL, *PORTAL)
PASSWORD = secrets.token_urlsafe(12) + "'\\"
"""Of both databases; what it holds at the end must be quoted in SQL."""
RUN = "20261127T211626Z-portal-universe-smoke-ab12"


@dataclass(frozen=True)
class Played:
    """The portal and what it stands on."""

    profile: Profile

    def gateway(self, address: str = "10.9.0.1", token: str | None = None) -> httpx.Client:
        headers = {"X-Real-IP": address} | ({"Authorization": f"Bearer {token}"} if token else {})
        return httpx.Client(base_url=self.profile.base_url, headers=headers, trust_env=False, timeout=10)

    def sql(self, statement: str, *values: object, database: str = "shopping_db") -> list[tuple[object, ...]]:
        host, _, port = self.profile.endpoints()[ServiceId.POSTGRESQL].partition(":")
        with psycopg.connect(host=host, port=int(port), dbname=database, user="laze", password=PASSWORD) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(f"redis://{self.profile.endpoints()[ServiceId.REDIS]}", decode_responses=True)


def universe() -> Profile:
    """The committed profile, with a small pool of users and this test's password."""
    profile = load_profile("portal-universe")
    document = profile.model_dump()
    for store in document["stores"].values():
        store["password"] = PASSWORD
    document["users"]["pool"]["count"] = 30
    document["coupon"]["stock"] = 5
    return Profile.model_validate(document)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    profile = universe()
    state_dir = tmp_path_factory.mktemp("universe") / "stack"
    with open_backend(any_ports=True, state_dir=state_dir, plays=Plays.of(profile)) as backend:
        backend.start(SERVICES)
        backend.wait_ready(SERVICES)
        assert "standing in for its Spring services" in backend.versions()["portal"]
        yield Played(profile.at(Endpoints({service: backend.endpoint(service) for service in SERVICES})))


@pytest.fixture(scope="module")
def adapter(played: Played) -> Adapter:
    return adapter_for(played.profile)


@pytest.fixture(scope="module")
def tokens(played: Played, adapter: Adapter) -> list[str]:
    """Of the pool's users, who are signed up first."""
    adapter.seed()
    return [user.token for user in adapter.users(30)]


@pytest.fixture
def fixtures(tokens: list[str], adapter: Adapter) -> Iterator[Fixtures]:
    made = adapter.fixtures(RUN)
    yield made
    adapter.clean_up(made)


class TestSeed:
    def test_signs_up_who_is_missing_and_reads_back_what_the_profile_promises(
        self, played: Played, adapter: Adapter
    ) -> None:
        played.sql("DELETE FROM users WHERE email = %s", "load0007@test.com", database="auth_db")
        seed = adapter.seed()
        assert seed_check(played.profile, seed).verdict is Verdict.PASS
        assert (seed.users, seed.coupon_stock) == (30, 5)
        assert seed.products >= 100
        assert seed.posts >= 100

    def test_says_that_nothing_can_be_searched_and_what_cures_it(self, adapter: Adapter) -> None:
        why = adapter.seed().not_applicable
        assert set(why) == {"d"}
        assert "holds no document" in why["d"]
        assert "/products/_bulk" in why["d"]

    def test_leaves_no_trial_coupon(self, played: Played, adapter: Adapter) -> None:
        adapter.seed()
        assert played.sql("SELECT code FROM coupons WHERE code LIKE 'PERF-%%'") == []
        assert list(played.redis().scan_iter("coupon:*")) == []


class TestFixtures:
    def test_give_stock_to_what_a_buys_and_take_it_away_again(
        self, played: Played, adapter: Adapter, tokens: list[str]
    ) -> None:
        played.sql("DELETE FROM inventory")
        with played.gateway(token=tokens[0]) as client:
            item = {"productId": 3, "quantity": 1}
            refused = client.post("/api/v1/shopping/cart/items", json=item)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "S401")
            made = adapter.fixtures(RUN)
            cart = client.post("/api/v1/shopping/cart/items", json=item).json()["data"]
            assert cart["totalAmount"] == sum(line["subtotal"] for line in cart["items"])
        assert len(made.made["inventory"]) == 20  # the first page
        assert adapter.clean_up(made) == []
        assert played.sql("SELECT 1 FROM inventory") == []
        assert played.sql("SELECT 1 FROM carts") == []

    def test_leave_stock_that_was_there_as_it_was(self, played: Played, adapter: Adapter, tokens: list[str]) -> None:
        played.sql("INSERT INTO inventory (product_id, available_quantity) VALUES (2, 7)")
        made = adapter.fixtures(RUN)
        assert "2" not in made.made["inventory"]
        adapter.clean_up(made)
        assert played.sql("DELETE FROM inventory RETURNING product_id, available_quantity") == [(2, 7)]

    def test_clean_up_names_what_could_not_be_removed(
        self, played: Played, adapter: Adapter, fixtures: Fixtures
    ) -> None:
        broken = played.profile.model_copy(
            update={"addresses": {**played.profile.addresses, ServiceId.POSTGRESQL: "tcp://127.0.0.1:1"}}
        )
        left = adapter_for(broken).clean_up(fixtures)
        assert [each.split(":")[0] for each in left] == ["users", "carts", "coupon", "inventory"]
        assert all("PostgreSQL's" in each for each in left)

    def test_a_wrong_password_says_which_store_and_where_to_mend_it(self, played: Played) -> None:
        document = played.profile.model_dump()
        document["stores"]["postgresql"]["password"] = "wrong"
        with pytest.raises(
            TargetError, match=r"PostgreSQL's auth_db refused: .*password authentication failed"
        ) as error:
            adapter_for(Profile.model_validate(document)).seed()
        assert "stores.postgresql" in error.value.cure


class TestCoupons:
    def issue(self, played: Played, coupon_id: str, tokens: list[str]) -> list[tuple[int, str | None]]:
        """(status, error code) of each user's wish, all at once."""

        def one(number_and_token: tuple[int, str]) -> tuple[int, str | None]:
            number, token = number_and_token
            with played.gateway(f"10.9.1.{number}", token) as client:
                answer = client.post(f"/api/v1/shopping/coupons/{coupon_id}/issue")
                return answer.status_code, answer.json().get("error", {}).get("code")

        with ThreadPoolExecutor(10) as pool:
            return list(pool.map(one, enumerate(tokens)))

    def test_balance_by_rows_and_redis_never_by_the_counter(
        self, played: Played, adapter: Adapter, fixtures: Fixtures, tokens: list[str]
    ) -> None:
        outcomes = self.issue(played, fixtures.coupon_id, tokens)
        assert outcomes.count((200, None)) == 5
        assert set(outcomes) <= {(200, None), (409, "S602"), (400, "S606")}  # both mean sold out (platform.md 12)
        book = adapter.ledger_counts(fixtures).coupons
        assert book is not None
        assert (len(book.users), len(set(book.users)), book.members, book.stock_left) == (5, 5, 5, 0)
        assert book.counter is None

    def test_a_second_one_is_a_duplicate(self, played: Played, fixtures: Fixtures, tokens: list[str]) -> None:
        assert self.issue(played, fixtures.coupon_id, tokens[:1]) == [(200, None)]
        assert self.issue(played, fixtures.coupon_id, tokens[:1]) == [(409, "S604")]

    def test_are_gone_from_both_stores_afterwards(
        self, played: Played, adapter: Adapter, fixtures: Fixtures, tokens: list[str]
    ) -> None:
        self.issue(played, fixtures.coupon_id, tokens[:2])
        assert adapter.clean_up(fixtures) == []
        assert played.sql("SELECT 1 FROM coupons WHERE id = %s", int(fixtures.coupon_id)) == []
        assert list(played.redis().scan_iter(f"coupon:*:{fixtures.coupon_id}")) == []


class TestDialect:
    """platform.md 11 at the portal's gateway, limiter on."""

    def test_pages_begin_at_1_and_search_at_0(self, played: Played) -> None:
        with played.gateway() as client:
            assert client.get("/api/v1/shopping/products?page=0").json()["error"]["code"] == "C002"
            assert client.get("/api/v1/shopping/products/search").status_code == 400
            page = client.get("/api/v1/blog/posts?page=1").json()["data"]
            assert isinstance(page["items"][0]["id"], str)
            found = client.get("/api/v1/shopping/search/products?keyword=Electronics&page=0").json()["data"]
            assert (found["results"], found["totalHits"], found["page"]) == ([], 0, 0)

    def test_refusals_of_the_limiter_are_empty_and_count_by_route_and_address(self, played: Played) -> None:
        path = "/api/v1/shopping/products?page=1&size=1"
        with played.gateway("10.9.9.1") as client, played.redis() as redis:
            assert client.get(path).headers["x-ratelimit-burst-capacity"] == "200"
            bucket = "request_rate_limiter.{shopping-service.10.9.9.1}"
            redis.set(f"{bucket}.tokens", 0)
            redis.set(f"{bucket}.timestamp", redis.time()[0] + 60)  # nothing flows in until then
            refused = client.get(path)
            assert (refused.status_code, refused.content) == (429, b"")
            assert "retry-after" not in refused.headers
            assert refused.headers["x-ratelimit-remaining"] == "0"
            assert client.get("/api/v1/blog/posts?page=1").status_code == 200  # another route
        with played.gateway("10.9.9.2") as other:
            assert other.get(path).status_code == 200  # another address

    def test_three_wrong_passwords_lock_one_address_and_not_another(self, played: Played, tokens: list[str]) -> None:
        user = {"email": "load0002@test.com", "password": "Wrong!9x7Qp2"}
        with played.gateway("10.9.8.1") as client:
            statuses = [client.post("/api/v1/auth/login", json=user).status_code for _ in range(4)]
            assert statuses == [401, 401, 401, 429]
            assert client.post("/api/v1/auth/login", json=user).json()["error"]["code"] == "A018"
        with played.gateway("10.9.8.2") as other:
            right = {**user, "password": "Lt!9x7Qp2#Zk"}
            assert other.post("/api/v1/auth/login", json=right).status_code == 200

    def test_signup_wants_the_password_policy(self, played: Played) -> None:
        weak = {"email": "weak@test.com", "password": "Test1234!", "nickname": "weak"}
        with played.gateway() as client:
            answer = client.post("/api/v1/users/signup", json=weak)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "A021")

    def test_tokens_last_15_minutes_and_name_their_key(self, tokens: list[str]) -> None:
        claims = jwt.decode(tokens[0], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 900
        assert jwt.get_unverified_header(tokens[0]) == {"alg": "HS256", "typ": "JWT", "kid": "key-default"}

    def test_orders_fail_without_the_seller_service(
        self, played: Played, fixtures: Fixtures, tokens: list[str]
    ) -> None:
        address = {"receiverName": "x", "receiverPhone": "1", "zipCode": "1", "address1": "x"}
        with played.gateway(token=tokens[3]) as client:
            client.post("/api/v1/shopping/cart/items", json={"productId": 1, "quantity": 1}).raise_for_status()
            client.post("/api/v1/shopping/cart/checkout").raise_for_status()
            answer = client.post("/api/v1/shopping/orders", json={"shippingAddress": address})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "S901")
        assert played.sql("SELECT 1 FROM orders") == []

    @pytest.mark.parametrize(("headers", "status"), [({"X-User-Id": "u"}, 403), ({}, 403)])
    def test_a_service_itself_wants_a_role(self, played: Played, headers: dict[str, str], status: int) -> None:
        url = f"{played.profile.addresses[ServiceId.SHOPPING]}/cart"
        answer = httpx.get(url, headers=headers, trust_env=False)
        assert (answer.status_code, answer.content) == (status, b"")
        vouched = {"X-User-Id": "u", "X-User-Effective-Roles": "ROLE_USER"}
        assert httpx.get(url, headers=vouched, trust_env=False).status_code == 200
        played.sql("DELETE FROM carts WHERE user_id = 'u'")

    @pytest.mark.parametrize("service", [ServiceId.GATEWAY, ServiceId.SHOPPING, ServiceId.BLOG])
    def test_requests_have_no_buckets_as_in_the_profile_local(self, played: Played, service: ServiceId) -> None:
        text = httpx.get(f"{played.profile.addresses[service]}/actuator/prometheus", trust_env=False).text
        assert "http_server_requests_seconds_count{" in text
        assert "http_server_requests_seconds_bucket{" not in text

    def test_has_no_admin_endpoints_in_the_shop(self, played: Played) -> None:
        url = f"{played.profile.addresses[ServiceId.SHOPPING]}/admin/seed"
        assert httpx.get(url, trust_env=False).status_code == 404


class TestLimiterChoices:
    """The three ways of the profile, by the real k6 at 80 requests a second, where one address may have 50."""

    SECONDS = 8
    RATE = 80

    def blog(self, played: Played, way: str, folder: Path) -> ScenarioResult:
        document = played.profile.model_dump()
        document["limiter"]["way"] = way
        smoke = load_load("smoke")
        numbers = {"rate_per_s": self.RATE, "duration_s": self.SECONDS, "pre_allocated_vus": 20, "max_vus": 60}
        load = smoke.model_copy(update={"b": smoke.b.model_copy(update=numbers)})
        return run("b", Profile.model_validate(document), folder, load)

    @pytest.mark.parametrize("way", ["x-real-ip", "direct"])
    def test_that_leave_it_out_meet_no_refusal(
        self, played: Played, tokens: list[str], tmp_path: Path, way: str
    ) -> None:
        result = self.blog(played, way, tmp_path)
        assert result.outcomes.get("429", 0) == 0
        assert (result.wrong_answers, result.error_rate) == (0, 0.0)

    def test_that_measures_it_counts_its_refusals_apart(
        self, played: Played, tokens: list[str], tmp_path: Path
    ) -> None:
        with played.redis() as redis:  # as after a busy minute: without the 200 that an idle address has saved up
            bucket = "request_rate_limiter.{blog-service.127.0.0.1}"
            redis.set(f"{bucket}.tokens", 20)
            redis.set(f"{bucket}.timestamp", redis.time()[0] + 5)
        result = self.blog(played, "measure", tmp_path)
        assert result.outcomes["429"] > 0
        judged = next(row for row in result.thresholds if row.metric.endswith("without 429"))
        assert judged.ok
        assert judged.samples == result.requests - result.outcomes["429"]
