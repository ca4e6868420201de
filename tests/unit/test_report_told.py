"""Told once: what has changed is told, what has not is not, and what nobody took is told again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.checks import check
from core.errors import SetupError
from core.request import Request
from core.words import Phase, Verdict
from report.build import build
from report.model import Regression, RegressionGroup, ShiftRow
from report.told import FILE, Message, News, Outcome, Told, ToldFile, news_of, outcome_of
from tasks.tell import kind_of, tell_once
from tests.report_samples import facts, passing_checks

LINK = "http://127.0.0.1:4201/run/report.html"


def outcome(verdict: str, *regressions: RegressionGroup, interrupted: bool = False) -> Outcome:
    return Outcome(
        "portal/smoke/all/all", "portal · smoke", Verdict(verdict), ("a sentence",), regressions, interrupted
    )


def group(figure: str, since: str = "run-1", *, news: bool = True, acknowledged: str = "") -> RegressionGroup:
    shift = ShiftRow(figure=figure, title="p95", unit="ms", change="worse", before=40, after=50, relative=0.25)
    row = Regression(shift=shift, since=since, announced=not acknowledged, news=news, acknowledged=acknowledged)
    return RegressionGroup(about=figure.partition("/")[0], headline=row, news=news)


class Team:
    """Takes messages, or is away."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.there = True

    def take(self, messages: Sequence[Message], _: Outcome) -> bool:
        if self.there:
            self.got += [message.subject for message in messages]
        return self.there

    def after(self, folder: Path, *outcomes: Outcome) -> list[str]:
        for one in outcomes:
            tell_once(one, LINK, folder, self.take)
        return self.got


@pytest.fixture
def team() -> Team:
    return Team()


class TestVerdicts:
    def test_are_told_when_they_change_and_only_then(self, team: Team, tmp_path: Path) -> None:
        nights = [outcome(verdict) for verdict in ("PASS", "FAIL", "FAIL", "FAIL", "PASS", "PASS")]
        assert team.after(tmp_path, *nights) == [
            "portal · smoke: FAIL (before: PASS)",
            "portal · smoke: PASS (before: FAIL)",
        ]

    def test_of_a_first_run_are_told_unless_it_passed(self, team: Team, tmp_path: Path) -> None:
        assert team.after(tmp_path, outcome("PASS")) == []
        assert team.after(tmp_path / "other", outcome("NO_DATA")) == ["portal · smoke: NO_DATA (before: PASS)"]

    def test_of_a_run_that_somebody_stopped_say_nothing(self, team: Team, tmp_path: Path) -> None:
        assert team.after(tmp_path, outcome("PASS"), outcome("ERROR", interrupted=True), outcome("PASS")) == []

    def test_that_nobody_took_are_told_by_the_next_run(self, team: Team, tmp_path: Path) -> None:
        team.there = False
        assert team.after(tmp_path, outcome("FAIL")) == []
        team.there = True
        assert team.after(tmp_path, outcome("FAIL"), outcome("FAIL")) == ["portal · smoke: FAIL (before: PASS)"]

    def test_of_other_kinds_of_run_are_their_own(self, team: Team, tmp_path: Path) -> None:
        soak = Outcome("portal/soak/all/all", "portal · soak", Verdict.PASS, ())
        assert team.after(tmp_path, outcome("FAIL"), soak, outcome("FAIL")) == ["portal · smoke: FAIL (before: PASS)"]


class TestRegressions:
    def test_are_told_once_though_they_stay_open(self, team: Team, tmp_path: Path) -> None:
        still = group("b-blog-read/p95_ms", news=False)
        told = team.after(tmp_path, outcome("PASS", group("b-blog-read/p95_ms")), outcome("PASS", still))
        assert told == ["portal · smoke: slower or heavier than before: b-blog-read"]

    def test_that_began_while_nobody_listened_are_told_later(self, team: Team, tmp_path: Path) -> None:
        team.there = False
        team.after(tmp_path, outcome("PASS", group("b-blog-read/p95_ms")))
        team.there = True
        still = outcome("PASS", group("b-blog-read/p95_ms", news=False))
        assert len(team.after(tmp_path, still, still)) == 1

    def test_that_come_back_are_told_again(self, team: Team, tmp_path: Path) -> None:
        again = outcome("PASS", group("b-blog-read/p95_ms", since="run-9"))
        assert len(team.after(tmp_path, outcome("PASS", group("b-blog-read/p95_ms")), outcome("PASS"), again)) == 2

    def test_that_are_acknowledged_are_not_told(self, team: Team, tmp_path: Path) -> None:
        known = group("b-blog-read/p95_ms", news=False, acknowledged="known until Friday")
        assert team.after(tmp_path, outcome("PASS", known)) == []

    def test_say_what_became_worse_by_how_much_and_since_when(self) -> None:
        (message,), _ = news_of(outcome("PASS", group("b-blog-read/p95_ms")), Told(), LINK)
        assert message.news is News.REGRESSION
        assert message.text == f"b-blog-read: p95 40 → 50 ms (+25%), since run run-1\nReport: {LINK}"


class TestMessage:
    def test_has_the_three_facts_what_to_do_first_and_the_link(self) -> None:
        checks = passing_checks(a=check("ledger-coupons", Verdict.FAIL, "103 rows for a stock of 100"))
        seen = outcome_of(build(facts(checks=checks), None), "kind", "portal · smoke")
        (message,), _ = news_of(seen, Told(), LINK)
        lines = message.text.splitlines()
        assert lines[0].endswith("did not hold.")
        assert [line.partition(":")[0] for line in lines[1:4]] == [
            "Load",
            "Correctness under load",
            "Against earlier runs",
        ]
        assert lines[4] == "First: ledger-coupons: 103 rows for a stock of 100"
        assert lines[5] == f"Report: {LINK}"


class TestKind:
    def test_is_what_was_asked_for(self) -> None:
        assert kind_of(Request()) == "portal/smoke/all/all"
        asked = Request(target="my/portal.yaml", load="soak", phase=(Phase.LOAD,), scenario=("a", "b"))
        assert kind_of(asked) == "portal/soak/load/ab"


class TestToldFile:
    def test_that_is_damaged_is_named_rather_than_told_all_over(self, team: Team, tmp_path: Path) -> None:
        (tmp_path / FILE).write_text("{half")
        with pytest.raises(SetupError, match="what was told cannot be read") as raised:
            tell_once(outcome("FAIL"), LINK, tmp_path, team.take)
        assert "Mend or delete it" in raised.value.cure
        assert team.got == []

    def test_keeps_the_kinds_apart(self, tmp_path: Path) -> None:
        file = ToldFile(tmp_path)
        file.write("a", Told(verdict=Verdict.FAIL))
        file.write("b", Told(regressions=("x since y",)))
        assert file.read() == {"a": Told(verdict=Verdict.FAIL), "b": Told(regressions=("x since y",))}
