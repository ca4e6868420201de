"""The bottleneck: which resource is named on made-up series, which is not, and what the judge may not know."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.checks import Check, check
from core.words import Verdict
from infra.portal_faults import FAULTS
from k6.checks import RUN_DELAY_AT_MOST
from report import bottleneck_rules as rules
from report.bottleneck import (
    NONE,
    SURE_OF_NONE,
    UNSURE_WHEN_STARVED,
    UNSURE_WITHOUT_SPANS,
    find_bottleneck,
    in_a_line,
)
from report.bottleneck_figures import bottleneck_figures
from report.build import build
from report.html import render_html
from report.language import words
from report.model import Bottleneck, SeriesRow, StageRow
from report.prometheus import Line, Window
from report.resource_series import resource_series
from report.spans import COLUMNS, no_spans
from report.store import Collected, write_collected
from targets.model import load_profile
from tests.report_samples import RUN_ID, STARTED, STEP_S, facts, line

STEPS = 13
"""A minute; the load's work is in steps 3 to 10."""
LOAD = (3, 11)
SHOP, GATE, NOTES = "shop", "gate", "notes"


def during(value: float, otherwise: float = 0.0) -> list[float]:
    """A figure of each step: `value` while the load lasts."""
    return [value if LOAD[0] <= step < LOAD[1] else otherwise for step in range(STEPS)]


def grows(*by: float, **labels: str) -> Line:
    """A total that grows by so much in each step."""
    return line(np.cumsum(by).tolist(), **labels)


def timer(what: str, count: float, each_s: float, **labels: str) -> dict[str, list[Line]]:
    """A timer that sees `count` in each step of the load, `each_s` long."""
    return {
        f"{what}_total": [grows(*during(count), **labels)],
        f"{what}_seconds": [grows(*during(count * each_s), **labels)],
    }


def serving(count: float, each_s: float, service: str = SHOP) -> dict[str, list[Line]]:
    """Requests of a service."""
    return {
        "served_total": [grows(*during(count), application=service, status="200")],
        "served_seconds": [grows(*during(count * each_s), application=service)],
    }


def pool(
    count: float, wait_s: float, use_s: float, size: float = 10, pending: float = 0, given_up: float = 0
) -> dict[str, list[Line]]:
    labels = {"application": SHOP, "pool": "main"}
    return {
        **timer("acquire", count, wait_s, **labels),
        **timer("usage", count, use_s, **labels),
        "acquire_timeouts": [grows(*during(given_up), **labels)],
        "pool_max": [line([size] * STEPS, **labels)],
        "pool_pending": [line(during(pending), **labels)],
    }


def run(*parts: dict[str, list[Line]]) -> Collected:
    series: dict[str, list[Line]] = {}
    for part in parts:
        for id, lines in part.items():
            series[id] = [*series.get(id, []), *lines]
    known = {spec.id: spec for spec in resource_series(load_profile("portal"))}
    rows = [
        SeriesRow(
            id=id,
            group="resources",
            title=id,
            unit=known[id].unit if id in known else "count",
            definition=".",
            promql="x",
            state="data",
            note="",
        )
        for id in series
    ]
    return Collected(
        RUN_ID, Window(STARTED, STARTED + timedelta(seconds=STEP_S * (STEPS - 1))), STEP_S, tuple(rows), series
    )


def stages(part: str = "a") -> list[StageRow]:
    begin, end = (STARTED + timedelta(seconds=STEP_S * step) for step in (LOAD[0] - 1, LOAD[1] - 1))
    return [StageRow(part=part, stage="steady", started=begin, ended=end)]


def generator(verdict: Verdict = Verdict.PASS, run_delay: float = 0.02) -> Check:
    """What the check says of scenario A."""
    return check("generator-valid", verdict, "seen", figures={"a-shopping-flow": {"run_delay_ratio": run_delay}})


GOOD = (generator(),)


def judged(*parts: dict[str, list[Line]], spans: pd.DataFrame | None = None, said: Check = GOOD[0]) -> Bottleneck:
    return find_bottleneck(run(*parts), no_spans() if spans is None else spans, stages(), [said])


