"""Made-up histories: runs of one key whose figures carry seeded noise; shared by the tests and the proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from core.words import Verdict
from report.acknowledged import Acknowledgement
from report.history import Kept
from report.model import Comparison, RunKey
from report.regressions import compare_with_history, still_open

KEY = RunKey(
    target="portal",
    profile="0a1b2c3d4e5f",
    versions={"k6": "1.8.1", "kafka": "4.1.1"},
    load="smoke",
    load_numbers="111111111111",
    scenarios="abcde",
    phases="exporters tracing load dashboards kafka_bot",
    scripts="222222222222",
    backend="embedded",
    machine="x86_64, a processor, 2 processors, 24 GiB",
    suite="0.1.0",
)
FIRST = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
REMEMBERED = 80
"""Earlier runs handed over: more than any judgement looks back."""


def figures(series: int) -> tuple[str, ...]:
    """Names of series, three a service."""
    measures = ("p50_ms", "p95_ms", "p99_ms")
    return tuple(f"service-{number // 3}/{measures[number % 3]}" for number in range(series))


def run(night: int, values: Mapping[str, float], verdict: Verdict = Verdict.PASS, key: RunKey = KEY) -> Kept:
    started = FIRST + timedelta(days=night)
    return Kept(run_id=f"night-{night:04d}", started=started, verdict=verdict, key=key, figures=dict(values))


def noisy(nights: int, series: int, noise: float, seed: int, tails: float | None = None) -> np.ndarray:
    """nights x series around 100; noise is the relative deviation, `tails` the degrees of freedom of heavy tails."""
    drawn = np.random.default_rng(seed)
    shape = (nights, series)
    errors = (
        drawn.normal(size=shape) if tails is None else drawn.standard_t(tails, shape) / np.sqrt(tails / (tails - 2))
    )
    return np.maximum(100 * (1 + noise * errors), 1)


def through(
    values: np.ndarray,
    entries: Sequence[Acknowledgement] = (),
    verdicts: Mapping[int, Verdict] | None = None,
    judged_from: int = 0,
) -> Iterator[tuple[int, Comparison]]:
    """Night after night as the suite does it: compare, keep with what is open; yields from night `judged_from` on."""
    names = figures(values.shape[1])
    kept: list[Kept] = []
    for night, row in enumerate(values):
        now = run(night, dict(zip(names, map(float, row), strict=True)), (verdicts or {}).get(night, Verdict.PASS))
        if night >= judged_from:
            found = compare_with_history(now, kept[-REMEMBERED:], entries, day_of(night))
            now = now.model_copy(update={"open": still_open(found)})
            yield night, found
        kept.append(now)


def day_of(night: int) -> date:
    return (FIRST + timedelta(days=night)).date()


def news(found: Comparison) -> list[str]:
    """What a night announces: the scenarios and services by name."""
    return [group.about for group in found.regressions if group.news]
