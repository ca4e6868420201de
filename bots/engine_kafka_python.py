"""The default engine: kafka-python-ng, Python alone, so that it runs wherever the suite runs."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import TopicPartition

from bots.broker import Broker, Offsets
from bots.engine import (
    ACK_S,
    GONE,
    GRAIN_S,
    LATE,
    LINGER_MS,
    MAX_BLOCK_S,
    SILENCE_S,
    TOO_LARGE,
    LogRecord,
    NoRoom,
    Settled,
    unreadable,
)
from bots.events import MARK_HEADER, Message
from bots.plan import BotPlan
from core.errors import TargetError

BUFFER_BYTES = 128 * 1024 * 1024
"""What may wait for a broker that restarts: 20 s of 10,000 messages a second."""
CLOSE_S = 5


def open_engine(broker: Broker, plan: BotPlan, settled: Settled) -> KafkaPythonEngine:
    """TargetError when no producer can be made."""
    return KafkaPythonEngine(broker, plan, settled)


class KafkaPythonEngine:
    """A KafkaProducer that waits for all in-sync replicas and tries `plan.retries` times again, as the design's."""

    def __init__(self, broker: Broker, plan: BotPlan, settled: Settled) -> None:
        self._topic, self._settled = plan.events.topic, settled
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=broker.bootstrap_servers,
                api_version=broker.api_version,
                client_id="kafka-bot",
                acks="all",
                retries=plan.retries,
                linger_ms=LINGER_MS,
                partitioner=_partition,
                buffer_memory=BUFFER_BYTES,
                max_block_ms=MAX_BLOCK_S * 1000,
                request_timeout_ms=ACK_S * 1000,
            )
        except KafkaError as error:
            raise TargetError(
                f"no producer can be made: {error}",
                where=", ".join(broker.bootstrap_servers),
                cure="Look into the broker's log.",
            ) from error

    def send(self, message: Message, sequence: int, intended_s: float, sent_s: float) -> None:
        try:
            future = self._producer.send(self._topic, message.value, message.key, message.headers)
        except KafkaTimeoutError as error:
            raise NoRoom from error
        except KafkaError as error:
            self._settled(sequence, intended_s, sent_s, reason(error))
            return
        future.add_callback(self._acknowledged, sequence, intended_s, sent_s)
        future.add_errback(self._refused, sequence, intended_s, sent_s)

    def wait(self, seconds: float) -> None:
        time.sleep(max(seconds, GRAIN_S))

    def serve(self) -> None:
        """Nothing to do: the client has a thread of its own."""

    def close(self) -> None:
        self._producer.close(timeout=CLOSE_S)

    def _acknowledged(self, sequence: int, intended_s: float, sent_s: float, _: object) -> None:
        self._settled(sequence, intended_s, sent_s, None)

    def _refused(self, sequence: int, intended_s: float, sent_s: float, error: BaseException) -> None:
        self._settled(sequence, intended_s, sent_s, reason(error))


def reason(error: BaseException) -> str:
    """Why a message failed, in words where the client's own are poor."""
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return TOO_LARGE
    if isinstance(error, KafkaTimeoutError | RequestTimedOutError):
        return LATE
    if isinstance(error, UnknownTopicOrPartitionError):
        return GONE
    return type(error).__name__


def read_log(broker: Broker, topic: str, start: Offsets, end: Offsets) -> Iterator[LogRecord]:
    """Every record from `start` up to `end`, outside of any consumer group; VerificationError when it cannot."""
    left = {TopicPartition(topic, partition): offset for partition, offset in end.items() if offset > start[partition]}
    if not left:
        return
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers,
        api_version=broker.api_version,
        group_id=None,
        enable_auto_commit=False,
        check_crcs=False,  # the broker has checked them, and this client computes them in Python
    )
    try:
        yield from _poll_to_end(consumer, start, left)
    except KafkaError as error:
        raise unreadable(broker, topic, error) from error
    finally:
        consumer.close(autocommit=False)


def _poll_to_end(consumer: KafkaConsumer, start: Offsets, left: dict[TopicPartition, int]) -> Iterator[LogRecord]:
    consumer.assign(list(left))
    for partition in left:
        consumer.seek(partition, start[partition.partition])
    heard_s = time.monotonic()
    while left:
        for partition, records in consumer.poll(timeout_ms=200, max_records=2000).items():
            heard_s = time.monotonic()
            for record in records:
                if record.offset < left.get(partition, 0):
                    yield LogRecord(record.partition, record.offset, record.key, dict(record.headers).get(MARK_HEADER))
        left = {partition: offset for partition, offset in left.items() if consumer.position(partition) < offset}
        if time.monotonic() - heard_s > SILENCE_S:
            raise KafkaError(f"nothing was read for {SILENCE_S:.0f} s")


def _partition(key: bytes, every: Sequence[int], _: Sequence[int]) -> int:
    """CRC-32 of the key, as librdkafka does; Java's murmur2, in Python, would cost as much as the rest of a send."""
    return every[zlib.crc32(key) % len(every)]
