"""One run of the bot: look at the broker, send, settle, read the log back, watch the consumers drain."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from threading import Event

from kafka import KafkaProducer
from kafka.errors import KafkaError

from bots.accounting import verify_log
from bots.broker import Broker, Offsets
from bots.lag import LagWatch
from bots.measures import MovingRate
from bots.metrics import BotMetrics, linger, serving
from bots.plan import Accounting, BotPlan, BotResult, Drain, Problem, Progress, quiet
from bots.sender import Sender
from core.errors import SuiteError, TargetError
from core.rundir import utc_now

log = logging.getLogger("bots")

MAX_BLOCK_S = 5
"""How long a send may wait for room or metadata; the schedule stands still meanwhile."""
ACK_S = 20
"""The client gives a message up that was not acknowledged within it."""
CLOSE_S = 5
PROGRESS_S = 1.0


def run_bot(
    plan: BotPlan,
    stop: Event,
    on_progress: Callable[[Progress], object] = quiet,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> BotResult:
    """Put the plan's load on its topic; `stop` ends it early, and what was sent is still accounted for.

    TargetRefused, TargetError or SetupError when it cannot begin; a broker lost later is `BotResult.stopped_by`.
    """
    metrics = BotMetrics(plan.events.topic)
    with Broker(plan.bootstrap_servers) as broker:
        broker.require_topic(plan.events.topic)
        with serving(metrics, plan.metrics_address, plan.metrics_port) as port:
            log.info("metrics at http://%s:%d/metrics", plan.metrics_address, port)
            run = _Run(plan, metrics, broker, stop, on_progress, clock, sleep)
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
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self._plan, self._metrics, self._broker, self._stop = plan, metrics, broker, stop
        self._on_progress, self._clock, self._sleep = on_progress, clock, sleep
        self._producer = _producer(broker)
        self._sender = Sender(plan, self._producer, metrics, clock, random.Random(plan.run_id))
        self._moving = MovingRate()
        self._watch: LagWatch | None = None
        self._start_s = self._reported_s = clock()
        self._doing = "sending"

    def load(self) -> BotResult:
        """Send everything and wait for the broker's answers."""
        started = utc_now()
        log.info("sending %d messages to %s", len(self._sender.ledger.states), self._plan.events.topic)
        try:
            stopped_by = self._sender.run(self._stop, self._sleep, self._tick)
            self._sender.settle(self._sleep, self._tick)
        finally:
            self._producer.close(timeout=CLOSE_S)
        self._sender.give_up_pending()
        self._metrics.rest()
        ledger = self._sender.ledger
        return BotResult(
            run_id=self._plan.run_id,
            topic=self._plan.events.topic,
            started=started,
            ended=utc_now(),
            steps=self._sender.step_results(),
            sent=ledger.sent,
            acked=ledger.acked,
            failed=ledger.failed,
            failures=dict(ledger.failures),
            from_intended=self._sender.from_intended.summary(),
            from_send=self._sender.from_send.summary(),
            lateness=self._sender.lateness.summary(),
            interrupted=self._stop.is_set(),
            stopped_by=stopped_by,
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
        linger(self._metrics, 2 * self._plan.scrape_interval_s, self._proceed, self._sleep)

    def _accounting(self, before: Offsets) -> Accounting:
        self._doing = "reading back"
        log.info("reading the log of %s back", self._plan.events.topic)
        end = self._broker.end_offsets(self._plan.events.topic)
        return verify_log(self._broker, self._plan, self._sender.ledger.states, before, end, on_read=self._tick)

    def _drain(self, watch: LagWatch, loaded_s: float, dead_before: int, wait: bool) -> Drain:
        self._doing = "draining"
        log.info("waiting for the lag of %s to be 0", self._plan.events.consumer_group)
        timeout_s = self._plan.drain_timeout_s if wait else 0.0
        drain_s = watch.wait_until_drained(loaded_s, timeout_s, self._proceed, self._sleep)
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
        now_s = self._clock()
        if now_s - self._reported_s < PROGRESS_S:
            return
        self._reported_s = now_s
        ledger = self._sender.ledger
        rate = self._moving.update(now_s, ledger.acked)
        if self._doing == "sending":
            self._metrics.actual_rate.set(rate)
            self._metrics.lateness.set(max(0.0, self._sender.late_s))
        self._on_progress(
            Progress(
                doing=self._doing,
                elapsed_s=round(now_s - self._start_s, 1),
                sent=ledger.sent,
                acked=ledger.acked,
                failed=ledger.failed,
                rate_per_s=round(rate, 1),
                late_ms=round(self._sender.late_s * 1000, 1),
                lag_records=self._watch.series[-1].lag_records if self._watch and self._watch.series else None,
            )
        )


def _producer(broker: Broker) -> KafkaProducer:
    """A client that waits for all in-sync replicas and tries three times again, as the design's does."""
    try:
        return KafkaProducer(
            bootstrap_servers=broker.bootstrap_servers,
            api_version=broker.api_version,
            client_id="kafka-bot",
            acks="all",
            retries=3,
            max_block_ms=MAX_BLOCK_S * 1000,
            request_timeout_ms=ACK_S * 1000,
        )
    except KafkaError as error:
        raise TargetError(
            f"no producer can be made: {error}",
            where=", ".join(broker.bootstrap_servers),
            cure="Look into the broker's log.",
        ) from error
