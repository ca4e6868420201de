"""prefect.yaml: every deployment fits its flow's parameters, and the clock starts what it says, when it says."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.flows import load_flow_from_entrypoint
from prefect.server.schemas.schedules import CronSchedule

from core.request import Request
from core.settings import ROOT
from core.words import Phase
from flows.form import name_of
from flows.full_suite import full_suite

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS: dict[str, dict[str, Any]] = {row["name"]: row for row in DOCUMENT["deployments"]}
SCHEMA = full_suite.parameters.model_dump_for_openapi()
SEOUL = ZoneInfo("Asia/Seoul")
LONDON = ZoneInfo("Europe/London")
START = datetime(2026, 11, 27, tzinfo=UTC)


@cache
def schema_of(entrypoint: str) -> dict[str, Any]:
    return load_flow_from_entrypoint(entrypoint).parameters.model_dump_for_openapi()


async def next_starts(name: str, count: int) -> list[datetime]:
    """The deployment's next starts in local time, as Prefect's scheduler computes them."""
    (row,) = DEPLOYMENTS[name]["schedules"]
    schedule = CronSchedule(cron=row["cron"], timezone=row["timezone"])
    return [start.astimezone(ZoneInfo(row["timezone"])) for start in await schedule.get_dates(count, START)]


class TestForm:
    def test_has_every_parameter_of_a_run_with_its_description(self) -> None:
        described = {name: row.get("description") for name, row in SCHEMA["properties"].items()}
        assert described == {name: field.description for name, field in Request.model_fields.items()}

    @pytest.mark.parametrize(
        ("parameter", "offered"),
        [
            ("target", {"portal", "portal-universe"}),
            ("load", {"smoke", "design", "soak"}),
            ("backend", {"embedded", "docker", "external"}),
        ],
    )
    def test_offers_the_names_that_there_are(self, parameter: str, offered: set[str]) -> None:
        names = [row["enum"] for row in SCHEMA["properties"][parameter]["anyOf"] if "enum" in row]
        assert offered <= set(names[0])

    def test_leaves_no_parameter_without_a_way_to_give_it(self) -> None:
        only_null = [{"title": "default", "type": "null"}]
        assert [name for name, row in SCHEMA["properties"].items() if row.get("anyOf") == only_null] == []

    @pytest.mark.parametrize(
        "parameters",
        [
            {"load": 5},
            {"phase": "load"},
            {"phase": ["brew"]},
            {"scenario": ["z"]},
            {"fault": ["gremlins"]},
            {"keep_stack": "perhaps"},
            {"backend": "cloud"},
            {"ports": 8080},
        ],
        ids=str,
    )
    def test_takes_no_parameter_of_the_wrong_type(self, parameters: dict[str, Any]) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(parameters, SCHEMA)

    @pytest.mark.parametrize(
        "parameters", [{}, {"load": "mine.yaml", "backend": None}, {"scenario": ["a", "b"]}], ids=str
    )
    def test_takes_what_the_command_line_takes(self, parameters: dict[str, Any]) -> None:
        jsonschema.validate(parameters, SCHEMA)


class TestRunName:
    def test_says_load_target_and_when(self) -> None:
        at = datetime(2026, 11, 22, 2, 0).astimezone()
        assert name_of({"load": "smoke", "target": "portal"}, at) == "smoke · portal · 2026-11-22 02:00"

    def test_of_files_has_their_names_only(self) -> None:
        at = datetime(2026, 11, 22, 2, 0).astimezone()
        assert name_of({"load": "/tmp/short.yaml", "target": "mine.yml"}, at) == "short · mine · 2026-11-22 02:00"


class TestDeployments:
    def test_are_understood_by_prefect(self) -> None:
        model = PrefectYamlModel.model_validate(DOCUMENT)
        assert [row.name for row in model.deployments] == list(DEPLOYMENTS)

    def test_are_of_the_prefect_that_is_locked(self) -> None:
        assert f"prefect=={DOCUMENT['prefect-version']} " in (ROOT / "requirements.in").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", DEPLOYMENTS)
    def test_give_parameters_that_their_flow_has(self, name: str) -> None:
        row = DEPLOYMENTS[name]
        schema = schema_of(row["entrypoint"])
        jsonschema.validate(row.get("parameters", {}), {**schema, "required": []})  # the others come at each start
        assert set(row.get("parameters", {})) <= set(schema["properties"])

    def test_name_modules_for_a_files_folder_would_hide_packages_of_the_house(self) -> None:
        """Prefect puts it first on the path, and flows/dashboards.py would be imported for the package dashboards."""
        assert [row["entrypoint"] for row in DEPLOYMENTS.values() if ":" in row["entrypoint"]] == []

    @pytest.mark.parametrize("name", DEPLOYMENTS)
    def test_say_what_they_are_and_run_one_at_a_time(self, name: str) -> None:
        row = DEPLOYMENTS[name]
        assert row["description"].endswith(".")
        assert row["tags"]
        assert row["work_pool"]["name"] == "perf-suite"
        assert row["concurrency_limit"]["limit"] == 1

    @pytest.mark.parametrize("name", [name for name, row in DEPLOYMENTS.items() if "schedules" in row])
    def test_by_the_clock_give_way_and_have_a_queue_that_can_be_paused(self, name: str) -> None:
        row = DEPLOYMENTS[name]
        assert row["concurrency_limit"]["collision_strategy"] == "CANCEL_NEW"
        assert row["work_pool"]["work_queue_name"] == "by-the-clock"

    def test_there_is_one_for_each_phase(self) -> None:
        alone = [row["parameters"]["phase"] for row in DEPLOYMENTS.values() if "phase" in row["tags"]]
        assert alone == [[phase.value] for phase in Phase]


class TestSchedules:
    async def test_nightly_soak_starts_at_two_in_korea_every_night(self) -> None:
        starts = await next_starts("nightly-soak", 24)
        assert {(start.hour, start.minute) for start in starts} == {(2, 0)}
        assert len({start.date() for start in starts}) == 24
        assert (starts[-1] - starts[0]).days == 23

    async def test_monthly_starts_on_first_fridays_at_14_in_korea(self) -> None:
        starts = await next_starts("monthly", 24)
        assert {(start.weekday(), start.hour, start.minute) for start in starts} == {(4, 14, 0)}
        assert {start.day for start in starts} == {1, 2, 3, 4, 5, 6, 7}
        months = [start.year * 12 + start.month for start in starts]
        assert months == list(range(months[0], months[0] + 24))

    async def test_weekly_design_load_starts_on_sundays(self) -> None:
        starts = await next_starts("weekly-design", 24)
        assert {(start.weekday(), start.hour) for start in starts} == {(6, 6)}
        assert (starts[-1] - starts[0]).days == 23 * 7

    @pytest.mark.parametrize(("cron", "hour"), [("0 2 * * *", 2), ("30 1 * * *", 1)])
    @pytest.mark.parametrize("year_start", [datetime(2027, 3, 20, tzinfo=UTC), datetime(2027, 10, 20, tzinfo=UTC)])
    async def test_where_clocks_change_there_is_still_one_run_a_night(
        self, cron: str, hour: int, year_start: datetime
    ) -> None:
        """London: 01:00 to 02:00 does not exist on 2027-03-28 and exists twice on 2027-10-31."""
        schedule = CronSchedule(cron=cron, timezone="Europe/London")
        starts = [start.astimezone(LONDON) for start in await schedule.get_dates(20, year_start)]
        assert len({start.date() for start in starts}) == 20
        assert sum(start.hour == hour for start in starts) >= 19
