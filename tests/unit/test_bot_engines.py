"""The two Kafka clients: what they say of a message that failed, and that each message is settled once."""

from __future__ import annotations

import random
import zlib
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError as ConfluentError
from kafka import errors

from bots import engine_confluent, engine_kafka_python
from bots.engine import GONE, LATE, TOO_LARGE, NoRoom, engine_module
from bots.events import EventFactory
from bots.plan import BotPlan
from targets.model import load_profile
from targets.shape import parse_shape

PLAN = BotPlan(
    run_id="r1",
    bootstrap_servers="127.0.0.1:1",
    events=load_profile("portal").events,
    steps=parse_shape("1 for 1s"),
    engine="confluent",
)


class TestReasons:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (errors.MessageSizeTooLargeError(), TOO_LARGE),
            (errors.RecordListTooLargeError(), TOO_LARGE),
            (errors.KafkaTimeoutError(), LATE),
            (errors.RequestTimedOutError(), LATE),
            (errors.UnknownTopicOrPartitionError(), GONE),
            (errors.NotEnoughReplicasError(), "NotEnoughReplicasError"),
        ],
    )
    def test_of_kafka_python(self, error: Exception, reason: str) -> None:
        assert engine_kafka_python.reason(error) == reason

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            (ConfluentError.MSG_SIZE_TOO_LARGE, TOO_LARGE),
            (ConfluentError._MSG_TIMED_OUT, LATE),
            (ConfluentError._PURGE_QUEUE, LATE),
            (ConfluentError._PURGE_INFLIGHT, LATE),
            (ConfluentError.UNKNOWN_TOPIC_OR_PART, GONE),
            (ConfluentError._UNKNOWN_TOPIC, GONE),
            (ConfluentError._UNKNOWN_PARTITION, GONE),
            (ConfluentError.NOT_ENOUGH_REPLICAS, "NOT_ENOUGH_REPLICAS"),
            (ConfluentError._TRANSPORT, "TRANSPORT"),
        ],
    )
    def test_of_confluent_are_the_same_words(self, code: int, reason: str) -> None:
        assert engine_confluent.reason(ConfluentError(code)) == reason


class TestPartitions:
    def test_of_the_default_engine_are_those_of_the_other(self) -> None:
        keys = [b"LT-r1-0-%08d" % number for number in range(3000)]
        chosen = [engine_kafka_python._partition(key, [0, 1, 2], [0]) for key in keys]
        assert chosen == [zlib.crc32(key) % 3 for key in keys]  # librdkafka's `consistent_random`
        assert all(900 < chosen.count(partition) < 1100 for partition in range(3))


class TestConfluentWithoutABroker:
    @pytest.mark.parametrize("retries", [0, 3])
    def test_settles_each_message_once_when_it_is_closed(self, retries: int) -> None:
        settled: list[tuple[int, float, float, str | None]] = []
        broker = SimpleNamespace(bootstrap_servers=["127.0.0.1:1"])
        plan = PLAN.model_copy(update={"retries": retries})
        engine = engine_module("confluent").open_engine(
            broker,  # type: ignore[arg-type]  # its address alone is asked for
            plan,
            lambda *answer: settled.append(answer),
        )
        factory = EventFactory(plan, random.Random(1))
        for sequence in range(3):
            engine.send(factory.message(sequence), sequence, sequence / 10, sequence / 10 + 0.01)
        engine.serve()
        assert settled == []
        engine.close()
        assert sorted(settled) == [(n, n / 10, n / 10 + 0.01, LATE) for n in range(3)]

    def test_says_that_it_has_no_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine_confluent, "QUEUED_MESSAGES", 1)
        monkeypatch.setattr(engine_confluent, "MAX_BLOCK_S", 0.05)
        settled: list[int] = []
        engine = engine_confluent.ConfluentEngine(
            SimpleNamespace(bootstrap_servers=["127.0.0.1:1"]),  # type: ignore[arg-type]
            PLAN,
            lambda sequence, *_: settled.append(sequence),
        )
        message = EventFactory(PLAN, random.Random(1)).message(0)
        engine.send(message, 0, 0.0, 0.0)
        with pytest.raises(NoRoom):
            engine.send(message, 1, 0.0, 0.0)
        engine.close()
        assert settled == [0]
