"""The log compared with the books: what is lost, double, made up, unheard of or out of order."""

from __future__ import annotations

import pytest

from bots.accounting import Reading, verify_log
from bots.broker import Offsets
from bots.engine import LogRecord
from bots.events import mark_prefix
from bots.ledger import State
from bots.plan import Accounting, BotPlan
from core.errors import VerificationError
from targets.model import load_profile
from targets.shape import parse_shape

RUN = "run-1"
PORTAL = load_profile("portal").events
PLAN = BotPlan(run_id=RUN, bootstrap_servers="127.0.0.1:1", events=PORTAL, steps=parse_shape("1 for 1s"))
BY_USER = PLAN.model_copy(update={"events": PORTAL.model_copy(update={"key": "userId"})})


def marked(sequence: int, producer: int = 0, key: bytes = b"k", run: str = RUN) -> LogRecord:
    return LogRecord(0, 0, key, mark_prefix(run, producer) + b"%d" % sequence)


def read(*records: LogRecord, books: list[bytes] | None = None, plan: BotPlan = BY_USER) -> Accounting:
    """Accounting of `records`; without `books` each of two producers had 10 messages acknowledged."""
    reading = Reading(plan, books or [bytes([State.ACKED] * 10)] * 2)
    for record in records:
        reading.take(record)
    return reading.account(offset_growth=len(records))


class TestReading:
    BOOKS = bytes([State.ACKED, State.ACKED, State.ACKED, State.FAILED, State.FAILED, State.NOT_SENT])

    def test_tells_lost_duplicate_unacknowledged_and_unsent_messages_apart(self) -> None:
        records = [marked(sequence) for sequence in (0, 1, 1, 1, 3, 5, 6)]
        assert read(*records, LogRecord(0, 7, None, None), books=[self.BOOKS]) == Accounting(
            read=8,
            offset_growth=8,
            in_log=3,  # 0, 1 and 3
            lost=1,  # 2: acknowledged and not in the log
            duplicates=2,  # 1 is there three times
            unacknowledged_in_log=1,  # 3: the broker has it, the bot never heard so
            never_sent=2,  # 5 was still to come, 6 is beyond the schedule
            order_breaks=0,
            lost_messages=("0/2",),
        )

    def test_names_the_first_lost_messages_by_producer_and_sequence(self) -> None:
        found = read(marked(0), marked(3, producer=1))
        assert found.lost == 18
        assert len(found.lost_messages) == 10
        assert found.lost_messages[0] == "0/1"
        missing_one = read(*[marked(n) for n in range(10)], *[marked(n, producer=1) for n in range(9)])
        assert missing_one.lost_messages == ("1/9",)

    def test_counts_more_copies_than_a_byte_holds_at_least_as_many(self) -> None:
        assert read(*[marked(0)] * 300).duplicates >= 254

    @pytest.mark.parametrize(
        "record",
        [
            pytest.param(LogRecord(0, 0, b"k", None), id="somebody else's"),
            pytest.param(LogRecord(0, 0, b"k", b""), id="empty mark"),
            pytest.param(LogRecord(0, 0, b"k", b"run-1"), id="run id alone"),
            pytest.param(LogRecord(0, 0, b"k", b"run-1/0/"), id="no sequence"),
            pytest.param(LogRecord(0, 0, b"k", b"run-1/0/-1"), id="no number"),
            pytest.param(marked(0, run="run-10"), id="a run whose id begins so"),
            pytest.param(marked(0, run="my-run-1"), id="a run whose id ends so"),
            pytest.param(marked(0, run="run-1/0"), id="a run whose id looks like a mark"),
            pytest.param(marked(0, producer=2), id="a producer that this run does not have"),
            pytest.param(marked(0, producer=10), id="a producer whose number begins so"),
        ],
    )
    def test_leaves_what_is_not_this_run_s(self, record: LogRecord) -> None:
        found = read(record)
        assert (found.read, found.in_log, found.never_sent, found.duplicates) == (1, 0, 0, 0)
        assert found.lost == 20