def traces(*spans: tuple[str, str, str, float], count: int = 10) -> pd.DataFrame:
    """`count` traces of a root and the calls that it makes: (service, kind, remote, seconds); the first is the root."""
    rows = []
    for number in range(count):
        begin = STARTED + timedelta(seconds=STEP_S * LOAD[0] + number)
        for index, (service, kind, remote, seconds) in enumerate(spans):
            parent = "" if index == 0 else "0"
            at = begin + timedelta(seconds=0.001 + sum(span[3] for span in spans[1:index])) if index else begin
            rows.append((str(number), str(index), parent, service, kind, "x", remote, at, seconds, False))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    return frame


class TestLimiter:
    def routed(self, good: float, refused: float) -> dict[str, list[Line]]:
        return {
            "routed_total": [
                grows(*during(good), application=GATE, httpStatusCode="200"),
                grows(*during(refused), application=GATE, httpStatusCode="429"),
            ]
        }

    def test_is_named_where_the_gateway_refuses(self) -> None:
        found = judged(serving(100, 0.004), self.routed(40, 60))
        assert found.component == "gate limiter"
        assert "refused 480 of 800 requests itself" in found.evidence

    def test_is_not_named_for_what_a_service_behind_it_refused(self) -> None:
        locked = {"served_total": [grows(*during(60), application="auth", status="429")]}
        assert judged(serving(40, 0.004), self.routed(40, 60), locked).component == NONE

    def test_is_not_named_for_a_few_impatient_clients(self) -> None:
        assert judged(serving(100, 0.004), self.routed(98, 2)).component == NONE


class TestBurst:
    """A third of a second, over just before a step's end: its figures are scraped in the next step, 20 s in."""

    BEGIN, END = (STARTED + timedelta(seconds=at) for at in (14.6, 14.9))

    def in_step(self, number: float, step: int) -> list[float]:
        return [number if each == step else 0.0 for each in range(STEPS)]

    def burst(self, seen_in: int, *after: StageRow) -> Bottleneck:
        shown = {
            "served_total": [grows(*self.in_step(200, seen_in), application=SHOP, status="200")],
            "served_seconds": [grows(*self.in_step(2, seen_in), application=SHOP)],
            "routed_total": [
                grows(*self.in_step(200, seen_in), application=GATE, httpStatusCode="200"),
                grows(*self.in_step(300, seen_in), application=GATE, httpStatusCode="429"),
            ],
        }
        spike = StageRow(part="c", stage="spike", started=self.BEGIN, ended=self.END)
        return find_bottleneck(run(shown), no_spans(), [spike, *after], [])

    def test_is_judged_by_the_first_step_that_shows_it(self) -> None:
        found = self.burst(4)
        assert (found.component, found.part) == ("gate limiter", "c")
        assert "refused 300 of 500 requests itself" in found.evidence

    def test_is_not_judged_by_what_comes_later(self) -> None:
        assert self.burst(5).component == NONE

    def test_does_not_answer_for_the_part_that_has_begun_meanwhile(self) -> None:
        begin = STARTED + timedelta(seconds=19.95)
        after = StageRow(part="d", stage="steady", started=begin, ended=begin + timedelta(seconds=5))
        assert self.burst(4, after).part == "d"


