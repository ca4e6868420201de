"""Which order events become notifications, and which go to the dead-letter topic (platform.md 12)."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord, TopicPartition

from infra.portal.faults import Faults
from infra.portal.listener import Listener, Unreadable, notification_of
from infra.portal.metrics import Meters
from infra.portal.pool import Pool

TYPED = (("__TypeId__", b"com.portal.universe.event.shopping.OrderCreatedEvent"),)
EVENT = {
    "orderNumber": "ORD-1",
    "userId": "u1",
    "totalAmount": 5000,
    "itemCount": 1,
    "items": [],
    "createdAt": "2026-02-03T10:00:00",
}


def record(value: bytes, headers: tuple[tuple[str, bytes], ...] = TYPED) -> ConsumerRecord[bytes, bytes]:
    topic = "shopping.order.created"
    return ConsumerRecord(topic, 0, 7, 0, 0, b"ORD-1", value, None, 5, len(value), headers)


def event(**changes: Any) -> bytes:
    return orjson.dumps(EVENT | changes)


class TestNotification:
    def test_names_user_and_order(self) -> None:
        user, kind, _, message, link, reference, _ = notification_of(record(event()))
        assert (user, kind, link, reference) == ("u1", "ORDER_CREATED", "/shopping/orders/ORD-1", "ORD-1")
        assert "5000" in message

    @pytest.mark.parametrize(
        "created_at",
        ["2026-02-03T10:00:00", "2026-02-03T10:00:00.123456", "2026-02-03T10:00:00Z", [2026, 2, 3, 10], None],
    )
    def test_reads_the_dates_the_platform_reads(self, created_at: object) -> None:
        assert notification_of(record(event(createdAt=created_at)))[0] == "u1"

    def test_without_an_order_number_has_no_reference(self) -> None:
        assert notification_of(record(orjson.dumps({"userId": 17, "orderId": "x"})))[4:6] == (
            "/shopping/orders/None",
            None,
        )


class TestDeadLetter:
    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            (record(event(), headers=()), "__TypeId__ is None"),
            (record(event(), headers=(("__TypeId__", b"com.example.Other"),)), "__TypeId__ is b'com.example.Other'"),
            (record(b"{not json"), "no JSON"),
            (record(b""), "no JSON"),
            (record(b"[]"), "no JSON object"),
            (record(event(userId=None)), "userId None"),
            (record(event(userId="x" * 37)), "userId"),
            (record(event(createdAt="2026-02-03T10:00:00+09:00")), "createdAt"),
            (record(event(createdAt=1770000000)), "createdAt"),
            (record(event(createdAt="yesterday")), "createdAt"),
        ],
        ids=[
            "no class",
            "unknown class",
            "no json",
            "empty",
            "array",
            "no user",
            "long user",
            "offset",
            "epoch",
            "word",
        ],
    )
    def test_takes_what_the_platform_cannot_read(self, broken: ConsumerRecord[bytes, bytes], reason: str) -> None:
        with pytest.raises(Unreadable, match=reason):
            notification_of(broken)


class SlowBroker:
    """A consumer that is assigned a partition before it knows its position, as under an overloaded broker."""

    def __init__(self) -> None:
        self.partition = TopicPartition("shopping.order.created", 0)
        self.known: set[TopicPartition] = set()
        self.committed: list[set[TopicPartition]] = []

    async def getmany(self, **_: object) -> dict[TopicPartition, list[object]]:
        await asyncio.sleep(0)
        return {}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({self.partition})

    async def position(self, partition: TopicPartition) -> int:
        self.known.add(partition)
        return 0

    async def commit(self) -> None:
        self.committed.append(set(self.known))


class TestFirstCommit:
    def test_says_where_the_group_stands_although_nothing_was_read(self) -> None:
        broker = SlowBroker()

        async def listen_a_while() -> None:
            parts = cast(AIOKafkaConsumer, broker), cast(AIOKafkaProducer, None), cast(Pool, None)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await Listener(*parts, Meters("notification-service", "test"), Faults({})).run()

        asyncio.run(listen_a_while())
        assert broker.committed == [{broker.partition}]
