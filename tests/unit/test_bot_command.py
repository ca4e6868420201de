"""The bot's command line: what it refuses, in one sentence with its cure, before anything is sent."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGTERM, getsignal, signal
from threading import Event

import pytest

from bots.engine import process_count
from bots.kafka_producer import main
from bots.plan import BotPlan, BotResult, Progress
from core.errors import TargetError
from core.settings import ROOT
from targets.model import load_profile
from targets.shape import BotStep, parse_shape

UNUSED_PORT = "127.0.0.1:1"  # tcpmux: nothing answers there


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """`main` sets signal handlers and log levels for its process, which here is the tests'."""
    handlers, level = {number: getsignal(number) for number in (SIGINT, SIGTERM)}, logging.getLogger("kafka").level
    yield
    for number, handler in handlers.items():
        signal(number, handler)
    logging.getLogger("kafka").setLevel(level)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "told", "cure"),
        [
            pytest.param(
                ["--bootstrap-servers", UNUSED_PORT],
                "no Kafka broker answers (127.0.0.1:1)",
                "make stack-up",
                id="away",
            ),
            pytest.param(
                ["--bootstrap-servers", "192.0.2.1:9092"],
                "'192.0.2.1:9092' is not allowed",
                "Load goes only to what `allow` of the profile names",
                id="elsewhere",
            ),
            pytest.param(
                ["--bootstrap-servers", f"{UNUSED_PORT},192.0.2.1:9092"],
                "'192.0.2.1:9092'",
                "127.0.0.1",
                id="one elsewhere",
            ),
            pytest.param(["--bootstrap-servers", "localhost"], "names no port", "Give host:port", id="no port"),
            pytest.param(["--bootstrap-servers", ","], "no Kafka broker was given", "Give host:port", id="no broker"),
            pytest.param(["--target", "nowhere"], "unknown target 'nowhere'", "Known: portal", id="unknown target"),
        ],
    )
    def test_are_one_line_with_a_cure_and_exit_code_2(
        self, arguments: list[str], told: str, cure: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*arguments, "--metrics-port", "0"]) == 2
        said = capsys.readouterr()
        assert told in said.err
        assert cure in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""

    @pytest.mark.parametrize("option", ["--rate", "--duration"])
    @pytest.mark.parametrize("wrong", ["0", "-5", "many", "nan", "1e9"])
    def test_name_a_wrong_number(self, option: str, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main([option, wrong])
        assert ended.value.code == 2
        assert f"{option}: a number above 0 and at most" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            pytest.param(["--shape", "fast for 5m"], "--shape: 'fast for 5m' is no step; write steps as", id="shape"),
            pytest.param(["--shape", "100 for 5m, 0 for 1s"], "found 0 in '0 for 1s'", id="rate in a shape"),
            pytest.param(["--shape", ""], "--shape: the shape holds no step", id="empty shape"),
            pytest.param(["--shape", "100 for 5m, " * 50 + "x"], "'x' is no step", id="shape longer than a file name"),
            pytest.param(["--engine", "quick"], "--engine: invalid choice: 'quick'", id="engine"),
            pytest.param(["--processes", "0"], "--processes: a number from 1 to 64 is needed, found '0'", id="none"),
            pytest.param(["--processes", "65"], "a number from 1 to 64 is needed, found '65'", id="too many"),
            pytest.param(["--processes", "two"], "a number from 1 to 64 is needed, found 'two'", id="a word"),
            pytest.param(["--retries", "-1"], "--retries: a number from 0 to 100 is needed, found '-1'", id="retries"),
            pytest.param(["--retries", "101"], "a number from 0 to 100 is needed, found '101'", id="too many retries"),
            pytest.param(["--metrics-port", "70000"], "--metrics-port: a number from 0 to 65535", id="port"),
            pytest.param(["--metrics-port", "-1"], "--metrics-port: a number from 0 to 65535", id="negative port"),
            pytest.param(["--result", "/nowhere/r.json"], "--result: a file in a folder that exists", id="result"),
            pytest.param(["--result", "/"], "--result: a file in a folder that exists is needed", id="result a folder"),
        ],
    )
    def test_name_the_option_and_what_is_expected(
        self, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert told in capsys.readouterr().err.splitlines()[-1]

    def test_name_the_step_in_a_shape_s_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shape = tmp_path / "shape.txt"
        shape.write_text("100 for 5m  # steady\nspike for 1m\n", encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            main(["--shape", str(shape)])
        assert ended.value.code == 2
        assert "--shape: 'spike for 1m' is no step" in capsys.readouterr().err.splitlines()[-1]

    def test_say_what_to_install_for_the_other_engine(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delitem(sys.modules, "bots.engine_confluent", raising=False)
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)  # as where it is not installed
        assert main(["--engine", "confluent", "--bootstrap-servers", UNUSED_PORT, "--metrics-port", "0"]) == 2
        assert capsys.readouterr().err == (
            "engine 'confluent' needs the package confluent_kafka, which is not installed (--engine)."
            " pip install -r bots/requirements.txt\n"
        )


class Asked(TargetError):
    """Raised in place of a run."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BotPlan]:
    """The plans that `main` would run."""
    plans: list[BotPlan] = []

    def run(plan: BotPlan, stop: Event, on_progress: Progress) -> BotResult:
        plans.append(plan)
        raise Asked("asked")

    monkeypatch.setattr("bots.kafka_producer.run_bot", run)
    return plans


class TestPlan:
    def test_is_the_design_s_by_itself(self, asked: list[BotPlan]) -> None:
        main([])
        (plan,) = asked
        assert plan.bootstrap_servers == "localhost:9092"
        assert plan.events.topic == "shopping.order.created"
        assert plan.steps == (BotStep(rate_per_s=100, duration_s=60),)
        assert (plan.engine, plan.processes, plan.retries, plan.metrics_port) == ("kafka-python", None, 3, 8000)
        assert not plan.verify

    def test_is_what_was_asked(self, asked: list[BotPlan]) -> None:
        options = "--bootstrap-servers 127.0.0.1:9 --topic t --rate 0.5 --duration 2.5 --engine confluent"
        more = "--processes 3 --retries 0 --metrics-port 0 --verify --run-id mine"
        main([*options.split(), *more.split()])
        (plan,) = asked
        assert (plan.bootstrap_servers, plan.events.topic, plan.events.dead_letter_topic) == (
            "127.0.0.1:9",
            "t",
            "t.DLT",
        )
        assert plan.steps == (BotStep(rate_per_s=0.5, duration_s=2.5),)
        assert (plan.engine, plan.processes, plan.retries, plan.metrics_port) == ("confluent", 3, 0, 0)
        assert (plan.verify, plan.run_id) == (True, "mine")

    @pytest.mark.parametrize("as_file", [False, True])
    def test_takes_a_shape_as_text_and_as_a_file(self, asked: list[BotPlan], tmp_path: Path, as_file: bool) -> None:
        text = "100 for 5m, 100 to 1000 for 30s, 1000 for 1m"
        if as_file:
            (tmp_path / "shape.txt").write_text(f"# the design's spike\n{text.replace(', ', chr(10))}\n")
        main(["--shape", str(tmp_path / "shape.txt") if as_file else text])
        assert asked[0].steps == parse_shape(text)


class TestProcesses:
    @pytest.mark.parametrize(
        ("shape", "engine", "processors", "count"),
        [
            pytest.param("100 for 1s", "kafka-python", 8, 1, id="one suffices"),
            pytest.param("3000 for 1s", "kafka-python", 8, 1, id="just so"),
            pytest.param("10000 for 1s", "kafka-python", 8, 4, id="10,000 at 3,000 each"),
            pytest.param("10000 for 1s", "kafka-python", 2, 2, id="not more than processors"),
            pytest.param("10 for 1s, 10 to 7000 for 1s", "kafka-python", 8, 3, id="the highest rate of all steps"),
            pytest.param("100000 for 1s", "confluent", 8, 1, id="the fast engine"),
        ],
    )
    def test_are_as_many_as_the_highest_rate_needs(
        self, shape: str, engine: str, processors: int, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.cpu_count", lambda: processors)
        plan = BotPlan.model_validate(
            {
                "run_id": "r1",
                "bootstrap_servers": UNUSED_PORT,
                "events": load_profile("portal").events,
                "steps": parse_shape(shape),
                "engine": engine,
            }
        )
        assert process_count(plan) == count
        assert process_count(plan.model_copy(update={"processes": 5})) == 5


class TestHelp:
    def test_teaches_from_any_folder_when_started_as_the_design_starts_it(self) -> None:
        script = ROOT / "bots" / "kafka_producer.py"
        help = subprocess.run(
            [sys.executable, script, "--help"], cwd="/", capture_output=True, text=True, check=True
        ).stdout
        for option in (
            "--bootstrap-servers",
            "--topic",
            "--rate",
            "--duration",
            "--metrics-port",
            "--shape",
            "--engine",
            "--processes",
            "--retries",
            "--target",
            "--verify",
        ):
            assert option in help
        assert "Exit codes: 0 the rate was held" in help