class TestProcessor:
    def cores(self, **used: float) -> dict[str, list[Line]]:
        return {"container_cpu_seconds": [grows(*during(cores * STEP_S), name=name) for name, cores in used.items()]}

    def test_is_named_where_one_process_computes_and_its_requests_are_slow(self) -> None:
        found = judged(serving(20, 0.5), self.cores(shop=0.9, mysql=0.1))
        assert (found.component, found.kind) == ("shop CPU", "cpu")
        assert "shop used 0.90 processors" in found.evidence
        assert "225 ms a request" in found.evidence  # 0.9 x 5 s / 20

    def test_is_not_named_while_requests_are_fast(self) -> None:
        assert judged(serving(500, 0.004), self.cores(shop=0.9, mysql=0.1)).component == NONE

    def test_of_a_starved_machine_on_which_nobody_stands_out_is_not_named(self) -> None:
        assert judged(serving(20, 0.5), self.cores(shop=0.3, mysql=0.3)).component == NONE

    def test_that_is_not_lacking_is_not_named(self) -> None:
        assert judged(serving(20, 0.5), self.cores(shop=0.1, mysql=0.01)).component == NONE

    def test_of_which_one_request_takes_too_much_is_named_however_little_there_is(self) -> None:
        found = judged(serving(8, 0.5), self.cores(shop=0.1, mysql=0.01))
        assert (found.component, found.kind) == ("shop CPU", "cpu")  # 0.1 x 5 s / 8 = 63 ms a request

    def test_goes_before_the_calls_that_it_makes_look_slow(self) -> None:
        calls = timer("redis_call", 20, 0.4, application=SHOP)
        found = judged(serving(20, 0.5), self.cores(shop=0.9, mysql=0.1), calls)
        assert found.component == "shop CPU"
        assert found.also == (
            "Redis: 80% of shop's time went into 160 calls to Redis, 400 ms each, while a request took 500 ms.",
        )

    def test_is_as_the_process_says_where_there_are_no_control_groups(self) -> None:
        own = {
            "process_cpu": [line(during(0.45), application=SHOP)],
            "machine_cpus": [line([2] * STEPS, application=SHOP)],
        }
        assert judged(serving(20, 0.5), own).component == "shop CPU"


class TestConnections:
    def test_at_work_are_the_databases_doing(self) -> None:
        found = judged(serving(50, 1.5), pool(50, 1.1, 0.4), {"mysql_running": [line(during(11))]})
        assert (found.component, found.kind) == ("MySQL", "database")
        assert "400 requests of shop got a connection of main after 1100 ms" in found.evidence

    def test_at_work_are_the_databases_doing_though_some_give_up(self) -> None:
        found = judged(
            serving(100, 3.0), pool(25, 3.0, 2.0, pending=80, given_up=75), {"mysql_running": [line(during(11))]}
        )
        assert (found.component, found.kind) == ("MySQL", "database")

    def test_that_are_held_and_do_not_work_are_the_pools(self) -> None:
        found = judged(serving(15, 3.0), pool(0, 0, 0, pending=9, given_up=15))
        assert (found.component, found.kind) == ("shop connection pool", "pool")
        assert "120 gave up" in found.evidence

    def test_that_are_waited_for_shorter_than_they_are_used_are_no_bottleneck(self) -> None:
        assert judged(serving(100, 0.02), pool(100, 0.004, 0.012)).component == NONE

    def test_that_are_opened_when_first_needed_are_no_bottleneck(self) -> None:
        """A pool that fills: each of the first uses waits as long as opening a connection takes, about one use."""
        assert judged(serving(57, 0.0085), pool(57, 0.0044, 0.0040)).component == NONE

    def test_that_only_few_of_the_requests_need_are_no_bottleneck(self) -> None:
        """Those who need none take most of the service's time: they are held up elsewhere, if at all."""
        assert judged(serving(400, 0.04), pool(100, 0.04, 0.005)).component == NONE

    def test_that_a_burst_waits_for_are_seen_in_its_single_step(self) -> None:
        labels = {"application": SHOP, "pool": "main"}
        once = [200.0 if step == 10 else 0.0 for step in range(STEPS)]
        burst = {
            "served_total": [grows(*once, application=SHOP, status="200")],
            "served_seconds": [grows(*(0.016 * n for n in once), application=SHOP)],
            "acquire_total": [grows(*once, **labels)],
            "acquire_seconds": [grows(*(0.010 * n for n in once), **labels)],
            "usage_total": [grows(*once, **labels)],
            "usage_seconds": [grows(*(0.002 * n for n in once), **labels)],
            "pool_max": [line([10] * STEPS, **labels)],
        }
        found = judged(burst, {"mysql_running": [line([1] * STEPS)]})
        assert found.component == "MySQL"
        assert found.since == STARTED + timedelta(seconds=9 * STEP_S)

    def test_are_called_as_spans_call_the_database(self) -> None:
        spans = traces((SHOP, "SERVER", "", 1.5), (SHOP, "CLIENT", "postgresql", 1.2))
        assert judged(serving(50, 1.5), pool(50, 1.1, 0.4), spans=spans).component == "PostgreSQL"


