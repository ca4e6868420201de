"""Faults of blog, search, Kafka and tracing at the running portal: on, the effect is measured; off, it is gone."""

from __future__ import annotations

import re
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")

ADDRESS = {"receiverName": "Kim", "receiverPhone": "010-0000-0000", "zipCode": "04524", "address1": "Seoul"}
HEALTHY_TIMES = 5  # how often a healthy part is asked, for a median
ILL_TIMES = 3
FAR_SLOWER = 4.0
SMOKE_LIMIT_MS = {"post_list": 80.0, "product_search": 100.0}  # design 4.3 B and D, p95


@dataclass(frozen=True)
class Portal:
    """A client for each process that is asked here."""

    gateway: httpx.Client
    blog: httpx.Client
    shopping: httpx.Client
    notification: httpx.Client
    zipkin: httpx.Client


@pytest.fixture(scope="module")
def portal(request: pytest.FixtureRequest) -> Iterator[Portal]:
    urls = request.getfixturevalue("portal_urls")
    names = ("gateway", "blog", "shopping", "notification", "zipkin")
    clients = {name: httpx.Client(base_url=getattr(urls, name), timeout=20, trust_env=False) for name in names}
    portal = Portal(**clients)
    for service in (urls.auth, urls.blog, urls.shopping):
        httpx.post(f"{service}/admin/seed", timeout=20, trust_env=False).raise_for_status()
    yield portal
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def token(portal: Portal) -> dict[str, str]:
    user = {"email": "load0100@test.com", "password": "loadtest123"}
    answer = portal.gateway.post("/api/v1/auth/login", json=user).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}


@contextmanager
def ill(service: httpx.Client, fault: str, strength: float | None = None) -> Iterator[None]:
    """The service with the fault on."""
    body = {} if strength is None else {"strength": strength}
    service.put(f"/admin/faults/{fault}", json=body).raise_for_status()
    try:
        yield
    finally:
        service.delete(f"/admin/faults/{fault}").raise_for_status()


def eventually(described: str, look: Callable[[], T], within_s: float = 15) -> T:
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{described}: not within {within_s} s, last seen {seen!r}"
        time.sleep(0.05)
    return seen


def metric(client: httpx.Client, name: str) -> float:
    """The sum of the samples of one series name."""
    samples = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", client.get("/actuator/prometheus").text, re.MULTILINE)
    return sum(map(float, samples))


def median_ms(ask: Callable[[], object], times: int) -> float:
    def once() -> float:
        began = time.perf_counter()
        ask()
        return (time.perf_counter() - began) * 1000

    return statistics.median(once() for _ in range(times))


def place_order(portal: Portal, token: dict[str, str]) -> str:
    """One product bought; returns the order's number."""
    item = {"productId": 1, "quantity": 1}
    portal.gateway.post("/api/v1/shopping/cart/items", json=item, headers=token).raise_for_status()
    portal.gateway.post("/api/v1/shopping/cart/checkout", headers=token).raise_for_status()
    body = {"shippingAddress": ADDRESS}
    answer = portal.gateway.post("/api/v1/shopping/orders", json=body, headers=token).raise_for_status()
    return str(answer.json()["data"]["orderNumber"])


class TestSlowQuery:
    def test_sorts_the_same_pages_at_a_cost_that_breaks_the_smoke_loads_threshold(self, portal: Portal) -> None:
        def page() -> dict[str, Any]:
            answer = portal.gateway.get("/api/v1/blog/posts?page=2&size=20").raise_for_status()
            return dict(answer.json()["data"])

        healthy, healthy_ms = page(), median_ms(page, HEALTHY_TIMES)
        with ill(portal.blog, "slow-query"):
            assert page() == healthy
            ill_ms = median_ms(page, ILL_TIMES)
        assert ill_ms > max(FAR_SLOWER * healthy_ms, SMOKE_LIMIT_MS["post_list"])
        assert median_ms(page, HEALTHY_TIMES) < ill_ms / FAR_SLOWER

    def test_leaves_a_single_post_as_fast_as_it_was(self, portal: Portal) -> None:
        post = portal.gateway.get("/api/v1/blog/posts").json()["data"]["items"][0]["id"]
        with ill(portal.blog, "slow-query"):
            assert median_ms(lambda: portal.gateway.get(f"/api/v1/blog/posts/{post}"), HEALTHY_TIMES) < 50


class TestSlowSearch:
    def test_finds_the_same_at_a_cost_that_breaks_the_smoke_loads_threshold(self, portal: Portal) -> None:
        def found() -> dict[str, Any]:
            params: dict[str, str | int] = {"keyword": "노트북", "page": 0, "size": 20}
            answer = portal.gateway.get("/api/v1/shopping/search/products", params=params).raise_for_status()
            return dict(answer.json()["data"])

        healthy, healthy_ms = found(), median_ms(found, HEALTHY_TIMES)
        with ill(portal.shopping, "slow-search"):
            assert found() == healthy
            ill_ms = median_ms(found, ILL_TIMES)
        assert ill_ms > max(FAR_SLOWER * healthy_ms, SMOKE_LIMIT_MS["product_search"])
        assert median_ms(found, HEALTHY_TIMES) < ill_ms / FAR_SLOWER


