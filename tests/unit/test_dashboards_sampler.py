"""What the sampler keeps of its looks, and how the checks judge it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.checks import Check
from core.words import Verdict
from dashboards import bottleneck_detection, load_test_overview
from dashboards.drawn import draw_answers
from dashboards.engine import Engine, PanelAnswer, Series, State, TargetAnswer
from dashboards.missing import BUCKETS
from dashboards.model import Kind, Panel, Target, Traffic
from dashboards.prometheus import Prometheus
from dashboards.sampler import PanelSamples, Sampler, Samples
from dashboards.verify import (
    dashboard_live_check,
    k6_panels_check,
    not_provisioned_check,
    panel_verdict,
    panels_data_check,
    without,
)
from targets.model import Metrics

ONLY_REQUESTS = (Traffic.REQUESTS,)
VALUES = {"service": ".*", "run_id": ".*", "scenario": ".*", "interval": "1m"}


def panel(title: str = "A", *, live: bool = True, needs: Traffic = Traffic.REQUESTS, uid: str = "page") -> Panel:
    return Panel(
        title, "A panel.", Kind.TIMESERIES, "s", (Target("a", "x"),), live=live, needs=needs, dashboard=uid, number=1
    )


class Script(Engine):
    """An engine that answers from a list, one entry a look; a text is an error."""

    def __init__(self, *looks: list[Series] | str) -> None:
        super().__init__(Prometheus("http://127.0.0.1:1"), VALUES)
        self._looks = list(looks)

    def ask_now(self, panel: Panel, at: float) -> PanelAnswer:
        look = self._looks.pop(0)
        answer = TargetAnswer("a", (), look) if isinstance(look, str) else TargetAnswer("a", tuple(look))
        return PanelAnswer(panel, (answer,))

    def missing(self, target: Target, at: float) -> str:
        return f"{target.expr} has no series"


def line(value: float | None, **labels: str) -> Series:
    return Series("x", labels, (1.0,), (value,))


def sampled(*looks: list[Series] | str) -> PanelSamples:
    engine = Script(*looks)
    sampler = Sampler(engine, [panel()], clock=lambda: 100.0)
    for _ in looks:
        sampler.look()
    engine.prometheus.close()
    (seen,) = sampler.samples().panels
    return seen


class TestSampler:
    @pytest.mark.parametrize(
        ("looks", "state"),
        [
            (([], [line(1)], [line(2)]), State.LIVE),
            (([line(3)], [line(3)]), State.CONSTANT),
            (([line(None)], [line(None)]), State.NAN_ONLY),
            (([], []), State.EMPTY),
            (([line(1, i="a"), line(9, i="b")], [line(1, i="a"), line(9, i="b")]), State.CONSTANT),
            (("gone", [line(3)]), State.CONSTANT),
        ],
    )
    def test_judges_each_line_over_all_looks(self, looks: tuple[list[Series] | str, ...], state: State) -> None:
        assert sampled(*looks).state is state

    def test_counts_the_looks_that_were_answered(self) -> None:
        seen = sampled("Prometheus does not answer", [line(1)], "refused")
        assert (seen.looks, seen.answered, seen.error) == (3, 1, "refused")

    def test_says_why_a_panel_has_no_data(self) -> None:
        assert sampled([], []).cause == "a has no series"
        assert sampled([line(1)]).cause == ""

    def test_keeps_a_record_a_look_and_panel(self) -> None:
        engine = Script([line(1), line(None)], "gone")
        sampler = Sampler(engine, [panel()], clock=lambda: 100.0)
        sampler.look()
        sampler.look()
        engine.prometheus.close()
        found = [(each.at, each.panel, each.series, each.error) for each in sampler.samples().observations]
        assert found == [(100.0, "page/a", 1, ""), (100.0, "page/a", 0, "gone")]

    def test_looks_once_more_when_a_short_load_has_ended(self) -> None:
        began = threading.Event()
        engine = Script([], [line(1)])
        ask = engine.ask_now

        def notice(panel: Panel, at: float) -> PanelAnswer:
            began.set()
            return ask(panel, at)

        engine.ask_now = notice  # type: ignore[method-assign]
        with Sampler(engine, [panel()], every_s=3600) as sampler:
            assert began.wait(5)
        engine.prometheus.close()
        assert sampler.samples().panels[0].looks == 2

    def test_carries_on_without_prometheus(self) -> None:
        engine = Engine(Prometheus("http://127.0.0.1:1"), VALUES)
        with Sampler(engine, [panel()], every_s=3600) as sampler:
            pass
        (seen,) = sampler.samples().panels
        engine.prometheus.close()
        assert (seen.state, seen.answered) == (State.EMPTY, 0)
        assert "Prometheus does not answer" in seen.error

    def test_does_not_hide_a_mistake_of_its_own(self) -> None:
        engine = Script()
        with pytest.raises(IndexError), Sampler(engine, [panel()], every_s=3600):
            pass
        engine.prometheus.close()


def seen(
    of: Panel, state: State, *, answered: int = 3, cause: str = "a has no series", error: str = ""
) -> PanelSamples:
    return PanelSamples(of, state, 3, answered, "" if state.has_data else cause, error)


class TestPanelVerdict:
    @pytest.mark.parametrize(
        ("of", "state", "traffic", "verdict", "reason"),
        [
            (panel(), State.LIVE, ONLY_REQUESTS, Verdict.PASS, ""),
            (panel(), State.CONSTANT, ONLY_REQUESTS, Verdict.FAIL, "stayed at one value under load"),
            (panel(live=False), State.CONSTANT, ONLY_REQUESTS, Verdict.PASS, ""),
            (panel(), State.EMPTY, ONLY_REQUESTS, Verdict.NO_DATA, "a has no series"),
            (panel(), State.NAN_ONLY, ONLY_REQUESTS, Verdict.NO_DATA, "a has no series"),
            (panel(needs=Traffic.EVENTS), State.EMPTY, ONLY_REQUESTS, Verdict.SKIPPED, "this load made no events"),
            (panel(needs=Traffic.EVENTS), State.EMPTY, tuple(Traffic), Verdict.NO_DATA, "a has no series"),
            (panel(needs=Traffic.EVENTS), State.CONSTANT, ONLY_REQUESTS, Verdict.PASS, ""),
        ],
    )
    def test_is(self, of: Panel, state: State, traffic: tuple[Traffic, ...], verdict: Verdict, reason: str) -> None:
        assert panel_verdict(seen(of, state), traffic) == (verdict, reason)


K6 = panel("k6: Total RPS", uid=load_test_overview.UID)
POOL = panel("DB Pool: Wait Time", uid=bottleneck_detection.UID)
EVICTIONS = panel("Redis: Eviction Rate", live=False, uid=bottleneck_detection.UID)
PRODUCED = panel("Kafka: Produce Rate", needs=Traffic.EVENTS, uid=bottleneck_detection.UID)


def samples(k6: State = State.LIVE, pool: State = State.LIVE, produced: State = State.LIVE) -> Samples:
    states = [(K6, k6), (POOL, pool), (EVICTIONS, State.CONSTANT), (PRODUCED, produced)]
    return Samples(tuple(seen(of, state) for of, state in states), ())


class TestChecks:
    @pytest.mark.parametrize(
        ("result", "verdict", "observed"),
        [
            (k6_panels_check(samples()), Verdict.PASS, "1 of 1 panels had data under load"),
            (
                k6_panels_check(samples(k6=State.EMPTY)),
                Verdict.FAIL,
                "0 of 1 panels had data under load. k6: Total RPS (empty): a has no series.",
            ),
            (k6_panels_check(samples(pool=State.EMPTY)), Verdict.PASS, "1 of 1 panels had data under load"),
            (panels_data_check(samples()), Verdict.PASS, "4 of 4 panels had data under load"),
            (
                panels_data_check(samples(pool=State.NAN_ONLY)),
                Verdict.FAIL,
                "3 of 4 panels had data under load. DB Pool: Wait Time (nan-only): a has no series.",
            ),
            (
                panels_data_check(samples(produced=State.EMPTY), ONLY_REQUESTS),
                Verdict.PASS,
                "3 of 3 panels had data under load",
            ),
            (dashboard_live_check(samples()), Verdict.PASS, "2 of 2 live panels moved under load"),
            (
                dashboard_live_check(samples(pool=State.CONSTANT)),
                Verdict.FAIL,
                "1 of 2 live panels moved under load. DB Pool: Wait Time: stayed at one value.",
            ),
            (
                dashboard_live_check(samples(produced=State.CONSTANT), ONLY_REQUESTS),
                Verdict.PASS,
                "1 of 1 live panels moved under load",
            ),
        ],
    )
    def test_say(self, result: Check, verdict: Verdict, observed: str) -> None:
        assert (result.verdict, result.observed) == (verdict, observed)

    @pytest.mark.parametrize("judge", [k6_panels_check, panels_data_check, dashboard_live_check])
    def test_claim_nothing_when_prometheus_never_answered(self, judge: Callable[[Samples], Check]) -> None:
        silent = [
            seen(of, State.EMPTY, answered=0, error="Prometheus does not answer: refused")
            for of in (K6, POOL, PRODUCED)
        ]
        result = judge(Samples(tuple(silent), ()))
        assert result.verdict is Verdict.NO_DATA
        assert result.observed == "none of 3 looks was answered: Prometheus does not answer: refused"

    @pytest.mark.parametrize("judge", [k6_panels_check, panels_data_check, dashboard_live_check])
    def test_claim_nothing_when_nobody_looked(self, judge: Callable[[Samples], Check]) -> None:
        assert judge(Samples((), ())).verdict is Verdict.NO_DATA

    def test_list_what_every_panel_showed_and_what_the_load_did_not_feed(self) -> None:
        evidence = panels_data_check(samples(produced=State.EMPTY), ONLY_REQUESTS).evidence
        assert evidence["panels"]["bottleneck-detection/db-pool-wait-time"] == "live"
        assert evidence["not_fed"] == ["bottleneck-detection/kafka-produce-rate"]

    def test_skip_provisioning_where_there_is_no_grafana(self) -> None:
        result = not_provisioned_check("no Grafana in this backend")
        assert result.verdict is Verdict.SKIPPED
        assert result.observed == "no Grafana in this backend; the panels' queries were asked directly"


class TestDrawnAnswers:
    def test_are_plain_json_with_the_reason_why_nothing_is_drawn(self) -> None:
        engine = Engine(Prometheus("http://127.0.0.1:1"), VALUES)
        rows = draw_answers(engine, Samples((seen(POOL, State.EMPTY),), ()), 0, 60)
        engine.prometheus.close()
        (row,) = json.loads(json.dumps(rows))
        assert (row["id"], row["verdict"], row["reason"]) == (POOL.id, "NO_DATA", "a has no series")
        assert (row["state"], row["series"]) == ("empty", [])


class TestPanelsOfExportersThatAreNotNamed:
    """The external backend has only what the profile names."""

    metrics = Metrics(service_label="application", services=("api-gateway",))

    def seen(self, expr: str, state: State = State.EMPTY) -> Samples:
        one = replace(panel(), targets=(Target(expr, "x"),))
        return Samples((PanelSamples(one, state, looks=1, answered=1, cause="", error=""),), ())

    @pytest.mark.parametrize(
        ("expr", "state", "claimed"),
        [
            ("mysql_up + on () redis_up", State.EMPTY, False),
            ("mysql_up", State.CONSTANT, True),
            ('mysql_up or process_cpu_usage{application=~"$service"}', State.EMPTY, True),
            ("rate(kafka_consumergroup_lag[$interval])", State.EMPTY, True),
        ],
        ids=["fed only by them", "has data all the same", "fed by another too", "of one that is named"],
    )
    def test_are_not_claimed(self, expr: str, state: State, claimed: bool) -> None:
        left = without(self.seen(expr, state), self.metrics, ("mysql_", "redis_")).panels
        assert bool(left) is claimed

    def test_are_all_claimed_where_every_exporter_is_named(self) -> None:
        assert without(self.seen("mysql_up"), self.metrics, ()).panels


class TestBuckets:
    """Percentiles of a target that gives no buckets are not measured: that is no failure, and it has a cure."""

    @staticmethod
    def caused(found: Samples, cause: str) -> Samples:
        return Samples(tuple(each if each.state.has_data else replace(each, cause=cause) for each in found.panels), ())

    @pytest.mark.parametrize("judge", [panels_data_check, dashboard_live_check])
    def test_that_are_all_that_lacks_are_no_data_with_the_setting(self, judge: Callable[[Samples], Check]) -> None:
        check = judge(self.caused(samples(pool=State.EMPTY), f"x_bucket has no series: {BUCKETS}"))
        assert check.verdict is Verdict.NO_DATA
        assert "percentiles-histogram.http.server.requests=true" in check.observed

    def test_excuse_nothing_else(self) -> None:
        lacking = self.caused(samples(pool=State.EMPTY), f"x_bucket has no series: {BUCKETS}")
        others = samples(pool=State.EMPTY, produced=State.EMPTY)
        mixed = Samples((*lacking.panels, *(each for each in others.panels if not each.state.has_data)), ())
        assert panels_data_check(mixed).verdict is Verdict.FAIL