class TestCalls:
    @pytest.mark.parametrize(
        ("calls", "component"),
        [
            (timer("redis_call", 60, 0.12, application=SHOP), "Redis"),
            (timer("http_call", 60, 0.12, application=SHOP, client_name="elasticsearch"), "Elasticsearch"),
            (timer("http_call", 60, 0.12, application=SHOP, client_name="payments"), "payments"),
            (timer("kafka_send", 60, 0.12, application=SHOP), "Kafka"),
        ],
        ids=["redis", "search", "another service", "kafka"],
    )
    def test_of_one_kind_that_hold_most_of_the_time_name_who_is_called(
        self, calls: dict[str, list[Line]], component: str
    ) -> None:
        found = judged(serving(80, 0.1), calls)
        assert (found.component, found.kind) == (component, "call")
        assert f"90% of shop's time went into 480 calls to {component}, 120 ms each" in found.evidence

    def test_that_are_fast_hold_nobody_up(self) -> None:
        assert judged(serving(80, 0.010), timer("redis_call", 60, 0.012, application=SHOP)).component == NONE

    def test_that_are_the_smaller_part_hold_nobody_up(self) -> None:
        assert judged(serving(80, 0.1), timer("redis_call", 60, 0.05, application=SHOP)).component == NONE

    def test_slow_in_a_single_step_are_a_burst_and_no_state(self) -> None:
        once = [80.0 if step == 5 else 0.0 for step in range(STEPS)]
        burst = {
            "served_total": [grows(*once, application=SHOP, status="200")],
            "served_seconds": [grows(*(0.1 * n for n in once), application=SHOP)],
            "redis_call_total": [grows(*once, application=SHOP)],
            "redis_call_seconds": [grows(*(0.09 * n for n in once), application=SHOP)],
        }
        assert judged(burst).component == NONE


class TestStarvedMachine:
    STARVED = generator(run_delay=0.2)
    CALLS = timer("redis_call", 60, 0.12, application=SHOP)

    def failing(self, share: float) -> dict[str, list[Line]]:
        return {
            "served_total": [
                grows(*during(80 * (1 - share)), application=SHOP, status="200"),
                grows(*during(80 * share), application=SHOP, status="503"),
            ],
            "served_seconds": [grows(*during(80 * 0.1), application=SHOP)],
        }

    def test_names_nobody_for_being_slow(self) -> None:
        found = judged(serving(80, 0.1), self.CALLS, said=self.STARVED)
        assert found.component == NONE
        assert found.evidence.endswith("In a the machine was short of processors: what took long there names nobody.")

    def test_names_who_makes_most_requests_fail(self) -> None:
        assert judged(self.failing(0.9), self.CALLS, said=self.STARVED).component == "Redis"
        assert judged(self.failing(0.1), self.CALLS, said=self.STARVED).component == NONE

    def test_names_a_process_only_if_one_request_computes_too_long(self) -> None:
        cores = TestProcessor().cores(shop=0.3, mysql=0.01)
        assert judged(serving(100, 0.5), cores, said=self.STARVED).component == NONE  # 15 ms a request
        assert judged(serving(20, 0.5), cores, said=self.STARVED).component == "shop CPU"  # 75 ms a request

    def test_is_what_the_generators_check_calls_one(self) -> None:
        assert rules.STARVED == RUN_DELAY_AT_MOST


