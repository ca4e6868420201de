"""The bot against a real Kafka: rate, accounting, lag, and every way in which a run may go wrong."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from bots.bot import run_bot
from bots.broker import Broker
from bots.checks import kafka_bot_accounting_check, kafka_bot_rate_check, kafka_lag_drains_check
from bots.events import EventFactory
from bots.kafka_producer import main
from bots.plan import BotPlan, BotResult, Progress
from bots.runner import run_bot_process
from core.checks import Check
from core.errors import LoadError, TargetError, TargetRefused
from core.settings import ROOT, process_environment
from core.words import Verdict
from targets.model import load_profile
from targets.shape import parse_shape
from tests.kafka_broker import Kafka, eventually, free_ports, running_kafka

EVENTS = load_profile("portal").events
ENGINES = ("kafka-python", "confluent")
each_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=kafka.address)
    yield client
    client.close()


@pytest.fixture
def topic(admin: KafkaAdminClient) -> str:
    """A topic of the test's own, with its dead-letter topic."""
    name = f"orders-{uuid4().hex[:8]}"
    admin.create_topics([NewTopic(name, 3, 1), NewTopic(f"{name}.DLT", 1, 1)])
    return name


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no consumer runs, nobody need wait long for its first commit."""
    monkeypatch.setattr("bots.lag.UNKNOWN_GROUP_S", 1.0)


@pytest.fixture
def plan(kafka: Kafka, topic: str) -> BotPlan:
    return plan_for(kafka, topic)


def plan_for(kafka: Kafka, topic: str, shape: str = "50 for 3s", key: str = EVENTS.key, **changes: Any) -> BotPlan:
    events = {"topic": topic, "dead_letter_topic": f"{topic}.DLT", "consumer_group": f"{topic}-group", "key": key}
    asked = {
        "run_id": f"run-{uuid4().hex[:8]}",
        "bootstrap_servers": kafka.address,
        "events": EVENTS.model_copy(update=events),
        "steps": parse_shape(shape),
        "metrics_port": 0,
        "drain_timeout_s": 20,
    }
    return BotPlan.model_validate({**asked, **changes})


@contextmanager
def consuming(plan: BotPlan) -> Iterator[None]:
    """The platform's consumer: reads the topic in the profile's group and commits what it has read."""
    ended = Event()

    def consume() -> None:
        consumer = KafkaConsumer(
            plan.events.topic,
            bootstrap_servers=plan.bootstrap_servers,
            group_id=plan.events.consumer_group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        while not ended.is_set():
            if consumer.poll(timeout_ms=200):
                consumer.commit()
        consumer.close()

    thread = threading.Thread(target=consume)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def producing(kafka: Kafka) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    yield producer
    producer.flush()
    producer.close()


def verdicts(result: BotResult) -> tuple[Check, Check, Check]:
    return kafka_bot_rate_check(result), kafka_bot_accounting_check(result), kafka_lag_drains_check(result)


def series(port: int) -> dict[str, float]:
    """What /metrics shows now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def alive(pid: int) -> bool:
    """False also for a process that has ended and that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def workers_of(pid: int) -> list[int]:
    """The sending processes that process `pid` has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            command = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        if parent == pid and b"bots.worker" in command:
            found.append(int(process.name))
    return found


