"""The events a target's profile describes."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from bots.events import CUSTOMERS, MARK_HEADER, ORDERS, EventFactory, mark_prefix
from bots.plan import BotPlan
from core.rundir import MARK_LENGTH
from targets.model import load_profile
from targets.shape import BotStep

RUN_ID = "20261122T205048Z-portal-smoke-ab12"
MOMENT_S = datetime(2026, 11, 22, 20, 50, 48, 123456, UTC).timestamp()
PRODUCER = 3


def plan_for(target: str = "portal", run_id: str = RUN_ID, **changes: Any) -> BotPlan:
    return BotPlan(
        run_id=run_id,
        bootstrap_servers="127.0.0.1:1",
        events=load_profile(target).events.model_copy(update=changes),
        steps=(BotStep(rate_per_s=1, duration_s=1),),
    )


def factory_for(plan: BotPlan, now_s: list[float] | None = None) -> EventFactory:
    """A factory whose clock shows the first of `now_s`."""
    clock = now_s or [MOMENT_S]
    return EventFactory(plan, random.Random(1), PRODUCER, lambda: clock[0])


@pytest.fixture(scope="module", params=["portal", "portal-universe"])
def plan(request: pytest.FixtureRequest) -> BotPlan:
    return plan_for(request.param)


@pytest.fixture(scope="module")
def factory(plan: BotPlan) -> EventFactory:
    return factory_for(plan)


@pytest.fixture(scope="module")
def events(factory: EventFactory) -> list[dict[str, Any]]:
    """One event of each order."""
    return [json.loads(factory.message(sequence).value) for sequence in range(ORDERS)]


class TestEvent:
    def test_has_the_type_header_without_which_the_platform_dead_letters_it(self, factory: EventFactory) -> None:
        assert dict(factory.message(0).headers)["__TypeId__"] == b"com.portal.universe.event.shopping.OrderCreatedEvent"

    def test_has_the_fields_of_the_profile_and_no_other(self, plan: BotPlan, factory: EventFactory) -> None:
        assert list(json.loads(factory.message(0).value)) == list(plan.events.fields)

    @pytest.mark.parametrize("key", ["orderNumber", "userId", "totalAmount"])
    def test_is_keyed_by_the_field_that_the_profile_names(self, key: str) -> None:
        message = factory_for(plan_for(key=key)).message(7)
        assert message.key.decode() == str(json.loads(message.value)[key])

    def test_has_an_order_number_of_its_own_with_the_run_in_it(self, factory: EventFactory) -> None:
        numbers = {json.loads(factory.message(sequence).value)["orderNumber"] for sequence in range(2 * ORDERS)}
        assert len(numbers) == 2 * ORDERS
        assert {"LT-20261122T205048Z-ab12-3-00000499", "LT-20261122T205048Z-ab12-3-00008191"} <= numbers

    def test_has_a_user_id_that_fits_the_platform_s_36_characters(self, events: list[dict[str, Any]]) -> None:
        users = {event["userId"] for event in events}
        assert len(users) > 1000
        assert all(user.startswith("lt-20261122T205048Z-ab12-") and len(user) <= 36 for user in users)

    def test_has_a_short_user_id_for_the_longest_mark_and_customer(self) -> None:
        mark = plan_for(run_id="r" * MARK_LENGTH).mark
        assert len(f"lt-{mark}-{CUSTOMERS - 1:05d}") <= 36

    def test_adds_up(self, events: list[dict[str, Any]]) -> None:
        for event in events[:50]:
            assert event["itemCount"] == len(event["items"]) > 0
            assert event["totalAmount"] == sum(item["price"] * item["quantity"] for item in event["items"])

    def test_has_a_date_without_offset_because_the_platform_refuses_one(self, factory: EventFactory) -> None:
        assert json.loads(factory.message(0).value)["createdAt"] == "2026-11-22T20:50:48.123"

    def test_has_the_time_at_which_it_was_made(self) -> None:
        now_s = [MOMENT_S]
        factory = factory_for(plan_for(), now_s)
        first = json.loads(factory.message(0).value)
        now_s[0] += 61.5
        again = json.loads(factory.message(ORDERS).value)  # the same order, later
        assert (first["items"], first["userId"]) == (again["items"], again["userId"])
        assert first["orderNumber"] != again["orderNumber"]
        assert (first["createdAt"], again["createdAt"]) == ("2026-11-22T20:50:48.123", "2026-11-22T20:51:49.623")

    def test_is_as_large_as_a_real_order(self, factory: EventFactory) -> None:
        sizes = [len(factory.message(sequence).value) for sequence in range(200)]
        assert min(sizes) > 150
        assert max(sizes) < 1000
        assert max(sizes) > 2 * min(sizes)  # from one item to five


class TestTemplates:
    """A message is a template filled with `%`: what the template's own text holds of it must stay."""

    def test_keep_a_percent_sign_in_a_product(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bots.events._PRODUCTS", ("100% 면", "%s", "%(number)b", "%%"))
        factory = factory_for(plan_for())
        events = [json.loads(factory.message(sequence).value) for sequence in range(50)]
        names = {item["productName"].rpartition(" ")[0] for event in events for item in event["items"]}
        assert names == {"100% 면", "%s", "%(number)b", "%%"}

    @pytest.mark.parametrize("key", ["orderNumber", "userId"])
    def test_keep_a_percent_sign_in_a_run_id(self, key: str) -> None:
        message = factory_for(plan_for(run_id="50%d-%(moment)b", key=key)).message(5)
        event = json.loads(message.value)
        assert event["orderNumber"] == "LT-50%d-%(moment)b-3-00000005"
        assert event["userId"].startswith("lt-50%d-%(moment)b-")
        assert message.key.decode() == event[key]
        assert dict(message.headers)[MARK_HEADER] == b"50%d-%(moment)b/3/5"


class TestCustomers:
    def test_order_as_often_as_zipf_s_law_says(self, events: list[dict[str, Any]]) -> None:
        orders = Counter(int(event["userId"].rpartition("-")[2]) for event in events)
        assert min(orders) == 0
        assert max(orders) < CUSTOMERS
        # The first n of N customers make ln(n + 1) / ln N of the orders: the first alone 7.5 %, the first 99 half.
        busiest, share = orders.most_common(1)[0]
        assert busiest == 0
        assert 0.05 < share / ORDERS < 0.10
        for first in (9, 99, 999):
            found = sum(count for customer, count in orders.items() if customer < first) / ORDERS
            assert found == pytest.approx(math.log(first + 1) / math.log(CUSTOMERS), abs=0.04)


class TestMark:
    @pytest.mark.parametrize(
        ("run_id", "mark"),
        [
            pytest.param(RUN_ID, "20261122T205048Z-ab12", id="moment and suffix of a run id"),
            pytest.param("nightly-7", "nightly-7", id="a short one stays"),
        ],
    )
    def test_is_short_and_still_the_run_s_own(self, plan: BotPlan, run_id: str, mark: str) -> None:
        assert plan.model_copy(update={"run_id": run_id}).mark == mark

    def test_in_the_header_says_which_run_producer_and_sequence_it_is(self, factory: EventFactory) -> None:
        mark = dict(factory.message(41).headers)[MARK_HEADER]
        assert mark == f"{RUN_ID}/3/41".encode()
        assert mark.removeprefix(mark_prefix(RUN_ID, PRODUCER)) == b"41"
