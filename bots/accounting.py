"""Reads the topic's log back and compares it with the bot's books: acked ⊆ log ⊆ sent (corrections.md 9)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from bots.broker import Broker, Offsets
from bots.events import PRODUCER_HEADER, RUN_HEADER, SEQUENCE_HEADER
from bots.ledger import State
from bots.plan import Accounting, BotPlan
from core.errors import VerificationError

SILENCE_S = 30.0
"""How long the reading may stand still."""
_MANY = 255
_NAMED = 10


def _quiet() -> None:
    """Progress that nobody asked for."""


def verify_log(
    broker: Broker,
    plan: BotPlan,
    states: bytes | bytearray,
    start: Offsets,
    end: Offsets,
    on_read: Callable[[], object] = _quiet,
) -> Accounting:
    """Compare the records from `start` to `end` with `states` (one `State` a sequence).

    VerificationError when the log cannot be read, or no longer reaches back to `start`.
    """
    topic = plan.events.topic
    start = _still_there(broker, topic, start, end)
    copies, read, never_sent = bytearray(len(states)), 0, 0
    for record in _records(broker, topic, start, end):
        read += 1
        sequence = _own_sequence(record, plan)
        if sequence is None:
            pass
        elif sequence < len(states) and states[sequence] != State.NOT_SENT:
            copies[sequence] = min(copies[sequence] + 1, _MANY)
        else:
            never_sent += 1
        if read % 1000 == 0:
            on_read()
    return compare(states, copies, read=read, never_sent=never_sent)


def compare(states: bytes | bytearray, copies: bytes | bytearray, read: int, never_sent: int) -> Accounting:
    """The account of `states` against the number of `copies` of each sequence in the log."""
    pairs = list(enumerate(zip(states, copies, strict=True)))
    lost = [sequence for sequence, (state, count) in pairs if state == State.ACKED and count == 0]
    return Accounting(
        read=read,
        in_log=sum(1 for count in copies if count),
        lost=len(lost),
        duplicates=sum(count - 1 for count in copies if count),
        unacknowledged_in_log=sum(1 for _, (state, count) in pairs if state != State.ACKED and count),
        never_sent=never_sent,
        lost_sequences=tuple(lost[:_NAMED]),
    )


def _still_there(broker: Broker, topic: str, start: Offsets, end: Offsets) -> Offsets:
    """`start`, or 0 where the topic was made anew since; VerificationError when records since `start` were dropped."""
    beginning = broker.beginning_offsets(topic)
    for partition, offset in start.items():
        if beginning.get(partition, 0) > offset:
            raise VerificationError(
                f"the log of '{topic}' has dropped records of this run",
                where=f"partition {partition}: wanted from offset {offset}, kept from {beginning[partition]}",
                cure="Raise the topic's retention.ms or retention.bytes above what a run needs.",
            )
    anew = any(end.get(partition, 0) < offset for partition, offset in start.items())
    return dict.fromkeys(end, 0) if anew else {partition: start.get(partition, 0) for partition in end}


def _records(broker: Broker, topic: str, start: Offsets, end: Offsets) -> Iterator[ConsumerRecord]:
    """Every record from `start` up to `end`, outside of any consumer group."""
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
        raise VerificationError(
            f"the log of '{topic}' cannot be read back: {error}",
            where=", ".join(broker.bootstrap_servers),
            cure="Look into the broker's log.",
        ) from error
    finally:
        consumer.close(autocommit=False)


def _poll_to_end(consumer: KafkaConsumer, start: Offsets, left: dict[TopicPartition, int]) -> Iterator[ConsumerRecord]:
    consumer.assign(list(left))
    for partition in left:
        consumer.seek(partition, start[partition.partition])
    heard_s = time.monotonic()
    while left:
        for partition, records in consumer.poll(timeout_ms=200, max_records=2000).items():
            heard_s = time.monotonic()
            yield from (record for record in records if record.offset < left.get(partition, 0))
        left = {partition: offset for partition, offset in left.items() if consumer.position(partition) < offset}
        if time.monotonic() - heard_s > SILENCE_S:
            raise KafkaError(f"nothing was read for {SILENCE_S:.0f} s")


def _own_sequence(record: ConsumerRecord, plan: BotPlan) -> int | None:
    """The record's sequence when this producer of this run wrote it."""
    headers = dict(record.headers)
    own = headers.get(RUN_HEADER) == plan.run_id.encode() and headers.get(PRODUCER_HEADER) == b"%d" % plan.producer
    sequence = headers.get(SEQUENCE_HEADER, b"")
    return int(sequence) if own and sequence.isdigit() else None
