"""When a resource is saturated: one rule a kind of resource, each bound with its reason.

Rules look at counts and times that any platform with Micrometer and exporters gives, and know nothing else of it. What
they compare is in the run itself: waits with uses, one call's time with the whole of the request, one process with the
others. A machine that is short of processors stretches all of these alike, and so is no bottleneck of the platform.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from report.bottleneck_seen import NAMES, SQL, Seen
from report.bottleneck_work import Bits, Timer, Values, total
from report.windows import Span

SLOW_S = 0.05
"""Mean time of a request in a service: beyond it even the mean misses the design's strictest p95 (B, one post)."""
HELD = 0.5
"""Share of a service's time from which calls of one kind hold requests up more than all else together."""
SUSTAINED_STEPS = 2
"""One step may be one slow request, or one burst; what lasts for two is a state."""
WAITING = 0.05
"""Requests that wait for a connection, on average over a step: below it nobody would notice."""
QUEUE = 2.0
"""Wait for a connection, as a multiple of its use: two or more wait for each. Opening one costs about one use."""
TURNS = 10
"""Waits for a connection, or refusals, below which there is nothing to take a mean or a share of."""
REFUSED = 0.05
"""Share of the requests that the gateway refuses: a client that is merely impatient meets less."""
STARVED = 0.1
"""Share of the time in which the load generator waited for a processor, from which a part was run on a starved machine:
there time alone says nothing of who was slow. It is the bound of the check `generator-valid`."""
CORES = 0.25
"""A process that uses less than a quarter of a processor does not lack one, unless one request alone computes for
SLOW_S: that is too long however little of a crowded machine it is given."""
DOMINANT = 2.0
"""A process that uses so many times the processor time of any other is the one that the others wait for."""
BEHIND_S = 10.0
"""Records that take a consumer longer than this at its own pace are a backlog, and no batch on its way."""
BEHIND_RECORDS = 100
"""Fewer are on their way."""
GREW = 0.5
"""Growth of a process, as a share of what it held before the load: caches and pools fill with less."""
STILL_GROWING = 0.25
"""Share of that growth which belongs to the second half of the requests; what comes to rest has next to none."""
COUNTED = 0.95
"""How sure something is that was counted and not inferred."""
MIB = 1 << 20

Kind = Literal["limiter", "cpu", "database", "pool", "call", "consumer", "memory"]


@dataclass(frozen=True)
class Part:
    """A part of the load, the steps that hold its work, and whether its machine was short of processors."""

    name: str
    span: Span
    steps: Bits
    starved: bool = False


@dataclass(frozen=True)
class Finding:
    """A saturated resource: in which steps, how sure the series alone are (0 to 1), what they show, what to do."""

    component: str
    kind: Kind
    steps: Bits
    strength: float
    evidence: str
    advice: str
    places: tuple[str, ...] = ()  # in spans, whose self-time would bear it out

    @property
    def first_step(self) -> int:
        return int(np.argmax(self.steps))


def findings(seen: Seen, part: Part) -> Iterator[Finding]:
    """What was saturated in one part of the load; what makes the others look slow comes first."""
    yield from refused(seen, part)
    yield from computing(seen, part)
    yield from waiting_for_connections(seen, part)
    yield from held_by_calls(seen, part)
    yield from behind(seen, part)


def refused(seen: Seen, part: Part) -> Iterator[Finding]:
    """Requests that the gateway itself answered 429: its limiter had no tokens left."""
    routed, served = seen.work.added("routed_total"), seen.work.added("served_total")
    for gateway, status in routed:
        if status != "429":
            continue
        by_services = total(n for (service, code), n in served.items() if code == status and service != gateway)
        own = np.maximum(0.0, routed[gateway, status] - by_services) * part.steps
        asked = float(total(n * part.steps for (service, _), n in routed.items() if service == gateway).sum())
        if own.sum() >= max(TURNS, REFUSED * asked):
            yield Finding(
                f"{gateway} limiter",
                "limiter",
                own > 0,
                COUNTED,
                f"{gateway} refused {own.sum():.0f} of {asked:.0f} requests itself, with 429: it had no tokens.",
                f"Compare the rate and the key of {gateway}'s limiter with this load: raise that, or spread this.",
            )


def computing(seen: Seen, part: Part) -> Iterator[Finding]:
    """A service whose requests are slow while its process computes more than any other."""
    for service, served in seen.served.items():
        cores = seen.cores.get(service)
        if cores is None:
            continue
        most = np.max([used for name, used in seen.cores.items() if name != service] or [0.0 * cores], axis=0)
        each = np.where(served.count > 0, cores * seen.work.step_s / np.maximum(1.0, served.count), 0.0)
        lacking = (each >= SLOW_S) | ((cores >= CORES) & (not part.starved))
        busy = part.steps & lacking & (cores >= DOMINANT * most)
        steps = _sustained(busy & _widened(part.steps & _slow(served)))
        if steps.any():
            yield _computing(seen, service, steps, busy, part)


