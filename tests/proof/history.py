"""docs/history-proof.md: how soon the history sees a shift, and how often it cries wolf, on made-up nights.

python -m tests.proof.history

Everything is seeded: the same figures come out wherever it runs. Exit code 1 when a promise is not kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from otava.analysis import compute_change_points

from core.settings import ROOT
from report.night import BASELINE_RUNS
from report.shift import MIN_EFFECT
from tests.history_samples import news, noisy, through
from tests.proof.table import machine, today

PAGE = ROOT / "docs" / "history-proof.md"
SERIES = 30
SHIFTED = 1
"""Column of the series that shifts: service-0's p95."""
FOUND_AT_LEAST = 0.9
FALSE_AT_MOST = 0.01
WITHIN = 3


@dataclass(frozen=True)
class ShiftCase:
    """Histories in which one of the series shifts; `noise` is the relative deviation of a night."""

    shift: float
    noise: float
    nights: int  # before the shift
    histories: int = 400


@dataclass(frozen=True)
class QuietCase:
    """Nights in which nothing happens; `tails` are the degrees of freedom of heavy-tailed noise, None is normal."""

    noise: float
    tails: float | None
    nights: int


SHIFTS = (
    ShiftCase(0.10, 0.03, BASELINE_RUNS),
    ShiftCase(0.10, 0.03, 30),
    ShiftCase(0.10, 0.03, 14),
    ShiftCase(0.20, 0.03, 14),
    ShiftCase(1.00, 0.03, 14),
    ShiftCase(0.05, 0.03, BASELINE_RUNS),
)
QUIET = (
    QuietCase(0.03, None, 10_000),
    QuietCase(0.08, None, 1_000),
    QuietCase(0.03, 5, 1_000),
    QuietCase(0.08, 5, 1_000),
)
PROMISED_SHIFT, PROMISED_QUIET = SHIFTS[0], QUIET[0]
ALONE_SERIES = 3_000
PART = 1_000
"""Quiet nights in one go."""


def found_after(case: ShiftCase) -> list[int]:
    """For 1, 2, ... runs at the new level: histories in which the service had been announced by then."""
    found = [0] * WITHIN
    for seed in range(case.histories):
        values = noisy(case.nights + WITHIN, SERIES, case.noise, seed)
        values[case.nights :, SHIFTED] *= 1 + case.shift
        announced = ["service-0" in news(night) for _, night in through(values, judged_from=case.nights)]
        found = [so_far + any(announced[: runs + 1]) for runs, so_far in enumerate(found)]
    return found


def false_nights(case: QuietCase, seed: int) -> int:
    """Of up to PART nights with a full history before them, those that announce anything."""
    values = noisy(BASELINE_RUNS + min(case.nights, PART), SERIES, case.noise, seed, case.tails)
    return sum(bool(news(night)) for _, night in through(values, judged_from=BASELINE_RUNS))


def count() -> tuple[list[list[int]], list[int], int]:
    """The rows of both tables and Otava's own count, on all processors."""
    with ProcessPoolExecutor() as pool:
        quiet = [
            [pool.submit(false_nights, case, 1_000 + part) for part in range(-(-case.nights // PART))] for case in QUIET
        ]
        shifts = list(pool.map(found_after, SHIFTS))
        return shifts, [sum(part.result() for part in parts) for parts in quiet], otava_alone()


def otava_alone() -> int:
    """Of ALONE_SERIES quiet series of 37 nights, those with a change point in the newest seven."""
    found = 0
    for values in noisy(37, ALONE_SERIES, 0.03, seed=1).T:
        points, _ = compute_change_points(values.tolist(), max_pvalue=0.001, min_magnitude=MIN_EFFECT)
        found += any(point.index >= 30 for point in points)
    return found


def page(shifts: Sequence[list[int]], quiet: Sequence[int], alone: int, took_s: float) -> str:
    """Both tables as Markdown, with date and machine."""
    found = "".join(
        f"| {case.shift:.0%} | {case.noise:.0%} | {case.nights} | "
        + " | ".join(f"{number / case.histories:.1%}" for number in row)
        + f" | {case.histories} |\n"
        for case, row in zip(SHIFTS, shifts, strict=True)
    )
    false = "".join(
        f"| {case.noise:.0%} | {'normal' if case.tails is None else f'Student, {case.tails:g} degrees of freedom'} | "
        f"{case.nights:,} | {number} | {100 * number / case.nights:.2f} |\n"
        for case, number in zip(QUIET, quiet, strict=True)
    )
    return (
        "# What the history sees\n\n"
        f"Made-up, seeded nights of {SERIES} series, judged night after night by the code that judges a run\n"
        f"([history](history.md)). Made by `make proof` on {machine()}, {today()}, in {took_s:.0f} s.\n\n"
        "## A shift in one series\n\n"
        "Share of the histories in which it had been announced after so many runs at the new level.\n\n"
        "| shift of p95 | noise | passing nights before | 1 run | 2 runs | 3 runs | histories |\n"
        f"|--:|--:|--:|--:|--:|--:|--:|\n{found}\n"
        "## Nothing happens\n\n"
        "Nights that announce anything at all.\n\n"
        "| noise | its shape | nights | with a false alarm | in 100 nights |\n"
        f"|--:|---|--:|--:|--:|\n{false}\n"
        f"Promised: a 10 % shift at 3 % noise is found within {WITHIN} runs (first row, {FOUND_AT_LEAST:.0%} of the "
        "histories or more),\nwith fewer than one false alarm in 100 nights (first row). The other rows show how far "
        "that carries.\n\nApache Otava alone, at its own p < 0.001, sees a change in the newest seven of 37 such "
        f"nights in {alone / ALONE_SERIES:.2%}\nof {ALONE_SERIES:,} series; with {SERIES} series that is "
        f"{1 - (1 - alone / ALONE_SERIES) ** SERIES:.0%} of the nights.\n"
    )


def main() -> int:
    began = time.monotonic()
    shifts, quiet, alone = count()
    text = page(shifts, quiet, alone, time.monotonic() - began)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    found = shifts[SHIFTS.index(PROMISED_SHIFT)][-1] / PROMISED_SHIFT.histories
    false = quiet[QUIET.index(PROMISED_QUIET)] / PROMISED_QUIET.nights
    return 0 if found >= FOUND_AT_LEAST and false < FALSE_AT_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
