"""Reads the topic's log back and compares it with the bot's books: acked ⊆ log ⊆ sent (corrections.md 9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bots.broker import Broker, Offsets
from bots.engine import LogRecord, engine_module
from bots.events import mark_prefix
from bots.ledger import State
from bots.plan import Accounting, BotPlan
from core.errors import VerificationError

_MANY = 255
_NAMED = 10
_TICK_EVERY = 1000


def _quiet() -> None:
    """Progress that nobody asked for."""


def verify_log(
    broker: Broker,
    plan: BotPlan,
    books: Sequence[bytes | bytearray],
    start: Offsets,
    end: Offsets,
    on_read: Callable[[], object] = _quiet,
) -> Accounting:
    """Compare the records from `start` to `end` with `books`: of each producer one `State` a sequence.

    VerificationError when the log cannot be read, or no longer reaches back to `start`.
    """
    topic = plan.events.topic
    start = _still_there(broker, topic, start, end)
    reading = Reading(plan, books)
    for number, record in enumerate(engine_module(plan.engine).read_log(broker, topic, start, end)):
        reading.take(record)
        if number % _TICK_EVERY == 0:
            on_read()
    return reading.account(offset_growth=sum(end.values()) - sum(start.values()))


class Reading:
    """What the log holds of a run's messages, record by record."""

    def __init__(self, plan: BotPlan, books: Sequence[bytes | bytearray]) -> None:
        self._books = books
        self._prefixes = {mark_prefix(plan.run_id, number): number for number in range(len(books))}
        self._copies = [bytearray(len(states)) for states in books]
        # Where each message has a key of its own no two can stand in the wrong order, and nothing need be remembered.
        self._keys_recur = plan.events.fields[plan.events.key] != "order_number"
        self._latest: dict[tuple[int, bytes | None], int] = {}
        self._read = self._never_sent = self._order_breaks = 0

    def take(self, record: LogRecord) -> None:
        """The next record of its partition."""
        self._read += 1
        prefix, slash, number = (record.mark or b"").rpartition(b"/")
        producer = self._prefixes.get(prefix + slash)
        if producer is None or not number.isdigit():
            return
        sequence, states, copies = int(number), self._books[producer], self._copies[producer]
        if sequence >= len(states) or states[sequence] == State.NOT_SENT:
            self._never_sent += 1
        elif copies[sequence]:
            copies[sequence] = min(copies[sequence] + 1, _MANY)
        else:
            copies[sequence] = 1
            if self._keys_recur:
                self._order_breaks += self._is_behind(producer, record.key, sequence)

    def account(self, offset_growth: int) -> Accounting:
        """The books against what was read."""
        lost = [f"{producer}/{sequence}" for producer, sequence in self._lost()]
        copies = [count for counts in self._copies for count in counts if count]
        return Accounting(
            read=self._read,
            offset_growth=offset_growth,
            in_log=len(copies),
            lost=len(lost),
            duplicates=sum(copies) - len(copies),
            unacknowledged_in_log=sum(
                1
                for states, counts in zip(self._books, self._copies, strict=True)
                for state, count in zip(states, counts, strict=True)
                if count and state != State.ACKED
            ),
            never_sent=self._never_sent,
            order_breaks=self._order_breaks,
            lost_messages=tuple(lost[:_NAMED]),
        )

    def _lost(self) -> list[tuple[int, int]]:
        return [
            (producer, sequence)
            for producer, (states, counts) in enumerate(zip(self._books, self._copies, strict=True))
            for sequence, (state, count) in enumerate(zip(states, counts, strict=True))
            if state == State.ACKED and not count
        ]

    def _is_behind(self, producer: int, key: bytes | None, sequence: int) -> bool:
        latest = self._latest.get((producer, key), -1)
        self._latest[producer, key] = max(latest, sequence)
        return sequence < latest


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