def _computing(seen: Seen, service: str, steps: Bits, busy: Bits, part: Part) -> Finding:
    served, used = seen.served[service], seen.cores[service][steps]
    each_ms = 1000 * used.sum() * seen.work.step_s / max(1.0, served.count[steps].sum())
    working = part.steps & (served.count > 0)
    return Finding(
        f"{service} CPU",
        "cpu",
        steps,
        float((busy & working).sum() / working.sum()),
        f"{service} used {used.mean():.2f} processors, more than twice as many as any other process, {each_ms:.0f} ms a"
        f" request, while a request took {_ms(served, steps)}.",
        f"Take a CPU profile of {service} under this load; where the work is needed, give it processors or replicas.",
        places=(service, f"on the way to {service}"),
    )


def waiting_for_connections(seen: Seen, part: Part) -> Iterator[Finding]:
    """A pool whose connections are waited for twice as long as they are used, or in vain: it holds the service up.

    What keeps them busy is to blame. Connections that are at work most of the time are too slow for those who wait: the
    database is saturated. Where the work done does not explain the wait, they are held by somebody who does not work:
    the pool is.
    """
    given_up = seen.work.added("acquire_timeouts")
    for key, waiting in seen.waits():
        uses, waits = seen.timers["usage"].get(key), seen.timers["acquire"][key]
        if uses is None:
            continue
        lost = given_up.get(key, np.zeros_like(waits.count))
        queued = (
            (waits.count >= TURNS) & (waits.each >= QUEUE * uses.each) & (waiting.seconds >= WAITING * seen.work.step_s)
        )
        queued &= waiting.seconds + uses.seconds >= HELD * seen.busy(key[0])
        in_vain = (lost > 0) & (lost[part.steps].sum() >= TURNS)
        steps = part.steps & (queued | in_vain)
        if steps.any():
            yield _connections(seen, key, steps, waits, uses, lost)


def _connections(seen: Seen, key: tuple[str, ...], steps: Bits, waits: Timer, uses: Timer, lost: Values) -> Finding:
    service, pool = key
    waited_s, used_s, gave_up = waits.seconds[steps].sum(), uses.seconds[steps].sum(), lost[steps].sum()
    got, wait = waits.count[steps].sum(), _ms(waits, steps)
    told = f"{got:.0f} requests of {service} got a connection of {pool} after {wait}"
    told += f", {gave_up:.0f} gave up" if gave_up else ""
    if _explained(seen, key, steps, waits, uses, lost):
        return Finding(
            seen.database,
            "database",
            steps,
            float(waited_s / max(1e-9, waited_s + used_s)) if not gave_up else COUNTED,
            f"{told}; the connections were at work, {_ms(uses, steps)} a use.",
            f"Look at the slowest and the most frequent statements of {service}: a missing index, or what a cache"
            f" should have spared {seen.database}.",
            places=(*SQL, service),
        )
    return Finding(
        f"{service} connection pool",
        "pool",
        steps,
        COUNTED if gave_up else 0.5,
        f"{told}; connections were in use for {used_s:.1f} s in all, so they were held and not at work."
        if got
        else f"No request of {service} got a connection of {pool}, {gave_up:.0f} gave up; connections were in use for"
        f" {used_s:.1f} s in all, so they were held and not at work.",
        f"Look for code of {service} that takes a connection of {pool} and does not give it back, or keeps it while it"
        " waits for something else; a larger pool only puts this off.",
        places=(service,),
    )


def _explained(seen: Seen, key: tuple[str, ...], steps: Bits, waits: Timer, uses: Timer, lost: Values) -> bool:
    """Whether the connections, all of them at work, needed at least half of the time that was waited.

    Where some gave up, the wait is the whole of these steps: then half of the connections must have been at work.
    """
    size = float(np.nanmax(seen.work.gauge("pool_max").get(key, np.ones(1))))
    needed_s = uses.seconds[steps].sum() / max(1.0, size)
    waited_s = (
        seen.work.step_s * steps.sum() if lost[steps].any() else waits.seconds[steps].sum() / waits.count[steps].sum()
    )
    return bool(needed_s >= waited_s / 2)


