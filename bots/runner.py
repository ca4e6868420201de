"""Runs the bot in a process of its own, so that nobody else's work in this one delays its schedule."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import IO

from bots.plan import BotPlan, BotResult, Line, Progress, quiet
from core.errors import LoadError
from core.settings import ROOT

log = logging.getLogger("bots")

REST_S = 120.0
"""What a run may take beyond its schedule and its drain: connecting, settling, reading back, lingering."""
STOP_S = 90.0
"""What a stopped run may take to account for what it sent."""


def run_bot_process(
    plan: BotPlan,
    folder: Path,
    stop: Event,
    on_progress: Callable[[Progress], object] = quiet,
) -> BotResult:
    """`run_bot` in a process of its own, with plan, result and log in `folder`; `stop` ends the load early.

    LoadError when the bot could not begin, or did not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan_file, result_file = folder / "bot-plan.json", folder / "bot-result.json"
    plan_file.write_text(plan.model_dump_json(indent=1), encoding="utf-8")
    result_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bots.kafka_producer", "--plan", str(plan_file), "--result", str(result_file)]
    with (
        (folder / "bot.log").open("w", encoding="utf-8") as log_file,
        # Its stdin is the lease: it ends with this process, and then so does the load.
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log_file, text=True
        ) as process,
    ):
        log.info("kafka bot started, pid %d", process.pid)
        try:
            _relay(process, stop, plan.duration_s + plan.drain_timeout_s + REST_S, on_progress)
        finally:
            process.kill()
    if not result_file.exists():
        raise _no_answer(process.returncode, folder / "bot.log")
    return BotResult.model_validate_json(result_file.read_text(encoding="utf-8"))


def _relay(
    process: subprocess.Popen[str], stop: Event, bound_s: float, on_progress: Callable[[Progress], object]
) -> None:
    """Hand the bot's lines on, in this thread, until it has ended; LoadError with what it said was wrong."""
    lines: SimpleQueue[str] = SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), name="bot-lines", daemon=True)
    reader.start()
    deadline_s, stopping = time.monotonic() + bound_s, False
    while time.monotonic() < deadline_s and (reader.is_alive() or not lines.empty()):
        if stop.is_set() and not stopping:
            stopping, deadline_s = True, time.monotonic() + STOP_S
            process.terminate()
        try:
            line = Line.model_validate_json(lines.get(timeout=0.5))
        except Empty:
            continue
        if line.problem is not None:
            raise LoadError(line.problem.what, where=line.problem.where, cure=line.problem.cure)
        if line.progress is not None:
            on_progress(line.progress)
    if reader.is_alive():
        return
    process.wait(timeout=STOP_S)


def _read(stream: IO[str] | None, lines: SimpleQueue[str]) -> None:
    for line in stream or ():
        lines.put(line)


def _no_answer(returncode: int | None, log_file: Path) -> LoadError:
    tail = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return LoadError(
        f"the Kafka bot ended without a result (exit code {returncode}): {''.join(tail) or 'it said nothing'}",
        where=str(log_file),
        cure="The whole of its log is there.",
    )
