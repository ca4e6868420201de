"""What doctor makes of what it sees: findings a part, and the check of a run."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.findings import Finding, State, lacks, ok, unseen, warns
from core.words import Verdict
from dashboards.before import empty_panels
from dashboards.engine import Engine, PanelAnswer, Series, TargetAnswer
from dashboards.missing import never_fed
from dashboards.model import Kind, Panel, Target
from dashboards.prometheus import Prometheus
from report.before import gates_without_data
from report.gate_file import gates_for
from targets.model import Metrics, Profile, load_profile
from tasks.doctor import (
    Patient,
    disk_finding,
    doctor_check,
    everything,
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
        assert found.evidence["parts"] == ["ok a: fine", "warns panels: no data for X"]

    def test_claims_nothing_where_no_part_could_be_seen(self) -> None:
        assert doctor_check([unseen("target clock", "no Date")]).verdict is Verdict.NO_DATA
        assert doctor_check([]).verdict is Verdict.NO_DATA
        found = doctor_check([ok("a", "fine"), unseen("target clock", "no Date")])
        assert found.verdict is Verdict.PASS
        assert "unseen target clock: no Date" in found.observed


class TestAStackThatTheSuiteStarts:
    def test_and_that_does_not_run_is_one_line_with_what_to_do(self, tmp_path: Path) -> None:
        found = list(everything(replace(patient(named(), tmp_path), backend="embedded")))
        assert [finding.part for finding in found] == ["stack", "disk"]
        assert found[0].state is State.LACKS
        assert "make stack-up" in found[0].cure


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


def told(now_s: float, series: list[dict[str, Any]], targets: list[dict[str, Any]]) -> dict[str, Answer]:
    """A Prometheus 2.42 that answers every query with `series`."""
    vector = {"status": "success", "data": {"resultType": "vector", "result": series}}
    return {
        "GET /api/v1/query": Answer({"status": "success", "data": {"result": [now_s, str(now_s)]}}),
        "POST /api/v1/query": Answer(vector),
        "GET /api/v1/targets": Answer({"data": {"activeTargets": targets}}),
        "GET /api/v1/status/buildinfo": Answer({"data": {"version": "2.42.0+ds"}}),
    }


def seen_by_prometheus(answers: dict[str, Answer]) -> dict[str, Finding]:
    with canned(answers, otherwise=Answer({"status": "error"}, 404)) as server:
        found = prometheus_findings(patient(named(prometheus=f"http://{server.address}")))
        return {finding.part: finding for finding in found}


class TestWhatPrometheusSees:
    OPEN = {"metric": {"name": "auth", "state": "open", "__name__": "x"}, "value": [0, "1"]}

    def test_is_a_breaker_that_is_open(self) -> None:
        found = seen_by_prometheus(told(time.time(), [self.OPEN], []))
        assert found["circuit breakers"].state is State.LACKS
        assert found["circuit breakers"].seen == "auth is open"

    def test_is_its_own_clock(self) -> None:
        assert seen_by_prometheus(told(time.time() - 90, [], []))["prometheus clock"].state is State.LACKS

    def test_is_no_breaker_where_the_platform_has_none(self) -> None:
        assert "circuit breakers" not in seen_by_prometheus(told(time.time(), [], []))

    def test_is_a_scrape_that_it_refuses_and_the_version_that_would_not(self) -> None:
        row = {
            "labels": {"job": "shop", "application": "shopping-service"},
            "scrapeUrl": "http://127.0.0.1:8083/actuator/prometheus",
            "health": "down",
            "lastError": "invalid exemplar",
        }
        scrapes = seen_by_prometheus(told(time.time(), [], [row]))["scrapes"]
        assert scrapes.state is State.WARNS
        assert scrapes.seen == "shop is down (invalid exemplar)"
        assert "2.43 or newer" in scrapes.cure

    def test_is_which_gates_and_panels_will_have_no_data(self) -> None:
        found = seen_by_prometheus(told(time.time(), [], []))
        assert "will be NO_DATA" in found["gates"].seen
        assert "no series" in found["panels"].seen


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

    def never_fed(self, target: Target, at: float) -> dict[str, str]:
        return {target.expr: self._causes[target.expr]} if self._causes[target.expr] else {}


def panel(title: str, *queries: str) -> Panel:
    return Panel(title, "A panel.", Kind.TIMESERIES, "s", tuple(Target(query, "x") for query in queries))


class TestPanelsBeforeAnyLoad:
    def empty(self, answers: dict[str, str], *panels: Panel, absent: tuple[str, ...] = ()) -> Any:
        found = empty_panels(Scripted(answers), panels, METRICS, absent, at=100.0)
        return {cause: (list(taken.metrics), list(taken.panels)) for cause, taken in found.items()}

    def test_are_named_once_a_cause(self) -> None:
        answers = {"a": "no series of this exporter", "b": "no series of this exporter"}
        assert self.empty(answers, panel("One", "a", "b"), panel("Two", "a"), panel("Good", "c")) == {
            "no series of this exporter": (["a", "b"], ["One", "Two"])
        }

    def test_that_only_the_load_feeds_are_not_asked(self) -> None:
        assert self.empty({"k6_vus": "no k6"}, panel("VUs", "k6_vus")) == {}

    def test_of_exporters_that_are_not_named_are_not_asked(self) -> None:
        assert self.empty({"mysql_up": "no mysql"}, panel("Up", "mysql_up"), absent=("mysql_",)) == {}

    def test_that_have_nothing_to_say_yet_are_no_cause(self) -> None:
        assert self.empty({"a": ""}, panel("One", "a")) == {}


class FewSeries(Prometheus):
    """Knows how many series fit each of these selectors, by their beginning; of any other none."""

    def __init__(self, *known: str) -> None:
        super().__init__("http://127.0.0.1:1")
        self._known = known

    def count(self, selector: str, at: float) -> int:
        return int(selector.startswith(self._known)) if self._known else 0

    def label_values(self, label: str, selector: str, at: float) -> list[str]:
        return []


class TestWhatNoLoadWillBring:
    def test_is_a_metric_without_any_series(self) -> None:
        assert "no series" in never_fed(FewSeries(), "rate(x_total[1m])", 0.0)["x_total"]

    def test_is_not_an_error_that_nobody_made_yet(self) -> None:
        ratio = '(rate(x_total{status=~"5.."}[1m]) or rate(x_total{}[1m]) * 0) / rate(x_total{}[1m])'
        assert never_fed(FewSeries("x_total{}"), ratio, 0.0) == {}

    def test_is_a_recording_rule_only_where_no_other_has_series(self) -> None:
        assert never_fed(FewSeries('{__name__=~"job:'), "job:p95", 0.0) == {}
        assert "does Prometheus load" in never_fed(FewSeries(), "job:p95", 0.0)["job:p95"]


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
