"""One run of the bot: look at the broker, send, settle, read the log back, watch the consumers drain."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from bots.accounting import verify_log
from bots.broker import Broker, Offsets
from bots.crew import Crew, merged_failures
from bots.engine import engine_module, process_count
from bots.lag import LagWatch
from bots.measures import LatencyHistogram, MovingRate
from bots.metrics import BotMetrics, linger, serving
from bots.plan import Accounting, BotPlan, BotResult, Drain, Problem, Progress, StepResult, quiet
from bots.schedule import message_count, span_s
from bots.share import ShareResult
from core.errors import SuiteError
from core.reach import Reach, reaching
from core.rundir import utc_now

log = logging.getLogger("bots")

PROGRESS_S = 1.0


def run_bot(plan: BotPlan, stop: Event, on_progress: Callable[[Progress], object] = quiet) -> BotResult:
    """Put the plan's load on its topic; `stop` ends it early, and what was sent is still accounted for.

    TargetRefused, TargetError or SetupError when it cannot begin, LoadError when one of its processes is lost; a broker
    lost later is `BotResult.stopped_by`.
    """
    engine_module(plan.engine)
    with (
        reaching(Reach.of(plan.allow)),
        Broker(plan.bootstrap_servers) as broker,
        tempfile.TemporaryDirectory(prefix="kafka-bot-") as folder,
    ):
        broker.require_topic(plan.events.topic)
        metrics = BotMetrics(Path(folder))
        with serving(metrics, plan.metrics_address, plan.metrics_port) as port:
            log.info("metrics at http://%s:%d/metrics", plan.metrics_address, port)
            run = _Run(plan, metrics, broker, stop, on_progress, Path(folder))
            result = run.verified() if plan.verify else run.load()
            run.rest()
    return result


class _Run:
    """What the steps of one run share."""

    def __init__(
        self,
        plan: BotPlan,
        metrics: BotMetrics,
        broker: Broker,
        stop: Event,
        on_progress: Callable[[Progress], object],
        folder: Path,
    ) -> None:
        self._plan, self._metrics, self._broker, self._stop = plan, metrics, broker, stop
        self._on_progress = on_progress
        self._crew = Crew(plan, process_count(plan), folder)
        self._books: Sequence[bytes] = ()
        self._moving = MovingRate()
        self._watch: LagWatch | None = None
        self._start_s = self._reported_s = time.monotonic()
        self._doing = "starting"

    def load(self) -> BotResult:
        """Send everything and wait for the broker's answers."""
        plan, processes = self._plan, process_count(self._plan)
        with self._crew:
            self._crew.wait_until_ready(self._stop, self._tick)
            messages = sum(message_count(step) for step in plan.steps)
            log.info("sending %d messages to %s from %d processes", messages, plan.events.topic, processes)
            self._doing, self._start_s, started = "sending", time.monotonic(), utc_now()
            results = self._crew.run(self._stop, self._tick)
            self._books = self._crew.books()
        self._metrics.rest()
        failures = merged_failures(results)
        return BotResult(
            run_id=plan.run_id,
            topic=plan.events.topic,
            engine=plan.engine,
            processes=processes,
            started=started,
            ended=utc_now(),
            steps=step_results(plan, results),
            sent=sum(result.sent for result in results),
            acked=sum(result.acked for result in results),
            failed=sum(failures.values()),
            failures=failures,
            from_intended=LatencyHistogram.merged(result.from_intended for result in results).summary(),
            from_send=LatencyHistogram.merged(result.from_send for result in results).summary(),
            lateness=LatencyHistogram.merged(result.lateness for result in results).summary(),
            cpu_s=round(sum(result.cpu_s for result in results), 3),
            interrupted=self._stop.is_set(),
            stopped_by=next((result.stopped_by for result in results if result.stopped_by), None),
        )

    def verified(self) -> BotResult:
        """`load`, with the consumer group watched beside it and the log read back after it."""
        events = self._plan.events
        before = self._broker.end_offsets(events.topic)
        dead_before = self._broker.end_offsets(events.dead_letter_topic)
        with LagWatch(self._plan.bootstrap_servers, events.consumer_group, events.topic) as self._watch:
            result = self.load()
            loaded_s = time.monotonic()
            try:
                accounting = self._accounting(before)
                drain = self._drain(self._watch, loaded_s, sum(dead_before.values()), wait=result.stopped_by is None)
            except SuiteError as error:
                return result.model_copy(update={"verification_problem": Problem.of(error)})
        return result.model_copy(update={"accounting": accounting, "drain": drain})

    def rest(self) -> None:
        """Keep the last figures up until Prometheus has taken them."""
        self._doing = "lingering"
        linger(self._metrics, 2 * self._plan.scrape_interval_s, self._proceed, time.sleep)

    def _accounting(self, before: Offsets) -> Accounting:
        self._doing = "reading back"
        log.info("reading the log of %s back", self._plan.events.topic)
        end = self._broker.end_offsets(self._plan.events.topic)
        accounting = verify_log(self._broker, self._plan, self._books, before, end, on_read=self._tick)
        self._metrics.found(accounting)
        return accounting

    def _drain(self, watch: LagWatch, loaded_s: float, dead_before: int, wait: bool) -> Drain:
        self._doing = "draining"
        log.info("waiting for the lag of %s to be 0", self._plan.events.consumer_group)
        timeout_s = self._plan.drain_timeout_s if wait else 0.0
        drain_s = watch.wait_until_drained(loaded_s, timeout_s, self._proceed, time.sleep)
        dead_after = self._broker.end_offsets(self._plan.events.dead_letter_topic)
        return Drain(
            group=self._plan.events.consumer_group,
            peak_lag_records=watch.peak_records,
            last_lag_records=watch.last_since(loaded_s),
            drain_s=round(drain_s, 1),
            dead_letters=sum(dead_after.values()) - dead_before,
            unanswered=watch.unanswered,
            series=tuple(watch.series),
        )

    def _proceed(self) -> bool:
        self._tick()
        return not self._stop.is_set()

    def _tick(self) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s < PROGRESS_S:
            return
        self._reported_s = now_s
        state = self._crew.state
        rate = self._moving.update(now_s, state.acked)
        if self._doing == "sending":
            self._metrics.target_rate.set(_asked_rate(self._plan, now_s - self._start_s))
            self._metrics.actual_rate.set(rate)
            self._metrics.lateness.set(max(0.0, state.late_s))
        self._on_progress(
            Progress(
                doing=self._doing,
                elapsed_s=round(now_s - self._start_s, 1),
                sent=state.sent,
                acked=state.acked,
                failed=state.failed,
                rate_per_s=round(rate, 1),
                late_ms=round(state.late_s * 1000, 1),
                lag_records=self._watch.series[-1].lag_records if self._watch and self._watch.series else None,
            )
        )


