"""A made-up smoke run of the reference portal, as the flow hands it to the report; shared by the report's tests."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson

from core.checks import CHECKS, SCENARIOS, Check, check
from core.words import Phase, Verdict
from dashboards.drawn import draw_answers
from dashboards.engine import Engine, PanelAnswer, Series, State, TargetAnswer
from dashboards.model import Panel, Target
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from dashboards.sampler import PanelSamples, Samples
from dashboards.variables import choose
from report.build import PhaseRun, RunFacts, build
from report.catalogue import SeriesSpec, catalogue
from report.gate_file import gates_for
from report.history import kept_of
from report.model import Report, ScenarioRow, SeriesRow, StageRow, ThresholdRow
from report.prometheus import Line, Window
from report.regressions import compare_with_history
from report.soak_series import soak_series
from report.steady import SteadyWindow
from report.store import Collected
from report.windows import bot_stages, scenario_stages
from targets.load import load_load
from targets.model import load_profile
from tests.history_samples import KEY, run

RUN_ID = "20260301T020000Z-portal-smoke-a1b2"
STARTED = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
WINDOW = Window(STARTED, STARTED + timedelta(seconds=200))
STEP_S = 5.0
METRICS = load_profile("portal").metrics
SERVICES = ("api-gateway", "auth-service", "blog-service", "shopping-service", "notification-service")
OBSERVED = {
    "exporter-metrics": "4 exporters answered 200 with all 14 metrics",
    "prometheus-targets": "11 targets UP",
    "zipkin-es-index": "6 spans of api-gateway, shopping-service came back; zipkin-span-2026-03-01 holds documents",
    "k6-run": "5 scenarios ended by themselves, their series are in Prometheus",
    "k6-panels": "6 of 6 panels had data under load",
    "kafka-bot-rate": "100.0 msg/s acknowledged of 100 asked, for 30.0 of 30 s",
    "dashboard-live": "14 of 14 live panels moved under load",
    "ledger-coupons": "100 coupons answered = rows = users = Redis, of a stock of 100",
    "dashboards-provisioned": "no Grafana in this backend: not published as a package; the panels' queries were asked "
    "directly",
}
"""As the suite says it; every other check says AS_CLAIMED."""
AS_CLAIMED = "all 3 thresholds held, over 1,500 requests"


def passing_checks(**other: Check) -> list[Check]:
    """Every registered check as PASS, some replaced: `k6_run=check(...)`."""
    replaced = {result.id: result for result in other.values()}
    return [replaced.get(id) or check(id, Verdict.PASS, OBSERVED.get(id, AS_CLAIMED), figure=1.0) for id in CHECKS]


def scenario(letter: str, at_s: float, took_s: float, **changes: object) -> ScenarioRow:
    """A scenario that held its thresholds, `at_s` after the run's start."""
    started = STARTED + timedelta(seconds=at_s)
    row = ScenarioRow(
        id=letter,
        name=SCENARIOS[letter],
        requests=1_500,
        rate=1_500 / took_s,
        p50_ms=4.1,
        p95_ms=18.6,
        p99_ms=41.0,
        error_rate=0.0,
        iterations=500,
        outcomes={"200": 1_488, "409": 12},
        started=started,
        ended=started + timedelta(seconds=took_s),
        thresholds=(
            ThresholdRow(metric="http_req_duration", expression="p(95)<200", ok=True, samples=1_500),
            ThresholdRow(metric="http_req_failed", expression="rate<0.001", ok=True, samples=1_500),
        ),
    )
    return row.model_copy(update=changes)


def scenarios() -> list[ScenarioRow]:
    return [
        scenario("a", 30, 20),
        scenario("b", 52, 16),
        scenario("c", 70, 3),
        scenario("d", 75, 17),
        scenario("e", 94, 14),
    ]


def stages() -> list[StageRow]:
    """When the scenarios of `scenarios()` and a bot of 30 s from 130 s on did what, as the smoke load plans it."""
    load, bot = load_load("smoke"), STARTED + timedelta(seconds=130)
    of_bot = bot_stages(load.bot, bot, bot + timedelta(seconds=30), drain_s=2)
    return [*(stage for row in scenarios() for stage in scenario_stages(row, load)), *of_bot]


