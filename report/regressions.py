"""A run against its history: every figure's change, and what became worse, said once.

A regression stays open from the run that was sure of it until its figure is back. Meanwhile the passing runs before it
stay what is compared with, so a new level does not become the norm by waiting, and a further step is a regression of
its own. It is announced once; while it is acknowledged it is not announced, and when that expires it is announced
again. Regressions of one scenario or service that began together are announced together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from report.acknowledged import Acknowledgement, in_force
from report.history import Kept, OpenRegression
from report.key import differences
from report.measures import about, measure_of
from report.model import Comparison, Regression, RegressionGroup, ShiftRow
from report.night import BASELINE_RUNS, LONGEST, Look, Night, looks, rise, still_up
from report.shift import MIN_BASELINE, Shift

TOGETHER = LONGEST
"""Regressions whose first runs lie at most this many runs apart began together."""


@dataclass(frozen=True)
class _Open:
    """A regression that is open after tonight, `announced` as it was before tonight."""

    figure: str
    shift: Shift
    since: str
    announced: bool


def compare_with_history(
    now: Kept, earlier: Sequence[Kept], entries: Sequence[Acknowledgement], day: date
) -> Comparison:
    """`now` against the runs of its own key in `earlier` (oldest first); says why where nothing can be compared."""
    like = [run for run in earlier if run.key == now.key and run.measured and run.run_id != now.run_id]
    passing = [run for run in like if run.passed][-BASELINE_RUNS:]
    notes = (*_why_not(now, passing, earlier), *_about_entries(entries, now, day))
    if not now.measured:
        return Comparison(baseline=tuple(run.run_id for run in passing), notes=notes)
    runs = [*like, now]
    rows, found = [], []
    for figure in now.figures:
        nights = _nights(figure, runs)
        seen = looks(nights, len(now.figures))
        worse = _regression(figure, nights, seen, _known(figure, like), len(now.figures))
        rows.append(_shift_row(figure, "worse", worse.shift) if worse else _row(figure, nights, seen))
        found += [worse] if worse else []
    return Comparison(
        baseline=tuple(run.run_id for run in passing),
        shifts=tuple(rows),
        regressions=tuple(_groups(found, [run.run_id for run in runs], entries, day)),
        notes=notes,
    )


def still_open(comparison: Comparison) -> tuple[OpenRegression, ...]:
    """What the run's own line in the history has to say."""
    return tuple(
        OpenRegression(figure=one.shift.figure, since=one.since, announced=one.announced)
        for group in comparison.regressions
        for one in (group.headline, *group.beneath)
    )


def _known(figure: str, like: Sequence[Kept]) -> OpenRegression | None:
    """What the newest run that has this figure knew of it."""
    newest = next((run for run in reversed(like) if figure in run.figures), None)
    return next((one for one in newest.open if one.figure == figure), None) if newest else None


def _nights(figure: str, runs: Sequence[Kept]) -> list[Night]:
    """The figure through the runs that have it; those of a regression, from its first run on, are `up`."""
    having = [run for run in runs if figure in run.figures]
    place = {run.run_id: index for index, run in enumerate(having)}
    up = [False] * len(having)
    for index, run in enumerate(having):
        for one in run.open:
            if one.figure == figure:
                first = place.get(one.since, index)
                up[first : index + 1] = [True] * (index + 1 - first)
    return [Night(run.run_id, run.figures[figure], run.passed, high) for run, high in zip(having, up, strict=True)]


def _level(nights: Sequence[Night], since: str) -> list[Night]:
    """The nights from `since` on as a level of their own, which a further step is compared with."""
    first = next(index for index, night in enumerate(nights) if night.run_id == since)
    return [replace(night, up=False) for night in nights[first:]]


