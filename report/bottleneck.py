"""Which resource saturated first: from the collected series, with the self-times of spans as second witness.

Judged part by part in the order of the load, each by the rules of `bottleneck_rules`; the first part in which one
applies names the resource. It is the same code for every target, knows series and spans and nothing else of a run, and
judges a run again from its directory alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from core.checks import SCENARIOS, Check
from core.words import Verdict
from report.bottleneck_rules import STARVED, Finding, Part, findings, growing
from report.bottleneck_seen import NAMES, Seen
from report.bottleneck_work import Work
from report.model import Bottleneck, StageRow
from report.self_time import SelfTimes, self_times
from report.store import Collected
from report.windows import Span, parts_of

NONE = "none"
GENERATOR = "generator-valid"
PACED = ("a", "b", "d")
"""Scenarios whose load does not begin all at once."""
TRACES_AT_LEAST = 5
"""Fewer traces are an anecdote, and no witness."""
UNSURE_WITHOUT_SPANS = 0.9
UNSURE_WHEN_STARVED = 0.7
"""What a confidence is multiplied by where the generator was not valid, or the machine short of processors."""
SURE_OF_NONE = 0.9
PLACES_TOLD = 3
WHOLE_LOAD = "whole load"
NOT_LOOKED = "Not looked for: there are no series of the load."


def find_bottleneck(
    collected: Collected | None, spans: pd.DataFrame, stages: Sequence[StageRow], checks: Sequence[Check]
) -> Bottleneck:
    """The first saturated resource of a run; `spans` as `load_spans` gives them, of the checks `generator-valid`."""
    parts = parts_of(stages)
    if collected is None or not parts or not collected.lines("served_seconds"):
        return Bottleneck(evidence=NOT_LOOKED)
    seen = Seen(Work(collected), spans["remote"].unique())
    generator = next((item for item in checks if item.id == GENERATOR), None)
    starved = parts.keys() & starved_scenarios(generator)
    invalid = generator is not None and generator.verdict is Verdict.INVALID
    found = list(_found(seen, parts, starved))
    if not found:
        return _none(invalid, list(parts), starved)
    part, finding = found[0]
    quiet, busy = _loads(seen, part, spans)
    return Bottleneck(
        component=finding.component,
        since=max(part.span.started, seen.work.moment(finding.first_step - 1)),
        confidence=round(_confidence(finding, busy, invalid or part.starved), 2),
        evidence=finding.evidence,
        kind=finding.kind,
        part=part.name,
        advice=finding.advice,
        spans=_said_by_spans(quiet, busy) if finding.places else "",
        also=tuple(dict.fromkeys(f"{other.component}: {other.evidence}" for _, other in found[1:])),
    )


def in_a_line(row: Bottleneck) -> str:
    """The row for a terminal: 'MySQL since 12:00:03 UTC (confidence 0.95, part b): …'."""
    if row.component is None:
        return row.evidence
    since = f" since {row.since:%H:%M:%S} UTC" if row.since else ""
    part = f", part {row.part}" if row.part else ""
    return f"{row.component}{since} (confidence {row.confidence:.2f}{part}): {row.evidence} {row.advice}".strip()


def starved_scenarios(generator: Check | None) -> frozenset[str]:
    """Letters of the paced scenarios in which the generator waited for a processor for too long, by its own figures.

    In a burst hundreds of virtual users wait for a processor on any machine.
    """
    figures = generator.evidence.get("figures", {}) if generator else {}
    return frozenset(
        letter for letter in PACED if (figures.get(SCENARIOS[letter], {}).get("run_delay_ratio") or 0.0) > STARVED
    )


def _found(seen: Seen, parts: Mapping[str, Span], starved: Collection[str]) -> Iterator[tuple[Part, Finding]]:
    """In order of time, each component once; what grows over the whole load comes last."""
    named: set[str] = set()
    in_order = sorted(parts.items(), key=lambda part: part[1].started)
    begins = [*(span.started for _, span in in_order[1:]), None]
    for (name, span), until in zip(in_order, begins, strict=True):
        part = Part(name, span, seen.work.within(span, until), name in starved)
        for finding in findings(seen, part):
            if finding.component not in named:
                named.add(finding.component)
                yield part, finding
    whole = Span(min(span.started for span in parts.values()), max(span.ended for span in parts.values()))
    load = Part(WHOLE_LOAD, whole, seen.work.within(whole))
    yield from ((load, finding) for finding in growing(seen, load))


def _loads(seen: Seen, part: Part, spans: pd.DataFrame) -> tuple[SelfTimes, SelfTimes]:
    """Self-times of the part's requests at low and at high load.

    High load begins when half as many requests are present as ever are; what was before is low load.
    """
    present = sum((timer.seconds for timer in seen.served.values()), np.zeros(seen.work.steps)) * part.steps
    busy = part.steps & (present >= present.max() / 2)
    begin = seen.work.moment(int(np.argmax(busy)) - 1)
    return (
        self_times(spans, [Span(part.span.started, begin)] if begin > part.span.started else []),
        self_times(spans, [Span(max(begin, part.span.started), part.span.ended)]),
    )


def _confidence(finding: Finding, busy: SelfTimes, unsure: bool) -> float:
    """The mean of what both witnesses say; of one alone, a little less than it says."""
    if busy.traces >= TRACES_AT_LEAST and finding.places:
        sure = (finding.strength + sum(busy.share(place) for place in finding.places)) / 2
    else:
        sure = finding.strength * UNSURE_WITHOUT_SPANS
    return float(np.clip(sure * (UNSURE_WHEN_STARVED if unsure else 1), 0.05, 0.99))


def _said_by_spans(quiet: SelfTimes, busy: SelfTimes) -> str:
    """Where a request's time went at high load, and at low load."""
    if busy.traces < TRACES_AT_LEAST:
        return f"{busy.traces} traces of this part are too few to say where a request's time went."
    high = f"Of {busy.traces} traces under high load, a request spent {_listed(busy)}"
    low = f"; of {quiet.traces} under low load, {_listed(quiet)}" if quiet.traces >= TRACES_AT_LEAST else ""
    return f"{high}{low}."


def _listed(times: SelfTimes) -> str:
    longest = [*times.seconds.items()][:PLACES_TOLD]
    return ", ".join(f"{1000 * seconds:.0f} ms {_where(place)}" for place, seconds in longest)


def _where(place: str) -> str:
    return place if place.startswith("on the way") else f"in {NAMES.get(place, place)}"


def _none(invalid: bool, parts: Sequence[str], starved: Collection[str]) -> Bottleneck:
    evidence = (
        f"Looked at in {', '.join(parts)}: no request was refused or held up for long in one place, no connection was"
        " waited for twice as long as it was used, no consumer fell behind and no process grew with its requests."
    )
    if starved:
        evidence += (
            f" In {', '.join(sorted(starved))} the machine was short of processors: what took long there names nobody."
        )
    sure = SURE_OF_NONE * (UNSURE_WHEN_STARVED if invalid or starved else 1)
    return Bottleneck(component=NONE, confidence=round(sure, 2), evidence=evidence)