class TestRun:
    @each_engine
    @pytest.mark.parametrize("rate", [100, 1000])
    def test_reaches_its_rate_and_accounts_for_every_message(
        self, kafka: Kafka, topic: str, rate: int, engine: str
    ) -> None:
        # Alone on its topic and without repetitions, the offsets grow by what was acknowledged.
        plan = plan_for(kafka, topic, f"{rate} for 5s", engine=engine, retries=0)
        with consuming(plan):
            result = run_bot(plan, Event())
        assert [
            (check.verdict, check.observed) for check in verdicts(result) if check.verdict is not Verdict.PASS
        ] == []
        assert result.accounting is not None
        assert result.accounting.in_log == result.accounting.read == result.sent == 5 * rate
        assert result.accounting.offset_growth == result.acked == result.sent
        assert result.drain is not None
        assert result.drain.last_lag_records == 0

    @each_engine
    def test_shares_the_schedule_among_processes_and_shows_their_sum(
        self, kafka: Kafka, topic: str, engine: str
    ) -> None:
        port = free_ports(1)[0]
        plan = plan_for(kafka, topic, "200 for 4s", engine=engine, processes=2, metrics_port=port)
        seen: list[tuple[int, dict[str, float]]] = []
        result = run_bot(plan, Event(), lambda progress: seen.append((len(workers_of(os.getpid())), series(port))))
        assert max(workers for workers, _ in seen) == result.processes == 2
        account, last, label = result.accounting, seen[-1][1], f'{{topic="{topic}"}}'
        assert account is not None
        assert result.sent == result.acked == account.in_log == 800
        assert (account.lost, account.duplicates, account.never_sent) == (0, 0, 0)
        assert last[f"kafka_bot_messages_sent_total{label}"] == 800
        assert last[f"kafka_bot_intended_duration_seconds_count{label}"] == 800
        assert any(figures["kafka_bot_target_rate"] == 200 for _, figures in seen)
        assert workers_of(os.getpid()) == []

    @each_engine
    @pytest.mark.parametrize("processes", [1, 2])
    def test_keeps_the_order_of_each_key(self, kafka: Kafka, topic: str, engine: str, processes: int) -> None:
        plan = plan_for(kafka, topic, "1000 for 3s", key="userId", engine=engine, processes=processes)
        account = run_bot(plan, Event()).accounting
        assert account is not None
        assert (account.in_log, account.lost, account.order_breaks) == (3000, 0, 0)

    def test_shows_its_figures_while_it_runs_and_until_the_last_was_taken(self, plan: BotPlan) -> None:
        plan = plan.model_copy(update={"metrics_port": free_ports(1)[0], "verify": False})
        scrapes: list[dict[str, float]] = []
        result = run_bot(plan, Event(), lambda progress: scrapes.append(series(plan.metrics_port)))
        label = f'{{topic="{plan.events.topic}"}}'
        assert any(scrape["kafka_bot_target_rate"] == 50 and scrape["kafka_bot_actual_rate"] > 40 for scrape in scrapes)
        last = scrapes[-1]
        assert last[f"kafka_bot_messages_sent_total{label}"] == result.acked == 150
        assert last[f"kafka_bot_send_duration_seconds_count{label}"] == 150
        assert last[f"kafka_bot_send_errors_total{label}"] == 0
        assert last["kafka_bot_target_rate"] == last["kafka_bot_actual_rate"] == 0

    def test_takes_the_steps_of_a_load_one_after_the_other(self, plan: BotPlan) -> None:
        steps = parse_shape("20 for 2s, 100 for 2s, 100 to 20 for 2s")
        result = run_bot(plan.model_copy(update={"steps": steps, "verify": False}), Event())
        assert kafka_bot_rate_check(result).verdict is Verdict.PASS
        assert [step.acked for step in result.steps] == [40, 200, 120]


