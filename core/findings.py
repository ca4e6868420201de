"""What doctor finds before any load: one line a part, with its cure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.errors import SuiteError
from core.words import Verdict, worst


class State(StrEnum):
    """How a part is, from best to worst."""

    OK = "ok"
    WARNS = "warns"  # a run makes sense, and something will be missing in it
    UNSEEN = "unseen"  # it could not be looked at, so nothing is claimed
    LACKS = "lacks"  # a run would be for nothing


_VERDICTS = {State.UNSEEN: Verdict.NO_DATA, State.LACKS: Verdict.ERROR}


@dataclass(frozen=True)
class Finding:
    """One part of target or stack, what was seen of it, and what to do; no cure where it is ok."""

    part: str
    state: State
    seen: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.part}: {self.seen}" + (f". {self.cure}" if self.cure else "")


def ok(part: str, seen: str) -> Finding:
    return Finding(part, State.OK, seen)


def warns(part: str, seen: str, cure: str) -> Finding:
    return Finding(part, State.WARNS, seen, cure)


def unseen(part: str, seen: str, cure: str = "") -> Finding:
    return Finding(part, State.UNSEEN, seen, cure)


def lacks(part: str, seen: str, cure: str) -> Finding:
    return Finding(part, State.LACKS, seen, cure)


def lacks_by(part: str, error: SuiteError) -> Finding:
    """What an error says, as a finding."""
    where = f" ({error.where})" if error.where else ""
    return lacks(part, f"{error.what}{where}", error.cure)


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """ERROR where something is lacking, NO_DATA where something could not be looked at, else PASS."""
    return worst(_VERDICTS.get(finding.state, Verdict.PASS) for finding in findings)
