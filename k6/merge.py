"""One result of several k6 that put one scenario on the target: what they counted adds up, what they judged does not.

A percentile of the whole lies between those of its parts, and so does a share. So where all parts say the same of a
threshold, that is what the whole says; where they differ, shares are added up, and the merged histograms decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from k6.exit_codes import ENDED_BY_ITSELF, PASSED, THRESHOLDS_FAILED
from k6.model import GeneratorFigures, ScenarioResult, Seam, Threshold

LATENCY = "http_req_duration{expected_response:true,part:load}"
FROM_INTENDED = "latency_from_intended{part:load}"


class Histograms(Protocol):
    """The latencies of all parts together, by k6's name of the metric."""

    def percentile_ms(self, metric: str, share: float) -> float | None:
        """None where there is no histogram, or not of all requests."""

    def holds(self, metric: str, expression: str) -> bool | None:
        """Whether a threshold held; None where it cannot be told."""


def merged(parts: Sequence[ScenarioResult], histograms: Histograms, seams: Sequence[Seam] = ()) -> ScenarioResult:
    """The result of all parts in order of time, with the seams between them."""
    thresholds = _thresholds(parts, histograms)
    requests = sum(part.requests for part in parts)
    started, ended = min(part.started for part in parts), max(part.ended for part in parts)
    error = next((part for part in parts if part.error is not None), None)
    return ScenarioResult(
        scenario=parts[0].scenario,
        exit_code=_exit_code(parts, thresholds),
        ended_by_itself=error is None,
        never_began=all(part.never_began for part in parts),
        started=started,
        ended=ended,
        requests=requests,
        rate_per_s=requests / max((ended - started).total_seconds(), 1e-3),
        p50_ms=histograms.percentile_ms(LATENCY, 0.5),
        p95_ms=histograms.percentile_ms(LATENCY, 0.95),
        p99_ms=histograms.percentile_ms(LATENCY, 0.99),
        p95_from_intended_ms=histograms.percentile_ms(FROM_INTENDED, 0.95),
        p99_from_intended_ms=histograms.percentile_ms(FROM_INTENDED, 0.99),
        error_rate=_mean((part.error_rate, part.requests) for part in parts),
        iterations=sum(part.iterations for part in parts),
        dropped_iterations=sum(part.dropped_iterations for part in parts),
        wrong_answers=sum(part.wrong_answers for part in parts),
        outcomes=_sums(part.outcomes for part in parts),
        counters=_sums(part.counters for part in parts),
        receipts=tuple(receipt for part in parts for receipt in part.receipts),
        thresholds=thresholds,
        generator=_generator(parts),
        seams=tuple(seams),
        log=(error or parts[-1]).log,
        web_dashboard=next((part.web_dashboard for part in reversed(parts) if part.web_dashboard), None),
        complaints=tuple(dict.fromkeys(said for part in parts for said in part.complaints)),
        error=error.error if error else None,
    )


def _thresholds(parts: Sequence[ScenarioResult], histograms: Histograms) -> tuple[Threshold, ...]:
    rows: dict[tuple[str, str], list[Threshold]] = {}
    for part in parts:
        for row in part.thresholds:
            rows.setdefault((row.metric, row.expression), []).append(row)
    return tuple(_threshold([row for row in found if row.samples], found[0], histograms) for found in rows.values())


def _threshold(judged: Sequence[Threshold], like: Threshold, histograms: Histograms) -> Threshold:
    """One row of those that had samples; without any, or where nothing decides, a row without samples: NO_DATA."""
    samples, value = sum(row.samples for row in judged), _mean((row.value, row.samples) for row in judged)
    verdicts = {row.ok for row in judged}
    if len(verdicts) == 1:
        ok: bool | None = verdicts.pop()
    elif value is not None:
        ok = _share_holds(value, like.expression)
    else:
        ok = histograms.holds(like.metric, like.expression) if judged else None
    return like.model_copy(update={"ok": bool(ok), "samples": 0 if ok is None else samples, "value": value})


def _share_holds(value: float, expression: str) -> bool:
    """`rate<0.001`: the one form that shares have in the scripts."""
    return value < float(expression.partition("<")[2])


def _generator(parts: Sequence[ScenarioResult]) -> GeneratorFigures:
    figures = [part.generator for part in parts]
    lengths_s = [(part.ended - part.started).total_seconds() for part in parts]
    offered = [each.offered_iterations for each in figures]
    return GeneratorFigures(
        offered_iterations=None if None in offered else sum(each or 0 for each in offered),
        max_vus=figures[0].max_vus,
        allocated_vus=max(each.allocated_vus for each in figures),
        mean_iteration_s=_mean((part.generator.mean_iteration_s, part.iterations) for part in parts),
        run_delay_ratio=_mean(zip((each.run_delay_ratio for each in figures), lengths_s, strict=True)),
        steal_ratio=_mean(zip((each.steal_ratio for each in figures), lengths_s, strict=True)),
    )


def _exit_code(parts: Sequence[ScenarioResult], thresholds: Sequence[Threshold]) -> int:
    odd = next((part.exit_code for part in parts if part.exit_code not in ENDED_BY_ITSELF), None)
    if odd is not None:
        return odd
    return THRESHOLDS_FAILED if any(row.samples and not row.ok for row in thresholds) else PASSED


def _mean(weighted: Iterable[tuple[float | None, float]]) -> float | None:
    """The weighted mean of what is known."""
    known = [(value, weight) for value, weight in weighted if value is not None]
    whole = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / whole if whole else None


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))