class TestEmptyResults:
    def test_answers_every_search_with_success_and_no_hits(self, portal: Portal) -> None:
        def hits() -> tuple[int, bool, int, int]:
            answer = portal.gateway.get("/api/v1/shopping/search/products", params={"keyword": "노트북"})
            body = answer.json()
            return answer.status_code, body["success"], body["data"]["totalHits"], len(body["data"]["results"])

        with ill(portal.shopping, "empty-results"):
            assert hits() == (200, True, 0, 0)
            assert portal.shopping.get("/admin/seed").json()["search"]["노트북"] == 20
        assert hits() == (200, True, 20, 20)


class TestConsumer:
    def test_that_is_slow_takes_far_longer_for_a_record(self, portal: Portal, token: dict[str, str]) -> None:
        healthy_s = self._seconds_a_record(portal, token, records=3)
        with ill(portal.notification, "consumer-slow"):
            ill_s = self._seconds_a_record(portal, token, records=3)
        assert ill_s > 1 / 8  # so that the bot's 3,000 records of `smoke` are not drained in 300 s
        assert ill_s > FAR_SLOWER * healthy_s

    def test_that_is_slow_goes_on_when_it_is_switched_off_in_the_middle_of_a_record(
        self, portal: Portal, token: dict[str, str]
    ) -> None:
        reads = metric(portal.notification, "hikaricp_connections_usage_seconds_count")
        with ill(portal.notification, "consumer-slow", 1e9):
            order = place_order(portal, token)
            eventually(
                "the listener reads",
                lambda: metric(portal.notification, "hikaricp_connections_usage_seconds_count") > reads + 100,
            )
            assert not is_notified(portal, token, order)
        eventually("the order's notification", lambda: is_notified(portal, token, order))

    def test_that_drops_loses_the_last_of_a_batch_for_good(self, portal: Portal, token: dict[str, str]) -> None:
        with ill(portal.notification, "consumer-drops"):
            before = records_done(portal)
            lost = place_order(portal, token)
            eventually("the listener is done with it", lambda: records_done(portal) > before)
        after = place_order(portal, token)
        eventually("the next order's notification", lambda: is_notified(portal, token, after))
        assert not is_notified(portal, token, lost)

    @staticmethod
    def _seconds_a_record(portal: Portal, token: dict[str, str], records: int) -> float:
        """What the listener itself says it took for each."""
        name = "spring_kafka_listener_seconds_sum"
        before, sum_s = records_done(portal), metric(portal.notification, name)
        for _ in range(records):
            place_order(portal, token)
        eventually(f"{records} more records", lambda: records_done(portal) == before + records, within_s=30)
        return (metric(portal.notification, name) - sum_s) / records


class TestPublisher:
    def test_sends_each_event_twice_and_the_listener_writes_it_once(
        self, portal: Portal, token: dict[str, str]
    ) -> None:
        before, since = records_done(portal), datetime.now(UTC).isoformat()
        with ill(portal.shopping, "duplicate-events"):
            place_order(portal, token)
        eventually("the event and its duplicate", lambda: records_done(portal) == before + 2)
        ledger = portal.notification.get("/admin/notifications/ledger", params={"since": since}).json()
        assert ledger == {"rows": 1, "distinct": 1}
        place_order(portal, token)
        eventually("one event more", lambda: records_done(portal) == before + 3)


class TestTraceLoss:
    WHOLE = {
        ("api-gateway", "SERVER"),
        ("api-gateway", "CLIENT"),
        ("blog-service", "SERVER"),
        ("blog-service", "CLIENT"),
    }

    def test_leaves_traces_incomplete_and_counts_what_is_lost(self, portal: Portal) -> None:
        dropped = metric(portal.gateway, "zipkin_reporter_spans_dropped_total")
        with ill(portal.gateway, "trace-loss"), ill(portal.blog, "trace-loss"):
            ill_trace = self._traced_request(portal)
        assert metric(portal.gateway, "zipkin_reporter_spans_dropped_total") > dropped
        later = self._traced_request(portal)
        eventually("a whole trace", lambda: self._spans(portal, later) == self.WHOLE, within_s=30)
        assert self._spans(portal, ill_trace) < self.WHOLE  # it was sent before: more of it will not come

    @staticmethod
    def _traced_request(portal: Portal) -> str:
        trace = secrets.token_hex(16)
        headers = {"X-B3-TraceId": trace, "X-B3-SpanId": secrets.token_hex(8), "X-B3-Sampled": "1"}
        portal.gateway.get("/api/v1/blog/posts", headers=headers).raise_for_status()
        return trace

    @staticmethod
    def _spans(portal: Portal, trace: str) -> set[tuple[str, str]]:
        """(service, kind) of the trace's spans; Zipkin answers 404 while it has none."""
        answer = portal.zipkin.get(f"/api/v2/trace/{trace}")
        spans = answer.json() if answer.status_code == 200 else []
        return {(span["localEndpoint"]["serviceName"], span["kind"]) for span in spans}


def records_done(portal: Portal) -> float:
    """Records that the listener is done with."""
    return metric(portal.notification, "spring_kafka_listener_seconds_count")


def is_notified(portal: Portal, token: dict[str, str], order: str) -> bool:
    page = portal.gateway.get("/notification/api/v1/notifications?size=100", headers=token).raise_for_status()
    return order in {item["referenceId"] for item in page.json()["data"]["items"]}
