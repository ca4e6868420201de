"""Verdicts, phases and exit codes: each word has one meaning everywhere (architecture.md, "Words")."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What a check, a gate or a run says; the members' order is not their rank, `worst` knows that."""

    PASS = "PASS"
    FAIL = "FAIL"
    ERROR = "ERROR"  # a requested part could not run
    INVALID = "INVALID"  # measured, but the generator or the machine was at fault
    NO_DATA = "NO_DATA"  # nothing was measured, so nothing is claimed
    SKIPPED = "SKIPPED"  # does not apply, and says why


class Phase(StrEnum):
    """The five phases of the design, in their order."""

    EXPORTERS = "exporters"
    TRACING = "tracing"
    LOAD = "load"
    DASHBOARDS = "dashboards"
    KAFKA_BOT = "kafka_bot"


class Kind(StrEnum):
    """What a check is about: the suite and the stack work, or the platform is good enough."""

    VERIFICATION = "verification"
    OBJECTIVE = "objective"


_RANK = (Verdict.FAIL, Verdict.ERROR, Verdict.INVALID, Verdict.NO_DATA, Verdict.PASS)
EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.ERROR: 2,
    Verdict.INVALID: 3,
    Verdict.NO_DATA: 3,
    Verdict.SKIPPED: 3,
}
EXIT_SIGINT = 130
EXIT_SIGTERM = 143


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The run verdict: FAIL > ERROR > INVALID > NO_DATA > PASS; SKIPPED is neutral, nothing else is NO_DATA."""
    seen = set(verdicts)
    return next((verdict for verdict in _RANK if verdict in seen), Verdict.NO_DATA)


def worst_of_phase(verdicts: Iterable[Verdict]) -> Verdict:
    """A phase's verdict: as a run's, but SKIPPED where all of it was: it does not apply, and nothing was awaited."""
    seen = set(verdicts)
    return Verdict.SKIPPED if seen == {Verdict.SKIPPED} else worst(seen)
