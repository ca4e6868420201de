"""What a team was told of each kind of run, so that it is told once: a verdict that has changed, a new regression.

Beside the history stands `told.json`: for each kind of run the verdict and the regressions that somebody was told of.
It changes only when a message was taken, so what happens while nobody listens is told as soon as somebody does. A kind
of run that was never told of counts as passing: its first PASS is no news, its first FAIL is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from core.errors import SetupError
from core.words import EXIT_SIGINT, EXIT_SIGTERM, Verdict
from report.model import RegressionGroup, Report, Row, ShiftRow
from report.summary import facts, headline, next_steps

FILE = "told.json"


class News(StrEnum):
    """What is told; also the names of Prefect's events."""

    VERDICT = "perf-suite.verdict.changed"
    REGRESSION = "perf-suite.regression.new"
    TEST = "perf-suite.notification.test"


class Told(Row):
    """What is known to somebody about one kind of run."""

    verdict: Verdict = Verdict.PASS
    regressions: tuple[str, ...] = ()


_File = TypeAdapter(dict[str, Told])


@dataclass(frozen=True)
class Outcome:
    """What came of a run, as far as others are told."""

    kind: str
    """What was asked for: only runs of one kind follow each other."""
    title: str
    verdict: Verdict
    lines: tuple[str, ...]
    """The verdict in a sentence, the three facts, what to do first."""
    regressions: tuple[RegressionGroup, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True)
class Message:
    """One thing to tell, for people."""

    news: News
    subject: str
    text: str


def outcome_of(report: Report, kind: str, title: str) -> Outcome:
    """The outcome of a run that has a report."""
    first = next_steps(report)[0]
    lines = (
        headline(report),
        *(f"{fact.label}: {fact.value} ({fact.detail})" for fact in facts(report)),
        f"First: {first.title}: {first.text}",
    )
    regressions = report.comparison.regressions if report.comparison else ()
    interrupted = report.exit_code in (EXIT_SIGINT, EXIT_SIGTERM)
    return Outcome(kind, title, report.verdict, lines, regressions, interrupted)


def news_of(outcome: Outcome, before: Told, link: str) -> tuple[tuple[Message, ...], Told]:
    """What has to be told, and what is known once it was. A run that somebody stopped says nothing."""
    if outcome.interrupted:
        return (), before
    known = {id for group in outcome.regressions for id in _ids(group)}
    new = [group for group in outcome.regressions if _is_new(group, before)]
    messages = []
    if outcome.verdict is not before.verdict:
        subject = f"{outcome.title}: {outcome.verdict} (before: {before.verdict})"
        messages.append(_message(News.VERDICT, subject, outcome.lines, link))
    if new:
        subject = f"{outcome.title}: slower or heavier than before: {', '.join(group.about for group in new)}"
        messages.append(_message(News.REGRESSION, subject, [_sentence(group) for group in new], link))
    return tuple(messages), Told(verdict=outcome.verdict, regressions=tuple(sorted(known)))


class ToldFile:
    """`told.json` in the history's folder; whoever reads and writes holds the history's lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> Mapping[str, Told]:
        """SetupError when it is there and cannot be understood: guessing would tell everything again."""
        try:
            return _File.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            cure = "Mend or delete it; when it is gone, what does not pass is told once more."
            raise SetupError("what was told cannot be read", where=str(self.path), cure=cure) from error

    def write(self, kind: str, told: Told) -> None:
        """Replace the entry of `kind`, in one step."""
        rows = {**self.read(), kind: told}
        temporary = self.path.with_suffix(".new")
        try:
            temporary.write_bytes(orjson.dumps(_File.dump_python(rows, mode="json"), option=orjson.OPT_INDENT_2))
            os.replace(temporary, self.path)
        except OSError as error:
            cure = "Free some disk space or mend the rights of this folder; until then news may be told again."
            raise SetupError(
                f"what was told cannot be kept: {error.strerror}", where=str(self.path), cure=cure
            ) from error


def _is_new(group: RegressionGroup, before: Told) -> bool:
    """News of this run, or open since a run that told nobody."""
    ids = _ids(group)
    return bool(ids - set(before.regressions)) and (group.news or not ids & set(before.regressions))


def _ids(group: RegressionGroup) -> set[str]:
    """The group's regressions that nobody has acknowledged."""
    rows = (group.headline, *group.beneath)
    return {f"{row.shift.figure} since {row.since}" for row in rows if not row.acknowledged}


def _sentence(group: RegressionGroup) -> str:
    also = f"; also {len(group.beneath)} more" if group.beneath else ""
    return f"{group.about}: {_shift(group.headline.shift)}, since run {group.headline.since}{also}"


def _shift(row: ShiftRow) -> str:
    change = f" ({row.relative:+.0%})" if row.relative is not None else ""
    before, after = (f"{value:.3g}" if value is not None else "–" for value in (row.before, row.after))
    return f"{row.title} {before} → {after} {row.unit}{change}"


def _message(news: News, subject: str, lines: tuple[str, ...] | list[str], link: str) -> Message:
    return Message(news, subject, "\n".join((*lines, f"Report: {link}")))
