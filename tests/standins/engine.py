"""A Docker engine of the tests' own: private socket, private data, no firewall rule, ended by its process id.

Its images are kept in the suite's cache, so that only the first start on a machine builds them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from core.errors import SuiteError
from core.settings import Settings
from core.waiting import wait_for
from infra.docker.engine import Engine

NEEDED = ("dockerd", "containerd", "runc", "ip", "setpriv", "debootstrap")
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30
BRIDGE = Path("/sys/class/net/docker0")


def why_no_engine() -> str | None:
    """None where an engine can be run; else the reason, for the skipped test's line."""
    if os.geteuid() != 0:
        return "a Docker engine of its own needs root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@dataclass
class TestEngine:
    """A running engine; `host` is its DOCKER_HOST."""

    __test__ = False
    host: str
    folder: Path
    cache: Path
    process: subprocess.Popen[bytes]

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.host, timeout=600)

    def restart(self) -> None:
        """As `systemctl restart docker` does: every container dies with it."""
        self._end()
        self.process = _start(self.folder, self.cache)
        _wait_until_it_answers(self)

    def kill(self) -> None:
        """End it by its process id; nothing of it runs any more."""
        self._end()

    def _end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_engine() -> Iterator[TestEngine]:
    """The engine, alone on its data; whatever containers it still has at the end are removed."""
    cache = Settings().cache_dir.absolute() / "docker-tests"
    cache.mkdir(parents=True, exist_ok=True)
    had_bridge = BRIDGE.exists()
    with (cache / "lock").open("a") as lock, tempfile.TemporaryDirectory(prefix="ps-dk-") as name:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = TestEngine(f"unix://{name}/docker.sock", Path(name), cache, _start(Path(name), cache))
        try:
            _wait_until_it_answers(engine)
            _empty(engine)
            yield engine
            _empty(engine)
        finally:
            engine.kill()
            _forget(Path(name) / "exec" / "netns" / "default", had_bridge)


def _forget(namespace: Path, had_bridge: bool) -> None:
    """What dockerd leaves behind on a machine: a mount of its network namespace, and its bridge."""
    subprocess.run(("umount", str(namespace)), check=False, capture_output=True)
    if not had_bridge:
        subprocess.run(("ip", "link", "delete", "docker0"), check=False, capture_output=True)


def _start(folder: Path, cache: Path) -> subprocess.Popen[bytes]:
    with (folder / "dockerd.log").open("ab") as log:
        return subprocess.Popen(
            (
                *(
                    "setpriv",
                    "--pdeathsig",
                    "TERM",
                    "--",
                ),  # it ends, and its containers with it, when the tests are killed
                "dockerd",
                f"--data-root={cache / 'data'}",
                f"--exec-root={folder / 'exec'}",
                f"--host=unix://{folder / 'docker.sock'}",
                f"--pidfile={folder / 'docker.pid'}",
                "--iptables=false",
                "--ip-masq=false",
                "--ip-forward=false",
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait_until_it_answers(engine: TestEngine) -> None:
    seen = wait_for(lambda: _seen(engine), lambda answer: answer == "", START_WITHIN_S, every_s=0.2)
    assert seen == "", f"{seen}\n{(engine.folder / 'dockerd.log').read_text()[-3000:]}"


def _seen(engine: TestEngine) -> str:
    if engine.process.poll() is not None:
        return f"dockerd ended with {engine.process.returncode}"
    try:
        Engine(engine.host)
    except SuiteError as error:
        return str(error)
    return ""


def _empty(engine: TestEngine) -> None:
    """No container, no network and no data of an earlier test."""
    with closing(engine.client()) as client:
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
        client.networks.prune()
        for volume in client.volumes.list():
            volume.remove(force=True)
