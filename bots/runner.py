"""Runs the bot in a process of its own, so that nobody else's work in this one delays its schedule."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

from bots.lines import LineProcess, Said
from bots.plan import BotPlan, BotResult, Line, Progress, quiet
from core.errors import LoadError
from core.settings import process_environment

log = logging.getLogger("bots")

REST_S = 240.0
"""What a run may take beyond its schedule and its drain: connecting, overrun, settling, reading back, lingering."""
STOP_S = 90.0
"""What a stopped run may take to account for what it sent."""
END_S = 5.0


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
    queue: SimpleQueue[Said] = SimpleQueue()
    process = LineProcess(0, command, process_environment(), folder / "bot.log", queue)
    log.info("kafka bot started, pid %d", process.pid)
    try:
        _relay(process, queue, stop, plan.duration_s + plan.drain_timeout_s + REST_S, on_progress)
    finally:
        process.close(END_S)
    if not result_file.exists():
        raise LoadError(
            f"the Kafka bot ended without a result ({process.last_words()})",
            where=str(process.log_file),
            cure="The whole of its log is there.",
        )
    return BotResult.model_validate_json(result_file.read_text(encoding="utf-8"))


def _relay(
    process: LineProcess,
    queue: SimpleQueue[Said],
    stop: Event,
    bound_s: float,
    on_progress: Callable[[Progress], object],
) -> None:
    """Hand the bot's lines on, in this thread, until it has ended; LoadError with what it said was wrong."""
    deadline_s, stopping = time.monotonic() + bound_s, False
    while time.monotonic() < deadline_s:
        if stop.is_set() and not stopping:
            stopping, deadline_s = True, time.monotonic() + STOP_S
            process.end_lease()
        try:
            said = queue.get(timeout=0.5)
        except Empty:
            continue
        if said.line is None:
            return
        line = Line.model_validate_json(said.line)
        if line.problem is not None:
            raise LoadError(line.problem.what, where=line.problem.where, cure=line.problem.cure)
        if line.progress is not None:
            on_progress(line.progress)
