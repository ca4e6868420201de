"""The business ledger's steps: the target's books after the load, beside what the clients were told."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime

from bots.broker import Broker
from core.checks import Check, check, passed_if
from core.ports import ServiceId
from core.rundir import utc_now
from core.waiting import wait_for
from core.words import Verdict
from dashboards.prometheus import Prometheus
from targets.adapter import LedgerCounts, adapter_for
from tasks.ledger import coupons_check, orders_check, without_events
from tasks.run import Run
from tasks.step import step

NO_CACHE = "the target has no cache, so there is nothing to expire"
DRAINED_WITHIN_S = 30.0
"""Notifications follow their orders through Kafka."""
SCRAPED_WITHIN_S = 20.0
"""A counter's value at some moment is known with the next scrape."""


@step
def ledger_coupons(run: Run) -> Check:
    """Coupons told to clients, rows, users and Redis agree."""
    result = coupons_check(run.scenario_results["c"], _counts(run).coupons, run.profile.coupon.stock, run.load_users)
    run.ledger["coupons"] = result.evidence
    return result


@step
def ledger_orders(run: Run) -> Check:
    """Orders told to clients, rows, events and notifications agree, once the notifications have caught up."""
    if not run.profile.data_may_be_written:
        because = run.profile.no_orders_because or "the target's data may not be written"
        return check("ledger-orders", Verdict.SKIPPED, f"no orders were made: {because}")

    def look() -> Check:
        grown = _topic_growth(run)
        events = run.profile.events
        told, of_bot = run.scenario_results["a"], _events_of_bot(run)
        own = grown[events.topic] - of_bot if events.topic in grown else None
        book = without_events(_counts(run).orders, of_bot)
        return orders_check(told, book, own, grown.get(events.dead_letter_topic))

    result = wait_for(look, lambda seen: seen.verdict is not Verdict.FAIL, DRAINED_WITHIN_S, every_s=1.0)
    run.ledger["orders"] = result.evidence
    return result


@step
def cache_single_flight(run: Run) -> Check:
    """The herd after the expiry loaded its product from the origin once (corrections.md 8)."""
    if run.profile.cache is None:
        return check("cache-single-flight", Verdict.SKIPPED, NO_CACHE)
    before, result = run.origin_loads_before, run.scenario_results["e"]
    if before is None or result.error is not None or not result.requests:
        return check("cache-single-flight", Verdict.NO_DATA, "the herd did not run, or its counter could not be read")
    after = origin_loads(run, result.ended)
    if after is None:
        return check("cache-single-flight", Verdict.NO_DATA, f"{run.profile.cache.origin_loads.name} has no sample")
    loads = after - before - 1  # the first request filled the cold cache, which is a load of its own
    observed = f"{result.requests} requests, {loads:.0f} load(s) from the origin after the expiry"
    evidence = {"loads": loads, "counter_before": before, "counter_after": after, "requests": result.requests}
    run.ledger["cache"] = evidence
    return passed_if("cache-single-flight", loads == 1, observed, **evidence)


def topic_ends(run: Run) -> Mapping[str, int]:
    """Event and dead-letter topic -> number of records ever written, over all partitions; {} without a Kafka."""
    events = run.profile.events
    if run.lacks(ServiceId.KAFKA):
        return {}
    with Broker(run.endpoints[ServiceId.KAFKA]) as broker:
        return {
            topic: sum(broker.end_offsets(topic).values())
            for topic in (events.topic, events.dead_letter_topic)
            if broker.partitions(topic)
        }


def origin_loads(run: Run, since: datetime) -> float | None:
    """The target's counter of loads behind its cache, scraped after `since`; None when no such scrape came."""
    if run.profile.cache is None:
        return None
    series = run.profile.cache.origin_loads
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
    fresh = f"sum({series.name}{{{labels}}} and timestamp({series.name}{{{labels}}}) >= {since.timestamp():.3f})"
    with closing(Prometheus(run.endpoints.url(ServiceId.PROMETHEUS))) as prometheus:
        seen = wait_for(lambda: prometheus.instant(fresh, utc_now().timestamp()), bool, SCRAPED_WITHIN_S)
    return seen[0].points[0][1] if seen else None


def _counts(run: Run) -> LedgerCounts:
    assert run.fixtures is not None
    return adapter_for(run.profile).ledger_counts(run.fixtures)


def _events_of_bot(run: Run) -> int:
    """Messages that the bot has written beside the load; after it they do not count, for the books are read before."""
    if run.bot is None or not run.load.bot_beside:
        return 0
    return run.bot.accounting.in_log if run.bot.accounting else run.bot.acked


def _topic_growth(run: Run) -> dict[str, int]:
    return {topic: end - run.topic_ends.get(topic, 0) for topic, end in topic_ends(run).items()}