def facts(**changes: object) -> RunFacts:
    """A run in which everything that was asked for held."""
    given: dict[str, object] = {
        "run_id": RUN_ID,
        "target": "portal",
        "backend": "embedded",
        "load": "smoke",
        "started": STARTED,
        "ended": STARTED + timedelta(seconds=214),
        "phases": [
            PhaseRun(phase, STARTED + timedelta(seconds=20 * i), STARTED + timedelta(seconds=20 * i + 19))
            for i, phase in enumerate(Phase)
        ],
        "checks": passing_checks(),
        "gates": gates_for(load_profile("portal")).gates,
        "scenarios": scenarios(),
        "stages": stages(),
        "ledger": {"coupons": {"answered 200": 100, "rows": 100, "members": 100, "stock": 100}},
        "versions": {"MySQL": "MariaDB 10.11 stands in for MySQL 8.0", "k6": "v1.8.1", "Kafka": "4.1.1"},
    }
    return RunFacts(**(given | changes))  # type: ignore[arg-type]


def line(values: Sequence[float], **labels: str) -> Line:
    """A line over the run's window, one value a step."""
    times = (np.arange(len(values)) * STEP_S * 1000 + STARTED.timestamp() * 1000).astype(np.int64)
    return Line(labels, times, np.array(values, dtype=np.float64))


def specs() -> tuple[SeriesSpec, ...]:
    return catalogue(load_profile("portal"), RUN_ID)


def collected(without: Iterable[str] = (), **lines: list[Line]) -> Collected:
    """Every series of the catalogue with made-up lines, except those `without`; `lines` replaces some by id."""
    rows, series = [], {}
    for spec in specs():
        mine = [] if spec.id in without else lines.get(spec.id) or _made_up(spec)
        rows.append(_row(spec, mine))
        if mine:
            series[spec.id] = mine
    return Collected(RUN_ID, WINDOW, STEP_S, tuple(rows), series)


def compared(report: Report, worse: float = 1.25) -> Report:
    """The report with its comparison: twenty like nights passed before, and tonight scenario A answers more slowly."""
    figures = {"a-shopping-flow/p95_ms": 18.6 * worse, "b-blog-read/p95_ms": 8.0}
    report = report.model_copy(update={"key": KEY, "figures": figures})
    drawn = np.random.default_rng(7)
    before = {"a-shopping-flow/p95_ms": 18.6, "b-blog-read/p95_ms": 8.0}
    nights = [
        run(night, {name: value * drawn.normal(1, 0.02) for name, value in before.items()}) for night in range(20)
    ]
    later = [run(night, figures) for night in (20, 21)]
    found = compare_with_history(kept_of(report), [*nights, *later], (), report.ended.date())
    return report.model_copy(update={"comparison": found})


SOAK_S = 4 * 3600


def soak_report() -> tuple[Report, Collected]:
    """Four hours of scenario A in which shopping's memory leaks, Redis' fills, and connections grow to their limit."""
    window = Window(STARTED, STARTED + timedelta(seconds=SOAK_S))
    times = (np.arange(0, SOAK_S, 30) * 1000 + STARTED.timestamp() * 1000).astype(np.int64)
    share = np.arange(len(times)) / len(times)
    lines = {
        "service_memory": [
            Line({"application": "shopping-service"}, times, (180 + 120 * share) * 2**20),
            Line({"application": "auth-service"}, times, np.full(len(times), 90 * 2.0**20)),
        ],
        "redis_memory": [Line({}, times, (20 + 30 * (1 - np.exp(-4 * share))) * 2**20)],
        "redis_memory_max": [Line({}, times, np.full(len(times), 256 * 2.0**20))],
        "mysql_connections": [Line({}, times, 40 + 60 * share)],
        "mysql_connections_max": [Line({}, times, np.full(len(times), 151.0))],
    }
    known = {spec.id: spec for spec in (*specs(), *soak_series(load_profile("portal")))}
    rows = tuple(_row(known[id], each) for id, each in lines.items())
    found = Collected(RUN_ID, window, 30, rows, lines)
    steady = SteadyWindow("scenario A", window.started, window.ended, requests_per_hour=360_000)
    given = facts(load="soak", steady=[steady], scenarios=[scenario("a", 0, SOAK_S)], ended=window.ended)
    return build(given, found), found


class MadeUpPanels(Engine):
    """Answers every query of the dashboards with a line for each of the first things that its legend can name."""

    def __init__(self) -> None:
        super().__init__(Prometheus("http://127.0.0.1:1"), choose(METRICS))
        self.prometheus.close()

    def ask(self, panel: Panel, start: float, end: float, step_s: float) -> PanelAnswer:
        times = np.arange(start, end + step_s / 2, step_s)
        return PanelAnswer(panel, tuple(self._lines(panel, target, times, step_s) for target in panel.targets))

    def _lines(self, panel: Panel, target: Target, times: np.ndarray, step_s: float) -> TargetAnswer:
        scale = _PANEL_SCALES[target.unit or panel.unit] * (0.0 if "Error" in panel.title else 1.0)
        names = LE if panel.of_buckets else legends(target.legend)
        return TargetAnswer(
            self._filled(target, step_s),
            tuple(
                Series(name, {"name": name}, tuple(times.tolist()), tuple((scale * wave(times, number)).tolist()))
                for number, name in enumerate(names)
            ),
        )


