"""The bot's command line, as the design calls it (section 6.3):

    python bots/kafka_producer.py --rate 100 --duration 30 --verify
    python bots/kafka_producer.py --bootstrap-servers localhost:9092 --topic shopping.order.created \\
        --rate 1000 --duration 60 --metrics-port 8000
    python bots/kafka_producer.py --shape "100 for 5m, 100 to 1000 for 30s, 1000 for 1m"

Sends order events of the target's kind on a schedule, however long the broker takes to answer; a late bot catches up
and says so. A rate that one process cannot hold is shared by several; --engine confluent makes far more of them.
Its figures stand at http://127.0.0.1:<metrics-port>/metrics while it runs.

Exit codes: 0 the rate was held and no message failed; 1 it was not; 2 the bot could not run; 3 nothing can be claimed;
130, 143 interrupted, with an account of what was sent (a second signal ends it at once).
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # started as a file: its packages lie beside bots/, not in it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import get_args

from bots.bot import run_bot
from bots.checks import kafka_bot_accounting_check, kafka_bot_rate_check, kafka_lag_drains_check
from bots.plan import BotPlan, BotResult, Latency, Line, Problem, Progress
from core.checks import Check
from core.errors import SuiteError
from core.ports import DEFAULT_PORTS, LOOPBACK, ServiceId
from core.rundir import new_run_id, utc_now
from core.words import EXIT_CODES, EXIT_SIGINT, EXIT_SIGTERM, Verdict, worst
from targets.budget import messages, require_within
from targets.guard import require_consent
from targets.load import EngineName
from targets.model import load_profile
from targets.shape import MOST_PER_S, MOST_S, BotStep, parse_shape

log = logging.getLogger("bots")

PROGRESS_EVERY_S = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bot as asked; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what its errors mean is said in this bot's own words
    stop, signals = threading.Event(), list[int]()
    _stop_on_signals(stop, signals)
    code = _follow_plan_file(options.plan, options.result, stop) if options.plan else _follow_options(options, stop)
    return {signal.SIGINT: EXIT_SIGINT, signal.SIGTERM: EXIT_SIGTERM}[signal.Signals(signals[0])] if signals else code


def _follow_options(options: argparse.Namespace, stop: threading.Event) -> int:
    """A person's run: progress on stderr, the account on stdout."""
    try:
        result = run_bot(_plan(options), stop, _Teller())
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CODES[Verdict.ERROR]
    if options.result:
        options.result.write_text(result.model_dump_json(indent=1), encoding="utf-8")
    checks = (kafka_bot_rate_check(result), kafka_bot_accounting_check(result), kafka_lag_drains_check(result))
    sys.stdout.write(_account(result, checks))
    return EXIT_CODES[worst(each.verdict for each in checks)]


def _follow_plan_file(plan: Path, result: Path, stop: threading.Event) -> int:
    """A flow's run (bots/runner.py): JSON lines on stdout, the result in a file; ends when stdin does."""
    threading.Thread(target=_stop_when_stdin_ends, args=(stop,), name="lease", daemon=True).start()
    try:
        answer = run_bot(
            BotPlan.model_validate_json(plan.read_text(encoding="utf-8")),
            stop,
            lambda progress: _say(Line(progress=progress)),
        )
    except SuiteError as error:
        _say(Line(problem=Problem.of(error)))
        return EXIT_CODES[Verdict.ERROR]
    result.write_text(answer.model_dump_json(indent=1), encoding="utf-8")
    return EXIT_CODES[Verdict.PASS]