class TestConsumer:
    def lag(self, records: Sequence[float], consumed: float) -> dict[str, list[Line]]:
        labels = {"consumergroup": "notes-group", "topic": "orders"}
        return {"kafka_lag": [line(records, **labels)], "consumed_total": [grows(*during(consumed), **labels)]}

    def test_is_named_where_its_backlog_takes_long_at_its_pace(self) -> None:
        grown = np.cumsum(during(450.0)).tolist()
        listens = timer("listener", 5, 0.9, application=NOTES, name="orders-0")
        found = judged(serving(5, 0.004), self.lag(grown, 5), listens)
        assert (found.component, found.kind) == ("notes consumer", "consumer")
        assert (
            "fell 3600 records behind on orders and worked off 1.0 a second, its listener busy for 90%"
            in found.evidence
        )

    def test_without_a_meter_is_named_by_its_group(self) -> None:
        found = judged(serving(5, 0.004), self.lag(np.cumsum(during(450.0)).tolist(), 5))
        assert found.component == "consumer group notes-group"

    def test_that_works_off_what_comes_is_not_named(self) -> None:
        assert judged(serving(5, 0.004), self.lag(during(400.0), 500)).component == NONE


class TestMemory:
    def test_that_grows_with_the_requests_is_named(self) -> None:
        leak = [80e6 + 30e6 * n for n in np.cumsum(during(1.0))]
        found = judged(serving(40, 0.004), {"service_memory": [line(leak, application=SHOP)]})
        assert (found.component, found.part) == ("shop memory", "whole load")
        assert "732 KiB a request" in found.evidence  # 30 MB by 40 requests

    def test_that_fills_and_comes_to_rest_is_not_named(self) -> None:
        fills = [80e6 + 60e6 * min(n, 2) for n in np.cumsum(during(1.0))]
        assert judged(serving(40, 0.004), {"service_memory": [line(fills, application=SHOP)]}).component == NONE


class TestConfidence:
    CALLS = timer("redis_call", 60, 0.12, application=SHOP)

    def test_is_the_mean_of_what_series_and_spans_say(self) -> None:
        spans = traces((SHOP, "SERVER", "", 0.1), (SHOP, "CLIENT", "redis", 0.07))
        found = judged(serving(80, 0.1), self.CALLS, spans=spans)
        assert found.confidence == pytest.approx((0.9 + 0.7) / 2)
        assert found.spans == "Of 10 traces under high load, a request spent 70 ms in Redis, 30 ms in shop."

    def test_is_lower_where_the_spans_say_otherwise(self) -> None:
        spans = traces((SHOP, "SERVER", "", 0.1), (SHOP, "CLIENT", "redis", 0.01))
        assert judged(serving(80, 0.1), self.CALLS, spans=spans).confidence == pytest.approx((0.9 + 0.1) / 2)

    def test_is_a_little_lower_without_spans(self) -> None:
        assert judged(serving(80, 0.1), self.CALLS).confidence == pytest.approx(0.81)

    def test_is_lower_where_the_generator_was_not_valid(self) -> None:
        invalid, fast = generator(Verdict.INVALID), serving(80, 0.004)
        found = judged(serving(80, 0.1), self.CALLS, said=invalid)
        assert found.confidence == pytest.approx(0.57, abs=0.005)
        assert judged(fast, said=invalid).confidence < judged(fast).confidence


class TestScrapes:
    def test_that_are_further_apart_than_the_steps_are_no_pauses(self) -> None:
        def seldom(lines: dict[str, list[Line]]) -> dict[str, list[Line]]:
            """What a Prometheus that scrapes every third step says in between: the last that it knows."""
            held = [index - index % 3 for index in range(STEPS)]
            return {id: [line(one.values[held].tolist(), **one.labels) for one in many] for id, many in lines.items()}

        long = {
            id: [
                line(np.cumsum([80.0 * (0.1 if "seconds" in id else 1)] * STEPS).tolist(), **one.labels) for one in many
            ]
            for id, many in serving(80, 0.1).items()
        }
        calls = {
            id: [
                line(np.cumsum([60.0 * (0.12 if "seconds" in id else 1)] * STEPS).tolist(), **one.labels)
                for one in many
            ]
            for id, many in TestConfidence.CALLS.items()
        }
        assert judged(seldom(long), seldom(calls)).component == "Redis"


