"""Faults of search, events and the listener: what the part does when one is on. No process, no network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition

from infra.portal.catalogue import _costly_bonus
from infra.portal.events import Publisher
from infra.portal.faults import DUPLICATE_EVENTS, NOTIFICATION_FAULTS, SHOPPING_FAULTS, Faults
from infra.portal.listener import TOPIC, Listener
from infra.portal.metrics import Meters

TYPED = (("__TypeId__", b"com.portal.universe.event.shopping.OrderCreatedEvent"),)
PARTITION = TopicPartition(TOPIC, 0)


def record(offset: int) -> ConsumerRecord[bytes, bytes]:
    value = b'{"orderNumber": "ORD-%d", "userId": "u1"}' % offset
    return ConsumerRecord(TOPIC, 0, offset, 0, 0, b"key", value, None, 3, len(value), TYPED)


class Topic:
    """Stands in for the consumer: hands records out, remembers the batches and what was committed."""

    def __init__(self, records: int) -> None:
        self._left = [record(offset) for offset in range(records)]
        self.batches: list[int] = []
        self.committed = 0

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        batch, self._left = self._left[:max_records], self._left[max_records:]
        if not batch:
            await asyncio.sleep(0.01)
            return {}
        self.batches.append(len(batch))
        return {PARTITION: batch}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset((PARTITION,))

    async def position(self, partition: TopicPartition) -> int:
        assert partition == PARTITION
        return 0

    async def commit(self) -> None:
        self.committed = sum(self.batches)


class Rows:
    """Stands in for pool and session: remembers the rows written and how many were read before each writing."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.reads: list[int] = [0]

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Rows]:
        yield self

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Rows]:
        yield self

    async def row(self, _sql: str, *_args: object) -> None:
        self.reads[-1] += 1
        await asyncio.sleep(0)

    async def insert_many(self, _sql: str, rows: Sequence[Sequence[Any]]) -> int:
        self.written += [row[5] for row in rows]
        self.reads.append(0)
        return len(rows)


@asynccontextmanager
async def listening(topic: Topic, rows: Rows, faults: Faults) -> AsyncIterator[asyncio.Task[None]]:
    listener = Listener(topic, None, rows, Meters("test-service", "unit"), faults)  # type: ignore[arg-type]
    task = asyncio.create_task(listener.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(topic: Topic, committed: int) -> None:
    async with asyncio.timeout(5):
        while topic.committed < committed:
            await asyncio.sleep(0.005)


def notification_faults(**on: float) -> Faults:
    faults = Faults(NOTIFICATION_FAULTS)
    for name, strength in on.items():
        faults.switch_on(name.replace("_", "-"), strength)
    return faults


class TestConsumer:
    async def test_writes_every_notification_in_one_batch(self) -> None:
        topic, rows = Topic(5), Rows()
        async with listening(topic, rows, notification_faults()):
            await until(topic, 5)
        assert (topic.batches, rows.written, rows.reads) == ([5], [f"ORD-{n}" for n in range(5)], [0, 0])

    async def test_that_drops_commits_one_record_more_than_it_writes(self) -> None:
        topic, rows = Topic(5), Rows()
        async with listening(topic, rows, notification_faults(consumer_drops=1)):
            await until(topic, 5)
        assert rows.written == [f"ORD-{n}" for n in range(4)]

    async def test_that_is_slow_reads_row_by_row_for_each_record(self) -> None:
        topic, rows = Topic(3), Rows()
        async with listening(topic, rows, notification_faults(consumer_slow=7)):
            await until(topic, 3)
        assert (topic.batches, rows.reads) == ([1, 1, 1], [7, 7, 7, 0])

    async def test_that_is_slow_goes_on_at_once_when_the_fault_is_switched_off(self) -> None:
        topic, rows, faults = Topic(3), Rows(), notification_faults(consumer_slow=1e9)
        async with listening(topic, rows, faults):
            async with asyncio.timeout(5):
                while not rows.reads[0]:
                    await asyncio.sleep(0.005)
            faults.switch_off("consumer-slow")
            await until(topic, 3)
        assert topic.batches == [1, 2]

    async def test_that_is_slow_stops_when_told_to(self) -> None:
        topic, rows = Topic(3), Rows()
        async with listening(topic, rows, notification_faults(consumer_slow=1e9)) as task, asyncio.timeout(5):
            while not rows.reads[0]:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (topic.committed, rows.written) == (0, [])


class Broker:
    """Stands in for the producer: acknowledges and remembers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes, bytes]] = []

    async def send_and_wait(self, topic: str, value: bytes, key: bytes, headers: object) -> None:
        self.taken.append((topic, value, key))


class TestPublisher:
    @pytest.mark.parametrize(("on", "copies"), [(False, 1), (True, 2)])
    async def test_sends_an_event_again_only_with_the_fault(self, on: bool, copies: int) -> None:
        broker, faults = Broker(), Faults(SHOPPING_FAULTS)
        if on:
            faults.switch_on(DUPLICATE_EVENTS)
        await Publisher(broker, Meters("shopping-service", "test"), faults).publish(
            "orders", "ORD-1", "OrderCreatedEvent", {"a": 1}
        )  # type: ignore[arg-type]
        assert broker.taken == [("orders", b'{"a":1}', b"ORD-1")] * copies


class TestSlowSearch:
    @pytest.mark.parametrize(("states", "letters"), [(2, 1), (1024, 10), (32_768, 15), (40_000, 15)])
    def test_asks_for_an_automaton_of_about_so_many_states(self, states: float, letters: int) -> None:
        expression: Any = _costly_bonus(states)
        assert expression["regexp"]["name"]["value"].endswith(f"{{{letters}}}")
