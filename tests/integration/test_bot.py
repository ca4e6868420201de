"""The bot against a real Kafka: rate, accounting, lag, and every way in which a run may go wrong."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from bots import sender
from bots.bot import run_bot
from bots.broker import Broker
from bots.checks import kafka_bot_accounting_check, kafka_bot_rate_check, kafka_lag_drains_check
from bots.events import EventFactory
from bots.kafka_producer import main
from bots.plan import BotPlan, BotResult, Progress
from bots.runner import run_bot_process
from core.checks import Check
from core.errors import LoadError, TargetError, TargetRefused
from core.settings import ROOT
from core.words import Verdict
from infra.embedded.programs import ProgramId, ensure
from targets.load import BotStep
from targets.model import load_profile

EVENTS = load_profile("portal").events
SERVER_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},ELSEWHERE://127.0.0.1:{elsewhere},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},ELSEWHERE://192.0.2.1:{elsewhere}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,ELSEWHERE:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
log.dirs={data}
"""


@dataclasses.dataclass
class Kafka:
    """A broker of the test's own; `elsewhere` is a listener that advertises another machine."""

    folder: Path
    port: int
    elsewhere: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        java = ["java", "-Xmx384m", "-cp", f"{ensure((ProgramId.KAFKA,))[ProgramId.KAFKA].path}/*"]
        properties = str(self.folder / "server.properties")
        if not (self.folder / "data").exists():
            storage = [*java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", properties]
            subprocess.run(storage, check=True, capture_output=True, cwd=self.folder)
        with (self.folder / "kafka.log").open("ab") as log_file:
            self.process = subprocess.Popen(
                [*java, "kafka.Kafka", properties], stdout=log_file, stderr=log_file, cwd=self.folder
            )
        eventually("Kafka answers", self.answers, within_s=60)

    def answers(self) -> bool:
        try:
            Broker(self.address).close()
        except TargetError:
            return False
        return True

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    folder = tmp_path_factory.mktemp("kafka")
    port, elsewhere, controller = free_ports(3)
    properties = SERVER_PROPERTIES.format(port=port, elsewhere=elsewhere, controller=controller, data=folder / "data")
    (folder / "server.properties").write_text(properties)
    broker = Kafka(folder, port, elsewhere)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


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


def plan_for(kafka: Kafka, topic: str, rate: float = 50, duration_s: float = 3) -> BotPlan:
    return BotPlan(
        run_id=f"run-{uuid4().hex[:8]}",
        bootstrap_servers=kafka.address,
        events=EVENTS.model_copy(
            update={"topic": topic, "dead_letter_topic": f"{topic}.DLT", "consumer_group": f"{topic}-group"}
        ),
        steps=(BotStep(rate_per_s=rate, duration_s=duration_s),),
        metrics_port=0,
        drain_timeout_s=20,
    )


def free_ports(count: int) -> list[int]:
    trials = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [trial.getsockname()[1] for trial in trials]
    for trial in trials:
        trial.close()
    return ports


def eventually(claim: str, holds: Callable[[], bool], within_s: float = 20) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end_s:
            pytest.fail(f"not within {within_s:g} s: {claim}")
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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


class TestRun:
    @pytest.mark.parametrize("rate", [100, 1000])
    def test_reaches_its_rate_and_accounts_for_every_message(self, kafka: Kafka, topic: str, rate: int) -> None:
        plan = plan_for(kafka, topic, rate=rate, duration_s=5)
        with consuming(plan):
            result = run_bot(plan, Event())
        assert [
            (check.verdict, check.observed) for check in verdicts(result) if check.verdict is not Verdict.PASS
        ] == []
        assert result.accounting is not None
        assert result.accounting.in_log == result.accounting.read == result.sent == 5 * rate
        assert result.drain is not None
        assert result.drain.last_lag_records == 0

    def test_shows_its_figures_while_it_runs_and_until_the_last_was_taken(self, plan: BotPlan) -> None:
        plan = plan.model_copy(update={"metrics_port": free_ports(1)[0], "verify": False})
        scrapes: list[dict[str, float]] = []

        def scrape(progress: Progress) -> None:
            with urllib.request.urlopen(f"http://127.0.0.1:{plan.metrics_port}/metrics", timeout=5) as answer:
                lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
            scrapes.append({line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines})

        result = run_bot(plan, Event(), scrape)
        label = f'{{topic="{plan.events.topic}"}}'
        assert any(scrape["kafka_bot_target_rate"] == 50 and scrape["kafka_bot_actual_rate"] > 40 for scrape in scrapes)
        last = scrapes[-1]
        assert last[f"kafka_bot_messages_sent_total{label}"] == result.acked == 150
        assert last[f"kafka_bot_send_duration_seconds_count{label}"] == 150
        assert last[f"kafka_bot_send_errors_total{label}"] == 0
        assert last["kafka_bot_target_rate"] == last["kafka_bot_actual_rate"] == 0

    def test_takes_the_steps_of_a_load_one_after_the_other(self, plan: BotPlan) -> None:
        steps = (BotStep(rate_per_s=20, duration_s=2), BotStep(rate_per_s=100, duration_s=2))
        result = run_bot(plan.model_copy(update={"steps": steps, "verify": False}), Event())
        assert kafka_bot_rate_check(result).verdict is Verdict.PASS
        assert [step.acked for step in result.steps] == [40, 200]


class TestAccounting:
    def test_finds_copies_and_messages_that_were_never_sent(self, kafka: Kafka, plan: BotPlan) -> None:
        forged: list[int] = []

        def forge(progress: Progress) -> None:
            if progress.doing == "sending" and not forged:
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
        assert account.read == 150 + 3

    def test_finds_what_was_lost_when_the_topic_is_deleted_in_mid_run(
        self, admin: KafkaAdminClient, plan: BotPlan
    ) -> None:
        deleted: list[str] = []

        def delete(progress: Progress) -> None:
            if progress.acked > 20 and not deleted:
                deleted.append(plan.events.topic)
                admin.delete_topics(deleted)

        result = run_bot(plan, Event(), delete)
        check = kafka_bot_accounting_check(result)
        assert check.verdict is Verdict.FAIL
        assert result.sent == result.acked + result.failed == 150
        assert result.accounting is not None
        assert result.accounting.lost > 0
        assert "was the topic deleted" in check.observed

    def test_says_that_the_messages_are_too_large(self, kafka: Kafka, admin: KafkaAdminClient) -> None:
        name = f"small-{uuid4().hex[:8]}"
        admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "100"})])
        plan = plan_for(kafka, name, rate=20, duration_s=1)
        result = run_bot(plan.model_copy(update={"verify": False}), Event())
        assert (result.sent, result.acked, result.failed) == (20, 0, 20)
        assert "20 larger than the topic's max.message.bytes (raise it)" in kafka_bot_accounting_check(result).observed


