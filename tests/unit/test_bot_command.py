"""The bot's command line: what it refuses, in one sentence with its cure, before anything is sent."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from signal import SIGINT, SIGTERM, getsignal, signal

import pytest

from bots.kafka_producer import main
from core.settings import ROOT

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
                "is not this machine",
                "Load goes to this machine",
                id="elsewhere",
            ),
            pytest.param(
                ["--bootstrap-servers", f"{UNUSED_PORT},192.0.2.1:9092"], "'192.0.2.1'", "127.0.0.1", id="one elsewhere"
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
            "--target",
            "--verify",
        ):
            assert option in help
        assert "Exit codes: 0 the rate was held" in help