class TestFirst:
    def test_is_what_saturated_in_the_earlier_part(self) -> None:
        lag = TestConsumer().lag([0.0] * 6 + [3000.0] * (STEPS - 6), 0)
        early, late = (STARTED + timedelta(seconds=STEP_S * step) for step in (2, 5))
        parts = [
            StageRow(
                part="bot", stage="steady", started=late + timedelta(seconds=STEP_S), ended=late + timedelta(seconds=30)
            ),
            StageRow(part="a", stage="steady", started=early, ended=late),
        ]
        found = find_bottleneck(run(serving(80, 0.1), TestConfidence.CALLS, lag), no_spans(), parts, GOOD)
        assert (found.component, found.part) == ("Redis", "a")
        assert [other.split(":")[0] for other in found.also] == ["consumer group notes-group"]


class TestWhatCannotBeJudged:
    def test_is_not_called_none(self) -> None:
        for found in (
            find_bottleneck(None, no_spans(), stages(), GOOD),
            find_bottleneck(run(serving(1, 1)), no_spans(), [], GOOD),
            find_bottleneck(run({"kafka_lag": [line(during(1))]}), no_spans(), stages(), GOOD),
        ):
            assert found.component is None
            assert found.evidence.startswith("Not looked for")

    def test_gaps_and_a_service_that_began_anew_are_no_load(self) -> None:
        values = np.cumsum(during(80.0))
        values[6:] -= values[6]  # a restart: the total begins at 0 again
        values[8] = np.nan
        broken = {
            "served_total": [line(values.tolist(), application=SHOP, status="200")],
            "served_seconds": [line((values * 0.004).tolist(), application=SHOP)],
            "service_memory": [line([np.nan] * STEPS, application=SHOP)],
        }
        assert judged(broken).component == NONE


class TestInALine:
    def test_says_what_since_when_how_sure_and_what_to_do(self) -> None:
        said = in_a_line(judged(serving(80, 0.1), TestConfidence.CALLS))
        assert said.startswith("Redis since 02:00:10 UTC (confidence 0.81, part a): 90% of shop's time")
        assert said.endswith("Look at Redis and at the way to it: its slow log, its processors, the network between.")


class TestFigures:
    def test_show_where_requests_were_their_time_and_the_resource_with_the_moment_marked(self) -> None:
        series = run(serving(80, 0.1), TestConfidence.CALLS)
        row = find_bottleneck(series, no_spans(), stages(), GOOD)
        places, knee, own = bottleneck_figures(row, series, no_spans())
        assert {trace.name for trace in places.traces} == {"shop: Redis", "shop itself"}
        assert [trace.name for trace in knee.traces] == ["time of a request", "answered a second"]
        assert max(y for y in own.traces[0].y if y is not None) == pytest.approx(0.12)
        assert row.since is not None
        assert {mark.at for figure in (places, knee, own) for mark in figure.marks} == {row.since.timestamp() * 1000}

    def test_have_no_mark_where_nothing_was_saturated_and_are_none_where_nobody_looked(self) -> None:
        series = run(serving(80, 0.004))
        assert [figure.marks for figure in bottleneck_figures(judged(serving(80, 0.004)), series, no_spans())] == [
            (),
            (),
        ]
        assert bottleneck_figures(Bottleneck(evidence="not looked for"), series, no_spans()) == []


