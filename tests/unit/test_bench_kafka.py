"""The bench of the bot: how its yardsticks' words are read, and how large and how fast a run was."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bots.events import Message
from bots.plan import BotResult, Latency, StepResult
from targets.model import load_profile
from targets.shape import BotStep
from tests.bench.kafka_bench import middle
from tests.bench.kafka_clients import (
    DESIGN_BOT,
    Ask,
    Place,
    Told,
    read_bare_confluent,
    read_design_bot,
    read_producer_performance,
    run_client,
)
from tests.bench.kafka_site import Figures, acked_per_s, mean_record_bytes, plan_for, record_bytes

WINDOW = "49981 records sent, 9996.2 records/sec (4.77 MB/sec), 2.7 ms avg latency, 363.0 ms max latency.\n"
TOTAL = (
    "200000 records sent, 9998.500225 records/sec (4.77 MB/sec), 1.35 ms avg latency, 363.00 ms max latency, "
    "1 ms 50th, 2 ms 95th, 48 ms 99th, 61 ms 99.9th.\n"
)
SHORT = (
    "1 records sent, 3.4 records/sec (0.00 MB/sec), 285.00 ms avg latency, 285.00 ms max latency, "
    "285 ms 50th, 285 ms 95th, 285 ms 99th, 285 ms 99.9th.\n"
)


def result(acked: int, sending_s: float, p99_ms: float | None, max_ms: float | None) -> BotResult:
    """A run that was asked for 1000 messages a second for 10 s."""
    latency = Latency(p50_ms=p99_ms, p95_ms=p99_ms, p99_ms=p99_ms, max_ms=max_ms)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    step = StepResult(
        asked="1000 for 10s", asked_rate_per_s=1000, asked_duration_s=10, scheduled=10_000, sent=10_000, acked=acked,
        sending_s=sending_s, rate_per_s=acked / sending_s,
    )  # fmt: skip
    return BotResult(
        run_id="run", topic="orders", engine="confluent", processes=1, started=moment, ended=moment, steps=(step,),
        sent=10_000, acked=acked, failed=10_000 - acked, failures={}, from_intended=latency, from_send=latency,
        lateness=latency, cpu_s=0.5,
    )  # fmt: skip


class TestWords:
    def test_of_producer_performance_are_its_totals_not_one_of_its_windows(self) -> None:
        assert read_producer_performance(WINDOW + TOTAL) == Told(200_000, 9998.500225, 48)

    def test_of_producer_performance_are_read_for_one_message_too(self) -> None:
        assert read_producer_performance(SHORT) == Told(1, 3.4, 285)

    def test_of_the_designs_bot_are_its_count(self) -> None:
        said = "Starting: 1000 msg/s for 10s to orders\nDone: 7541 messages in 10s (754.1 msg/s)\n"
        assert read_design_bot(said) == Told(7541, 754.1)

    def test_of_the_bare_loop_are_acknowledged_messages(self) -> None:
        assert read_bare_confluent('a warning\n{"acked": 1000, "seconds": 0.25}\n') == Told(1000, 4000)

    @pytest.mark.parametrize("read", [read_producer_performance, read_design_bot])
    def test_that_hold_no_figures_are_shown(self, read) -> None:
        with pytest.raises(AssertionError, match=r"no figures in: .*Connection to node -1 could not be established"):
            read("WARN Connection to node -1 could not be established.")


class TestCommand:
    place = Place("127.0.0.1:9092", "orders", 480)

    def test_of_the_designs_bot_asks_for_as_many_seconds_as_the_messages_take(self) -> None:
        command = DESIGN_BOT.command(self.place, Ask(10_000, 1000))
        assert command[command.index("--rate") + 1] == "1000"
        assert command[command.index("--duration") + 1] == "10"

    def test_that_fails_is_shown_with_its_last_words(self, tmp_path) -> None:
        with pytest.raises(AssertionError, match=r"ended with 3: .*it broke"):
            run_client(("sh", "-c", "echo it broke; exit 3"), tmp_path / "log")

    def test_that_ends_well_says_what_it_said_and_what_it_cost(self, tmp_path) -> None:
        ended = run_client(("sh", "-c", "echo done"), tmp_path / "log")
        assert ended.said == "done\n"
        assert 0 <= ended.cpu_s < 1


class TestRecord:
    def test_is_key_value_and_headers(self) -> None:
        # 2 + 3 + ("h" + 2 bytes) + ("ii" + 4 bytes)
        assert record_bytes(Message(b"ab", b"cde", [("h", b"xy"), ("ii", b"1234")])) == 14

    def test_is_on_average_as_large_as_its_parts_say(self) -> None:
        step = BotStep(rate_per_s=1, duration_s=1)
        events = load_profile("portal").events
        plan = plan_for("127.0.0.1:9092", "orders", "confluent", step)
        without = events.model_copy(update={"headers": {}})
        bare = plan_for("127.0.0.1:9092", "orders", "confluent", step, events=without).model_copy(
            update={"run_id": plan.run_id}
        )
        headers = sum(len(name) + len(value) for name, value in events.headers.items())
        assert mean_record_bytes(plan) == mean_record_bytes(bare) + headers


class TestRate:
    def test_is_over_the_time_of_sending_where_the_answers_kept_up(self) -> None:
        assert acked_per_s(result(acked=10_000, sending_s=10, p99_ms=900, max_ms=3000)) == 1000

    def test_is_until_the_last_answer_where_a_queue_had_grown(self) -> None:
        # the schedule's 10 s, and 10 s more until the last answer
        assert acked_per_s(result(acked=10_000, sending_s=10, p99_ms=9800, max_ms=10_000)) == 500

    def test_is_0_where_nothing_was_acknowledged(self) -> None:
        assert acked_per_s(result(acked=0, sending_s=10, p99_ms=None, max_ms=None)) == 0


class TestFigures:
    def test_count_processor_time_for_a_million_messages(self) -> None:
        # 0.5 s for 10,000 messages
        assert Figures.of_bot(result(10_000, 10, 5, 9)) == Figures(1000, pytest.approx(50), 5)

    def test_of_several_rounds_are_each_figures_own_median(self) -> None:
        rounds = [Figures(1, 30, 7), Figures(3, 10, 9), Figures(2, 20, 8)]
        assert middle(rounds) == Figures(2, 20, 8)

    def test_without_a_latency_have_none(self) -> None:
        assert middle([Figures(1, 30), Figures(3, 10)]) == Figures(2, 20, None)
