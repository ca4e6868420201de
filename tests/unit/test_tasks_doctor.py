"""What doctor makes of what it sees: findings a part, and the check of a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from core.findings import Finding, State, lacks, ok, warns
from core.words import Verdict
from dashboards.before import empty_panels
from dashboards.engine import Engine, PanelAnswer, Series, TargetAnswer
from dashboards.model import Kind, Panel, Target
from dashboards.prometheus import Prometheus
from report.before import gates_without_data
from report.gate_file import gates_for
from targets.model import Metrics, Profile, load_profile
from tasks.doctor import (
    Patient,
    disk_finding,
    doctor_check,
    kafka_findings,
    prometheus_findings,
    stack_findings,
)
from tests.canned import LOGIN_PAGE, Answer, canned

PORTAL = load_profile("portal")
METRICS = Metrics(service_label="application", services=("api-gateway",))


def patient(profile: Profile, folder: Path = Path()) -> Patient:
    return Patient(profile, profile.scenarios, gates_for(PORTAL).gates, folder)


def named(**addresses: str) -> Profile:
    """The portal's profile with no other addresses than these and its entry."""
    known = {name.replace("_", "-"): address for name, address in addresses.items()}
    changed = {"addresses": {"api-gateway": "http://127.0.0.1:1", **known}}
    return Profile.model_validate({**PORTAL.model_dump(), **changed})


class TestCheck:
    def test_is_an_error_with_every_part_that_lacks(self) -> None:
        found = doctor_check([ok("a", "fine"), lacks("b", "gone", "Bring it."), warns("c", "thin", "")])
        assert found.verdict is Verdict.ERROR
        assert found.blocks
        assert found.observed == "1 of 3 parts are as the profile says; lacks b: gone. Bring it."

    def test_passes_with_its_warnings(self) -> None:
        found = doctor_check([ok("a", "fine"), warns("panels", "no data for X", "")])
        assert found.verdict is Verdict.PASS
        assert "warns panels: no data for X" in found.observed
        assert found.evidence["parts"]["a"] == "ok: fine"


class TestStack:
    def test_names_what_is_hidden_what_is_missing_and_what_is_not_named(self) -> None:
        with canned({}, otherwise=Answer(LOGIN_PAGE)) as server:
            profile = named(zipkin=f"http://{server.address}")
            found = {finding.part: finding for finding in stack_findings(patient(profile))}
        assert "HTML, 'Sign in'" in found["zipkin"].seen
        assert found["prometheus"].state is State.LACKS
        assert found["not named"].state is State.OK
        assert "mysql, redis, kafka" in found["not named"].seen


class TestSeries:
    def test_of_a_prometheus_that_is_silent_are_not_claimed(self) -> None:
        with canned({}, otherwise=Answer({"status": "error"}, 503)) as server:
            profile = named(prometheus=f"http://{server.address}")
            found = list(prometheus_findings(patient(profile)))
        assert [finding.state for finding in found] == [State.UNSEEN]

    def test_are_not_asked_for_where_no_prometheus_is_named(self) -> None:
        assert list(prometheus_findings(patient(named()))) == []


class TestTopic:
    def test_of_a_broker_that_does_not_answer_lacks(self) -> None:
        found = list(kafka_findings(patient(named(kafka="tcp://127.0.0.1:1"))))
        assert [finding.state for finding in found] == [State.LACKS]

    def test_is_not_looked_at_without_a_kafka(self) -> None:
        assert list(kafka_findings(patient(named()))) == []


class TestDisk:
    @pytest.mark.parametrize(
        ("free", "state"), [(2**20, State.LACKS), (2**30, State.WARNS), (2**40, State.OK)], ids=["1M", "1G", "1T"]
    )
    def test_is_judged_by_its_room(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))
        assert disk_finding(tmp_path / "runs" / "to come").state is state


class Scripted(Engine):
    """Answers a query by its text: a state's series, or why there is none."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__(Prometheus("http://127.0.0.1:1"), {})
        self._causes = answers

    def ask_now(self, panel: Panel, at: float) -> PanelAnswer:
        lines = (Series("x", {}, (at,), (1.0,)),)
        rows = [TargetAnswer(each.expr, () if each.expr in self._causes else lines) for each in panel.targets]
        return PanelAnswer(panel, tuple(rows))

    def missing(self, target: Target, at: float) -> str:
        return self._causes[target.expr]


def panel(title: str, *queries: str) -> Panel:
    return Panel(title, "A panel.", Kind.TIMESERIES, "s", tuple(Target(query, "x") for query in queries))


class TestPanelsBeforeAnyLoad:
    def empty(self, answers: dict[str, str], *panels: Panel, absent: tuple[str, ...] = ()) -> Any:
        return empty_panels(Scripted(answers), panels, METRICS, absent, at=100.0)

    def test_are_named_once_a_cause(self) -> None:
        answers = {"a": "a has no series", "b": "a has no series"}
        assert self.empty(answers, panel("One", "a", "b"), panel("Two", "a"), panel("Good", "c")) == {
            "a has no series": ["One", "Two"]
        }

    def test_that_only_the_load_feeds_are_not_asked(self) -> None:
        assert self.empty({"k6_vus": "no k6"}, panel("VUs", "k6_vus")) == {}

    def test_of_exporters_that_are_not_named_are_not_asked(self) -> None:
        assert self.empty({"mysql_up": "no mysql"}, panel("Up", "mysql_up"), absent=("mysql_",)) == {}

    def test_that_have_nothing_to_say_yet_are_no_cause(self) -> None:
        assert self.empty({"a": "its series are there, but give no number"}, panel("One", "a")) == {}


class TestGatesBeforeAnyLoad:
    def test_are_named_by_the_series_that_they_lack(self) -> None:
        gates = gates_for(PORTAL).gates
        found = gates_without_data(PORTAL, gates, lambda query: "no lag" if "consumergroup_lag" in query else "")
        assert list(found) == ["no lag"]
        assert "kafka-lag-max" in found["no lag"]

    def test_that_may_be_absent_are_not_asked(self) -> None:
        gates = gates_for(PORTAL).gates
        found = gates_without_data(PORTAL, gates, lambda _: "nothing")
        assert "kafka-lag-recovered" not in found["nothing"]


def test_a_finding_is_one_sentence_with_its_cure() -> None:
    assert str(Finding("login", State.LACKS, "answered 401", "Set users.")) == "login: answered 401. Set users."
