"""The consumer of `shopping.order.created`: one row per order and user, in batches.

An event whose class header is missing or unknown, or whose body the platform could not read, goes to the dead-letter
topic at once (platform.md 12). Offsets are committed after the rows are: nothing is lost, and what comes twice is
written once (unique user and order). While MySQL is away the batch waits and is tried again.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from prometheus_client import Summary

from infra.portal.events import EVENT_PACKAGE, TYPE_HEADER
from infra.portal.faults import CONSUMER_DROPS, CONSUMER_SLOW, Faults
from infra.portal.metrics import Meters
from infra.portal.pool import Pool
from infra.portal.settings import PortalSettings
from infra.portal.stores import CALL_TIMEOUT_S, STORE_ERRORS, wait_for

log = logging.getLogger("infra.portal")

TOPIC = "shopping.order.created"
GROUP = "notification-group"
BATCH_RECORDS = 1000
_POLL_MS = 500
_RETRY_INTERVAL_S = 0.5
_INSERT = (
    "INSERT INTO notifications (user_id, type, title, message, link, reference_id, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE id = id"
)
_EARLIER = "SELECT message FROM notifications ORDER BY created_at DESC LIMIT 1 OFFSET %s"

Notification = tuple[str, str, str, str, str, str | None, datetime]


class Unreadable(Exception):
    """An event that can never become a notification."""


def notification_of(record: "ConsumerRecord[bytes, bytes]") -> Notification:
    """The row that an event makes. Raises Unreadable."""
    headers = dict(record.headers)
    if headers.get(TYPE_HEADER) != f"{EVENT_PACKAGE}OrderCreatedEvent".encode():
        raise Unreadable(f"{TYPE_HEADER} is {headers.get(TYPE_HEADER)!r}")
    try:
        event = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"no JSON: {error}") from error
    if not isinstance(event, dict):
        raise Unreadable("no JSON object")
    user = event.get("userId")
    if user is None or len(str(user)) > 36:
        raise Unreadable(f"userId {user!r}")
    if not _is_local_date_time(event.get("createdAt")):
        raise Unreadable(f"createdAt {event['createdAt']!r}")
    return _row(str(user), event)


def _row(user: str, event: dict[str, Any]) -> Notification:
    order_number = event.get("orderNumber")
    reference = None if order_number is None else str(order_number)[:100]
    message = f"Order {reference} over {event.get('totalAmount')} was received."[:300]
    now = datetime.now(UTC).replace(tzinfo=None)
    return user, "ORDER_CREATED", "Order received", message, f"/shopping/orders/{reference}"[:150], reference, now


def _is_local_date_time(value: object) -> bool:
    """What the platform reads as a LocalDateTime: absent, an array, or ISO 8601 without an offset other than Z."""
    if value is None or isinstance(value, list):
        return True
    try:
        return isinstance(value, str) and datetime.fromisoformat(value.removesuffix("Z")).tzinfo is None
    except ValueError:
        return False


class Listener:
    """The consumer of `notification-group`."""

    def __init__(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, pool: Pool, meters: Meters, faults: Faults
    ) -> None:
        self._consumer, self._producer, self._pool, self._faults = consumer, producer, pool, faults
        listened = Summary(
            "spring_kafka_listener_seconds",
            "Time per record",
            ("name", "result", "exception"),
            registry=meters.registry,
        )
        self._stored = listened.labels("order-created-0", "success", "none")
        self._refused = listened.labels("order-created-0", "failure", "DeserializationException")

    async def run(self) -> None:
        """Take batches until cancelled; the first commit says where the group stands before anything was read."""
        committed: frozenset[TopicPartition] = frozenset()
        while True:
            try:
                at_most = 1 if self._faults.strength(CONSUMER_SLOW) else BATCH_RECORDS
                taken = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=at_most)
                records = [record for batch in taken.values() for record in batch]
                if records:
                    await self._settle(records)
                assigned = self._consumer.assignment()
                if records or assigned != committed:
                    for partition in assigned - committed:
                        await self._consumer.position(partition)  # commit() leaves out what it has no position of yet
                    await self._consumer.commit()
                    committed = assigned
            except KafkaError as error:  # what was not committed comes again, and is written once
                log.warning("consumer: %r", error)
                await asyncio.sleep(_RETRY_INTERVAL_S)

    async def _settle(self, records: Sequence["ConsumerRecord[bytes, bytes]"]) -> None:
        """Each record becomes a row or a dead letter; returns only when all have."""
        started = time.perf_counter()
        rows, dead = _sorted_out(records)
        written = rows[:-1] if self._faults.strength(CONSUMER_DROPS) else rows  # off by one, and taken for done
        while written:
            try:
                await self._look_back()
                async with self._pool.session() as session:
                    await session.insert_many(_INSERT, written)
                break
            except STORE_ERRORS as error:
                log.warning("%d notifications wait for MySQL: %r", len(written), error)
                await asyncio.sleep(_RETRY_INTERVAL_S)
        for record, reason in dead:
            await self._bury(record, reason)
        per_record_s = (time.perf_counter() - started) / len(records)
        for outcome, count in ((self._stored, len(rows)), (self._refused, len(dead))):
            for _ in range(count):
                outcome.observe(per_record_s)

    async def _look_back(self) -> None:
        """The fault: earlier notifications are read first, each in a transaction of its own; ends when switched off."""
        read = 0
        while read < self._faults.strength(CONSUMER_SLOW):
            async with self._pool.transaction() as session:
                await session.row(_EARLIER, read)
            read += 1

    async def _bury(self, record: "ConsumerRecord[bytes, bytes]", reason: str) -> None:
        """As Spring does it: the bytes as base64 in quotes, the origin in headers."""
        headers = [
            *record.headers,
            ("kafka_dlt-original-topic", record.topic.encode()),
            ("kafka_dlt-original-partition", record.partition.to_bytes(4)),
            ("kafka_dlt-original-offset", record.offset.to_bytes(8)),
            ("kafka_dlt-exception-message", reason.encode()),
        ]
        value = orjson.dumps(base64.b64encode(record.value or b"").decode())
        async with asyncio.timeout(CALL_TIMEOUT_S):
            await self._producer.send_and_wait(f"{TOPIC}.DLT", value, record.key, headers=headers)


def _sorted_out(
    records: Sequence["ConsumerRecord[bytes, bytes]"],
) -> tuple[list[Notification], list[tuple["ConsumerRecord[bytes, bytes]", str]]]:
    rows, dead = [], []
    for record in records:
        try:
            rows.append(notification_of(record))
        except Unreadable as error:
            dead.append((record, str(error)))
    return rows, dead


async def open_consumer(settings: PortalSettings) -> AIOKafkaConsumer:
    async def start() -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=settings.kafka_bootstrap,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    return await wait_for(f"Kafka at {settings.kafka_bootstrap}", start, settings.start_timeout_s)
