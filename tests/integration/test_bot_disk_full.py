"""The broker's disk fills up under the bot: one sentence, all counts, and what was acknowledged is still there.

The disk is a small tmpfs in a mount namespace that a process of the test holds: nothing outside sees it, and it goes
with that process. The broker runs in that namespace, also after its end, when the disk is made larger to read its log.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient, NewTopic

from bots.broker import Broker
from bots.engine import engine_module
from bots.events import mark_prefix
from bots.plan import BotResult
from core.settings import ROOT
from targets.load import EngineName
from tests.kafka_broker import Kafka, eventually

TOPIC = "orders"
DISK = "24m"
LARGER_DISK = "512m"
HOLD = 'mount -t tmpfs -o size="$2" tmpfs "$1" && echo mounted && exec cat'


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[str, ...]]:
    """A tmpfs at `folder` in a namespace of its own; yields what goes before a command that is to see it."""
    command = ["unshare", "--mount", "sh", "-c", HOLD, "sh", str(folder), DISK]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:  # its stdin ends with the block or with this process, and then `cat` ends, and with it the namespace
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline().strip() != "mounted":
            pytest.skip(f"a small disk cannot be mounted here: {holder.stderr.read().strip()}")
        try:
            yield ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt")
        finally:
            holder.kill()


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A broker whose records lie on a small disk; its own metadata does not."""
    data = tmp_path / "data"
    data.mkdir()
    with small_disk(data) as prefix:
        broker = Kafka(
            tmp_path,
            prefix,
            metadata_log_dir=str(tmp_path / "metadata"),
            log_index_size_max_bytes="65536",  # indexes are files with holes; writing into one must not need the disk
            log_segment_bytes="4194304",
            offsets_topic_num_partitions="1",
        )
        try:
            broker.start()
            admin = KafkaAdminClient(bootstrap_servers=broker.address)
            admin.create_topics([NewTopic(TOPIC, 1, 1)])
            admin.close()
            yield broker
        finally:
            broker.kill()


def test_ends_the_load_in_one_sentence_and_keeps_what_was_acknowledged(kafka: Kafka, tmp_path: Path) -> None:
    """With the default engine; filling the disk and the silence after it take a minute."""
    engine: EngineName = "kafka-python"
    result_file = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "bots" / "kafka_producer.py"), "--bootstrap-servers", kafka.address]
    command += ["--topic", TOPIC, "--rate", "2000", "--duration", "120", "--processes", "1"]
    command += ["--metrics-port", "0", "--result", str(result_file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=180)

    assert done.returncode == 1, done.stderr
    result = BotResult.model_validate_json(result_file.read_text(encoding="utf-8"))
    assert result.sent == result.acked + result.failed < 240_000
    assert result.failed > 0
    assert result.acked > 1000
    counts = f"{result.sent} messages sent to {TOPIC}: {result.acked} acknowledged, {result.failed} failed"
    assert counts in done.stdout.splitlines()
    (rate,) = [line for line in done.stdout.splitlines() if "kafka-bot-rate" in line]
    assert "the load ended early: the broker takes no more messages" in rate
    assert "has its disk room? See the broker's log." in rate
    assert "Traceback" not in done.stderr + done.stdout

    kafka.kill()
    enlarge_disk(kafka)
    kafka.start()
    in_log = marks_in_log(kafka, engine, result.run_id)
    assert result.acked <= len(in_log) <= result.sent


def enlarge_disk(kafka: Kafka) -> None:
    command = ["mount", "-o", f"remount,size={LARGER_DISK}", str(kafka.data)]
    subprocess.run([*kafka.prefix, *command], check=True)


def marks_in_log(kafka: Kafka, engine: EngineName, run_id: str) -> set[bytes]:
    """The marks of the run's messages that the topic holds."""
    with Broker(kafka.address) as broker:
        eventually("the topic has its leader", lambda: bool(broker.partitions(TOPIC)))
        start, end = broker.beginning_offsets(TOPIC), broker.end_offsets(TOPIC)
        records = engine_module(engine).read_log(broker, TOPIC, start, end)
        return {record.mark for record in records if record.mark and record.mark.startswith(mark_prefix(run_id, 0))}
