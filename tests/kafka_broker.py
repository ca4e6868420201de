"""A Kafka broker of a test's own on free ports: started, ended gently or at once, and started again on its data."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bots.broker import Broker
from core.errors import TargetError
from infra.embedded.programs import ProgramId, ensure

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
START_S = 60
STOP_S = 60


class Kafka:
    """One broker with its data and its log in `folder`; `elsewhere` is a listener that advertises another machine."""

    def __init__(self, folder: Path, prefix: Sequence[str] = (), **properties: str) -> None:
        """`prefix` goes before each command; further server properties are written with `_` for `.`."""
        self.folder, self.data, self.prefix = folder, folder / "data", tuple(prefix)
        self.port, self.elsewhere, controller = free_ports(3)
        lines = SERVER_PROPERTIES.format(
            port=self.port, elsewhere=self.elsewhere, controller=controller, data=self.data
        )
        lines += "".join(f"{name.replace('_', '.')}={value}\n" for name, value in properties.items())
        self._properties = folder / "server.properties"
        self._properties.write_text(lines, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the running broker."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def runs(self) -> bool:
        return self.pid is not None

    def start(self) -> None:
        """Start, on a formatted disk, and wait until it answers; AssertionError with the end of its log otherwise."""
        if not (self.data / "meta.properties").exists():
            self._format()
        with self._log_file.open("ab") as log_file:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._properties)], stdout=log_file, stderr=log_file, cwd=self.folder
            )
        eventually("Kafka answers", lambda: not self.runs or self._answers(), within_s=START_S)
        assert self.runs, f"Kafka ended while it started: {self.last_words()}"

    def stop(self) -> None:
        """End it gently: it hands over, writes all to disk, and leaves."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a machine's memory killer would."""
        self._end(signal.SIGKILL)

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        return "\n".join(self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    @property
    def _java(self) -> list[str]:
        found = ensure((ProgramId.KAFKA,))[ProgramId.KAFKA]
        return [*self.prefix, "java", "-Xmx384m", "-cp", f"{found.path}/*"]

    @property
    def _log_file(self) -> Path:
        return self.folder / "kafka.log"

    def _format(self) -> None:
        cluster = ["-t", "AAAAAAAAAAAAAAAAAAAAAA", "--ignore-formatted", "-c", str(self._properties)]
        done = subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "format", *cluster],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"the disk cannot be formatted: {done.stdout}"

    def _answers(self) -> bool:
        try:
            Broker(self.address).close()
        except TargetError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


@contextmanager
def running_kafka(folder: Path, prefix: Sequence[str] = (), **properties: str) -> Iterator[Kafka]:
    """A broker that answers, for the block; `properties` with `_` for `.`: `message_max_bytes="1000"`."""
    kafka = Kafka(folder, prefix, **properties)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.kill()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    trials = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [trial.getsockname()[1] for trial in trials]
    for trial in trials:
        trial.close()
    return ports


def eventually(claim: str, holds: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until `holds`; AssertionError naming the claim when it does not in time."""
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, f"not within {within_s:g} s: {claim}"
        time.sleep(0.05)