def _plan(options: argparse.Namespace) -> BotPlan:
    profile = load_profile(options.target)
    require_consent(profile, options.i_mean)
    steps = options.shape or (BotStep(rate_per_s=options.rate, duration_s=options.duration),)
    require_within(profile, [messages(steps)], "bot")
    events = profile.events
    if options.topic and options.topic != events.topic:
        events = events.model_copy(update={"topic": options.topic, "dead_letter_topic": f"{options.topic}.DLT"})
    return BotPlan(
        run_id=options.run_id or new_run_id(Path(options.target).stem, "bot", utc_now()),
        bootstrap_servers=options.bootstrap_servers,
        allow=profile.allow,
        events=events,
        steps=steps,
        engine=options.engine,
        processes=options.processes,
        retries=options.retries,
        metrics_address=options.metrics_address,
        metrics_port=options.metrics_port,
        verify=options.verify,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kafka_producer.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--bootstrap-servers",
        default="localhost:9092",
        help="host:port of Kafka, allowed by the target's profile (default: %(default)s)",
    )
    add("--topic", help="default: the target's order topic; it must exist")
    add("--rate", type=_number_up_to(MOST_PER_S), default=100, help="messages a second (default: %(default)s)")
    add("--duration", type=_number_up_to(MOST_S), default=60, help="seconds (default: %(default)s)")
    add(
        "--shape",
        type=_shape,
        metavar="TEXT|FILE",
        help="instead of rate and duration: `100 for 5m, 1000 for 1m`, a ramp `100 to 1000 for 30s`, or a file of it",
    )
    add("--engine", choices=get_args(EngineName), default="kafka-python", help="Kafka client (default: %(default)s)")
    add("--processes", type=_count(1, 64), help="sending processes (default: as many as the rate needs)")
    add("--retries", type=_count(0, 100), default=3, help="repetitions by the client itself (default: %(default)s)")
    add(
        "--metrics-port",
        type=_count(0, 65_535),
        default=DEFAULT_PORTS[ServiceId.KAFKA_BOT],
        help="0: any (default: %(default)s)",
    )
    add(
        "--metrics-address",
        default=LOOPBACK,
        help="0.0.0.0 where Prometheus runs in a container (default: %(default)s)",
    )
    add("--target", default="portal", help="profile, by name or file, that describes the event (default: %(default)s)")
    add("--i-mean", metavar="NAME", help="the name of a production target, typed for this run")
    add("--verify", action="store_true", help="read the log back, watch lag and dead letters, wait for lag 0")
    add("--run-id", help="stands in every message (default: a new one)")
    add("--result", type=_new_file, metavar="FILE", help="also write everything that was measured there, as JSON")
    add("--plan", type=Path, help=argparse.SUPPRESS)
    return parser


def _number_up_to(most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"a number above 0 and at most {most:,} is needed, found '{text}'")
        return value

    return number


def _count(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most} is needed, found '{text}'")
        return int(text)

    return number


def _shape(text: str) -> Sequence[BotStep]:
    """A shape, or the one in a file."""
    try:
        return parse_shape(Path(text).read_text(encoding="utf-8") if os.path.isfile(text) else text)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _new_file(text: str) -> Path:
    """Told before the load rather than after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"a file in a folder that exists is needed, found '{text}'")
    return path


def _stop_on_signals(stop: threading.Event, signals: list[int]) -> None:
    def handle(number: int, _: FrameType | None) -> None:
        signals.append(number)
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _stop_when_stdin_ends(stop: threading.Event) -> None:
    """The starter holds the other end: when it ends, however it ends, the load ends."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


def _say(line: Line) -> None:
    """A starter that is gone hears nothing: the load is ending, and the result still goes to its file."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), f"{line.model_dump_json(exclude_none=True)}\n".encode())


class _Teller:
    """Logs every fifth second's progress."""

    def __init__(self) -> None:
        self._told_s = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.elapsed_s - self._told_s >= PROGRESS_EVERY_S:
            self._told_s = progress.elapsed_s
            log.info("%s", progress)


def _account(result: BotResult, checks: Sequence[Check]) -> str:
    """The run in a few lines."""
    processes = f"{result.processes} process{'es' if result.processes > 1 else ''}"
    failures = [f"  {count} x {reason}" for reason, count in result.failures.items()]
    lines = [
        f"run {result.run_id}, engine {result.engine}, {processes}, {result.cpu_s:.1f} s of processor time",
        f"{result.sent} messages sent to {result.topic}: {result.acked} acknowledged, {result.failed} failed",
        *failures,
        f"from intended send to acknowledgement: {_milliseconds(result.from_intended)}",
        f"from send to acknowledgement:          {_milliseconds(result.from_send)}",
        f"sent later than intended:              {_milliseconds(result.lateness)}",
        *(f"{each.verdict:<8} {each.id}: {each.observed}" for each in checks),
    ]
    return "\n".join(lines) + "\n"


def _milliseconds(latency: Latency) -> str:
    if latency.p50_ms is None:
        return "nothing measured"
    return f"p50 {latency.p50_ms:.1f}  p95 {latency.p95_ms:.1f}  p99 {latency.p99_ms:.1f}  max {latency.max_ms:.1f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