def legends(template: str) -> list[str]:
    """The legend with each label filled in; its first label takes all of its values, the others their first."""
    found = [template]
    for position, label in enumerate(re.findall(r"{{(\w+)}}", template)):
        values = _LABEL_VALUES[label] if position == 0 else _LABEL_VALUES[label][:1]
        found = [text.replace(f"{{{{{label}}}}}", value) for text in found for value in values]
    return found


def wave(times: np.ndarray, number: int) -> np.ndarray:
    """A line between 0.1 and 1, another one for each number."""
    return 0.55 + 0.45 * np.sin(times / 9 + number) / (1 + number / 3)


def write_panels(run_dir: Path, without: Collection[str] = (), length_s: float = 80.0) -> None:
    """metrics/panels.json as the sampler leaves it, of a load that began 30 s into the run; some panels are empty."""
    start = STARTED.timestamp() + 30
    seen = [_seen(panel, "it has no series" if panel.title in without else "") for panel in all_panels(METRICS)]
    rows = draw_answers(MadeUpPanels(), Samples(tuple(seen), ()), start, start + length_s)
    emptied = [row | {"series": []} if row["title"] in without else row for row in rows]
    (run_dir / "metrics").mkdir(parents=True, exist_ok=True)
    (run_dir / "metrics" / "panels.json").write_bytes(orjson.dumps(emptied))


def _seen(panel: Panel, cause: str) -> PanelSamples:
    return PanelSamples(panel, State.EMPTY if cause else State.LIVE, looks=16, answered=16, cause=cause, error="")


LE = ("0.02", "0.03", "0.05", "0.08", "0.13")
_LABEL_VALUES: Mapping[str, Sequence[str]] = {
    "name": SERVICES,
    "application": SERVICES,
    "job": SERVICES,
    "scenario": tuple(SCENARIOS.values()),
    "consumergroup": ("notification-group",),
    "topic": ("shopping.order.created",),
    "cmd": ("get", "set", "eval"),
    "pool": ("HikariPool-1",),
}
_PANEL_SCALES = {
    "reqps": 400.0,
    "percentunit": 0.4,
    "short": 20.0,
    "s": 0.3,
    "bytes": 200e6,
    "Bps": 1e6,
    "cps": 30.0,
    "ops": 900.0,
}


_SHAPES = {"1/s": 120.0, "s": 0.04, "ratio": 0.2, "bytes": 180e6, "records": 40.0, "count": 8.0}


_SMALL = {"pool_active": 0.4, "redis_misses": 0.02, "heap_used": 0.4, "redis_memory": 0.4}
"""What is a small part of its counterpart on a good night."""


def _made_up(spec: SeriesSpec) -> list[Line]:
    steps = np.arange(round((WINDOW.ended - WINDOW.started).total_seconds() / STEP_S) + 1)
    wave = np.where((steps > 5) & (steps < 25), 0.6 + 0.4 * np.sin(steps / 2.3), 0.05)
    if "errors" in spec.id or "failures" in spec.id:
        wave = wave * 0
    if spec.id == "service_memory":
        wave = wave * 0 + 0.8
    wave = wave * _SMALL.get(spec.id, 1.0)
    return [
        line((wave * _SHAPES[spec.unit] / (1 + position / 2)).tolist(), **labels)
        for position, labels in enumerate(_labels(spec))
    ]


def _labels(spec: SeriesSpec) -> list[dict[str, str]]:
    if spec.group in ("services", "jvm") or spec.id in ("process_cpu", "service_memory"):
        return [{"application": service} for service in SERVICES]
    if spec.group == "pools":
        return [{"application": "shopping-service", "pool": "HikariPool-1"}]
    if spec.id.startswith("container"):
        return [{"name": service} for service in (*SERVICES, "mysql", "redis", "kafka")]
    if spec.group == "k6":
        return [{"scenario": name} for name in SCENARIOS.values()]
    if spec.id == "kafka_lag":
        return [{"consumergroup": "notification-group", "topic": "shopping.order.created"}]
    return [{}]


def _row(spec: SeriesSpec, lines: list[Line]) -> SeriesRow:
    return SeriesRow(
        id=spec.id,
        group=spec.group,
        title=spec.title,
        unit=spec.unit,
        definition=spec.definition,
        promql=spec.promql,
        state="data" if lines else "missing",
        note="" if lines else f"Prometheus has no {', '.join(spec.metrics)} in this window",
        lines=len(lines),
        metrics=spec.metrics,
        measures=spec.measures,
        samples=sum(len(one.values) for one in lines),
    )
