"""Runs one scenario: the only module that starts k6.

python -m k6.runner --help        # by hand; k6/run.sh calls it
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit, urlunsplit

from core.deadman import ends_with_us
from core.errors import SetupError
from core.rundir import utc_now
from core.waiting import every
from k6.command import Files, k6_arguments, k6_environment
from k6.log_file import keep_log, noting_receipts
from k6.machine import ProcessorWatch
from k6.model import Progress, ScenarioRequest, ScenarioResult
from k6.network import network_options
from k6.plan import GRACEFUL_STOP_S, SETUP_TIMEOUT_S, plan_document, planned_s, scenario_name
from k6.progress import ProgressReader, free_address
from k6.result import Ending, scenario_result
from k6.start_gate import PausedK6, StartGate
from targets.guard import pinned, refuse_unless_allowed
from targets.model import Profile

log = logging.getLogger("k6")

PROGRESS_EVERY_S = 2.0
LOOK_EVERY_S = 0.1
STOP_WITHIN_S = 10.0
"""After SIGINT k6 pushes its last samples and writes the summary; then it is killed."""
OVERTIME_S = 60.0
"""A k6 that runs longer than setup, load and graceful stop may take, and this, hangs."""


@runtime_checkable
class Stop(Protocol):
    """What ends a run early: a threading.Event, or one that several processes share."""

    def wait(self, timeout: float, /) -> bool:
        """Whether it is set, at the latest after `timeout` seconds."""


def run_scenario(
    request: ScenarioRequest,
    on_progress: Callable[[Progress], None],
    stop: Stop,
    gate: StartGate | None = None,
) -> ScenarioResult:
    """Run one scenario to its end, or until `stop` is set; with a `gate` its load begins when that opens.

    `on_progress` is called every two seconds. A k6 that fails is a result with `error`, not an exception.
    TargetRefused when anything would be sent elsewhere than the profile allows, ConfigError when the load does not fit
    k6 or the target, SetupError when k6 is not there; each before the first request.
    """
    refuse_unless_allowed(request.profile)
    if request.remote_write_url is not None:
        request = replace(request, remote_write_url=_pinned_remote_write(request.remote_write_url, request.profile))
    if not os.access(request.k6.path, os.X_OK):
        raise SetupError("k6 cannot be started", where=str(request.k6.path), cure="Run `make setup`, which builds it.")
    request.out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="suite-k6-") as private:
        files = _written(request, Path(private))
        ending = _run(request, files, on_progress, stop, gate)
        return scenario_result(request, files, ending)


def _pinned_remote_write(url: str, profile: Profile) -> str:
    """`url` with an address in place of its name, resolved and allowed just now: k6's output resolves it by itself.

    https keeps the name: there a certificate proves who answers, and it is made out to the name.
    """
    address = profile.reach.addresses(url, "Prometheus remote write")[0]
    parts = urlsplit(url)
    if parts.scheme != "http":
        return url
    host = f"[{address}]" if ":" in address else address
    return urlunsplit(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))


def _written(request: ScenarioRequest, private: Path) -> Files:
    """The plan, and an empty k6 configuration in place of the user's own; `private` is a folder of mode 0700."""
    files = Files.of(request.out_dir.resolve(), private)
    files.summary.unlink(missing_ok=True)
    files.plan.touch(mode=0o600)
    document = {**plan_document(request), "network": network_options(pinned(request.profile))}
    files.plan.write_text(json.dumps(document), encoding="utf-8")
    files.config.write_text("{}", encoding="utf-8")
    return files


def _run(
    request: ScenarioRequest,
    files: Files,
    on_progress: Callable[[Progress], None],
    stop: Stop,
    gate: StartGate | None,
) -> Ending:
    api = free_address()
    planned = planned_s(request.scenario, request.load, request.profile)
    limit_s = SETUP_TIMEOUT_S + planned + GRACEFUL_STOP_S + OVERTIME_S + (gate.opens_within_s if gate else 0)
    name = scenario_name(request.scenario)
    log.info("%s: starting k6, load '%s', at most %.0f s", name, request.load.name, planned)
    with closing(ProgressReader(name, api, planned)) as reader:
        report = every(PROGRESS_EVERY_S, lambda: _report(reader, on_progress))
        started, began = utc_now(), time.monotonic()
        arguments = k6_arguments(request, files, api, paused=gate is not None)
        process = _start(arguments, k6_environment(request, files))
        with ends_with_us(process.pid), _output_kept(process, files.log) as receipts:
            processors = ProcessorWatch(process.pid)
            paused = (PausedK6(api, gate, reader.restart).look,) if gate else ()
            cut_short = _watch(process, (*paused, processors.look, report), stop, limit_s)
            run_delay_ratio, steal_ratio = processors.run_delay_ratio(), processors.steal_ratio()
    log.info("%s: k6 ended after %.1f s with exit code %d", name, time.monotonic() - began, process.returncode)
    return Ending(
        exit_code=process.returncode,
        started=started,
        ended=utc_now(),
        cut_short=cut_short,
        run_delay_ratio=run_delay_ratio,
        steal_ratio=steal_ratio,
        receipts=tuple(receipts),
    )


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """k6 in a session of its own: a Ctrl-C at the terminal reaches the run, which then stops k6 in order."""
    return subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@contextmanager
def _output_kept(process: subprocess.Popen[bytes], path: Path) -> Iterator[list[str]]:
    """k6's output goes to `path`; the receipts in it are complete when the block has ended, and k6 with it."""
    assert process.stdout is not None
    receipts: list[str] = []
    lines = noting_receipts(process.stdout, receipts)
    keeper = threading.Thread(target=keep_log, args=(lines, path), name=f"k6-log-{process.pid}")
    keeper.start()
    try:
        yield receipts
    finally:
        _kill(process)
        keeper.join()
        process.stdout.close()


def _watch(process: subprocess.Popen[bytes], looks: Sequence[Callable[[], None]], stop: Stop, limit_s: float) -> str:
    """Look at k6 until it ends by itself (""), or end it when `stop` is set or `limit_s` is over, and say so."""
    began = time.monotonic()
    while process.poll() is None:
        for look in looks:
            look()
        if stop.wait(LOOK_EVERY_S):
            return _interrupt(process, "the run was stopped")
        if time.monotonic() - began > limit_s:
            return _interrupt(process, f"it hung: {limit_s:.0f} s is more than it may take")
    return ""


def _report(reader: ProgressReader, on_progress: Callable[[Progress], None]) -> bool:
    progress = reader.read()
    if progress is not None:
        on_progress(progress)
    return progress is not None


def _interrupt(process: subprocess.Popen[bytes], reason: str) -> str:
    """SIGINT: k6 still pushes its last samples and writes the summary; `_kill` follows if that takes too long."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        return f"{reason}, and it had to be killed {STOP_WITHIN_S:.0f} s later"
    return reason


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    from k6.command_line import main

    sys.exit(main())
