"""Which Grafana a run goes to, what it may change there, and what it notes on the dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from prefect import flow
from pydantic import SecretStr

import tasks.dashboards as steps
from core.checks import Check
from core.ports import DEFAULT_PORTS, ServiceId
from core.request import Request
from core.rundir import RunDirectory
from core.words import Verdict
from dashboards.engine import State
from dashboards.grafana import Grafana
from dashboards.grafana_json import DATASOURCE_UID
from dashboards.pages import all_panels
from dashboards.sampler import PanelSamples, Samples
from infra.stack import Identity, NotToBeHad, OwnGrafana
from k6.model import ScenarioResult
from targets.load import load_load
from targets.model import load_profile
from tasks.run import Run
from tests.grafana_stand_in import PASSWORD, TOKEN, USER, VERSION, StandIn, filled

PANELS = all_panels(load_profile("portal").metrics)
RUN = "20260203T101500Z-portal-smoke-ab12"
START, END = 1_770_113_700.0, 1_770_113_790.0


@pytest.fixture
def grafana() -> Iterator[StandIn]:
    with StandIn(filled) as there:
        yield there


class Backend:
    """Nothing runs but, where `own` says who may sign in, the stack's own Grafana at `url`.

    `missing` says why its image is not to be had.
    """

    def __init__(self, name: str, own: OwnGrafana | None = None, missing: str = "", url: str = "") -> None:
        self.name, self.own, self.missing, self.url = name, own, missing, url
        self.started: list[ServiceId] = []

    def grafana(self) -> OwnGrafana | None:
        if self.missing:
            raise NotToBeHad(self.missing, where="grafana", cure="Pull it.")
        return self.own

    def start(self, services: list[ServiceId]) -> None:
        self.started += services

    def wait_ready(self, services: list[ServiceId]) -> None:
        assert services == self.started

    def endpoint(self, service: ServiceId) -> str:
        return (
            self.url.removeprefix("http://") if service is ServiceId.GRAFANA else f"127.0.0.1:{DEFAULT_PORTS[service]}"
        )

    def identity(self, service: ServiceId) -> Identity:
        return Identity(service, "abc", "2026-02-03T10:15:00Z", alive=True)


def scenario(letter: str, start: float, end: float) -> ScenarioResult:
    """A result of which only the window and the requests count here."""
    moments = {"started": datetime.fromtimestamp(start, UTC), "ended": datetime.fromtimestamp(end, UTC)}
    return ScenarioResult.model_construct(scenario=letter, requests=120, **moments)


def look(run: Run) -> Check:
    """The step, inside a flow."""
    return flow(lambda: steps.dashboards_provisioned(run), name="provisioning")()


class TestProvisioning:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        """A smoke run of which A and B are over."""
        directory = RunDirectory.create(tmp_path, RUN)
        run = Run(Request(), load_profile("portal"), load_load("smoke"), directory, cast(Any, Backend("embedded")), {})
        run.scenario_results = {"a": scenario("a", START, START + 40), "b": scenario("b", START + 40, END)}
        run.samples = Samples(tuple(PanelSamples(each, State.LIVE, 3, 3, "", "") for each in PANELS), ())
        return run

    @pytest.fixture(autouse=True)
    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_CREDENTIALS", TOKEN)

    def test_is_skipped_where_nobody_names_a_grafana(self, run: Run) -> None:
        assert look(run).verdict is Verdict.SKIPPED

    def test_goes_to_the_grafana_of_the_target(self, run: Run, grafana: StandIn) -> None:
        addresses = {**run.profile.addresses, ServiceId.GRAFANA: grafana.url}
        run.profile = run.profile.model_copy(update={"addresses": addresses})
        result = look(run)
        assert result.verdict is Verdict.PASS
        assert result.observed == (
            f"Grafana ({VERSION}) at {grafana.url}: folder created, data source created, load-test-overview created, "
            "bottleneck-detection created, 28 of 28 panels answered with data, 6 annotations."
        )
        assert grafana.datasources[DATASOURCE_UID]["url"] == "http://127.0.0.1:9090"

    def test_marks_the_load_and_its_scenarios(
        self, run: Run, grafana: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_URL", grafana.url)
        monkeypatch.setenv("SUITE_GRAFANA_PROMETHEUS_URL", "http://prometheus:9090")
        look(run)
        assert [(each["text"], each["time"]) for each in grafana.annotations[:3]] == [
            (f"load smoke, run {RUN}", 1_770_113_700_000),
            (f"scenario a-shopping-flow: 120 requests, run {RUN}", 1_770_113_700_000),
            (f"scenario b-blog-read: 120 requests, run {RUN}", 1_770_113_740_000),
        ]
        assert grafana.datasources[DATASOURCE_UID]["url"] == "http://prometheus:9090"

    @pytest.mark.parametrize(("said", "writes"), [("", False), ("yes", True)])
    def test_changes_an_external_grafana_only_when_asked_to(
        self, said: str, writes: bool, run: Run, grafana: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_URL", grafana.url)
        monkeypatch.setenv("SUITE_PROVISION_GRAFANA", said)
        run.backend = cast(Any, Backend("external"))
        assert (look(run).verdict is Verdict.PASS) is writes
        assert (grafana.writes > 0) is writes

    def test_starts_the_stacks_own_and_signs_in_as_its_admin(
        self, run: Run, grafana: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SUITE_GRAFANA_CREDENTIALS")
        own = OwnGrafana(SecretStr(f"{USER}:{PASSWORD}"), "http://prometheus:9090")
        backend = Backend("docker", own, url=grafana.url)
        run.backend = cast(Any, backend)
        result = look(run)
        assert result.verdict is Verdict.PASS, result.observed
        assert backend.started == [ServiceId.GRAFANA]
        assert run.identities[ServiceId.GRAFANA].instance == "abc"
        assert grafana.datasources[DATASOURCE_UID]["url"] == "http://prometheus:9090"

    def test_goes_to_the_grafana_that_was_named_rather_than_to_the_stacks_own(
        self, run: Run, grafana: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_URL", grafana.url)
        backend = Backend("docker", OwnGrafana(SecretStr("admin:admin"), ""), url="http://127.0.0.1:1")
        run.backend = cast(Any, backend)
        assert look(run).verdict is Verdict.PASS
        assert backend.started == []

    def test_is_skipped_with_the_reason_where_the_stacks_own_is_not_to_be_had(self, run: Run) -> None:
        run.backend = cast(Any, Backend("docker", missing="the image is not here and cannot be pulled"))
        result = look(run)
        assert result.verdict is Verdict.SKIPPED
        assert "left out: the image is not here and cannot be pulled (grafana). Pull it." in result.observed

    def test_refuses_a_grafana_on_another_machine_before_anything_is_sent(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_URL", "http://192.0.2.1:3000")
        monkeypatch.setattr(Grafana, "_send", lambda *_: pytest.fail("a request was sent"))
        result = look(run)
        assert result.verdict is Verdict.ERROR
        assert "'192.0.2.1:3000' is not allowed (SUITE_GRAFANA_URL)" in result.observed
        assert [str(error) for error in run.errors] == [result.observed]
