"""Small parts of the portal: password policy, seed data, routing, settings, pool."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pymysql.err import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from starlette.requests import Request

from infra.portal import pool as pool_module
from infra.portal import seed
from infra.portal.auth import weakness
from infra.portal.faults import POOL_EXHAUSTION, Fault, Faults
from infra.portal.gateway import ROUTES, Service, _forwarded, _route_of, _url
from infra.portal.http import ApiError
from infra.portal.metrics import Meters
from infra.portal.pool import Pool
from infra.portal.settings import PortalSettings
from infra.portal.stores import MeteredRedis, StoreMissing, redis_pool, store_of, wait_for


class TestRedisMeter:
    async def test_times_every_command_also_one_that_fails(self) -> None:
        meters = Meters("shopping-service", "test")
        redis = MeteredRedis(redis_pool("redis://127.0.0.1:1/0"), meters.timer("lettuce", ("command",)))
        with pytest.raises(RedisConnectionError):
            await redis.get("key")
        labels = {"application": "shopping-service", "environment": "test", "command": "GET"}
        counted = {metric.name: metric.samples for metric in text_string_to_metric_families(meters.render().decode())}
        assert [(s.value, s.labels) for s in counted["lettuce"] if s.name == "lettuce_count"] == [(1, labels)]


class TestPasswordPolicy:
    @pytest.mark.parametrize(
        ("password", "reason"),
        [
            ("loadtest123", "upper and lower"),
            ("Test1234!", "sequence"),
            ("Lt!9x7Qp2#abcZ", "sequence"),
            ("Lt!9x7Qp2#ZZZk", "three times"),
            ("Kim!9x7Qp2#Zk", "e-mail or the nickname"),
        ],
    )
    def test_refuses(self, password: str, reason: str) -> None:
        assert reason in (weakness(password, ("kim", "nick")) or "")

    @pytest.mark.parametrize("password", ["Lt!9x7Qp2#Zk", "Zk#2pQ7x9!tL"])
    def test_accepts(self, password: str) -> None:
        assert weakness(password, ("kim", "nick")) is None


class TestSeed:
    def test_each_word_is_in_exactly_its_number_of_products(self) -> None:
        words = Counter(word for _, name, *_ in seed.products() for word in name.split())
        assert {word: words[word] for word in seed.PLANTED} == seed.PLANTED

    def test_the_numbers_differ_so_that_words_cannot_be_mixed_up(self) -> None:
        assert len(set(seed.PLANTED.values())) == len(seed.PLANTED) == 10

    def test_there_are_200_products_200_posts_and_600_load_users_beside_the_designs_own(self) -> None:
        counted = len(list(seed.products())), len(list(seed.posts())), len(list(seed.users()))
        assert counted == (200, 200, 601)

    def test_is_the_same_each_time(self) -> None:
        assert list(seed.products()) == list(seed.products())
        assert list(seed.users())[1] == ("00000000-0000-4000-8000-000000000001", "load0001@test.com", "load0001")

    def test_ids_of_posts_look_like_object_ids(self) -> None:
        ids = [post_id for post_id, *_ in seed.posts()]
        assert len(set(ids)) == 200
        assert all(len(post_id) == 24 and int(post_id, 16) for post_id in ids)


def request(path: str, query: str = "", headers: dict[str, str] | None = None) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": raw,
            "client": ("127.0.0.1", 5),
        }
    )


class TestRouting:
    SERVICE = Service("any", "http://127.0.0.1:1", "GW-F000")

    @pytest.mark.parametrize(
        ("path", "route", "forwarded"),
        [
            ("/api/v1/auth/login", "auth-login", "/api/v1/auth/login"),
            ("/api/v1/auth/refresh", "auth-service", "/api/v1/auth/refresh"),
            ("/auth-service/api/v1/auth/refresh", "auth-frontend", "/api/v1/auth/refresh"),
            ("/api/v1/blog/posts", "blog-service", "/posts"),
            ("/api/v1/shopping/products/7", "shopping-service", "/products/7"),
            ("/notification/api/v1/notifications", "notification-service", "/api/v1/notifications"),
        ],
    )
    def test_strips_the_prefix(self, path: str, route: str, forwarded: str) -> None:
        chosen = _route_of(path)
        assert chosen.route_id == route
        assert _url(self.SERVICE, chosen, request(path)).raw_path == forwarded

    def test_keeps_the_query_as_it_came(self) -> None:
        asked = request("/api/v1/shopping/search/products", "keyword=%EB%85%B8&page=0")
        assert str(_url(self.SERVICE, _route_of(asked.scope["path"]), asked)).endswith("?keyword=%EB%85%B8&page=0")

    @pytest.mark.parametrize("path", ["../admin", "%2e%2e/admin", "a/./b", "a%2Fb", "a%5cb", "a\\b", "."])
    def test_refuses_paths_that_mean_something_else_further_on(self, path: str) -> None:
        full = f"/api/v1/shopping/{path}"
        with pytest.raises(ApiError) as caught:
            _url(self.SERVICE, _route_of(full), request(full))
        assert caught.value.status == 400

    def test_knows_no_other_path(self) -> None:
        with pytest.raises(ApiError) as caught:
            _route_of("/elsewhere")
        assert caught.value.status == 404

    def test_every_route_has_an_id_of_its_own(self) -> None:
        assert len({route.route_id for route in ROUTES}) == len(ROUTES)

    def test_what_only_the_gateway_may_say_is_not_passed_on(self) -> None:
        said = {"X-User-Id": "me", "X-B3-Sampled": "1", "b3": "1", "X-Forwarded-For": "1.2.3.4", "Connection": "close"}
        kept = _forwarded(request("/", headers=said | {"Accept": "*/*"}), None, {"X-B3-Sampled": "0"})
        assert kept == {"accept": "*/*", "x-forwarded-for": "127.0.0.1", "X-B3-Sampled": "0"}


class TestSettings:
    def test_secrets_are_not_shown(self) -> None:
        shown = repr(PortalSettings(mysql_password="hidden", jwt_secret="hidden too"))  # type: ignore[arg-type]
        assert "hidden" not in shown


class TestWaiting:
    async def test_ends_with_the_store_the_reason_and_the_cure(self) -> None:
        async def refused() -> None:
            raise ConnectionRefusedError("nobody there")

        with pytest.raises(StoreMissing, match=r"Redis at here does not answer.*nobody there.*PORTAL_\*"):
            await wait_for("Redis at here", refused, timeout_s=0)

    def test_errors_name_their_store(self) -> None:
        assert store_of(OperationalError()) == "MySQL"
        assert store_of(TimeoutError()) == "A store"


class StandIn:
    """As much of a connection as the pool looks at while nothing is asked of it."""

    closed = False

    class _reader:
        @staticmethod
        def at_eof() -> bool:
            return False

    def close(self) -> None:
        self.closed = True


FAULTS = Faults({POOL_EXHAUSTION: Fault("every connection that is lent stays away")})


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    async def connect(_self: Pool, _database: str | None) -> Any:
        return StandIn()

    monkeypatch.setattr(Pool, "_connect", connect)
    monkeypatch.setattr(pool_module, "ACQUIRE_TIMEOUT_S", 0.05)
    return Pool(PortalSettings(pool_size=2), "any_db", Meters("test-service", "unit"), "HikariPool-1", FAULTS)


class TestPool:
    async def test_lends_no_more_than_its_size_and_counts_who_gave_up(self, pool: Pool) -> None:
        async with pool.session(), pool.session():
            assert (pool.active, pool.idle) == (2, [])
            with pytest.raises(OperationalError, match="no connection within"):
                async with pool.session():
                    pass
        assert (pool.active, len(pool.idle), pool.pending) == (0, 2, 0)
        assert pool._meters.timeouts._value.get() == 1

    async def test_hands_a_waiting_borrower_what_comes_back(self, pool: Pool) -> None:
        borrowed: list[object] = []

        async def borrow() -> None:
            async with pool.session() as session:
                borrowed.append(session.connection)

        async with pool.session():
            async with pool.session() as lent:
                waiting = asyncio.create_task(borrow())
                await asyncio.sleep(0)
                assert (pool.pending, borrowed) == (1, [])
            await waiting
        assert borrowed == [lent.connection]

    async def test_forgets_a_connection_that_was_closed_in_use(self, pool: Pool) -> None:
        async with pool.session() as session:
            session.connection.close()
        assert (pool.active, pool.idle) == (0, [])

    async def test_opens_a_new_one_for_an_idle_one_that_the_server_closed(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with pool.session() as session:
            stale = session.connection
        monkeypatch.setattr(stale, "_reader", type("Ended", (), {"at_eof": staticmethod(lambda: True)}))
        async with pool.session() as session:
            assert session.connection is not stale
        assert stale.closed

    async def test_a_connection_that_cannot_be_opened_gives_its_place_back(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refused(_self: Pool, _database: str | None) -> Any:
            raise OperationalError(2003, "refused")

        with monkeypatch.context() as patched:
            patched.setattr(Pool, "_connect", refused)
            for _ in range(5):
                with pytest.raises(OperationalError):
                    async with pool.session():
                        pass
        async with pool.session(), pool.session():
            assert pool.active == 2

    async def test_a_leak_takes_its_place_until_it_is_mended(self, pool: Pool) -> None:
        FAULTS.switch_on(POOL_EXHAUSTION)
        try:
            for _ in range(2):
                async with pool.session():
                    pass
            assert (pool.active, pool.idle) == (2, [])
            with pytest.raises(OperationalError, match="no connection within"):
                async with pool.session():
                    pass
        finally:
            FAULTS.switch_off(POOL_EXHAUSTION)
        assert (pool.active, len(pool.idle)) == (0, 2)
        async with pool.session(), pool.session():
            assert pool.active == 2

    async def test_what_is_apart_needs_no_place_and_is_closed_after_use(self, pool: Pool) -> None:
        async with pool.session(), pool.session(), pool.apart() as apart:
            assert (pool.active, apart.connection.closed) == (2, False)
        assert apart.connection.closed
        assert len(pool.idle) == 2