def held_by_calls(seen: Seen, part: Part) -> Iterator[Finding]:
    """A service whose requests are slow, and spend most of their time in calls to one store or service.

    On a starved machine whatever needs most processor time takes longest; there most requests must fail besides.
    """
    for service, served in seen.served.items():
        slow = part.steps & _slow(served)
        slow &= (not part.starved) | (seen.failed(service) >= HELD * served.count)
        for store, calls in seen.calls(service):
            steps = _sustained(slow & (calls.seconds >= HELD * served.seconds))
            share = min(1.0, float(calls.seconds[slow].sum() / max(1e-9, served.seconds[slow].sum())))
            if steps.any() and share >= HELD:
                yield Finding(
                    store,
                    "call",
                    steps,
                    share,
                    f"{share:.0%} of {service}'s time went into {calls.count[steps].sum():.0f} calls to {store},"
                    f" {_ms(calls, steps)} each, while a request took {_ms(served, steps)}.",
                    f"Look at {store} and at the way to it: its slow log, its processors, the network between.",
                    places=tuple(name for name in (*NAMES, store) if NAMES.get(name, name) == store),
                )


def behind(seen: Seen, part: Part) -> Iterator[Finding]:
    """A consumer group with a backlog that it needs more than BEHIND_S to work off."""
    consumed = seen.work.added("consumed_total")
    for key, lag in seen.work.gauge("kafka_lag").items():
        pace = consumed.get(key, np.zeros_like(lag)) / seen.work.step_s
        steps = _sustained(part.steps & (np.nan_to_num(lag) >= np.maximum(BEHIND_RECORDS, BEHIND_S * pace)))
        if steps.any():
            yield _behind(seen, key, steps, float(np.nanmax(lag[steps])), float(pace[steps].mean()))


def _behind(seen: Seen, key: tuple[str, ...], steps: Bits, records: float, pace: float) -> Finding:
    group, topic = key
    owner, busy = _busiest_listener(seen, steps)
    told = f"{group} fell {records:.0f} records behind on {topic} and worked off {pace:.1f} a second"
    return Finding(
        f"{owner} consumer" if owner else f"consumer group {group}",
        "consumer",
        steps,
        (1 + busy) / 2 if owner else COUNTED,
        f"{told}, its listener busy for {busy:.0%} of the time." if owner else f"{told}.",
        f"Look at what {owner or group} does for one record, then at its threads and at the topic's partitions.",
    )


def _busiest_listener(seen: Seen, steps: Bits) -> tuple[str, float]:
    """(service, share of the time in which it worked on records); ("", 0) where no listener is metered."""
    busy = [(float(timer.seconds[steps].mean()), key[0]) for key, timer in seen.timers["listener"].items()]
    seconds, owner = max(busy, default=(0.0, ""))
    return owner, min(1.0, seconds / seen.work.step_s)


def growing(seen: Seen, load: Part) -> Iterator[Finding]:
    """A process that holds more with each request and does not come to rest, over the whole load."""
    for (service,), held in seen.work.gauge("service_memory").items():
        served, known = seen.served.get(service), _widened(load.steps) & np.isfinite(held)
        if served is None or not known.any():
            continue
        requests = np.cumsum(np.where(load.steps, served.count, 0.0))
        if not requests[-1]:
            continue
        first, last = float(held[known][0]), float(held[known][-1])
        half, grown = float(np.interp(requests[-1] / 2, requests[known], held[known])), last - first
        if grown >= GREW * first and last - half >= STILL_GROWING * grown:
            each_kib = grown / requests[-1] / 1024
            yield Finding(
                f"{service} memory",
                "memory",
                known & (held >= first + 0.05 * grown),
                COUNTED,
                f"{service} went from {first / MIB:.0f} to {last / MIB:.0f} MiB, {each_kib:.0f} KiB a request, and had"
                " not come to rest at the end.",
                f"Compare two heap dumps of {service} under load: something keeps what each request made.",
            )


def _slow(served: Timer) -> Bits:
    return (served.count > 0) & (served.each >= SLOW_S)


def _widened(steps: Bits) -> Bits:
    """With the steps beside them: what is computed in one is often answered in the next."""
    wider = steps.copy()
    wider[1:] |= steps[:-1]
    wider[:-1] |= steps[1:]
    return wider


def _sustained(steps: Bits) -> Bits:
    """Of the steps, those from the first SUSTAINED_STEPS in a row on; none where there is no such row."""
    rows = np.convolve(steps, np.ones(SUSTAINED_STEPS), "valid") >= SUSTAINED_STEPS
    if not rows.any():
        return np.zeros_like(steps)
    return steps & (np.arange(len(steps)) >= np.argmax(rows))


def _ms(timer: Timer, steps: Bits) -> str:
    return f"{1000 * timer.seconds[steps].sum() / max(1.0, timer.count[steps].sum()):.0f} ms"