class TestLag:
    def test_that_does_not_drain_fails(self, plan: BotPlan) -> None:
        first = plan.model_copy(update={"steps": (BotStep(rate_per_s=10, duration_s=1),)})
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
    def test_an_unknown_topic_is_named_and_not_created(self, kafka: Kafka, topic: str) -> None:
        with pytest.raises(TargetError, match=rf"topic 'nobody-reads-this' does not exist.*--topic: .*{topic}"):
            run_bot(plan_for(kafka, "nobody-reads-this"), Event())
        with Broker(kafka.address) as broker:
            assert broker.partitions("nobody-reads-this") == frozenset()
            assert broker.partitions("nobody-reads-this") == frozenset()

    def test_a_broker_that_advertises_another_machine_is_refused(self, kafka: Kafka, plan: BotPlan) -> None:
        with pytest.raises(TargetRefused, match=r"192\.0\.2\.1.*advertised\.listeners of broker 1"):
            run_bot(plan.model_copy(update={"bootstrap_servers": f"127.0.0.1:{kafka.elsewhere}"}), Event())


class TestCommand:
    def test_ends_on_a_signal_with_an_account_of_what_was_sent(self, kafka: Kafka, topic: str) -> None:
        for number, exit_code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            command = [sys.executable, str(ROOT / "bots" / "kafka_producer.py"), "--bootstrap-servers", kafka.address]
            command += ["--topic", topic, "--rate", "50", "--duration", "60", "--metrics-port", "0", "--verify"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as bot:
                assert bot.stderr is not None
                while "sending" not in bot.stderr.readline():
                    assert bot.poll() is None
                with pytest.raises(subprocess.TimeoutExpired):
                    bot.wait(timeout=1.5)
                bot.send_signal(number)
                said, _ = bot.communicate(timeout=30)
            assert bot.returncode == exit_code
            assert "INVALID  kafka-bot-rate: interrupted after" in said
            assert "PASS     kafka-bot-accounting" in said

    def test_says_0_when_all_is_well(self, kafka: Kafka, topic: str, capsys: pytest.CaptureFixture[str]) -> None:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            options = ["--bootstrap-servers", kafka.address, "--topic", topic, "--rate", "20", "--duration", "2"]
            assert main([*options, "--metrics-port", "0"]) == 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert "40 messages sent" in capsys.readouterr().out


class TestRunner:
    def test_hands_back_what_the_process_answered(self, plan: BotPlan, tmp_path: Path) -> None:
        seen: list[Progress] = []
        with consuming(plan):
            result = run_bot_process(plan, tmp_path, Event(), seen.append)
        assert {check.verdict for check in verdicts(result)} == {Verdict.PASS}
        assert {progress.doing for progress in seen} >= {"sending"}
        assert (tmp_path / "bot-result.json").exists()

    def test_stops_the_load_and_returns_its_account(self, plan: BotPlan, tmp_path: Path) -> None:
        plan, stop = plan.model_copy(update={"steps": (BotStep(rate_per_s=50, duration_s=60),)}), Event()
        started_s = time.monotonic()
        result = run_bot_process(plan, tmp_path, stop, lambda progress: stop.set())
        assert result.interrupted
        assert 0 < result.sent == result.acked < 1000
        assert result.accounting is not None
        assert result.accounting.lost == 0
        assert time.monotonic() - started_s < 20

    def test_raises_what_the_process_said_was_wrong(self, kafka: Kafka, tmp_path: Path) -> None:
        with pytest.raises(LoadError, match="topic 'nobody-reads-this' does not exist"):
            run_bot_process(plan_for(kafka, "nobody-reads-this"), tmp_path, Event())

    def test_the_load_ends_with_the_process_that_started_it(self, plan: BotPlan, tmp_path: Path) -> None:
        plan = plan.model_copy(update={"steps": (BotStep(rate_per_s=50, duration_s=60),)})
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
            parent.kill()
        eventually("the bot has ended", lambda: not alive(bot_pid))
        result = BotResult.model_validate_json((tmp_path / "bot-result.json").read_text())
        assert result.interrupted


class TestBrokerLost:
    """Last in this file: the broker does not come back."""

    def test_in_mid_run_ends_the_load_and_still_counts(
        self, kafka: Kafka, plan: BotPlan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sender, "SILENCE_S", 4.0)
        plan = plan.model_copy(update={"steps": (BotStep(rate_per_s=50, duration_s=60),)})
        result = run_bot(plan, Event(), lambda progress: kafka.kill() if progress.acked > 50 else None)
        rate, accounting, lag = verdicts(result)
        assert rate.verdict is Verdict.FAIL
        assert "the broker takes no more messages" in rate.observed
        assert accounting.verdict is Verdict.FAIL
        assert lag.verdict is Verdict.NO_DATA
        assert result.acked > 50
        assert result.sent == result.acked + result.failed < 3000