class TestAccounting:
    @each_engine
    def test_finds_copies_and_messages_that_were_never_sent(self, kafka: Kafka, plan: BotPlan, engine: str) -> None:
        plan = plan.model_copy(update={"engine": engine})
        forged: list[int] = []

        def forge(progress: Progress) -> None:
            if progress.doing == "sending" and progress.acked and not forged:
                factory = EventFactory(plan, random.Random(1))
                with producing(kafka) as producer:
                    for sequence in (0, 10_000):  # a copy of the first message, and one beyond the schedule
                        forged.append(sequence)
                        copy = factory.message(sequence)
                        producer.send(plan.events.topic, copy.value, copy.key, copy.headers)
                    producer.send(plan.events.topic, b"somebody else's")

        account = run_bot(plan, Event(), forge).accounting
        assert account is not None
        assert (account.duplicates, account.never_sent, account.lost) == (1, 1, 0)
        assert account.read == account.offset_growth == 150 + 3

    @each_engine
    def test_finds_what_was_lost_when_the_topic_is_deleted_in_mid_run(
        self, admin: KafkaAdminClient, plan: BotPlan, engine: str
    ) -> None:
        deleted: list[str] = []

        def delete(progress: Progress) -> None:
            if progress.acked > 20 and not deleted:
                deleted.append(plan.events.topic)
                admin.delete_topics(deleted)

        result = run_bot(plan.model_copy(update={"engine": engine}), Event(), delete)
        check = kafka_bot_accounting_check(result)
        assert check.verdict is Verdict.FAIL
        assert 20 < result.acked <= result.sent == result.acked + result.failed <= 150
        assert result.accounting is not None
        assert result.accounting.lost > 0
        assert "was the topic deleted" in check.observed

    @each_engine
    def test_says_that_the_messages_are_too_large(self, kafka: Kafka, admin: KafkaAdminClient, engine: str) -> None:
        name = f"small-{uuid4().hex[:8]}"
        admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "100"})])
        result = run_bot(plan_for(kafka, name, "20 for 1s", engine=engine, verify=False), Event())
        assert (result.sent, result.acked, result.failed) == (20, 0, 20)
        assert "20 larger than the topic's max.message.bytes (raise it)" in kafka_bot_accounting_check(result).observed


class TestLag:
    def test_that_does_not_drain_fails(self, plan: BotPlan) -> None:
        first = plan.model_copy(update={"steps": parse_shape("10 for 1s")})
        with consuming(plan):
            assert kafka_lag_drains_check(run_bot(first, Event())).verdict is Verdict.PASS
        stuck = kafka_lag_drains_check(run_bot(plan.model_copy(update={"drain_timeout_s": 2}), Event()))
        assert stuck.verdict is Verdict.FAIL
        assert "the lag was still 150 records 2 s after the load" in stuck.observed

    def test_of_a_group_that_never_committed_is_no_data(self, plan: BotPlan) -> None:
        check = kafka_lag_drains_check(run_bot(plan, Event()))
        assert check.verdict is Verdict.NO_DATA
        assert "is its consumer running?" in check.observed

    def test_does_not_hide_dead_letters(self, kafka: Kafka, plan: BotPlan) -> None:
        def bury(progress: Progress) -> None:
            if progress.doing == "sending":
                with producing(kafka) as producer:
                    producer.send(plan.events.dead_letter_topic, b"refused")

        with consuming(plan):
            check = kafka_lag_drains_check(run_bot(plan, Event(), bury))
        assert check.verdict is Verdict.FAIL
        assert "messages went to the dead-letter topic" in check.observed


class TestRefusals:
    @each_engine
    def test_an_unknown_topic_is_named_and_not_created(self, kafka: Kafka, topic: str, engine: str) -> None:
        with pytest.raises(TargetError, match=rf"topic 'nobody-reads-this' does not exist.*--topic: .*{topic}"):
            run_bot(plan_for(kafka, "nobody-reads-this", engine=engine), Event())
        with Broker(kafka.address) as broker:
            assert broker.partitions("nobody-reads-this") == frozenset()
            assert broker.partitions("nobody-reads-this") == frozenset()

    def test_a_broker_that_advertises_another_machine_is_refused(self, kafka: Kafka, plan: BotPlan) -> None:
        with pytest.raises(TargetRefused, match=r"192\.0\.2\.1.*advertised\.listeners of broker 1"):
            run_bot(plan.model_copy(update={"bootstrap_servers": f"127.0.0.1:{kafka.elsewhere}"}), Event())