class TestOrder:
    @pytest.mark.parametrize(
        ("records", "breaks"),
        [
            pytest.param([marked(0), marked(1), marked(2)], 0, id="in order"),
            pytest.param([marked(0), marked(2), marked(1)], 1, id="one behind a later one"),
            pytest.param([marked(5), marked(1), marked(2), marked(3)], 3, id="three behind a later one"),
            pytest.param([marked(1, key=b"a"), marked(0, key=b"b")], 0, id="of two keys"),
            pytest.param([marked(1), marked(0, producer=1)], 0, id="of two producers"),
            pytest.param([marked(0), marked(1), marked(0)], 0, id="a copy is a duplicate, not a break"),
            pytest.param([marked(1, run="run-2"), marked(0)], 0, id="of two runs"),
        ],
    )
    def test_breaks_within_a_key_of_a_producer(self, records: list[LogRecord], breaks: int) -> None:
        assert read(*records).order_breaks == breaks

    def test_is_not_asked_where_each_message_has_a_key_of_its_own(self) -> None:
        assert read(marked(1), marked(0), plan=PLAN).order_breaks == 0


class LogOfTwoPartitions:
    """The broker's answers, and the log that an engine reads."""

    def __init__(self, beginning: Offsets, records: list[LogRecord]) -> None:
        self.beginning, self.records = beginning, records
        self.asked: tuple[Offsets, Offsets] | None = None

    def beginning_offsets(self, topic: str) -> Offsets:
        return self.beginning

    def read_log(self, broker: object, topic: str, start: Offsets, end: Offsets) -> list[LogRecord]:
        self.asked = (start, end)
        return self.records


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LogOfTwoPartitions:
    world = LogOfTwoPartitions({0: 0, 1: 0}, [marked(n) for n in range(10)])
    monkeypatch.setattr("bots.accounting.engine_module", lambda name: world)
    return world


class TestVerifying:
    BOOKS = (bytes([State.ACKED] * 10),)

    def verify(self, log: LogOfTwoPartitions, start: Offsets, end: Offsets) -> Accounting:
        return verify_log(log, PLAN, self.BOOKS, start, end)  # type: ignore[arg-type]  # a broker of two answers

    def test_says_how_far_the_offsets_moved(self, log: LogOfTwoPartitions) -> None:
        found = self.verify(log, {0: 100, 1: 40}, {0: 104, 1: 46})
        assert (found.offset_growth, found.in_log, found.lost) == (10, 10, 0)
        assert log.asked == ({0: 100, 1: 40}, {0: 104, 1: 46})

    def test_counts_a_partition_that_came_meanwhile_from_its_start(self, log: LogOfTwoPartitions) -> None:
        assert self.verify(log, {0: 100}, {0: 104, 1: 6}).offset_growth == 10

    def test_reads_a_topic_that_was_made_anew_from_its_start(self, log: LogOfTwoPartitions) -> None:
        self.verify(log, {0: 100, 1: 40}, {0: 7, 1: 3})
        assert log.asked == ({0: 0, 1: 0}, {0: 7, 1: 3})

    def test_refuses_a_log_that_has_dropped_records(self, log: LogOfTwoPartitions) -> None:
        log.beginning = {0: 0, 1: 45}
        with pytest.raises(VerificationError, match="has dropped records") as caught:
            self.verify(log, {0: 100, 1: 40}, {0: 104, 1: 46})
        assert caught.value.where == "partition 1: wanted from offset 40, kept from 45"
        assert "retention" in caught.value.cure

    def test_ticks_while_it_reads(self, log: LogOfTwoPartitions) -> None:
        ticks: list[int] = []
        log.records = [LogRecord(0, 0, None, None)] * 2500
        verify_log(log, PLAN, self.BOOKS, {0: 0}, {0: 2500}, lambda: ticks.append(1))  # type: ignore[arg-type]
        assert len(ticks) == 3