def _regression(
    figure: str, nights: Sequence[Night], seen: Sequence[Look], known: OpenRegression | None, series: int
) -> _Open | None:
    least = measure_of(figure).least
    if known is not None and (up := still_up(nights, known.since, series)):
        level = _level(nights, known.since)
        further = rise(level, looks(level, series), least)
        if further:
            return _Open(figure, further.shift, further.since, announced=False)
        return _Open(figure, up, known.since, known.announced)
    found = rise(nights, seen, least)
    return _Open(figure, found.shift, found.since, announced=False) if found else None


def _row(figure: str, nights: Sequence[Night], seen: Sequence[Look]) -> ShiftRow:
    """A figure that is not worse: the surest improvement, else the newest night alone."""
    measure = measure_of(figure)
    better = [look.shift for look in seen if look.is_better(measure.least)]
    if better:
        return _shift_row(figure, "better", min(better, key=lambda found: found.high))
    if seen:
        return _shift_row(figure, "same", seen[0].shift)
    passed = sum(night.good for night in nights[:-1])
    note = f"{passed} comparable runs passed before; {MIN_BASELINE} are needed"
    return ShiftRow(figure=figure, title=measure.title, unit=measure.unit, change="unknown", note=note)


def _shift_row(figure: str, change: str, found: Shift) -> ShiftRow:
    measure = measure_of(figure)
    return ShiftRow.model_validate(
        {"figure": figure, "title": measure.title, "unit": measure.unit, "change": change, **vars(found)}
    )


def _groups(
    found: Sequence[_Open], run_ids: Sequence[str], entries: Sequence[Acknowledgement], day: date
) -> Iterator[RegressionGroup]:
    """One group for each scenario or service, the group with the largest change first."""
    names = sorted({about(one.figure) for one in found}, key=lambda name: -_largest(_of(found, name)))
    for name in names:
        rows = sorted(_said(_of(found, name), run_ids, entries, day), key=lambda row: -(row.shift.relative or 0))
        news = any(row.news for row in rows)
        yield RegressionGroup(about=name, headline=rows[0], beneath=tuple(rows[1:]), news=news)


def _of(found: Iterable[_Open], name: str) -> list[_Open]:
    return [one for one in found if about(one.figure) == name]


def _largest(found: Sequence[_Open]) -> float:
    return max(one.shift.relative for one in found)


def _said(
    found: Sequence[_Open], run_ids: Sequence[str], entries: Sequence[Acknowledgement], day: date
) -> Iterator[Regression]:
    """News is what nobody acknowledged, was not announced, and did not begin together with what was announced."""
    place = {run_id: index for index, run_id in enumerate(run_ids)}
    told = [place[one.since] for one in found if one.announced]
    for one in found:
        entry = in_force(entries, one.figure, day)
        known = one.announced or any(abs(place[one.since] - earlier) <= TOGETHER for earlier in told)
        yield Regression(
            shift=_shift_row(one.figure, "worse", one.shift),
            since=one.since,
            announced=entry is None,
            news=entry is None and not known,
            acknowledged=str(entry) if entry else "",
        )


def _why_not(now: Kept, passing: Sequence[Kept], earlier: Sequence[Kept]) -> Iterator[str]:
    if not now.measured:
        yield f"not compared: a run that is {now.verdict} claims nothing about its figures"
    elif len(passing) < MIN_BASELINE:
        yield f"{len(passing)} comparable runs passed before; {MIN_BASELINE} are needed"
    unlike = [run for run in earlier if run.key != now.key]
    if not passing and unlike:
        differing = "; ".join(differences(unlike[-1].key, now.key))
        yield f"the newest earlier run, {unlike[-1].run_id}, is not comparable: {differing}"


def _about_entries(entries: Sequence[Acknowledgement], now: Kept, day: date) -> Iterator[str]:
    for entry in entries:
        if day > entry.until:
            yield f"the acknowledgement of {entry.id} expired on {entry.until}"
        elif not any(entry.covers(figure) for figure in now.figures):
            yield f"the acknowledgement of {entry.id} fits no figure of this run"