@contextmanager
def commanded(kafka: Kafka, topic: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The bot's command at 50 msg/s for a minute, sending."""
    command = [sys.executable, str(ROOT / "bots" / "kafka_producer.py"), "--bootstrap-servers", kafka.address]
    command += ["--topic", topic, "--rate", "50", "--duration", "60", "--metrics-port", "0", "--verify", *options]
    environment = process_environment(TMPDIR=str(kafka.folder))  # a bot that is killed cannot tidy up
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", env=environment
    ) as bot:
        try:
            assert bot.stderr is not None
            while "sending" not in (line := bot.stderr.readline()):
                assert line, "it ended before it sent anything"
            yield bot
        finally:
            bot.kill()


class TestCommand:
    @pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_ends_on_a_signal_with_an_account_of_what_was_sent(
        self, kafka: Kafka, topic: str, number: signal.Signals, exit_code: int
    ) -> None:
        with commanded(kafka, topic) as bot:
            with Broker(kafka.address) as broker:
                eventually("messages arrive", lambda: sum(broker.end_offsets(topic).values()) > 20)
            bot.send_signal(number)
            said, _ = bot.communicate(timeout=30)
        assert bot.returncode == exit_code
        assert "INVALID  kafka-bot-rate: interrupted after" in said
        assert "PASS     kafka-bot-accounting" in said

    def test_says_0_when_all_is_well(self, kafka: Kafka, topic: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert command_code(["--bootstrap-servers", kafka.address, "--topic", topic, "--rate", "20"]) == 0
        assert "40 messages sent" in capsys.readouterr().out

    def test_sends_nothing_where_its_port_is_taken(
        self, kafka: Kafka, topic: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            options = ["--bootstrap-servers", kafka.address, "--topic", topic, "--metrics-port", str(taken)]
            assert command_code(options) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith(f"port {taken} is taken")
        with Broker(kafka.address) as broker:
            assert sum(broker.end_offsets(topic).values()) == 0

    @each_engine
    def test_says_in_one_sentence_that_a_sending_process_was_killed(
        self, kafka: Kafka, topic: str, engine: str
    ) -> None:
        with commanded(kafka, topic, "--engine", engine, "--processes", "2") as bot:
            workers = workers_of(bot.pid)
            with Broker(kafka.address) as broker:
                eventually("messages arrive", lambda: sum(broker.end_offsets(topic).values()) > 100)
            os.kill(workers[1], signal.SIGKILL)
            _, said = bot.communicate(timeout=30)
        assert bot.returncode == 2
        last = said.splitlines()[-1]
        assert last.startswith("sending process 1 ended before its time (exit code -9: ")
        assert " messages sent, " in last
        assert len(workers) == 2
        assert [pid for pid in workers if alive(pid)] == []

    def test_leaves_no_sending_process_when_it_is_killed(self, kafka: Kafka, topic: str) -> None:
        with commanded(kafka, topic, "--processes", "2") as bot:
            workers = workers_of(bot.pid)
            assert len(workers) == 2
            bot.kill()
        eventually("the sending processes have ended", lambda: not any(alive(pid) for pid in workers))


def command_code(options: list[str]) -> int:
    """Exit code of the command for two seconds, in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return main(["--duration", "2", "--metrics-port", "0", *options])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class TestRunner:
    def test_hands_back_what_the_process_answered(self, plan: BotPlan, tmp_path: Path) -> None:
        seen: list[Progress] = []
        with consuming(plan):
            result = run_bot_process(plan, tmp_path, Event(), seen.append)
        assert {check.verdict for check in verdicts(result)} == {Verdict.PASS}
        assert {progress.doing for progress in seen} >= {"sending"}
        assert (tmp_path / "bot-result.json").exists()

    def test_stops_the_load_and_returns_its_account(self, plan: BotPlan, tmp_path: Path) -> None:
        plan, stop = plan.model_copy(update={"steps": parse_shape("50 for 60s")}), Event()

        def stop_when_sent(progress: Progress) -> None:
            if progress.acked:
                stop.set()

        result = run_bot_process(plan, tmp_path, stop, stop_when_sent)
        assert result.interrupted
        assert 0 < result.sent == result.acked < 1000  # a minute would be 3000
        assert result.accounting is not None
        assert result.accounting.lost == 0

    def test_raises_what_the_process_said_was_wrong(self, kafka: Kafka, tmp_path: Path) -> None:
        with pytest.raises(LoadError, match="topic 'nobody-reads-this' does not exist"):
            run_bot_process(plan_for(kafka, "nobody-reads-this"), tmp_path, Event())

    def test_the_load_ends_with_the_process_that_started_it(self, plan: BotPlan, tmp_path: Path) -> None:
        plan = plan.model_copy(update={"steps": parse_shape("50 for 60s"), "processes": 2})
        (tmp_path / "asked.json").write_text(plan.model_dump_json())
        starter = (
            "import sys, threading, pathlib, logging; logging.basicConfig(level='INFO');"
            "from bots.plan import BotPlan; from bots.runner import run_bot_process;"
            "folder = pathlib.Path(sys.argv[1]);"
            "plan = BotPlan.model_validate_json((folder / 'asked.json').read_text());"
            "run_bot_process(plan, folder, threading.Event())"
        )
        command = [sys.executable, "-c", starter, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as parent:
            assert parent.stderr is not None
            bot_pid = int(parent.stderr.readline().rpartition("pid ")[2])
            eventually("the bot sends", lambda: "sending" in (tmp_path / "bot.log").read_text())
            workers = workers_of(bot_pid)
            parent.kill()
        assert len(workers) == 2
        eventually("the bot has ended", lambda: not any(alive(pid) for pid in (bot_pid, *workers)), within_s=40)
        result = BotResult.model_validate_json((tmp_path / "bot-result.json").read_text())
        assert result.interrupted


class TestBrokerRestarted:
    """The broker ends in mid-run and comes back on its data: the run goes on, and what was acknowledged is there."""

    @each_engine
    @pytest.mark.parametrize("end", [Kafka.stop, Kafka.kill], ids=["gently", "at once"])
    def test_loses_nothing_that_was_acknowledged(
        self, kafka: Kafka, topic: str, engine: str, end: Callable[[Kafka], None]
    ) -> None:
        plan = plan_for(kafka, topic, "200 for 20s", key="userId", engine=engine)
        acked_before: list[int] = []

        def restart(progress: Progress) -> None:
            if progress.acked > 400 and not acked_before:
                acked_before.append(progress.acked)
                end(kafka)
                kafka.start()

        result = run_bot(plan, Event(), restart)
        assert result.stopped_by is None
        assert result.sent == result.acked + result.failed == 4000
        assert result.acked > acked_before[0] + 1000
        assert (result.from_intended.max_ms or 0) > 500  # the restart was felt
        account = result.accounting
        assert account is not None, result.verification_problem
        assert account.lost == 0
        assert account.never_sent == 0
        if engine == "confluent":  # what it repeats, the broker writes once
            assert (account.duplicates, account.order_breaks) == (0, 0)


class TestBrokerLost:
    """Last in this file: the broker ends in each test and is started again for the next only."""

    @each_engine
    def test_in_mid_run_ends_the_load_and_still_counts(self, kafka: Kafka, topic: str, engine: str) -> None:
        plan = plan_for(kafka, topic, "50 for 60s", engine=engine, silence_s=4)
        try:
            result = run_bot(plan, Event(), lambda progress: kafka.kill() if progress.acked > 50 else None)
        finally:
            kafka.start()
        rate, accounting, lag = verdicts(result)
        assert rate.verdict is Verdict.FAIL
        assert "the broker takes no more messages" in rate.observed
        assert accounting.verdict is Verdict.FAIL
        assert lag.verdict is Verdict.NO_DATA
        assert result.acked > 50
        assert result.sent == result.acked + result.failed < 3000
