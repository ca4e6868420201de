"""The fast engine: confluent-kafka (librdkafka), idempotent: what the client repeats, the broker writes once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Record

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

QUEUED_MESSAGES = 500_000
"""What may wait for a broker that is slow or restarts."""
_REASONS = {
    KafkaError.MSG_SIZE_TOO_LARGE: TOO_LARGE,
    KafkaError._MSG_TIMED_OUT: LATE,
    KafkaError.UNKNOWN_TOPIC_OR_PART: GONE,
    KafkaError._UNKNOWN_TOPIC: GONE,
    KafkaError._UNKNOWN_PARTITION: GONE,
    KafkaError._PURGE_QUEUE: LATE,
    KafkaError._PURGE_INFLIGHT: LATE,
}
_AT_ONCE = 10_000

log = logging.getLogger("bots.librdkafka")
log.setLevel(logging.CRITICAL)  # what its errors mean is said in this bot's own words


def open_engine(broker: Broker, plan: BotPlan, settled: Settled) -> ConfluentEngine:
    """librdkafka connects by itself: a broker that is gone shows in the messages."""
    return ConfluentEngine(broker, plan, settled)


class ConfluentEngine:
    """A confluent_kafka.Producer; without retries it cannot be idempotent."""

    def __init__(self, broker: Broker, plan: BotPlan, settled: Settled) -> None:
        self._topic, self._settled = plan.events.topic, settled
        self._producer = Producer(
            {
                "bootstrap.servers": ",".join(broker.bootstrap_servers),
                "client.id": "kafka-bot",
                "acks": "all",
                "retries": plan.retries,
                "enable.idempotence": plan.retries > 0,
                "linger.ms": LINGER_MS,
                "message.timeout.ms": ACK_S * 1000,
                "queue.buffering.max.messages": QUEUED_MESSAGES,
            },
            logger=log,
        )

    def send(self, message: Message, sequence: int, intended_s: float, sent_s: float) -> None:
        answered = partial(self._answered, sequence, intended_s, sent_s)
        try:
            self._produce(message, answered)
        except KafkaException as error:
            self._answered(sequence, intended_s, sent_s, error.args[0], None)

    def wait(self, seconds: float) -> None:
        self._producer.poll(max(seconds, GRAIN_S))

    def serve(self) -> None:
        self._producer.poll(0)

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(1)

    def _produce(self, message: Message, answered: partial[None]) -> None:
        since_s: float | None = None
        while True:
            try:
                return self._producer.produce(
                    self._topic,
                    message.value,
                    message.key,
                    headers=message.headers,  # type: ignore[arg-type]  # a list of a narrower kind
                    on_delivery=answered,
                )
            except BufferError as error:
                since_s = since_s or time.monotonic()
                if time.monotonic() - since_s > MAX_BLOCK_S:
                    raise NoRoom from error
                self._producer.poll(0.01)

    def _answered(self, sequence: int, intended_s: float, sent_s: float, error: KafkaError | None, _: object) -> None:
        self._settled(sequence, intended_s, sent_s, None if error is None else reason(error))


def reason(error: KafkaError) -> str:
    """Why a message failed, in words where the client's own are poor."""
    return _REASONS.get(error.code()) or error.name().lstrip("_")


def read_log(broker: Broker, topic: str, start: Offsets, end: Offsets) -> Iterator[LogRecord]:
    """Every record from `start` up to `end`, outside of any consumer group; VerificationError when it cannot."""
    left = {partition: offset for partition, offset in end.items() if offset > start[partition]}
    if not left:
        return
    consumer = Consumer(
        {
            "bootstrap.servers": ",".join(broker.bootstrap_servers),
            "group.id": "kafka-bot-reads-back",  # asked for by the client; nothing is ever committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        },
        logger=log,
    )
    try:
        consumer.assign([TopicPartition(topic, partition, start[partition]) for partition in left])
        yield from _consume_to_end(consumer, left)
    except KafkaException as error:
        raise unreadable(broker, topic, error.args[0]) from error
    finally:
        consumer.close()


def _consume_to_end(consumer: Consumer, left: dict[int, int]) -> Iterator[LogRecord]:
    heard_s = time.monotonic()
    while left:
        for record in consumer.consume(_AT_ONCE, timeout=0.2):
            error, partition, offset = record.error(), record.partition(), record.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if offset is None or partition not in left:
                continue
            heard_s = time.monotonic()
            if error is None and offset < left[partition]:
                yield LogRecord(partition, offset, record.key(), _mark(record))
                offset += 1
            if offset >= left[partition]:
                del left[partition]
        if time.monotonic() - heard_s > SILENCE_S:
            raise KafkaException(f"nothing was read for {SILENCE_S:.0f} s")


def _mark(record: Record) -> bytes | None:
    headers = record.headers()
    marks = [value for name, value in headers if name == MARK_HEADER] if isinstance(headers, list) else []
    return marks[0] if marks and isinstance(marks[0], bytes) else None