def step_results(plan: BotPlan, results: Sequence[ShareResult]) -> tuple[StepResult, ...]:
    """Each step as it went, over all producers."""
    whole, start_s = [], 0.0
    for index, step in enumerate(plan.steps):
        parts = [result.steps[index] for result in results]
        acked, sent = sum(part.acked for part in parts), sum(part.sent for part in parts)
        last_sent_s = max((part.last_sent_s for part in parts if part.sent), default=start_s)
        last_due_s, next_due_s = span_s(step, max(1, sent))
        sending_s = next_due_s + max(0.0, last_sent_s - start_s - last_due_s)
        whole.append(
            StepResult(
                asked=str(step),
                asked_rate_per_s=step.mean_rate_per_s,
                asked_duration_s=step.duration_s,
                scheduled=message_count(step),
                sent=sent,
                acked=acked,
                sending_s=round(sending_s, 4),
                rate_per_s=round(acked / sending_s, 3),
            )
        )
        start_s += step.duration_s
    return tuple(whole)


def _asked_rate(plan: BotPlan, elapsed_s: float) -> float:
    """The schedule's rate at a moment; 0 behind its end."""
    for step in plan.steps:
        if elapsed_s < step.duration_s:
            return step.rate_per_s + (step.last_rate_per_s - step.rate_per_s) * elapsed_s / step.duration_s
        elapsed_s -= step.duration_s
    return 0.0