class TestKorean:
    SPANS = traces((SHOP, "SERVER", "", 0.1), (SHOP, "CLIENT", "redis", 0.07))
    SLOW, FAST = serving(80, 0.1), serving(80, 0.004)
    LAG = TestConsumer().lag(np.cumsum(during(450.0)).tolist(), 5)
    ROWS = {
        "limiter": judged(serving(100, 0.004), TestLimiter().routed(40, 60)),
        "cpu": judged(serving(20, 0.5), TestProcessor().cores(shop=0.9, mysql=0.1)),
        "database": judged(serving(50, 1.5), pool(50, 1.1, 0.4)),
        "database, given up": judged(serving(100, 3.0), pool(25, 3.0, 2.0, pending=80, given_up=75)),
        "pool": judged(serving(15, 3.0), pool(0, 0, 0, pending=9, given_up=15)),
        "pool, nobody gave up": judged(serving(15, 3.0), pool(15, 2.9, 0.001)),
        "call": judged(SLOW, TestConfidence.CALLS, spans=SPANS),
        "consumer": judged(FAST, LAG, timer("listener", 5, 0.9, application=NOTES, name="orders-0")),
        "group": judged(FAST, LAG),
        "memory": judged(FAST, {"service_memory": [line(np.linspace(80e6, 400e6, STEPS).tolist(), application=SHOP)]}),
        "none": judged(FAST),
        "none, starved": judged(FAST, said=TestStarvedMachine.STARVED),
        "not looked for": find_bottleneck(None, no_spans(), stages(), GOOD),
    }

    @pytest.mark.parametrize("name", ROWS)
    def test_has_every_sentence(self, name: str) -> None:
        row = self.ROWS[name]
        assert row.kind == "" or name.startswith(row.kind) or name == "group"
        said = [words("ko").say(text) for text in (row.evidence, row.advice, row.spans) if text]
        assert all(re.search("[가-힣]", text) for text in said)
        assert [text for text in said if re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", text)] == []


class TestPage:
    PAGE = (Path(__file__).parents[2] / "docs" / "bottleneck.md").read_text()

    @pytest.mark.parametrize(
        "said",
        [
            f"refused {rules.REFUSED:.0%} of the requests".replace("%", " %"),
            f"take {1000 * rules.SLOW_S:.0f} ms on average",
            f"more than {rules.BEHIND_S:.0f} s of its own pace, and {rules.BEHIND_RECORDS} records",
            f"times {UNSURE_WITHOUT_SPANS}",
            f"An invalid generator or a starved machine: times {UNSURE_WHEN_STARVED}",
            f"{rules.COUNTED} for what was counted",
            f"`none` has {SURE_OF_NONE}",
        ],
    )
    def test_says_the_bounds_that_the_judge_has(self, said: str) -> None:
        assert said in " ".join(self.PAGE.split())


class TestReport:
    def test_draws_the_evidence_with_the_moment_marked_and_says_what_to_do(self, tmp_path: Path) -> None:
        found = run(serving(80, 0.1), TestConfidence.CALLS)
        write_collected(found, tmp_path)
        report = build(facts(stages=stages()), found)
        page = render_html(report, tmp_path, found)
        told = unescape(page)
        assert report.bottleneck.component == "Redis"
        assert report.bottleneck.evidence in told
        assert report.bottleneck.advice in told
        drawn = json.loads(page.partition('id="figures">')[2].partition("</script>")[0])["figures"]
        marks = {figure["id"]: figure["marks"] for figure in drawn if figure["id"].startswith("bottleneck-")}
        assert set(marks) == {"bottleneck-places", "bottleneck-knee", "bottleneck-own"}
        assert all(mark == [{"at": STARTED.timestamp() * 1000 + 10_000, "text": "Redis"}] for mark in marks.values())
        assert all(f'data-figure="{id}"' in page for id in marks)


class TestTheJudge:
    FILES = sorted((Path(__file__).parents[2] / "report").glob("*.py"))

    @pytest.mark.parametrize("fault", FAULTS)
    def test_knows_no_fault(self, fault: str) -> None:
        spelled = (fault, fault.replace("-", "_"), fault.replace("-", "_").upper())
        assert [file.name for file in self.FILES if any(name in file.read_text() for name in spelled)] == []

    def test_knows_no_service_of_a_target(self) -> None:
        services = load_profile("portal").metrics.services
        mine = [file for file in self.FILES if file.name.startswith(("bottleneck", "self_time", "resource_series"))]
        assert len(mine) == 7
        assert [file.name for file in mine if any(service in file.read_text() for service in services)] == []
