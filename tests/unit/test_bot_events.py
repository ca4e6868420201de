"""The events a target's profile describes."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest

from bots.events import EventFactory
from bots.plan import BotPlan
from targets.load import BotStep
from targets.model import load_profile

RUN_ID = "20261122T205048Z-portal-smoke-ab12"


@pytest.fixture(params=["portal", "portal-universe"])
def plan(request: pytest.FixtureRequest) -> BotPlan:
    return BotPlan(
        run_id=RUN_ID,
        producer=3,
        bootstrap_servers="127.0.0.1:1",
        events=load_profile(request.param).events,
        steps=(BotStep(rate_per_s=1, duration_s=1),),
    )


@pytest.fixture
def factory(plan: BotPlan) -> EventFactory:
    moment = datetime(2026, 11, 22, 20, 50, 48, 123456, UTC)
    return EventFactory(plan, random.Random(1), lambda: moment)


class TestEvent:
    def test_has_the_type_header_without_which_the_platform_dead_letters_it(self, factory: EventFactory) -> None:
        assert dict(factory.message(0).headers)["__TypeId__"] == b"com.portal.universe.event.shopping.OrderCreatedEvent"

    def test_says_which_run_producer_and_sequence_it_is(self, factory: EventFactory) -> None:
        headers = dict(factory.message(41).headers)
        assert (headers["run_id"], headers["producer"], headers["sequence"]) == (RUN_ID.encode(), b"3", b"41")

    def test_has_the_fields_of_the_profile_and_no_other(self, plan: BotPlan, factory: EventFactory) -> None:
        assert list(json.loads(factory.message(0).value)) == list(plan.events.fields)

    def test_is_keyed_by_the_field_that_the_profile_names(self, plan: BotPlan, factory: EventFactory) -> None:
        message = factory.message(7)
        assert message.key.decode() == json.loads(message.value)[plan.events.key]

    def test_has_an_order_number_of_its_own_with_the_run_in_it(self, factory: EventFactory) -> None:
        numbers = {json.loads(factory.message(sequence).value)["orderNumber"] for sequence in range(500)}
        assert len(numbers) == 500
        assert "LT-20261122T205048Z-ab12-3-00000499" in numbers

    def test_has_a_user_id_that_fits_the_platform_s_36_characters(self, factory: EventFactory) -> None:
        users = {json.loads(factory.message(sequence).value)["userId"] for sequence in range(500)}
        assert len(users) > 400
        assert all(user.startswith("lt-20261122T205048Z-ab12-") and len(user) <= 36 for user in users)

    def test_adds_up(self, factory: EventFactory) -> None:
        for sequence in range(50):
            event = json.loads(factory.message(sequence).value)
            assert event["itemCount"] == len(event["items"]) > 0
            assert event["totalAmount"] == sum(item["price"] * item["quantity"] for item in event["items"])

    def test_has_a_date_without_offset_because_the_platform_refuses_one(self, factory: EventFactory) -> None:
        assert json.loads(factory.message(0).value)["createdAt"] == "2026-11-22T20:50:48.123"

    def test_is_as_large_as_a_real_order(self, factory: EventFactory) -> None:
        sizes = [len(factory.message(sequence).value) for sequence in range(200)]
        assert min(sizes) > 150
        assert max(sizes) < 1000


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
