"""Which resource saturated first: from the collected series, with the self-times of spans as second witness.

Judged part by part in the order of the load, each by the rules of `bottleneck_rules`; the first part in which one
applies names the resource. It is the same code for every target, knows series and spans and nothing else of a run, and
judges a run again from its directory alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from report.bottleneck_rules import Finding, Part, findings, growing
from report.bottleneck_seen import NAMES, Seen
from report.bottleneck_work import Work
from report.model import Bottleneck, StageRow
from report.self_time import SelfTimes, self_times
from report.store import Collected
from report.windows import Span, parts_of

NONE = "none"
TRACES_AT_LEAST = 5
"""Fewer traces are an anecdote, and no witness."""
UNSURE_WITHOUT_SPANS = 0.9
UNSURE_WHEN_INVALID = 0.7
"""What a confidence is multiplied by where the generator was not valid: the machine was short of something itself."""
SURE_OF_NONE = 0.9
PLACES_TOLD = 3
WHOLE_LOAD = "whole load"
NOT_LOOKED = "Not looked for: there are no series of the load."


def find_bottleneck(
    collected: Collected | None, spans: pd.DataFrame, stages: Sequence[StageRow], generator_valid: bool
) -> Bottleneck:
    """The first saturated resource of a run; `spans` as `load_spans` gives them."""
    parts = parts_of(stages)
    if collected is None or not parts or not collected.lines("served_seconds"):
        return Bottleneck(evidence=NOT_LOOKED)
    seen = Seen(Work(collected), spans["remote"].unique())
    found = list(_found(seen, parts))
    if not found:
        return _none(generator_valid, list(parts))
    part, finding = found[0]
    quiet, busy = _loads(seen, part, spans)
    return Bottleneck(
        component=finding.component,
        since=max(part.span.started, seen.work.moment(finding.first_step - 1)),
        confidence=round(_confidence(finding, busy, generator_valid), 2),
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


def _found(seen: Seen, parts: Mapping[str, Span]) -> Iterator[tuple[Part, Finding]]:
    """In order of time, each component once; what grows over the whole load comes last."""
    named: set[str] = set()
    for part in sorted((_part(seen, name, span) for name, span in parts.items()), key=lambda part: part.span.started):
        for finding in findings(seen, part):
            if finding.component not in named:
                named.add(finding.component)
                yield part, finding
    whole = Span(min(span.started for span in parts.values()), max(span.ended for span in parts.values()))
    load = _part(seen, WHOLE_LOAD, whole)
    yield from ((load, finding) for finding in growing(seen, load))


def _part(seen: Seen, name: str, span: Span) -> Part:
    return Part(name, span, seen.work.within(span))


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


def _confidence(finding: Finding, busy: SelfTimes, generator_valid: bool) -> float:
    """The mean of what both witnesses say; of one alone, a little less than it says."""
    if busy.traces >= TRACES_AT_LEAST and finding.places:
        sure = (finding.strength + sum(busy.share(place) for place in finding.places)) / 2
    else:
        sure = finding.strength * UNSURE_WITHOUT_SPANS
    return float(np.clip(sure * (1 if generator_valid else UNSURE_WHEN_INVALID), 0.05, 0.99))


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


def _none(generator_valid: bool, parts: Sequence[str]) -> Bottleneck:
    evidence = (
        f"Looked at in {', '.join(parts)}: no request was refused or held up for long in one place, no connection was"
        " waited for twice as long as it was used, no consumer fell behind and no process grew with its requests."
    )
    sure = SURE_OF_NONE * (1 if generator_valid else UNSURE_WHEN_INVALID)
    return Bottleneck(component=NONE, confidence=round(sure, 2), evidence=evidence)
