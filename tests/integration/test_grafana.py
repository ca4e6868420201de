"""Dashboards in a Grafana: written once, read back, asked, annotated; each refusal in one sentence, without secret.

The Grafana is a stand-in that follows the documented API (tests/grafana_stand_in.py); its version says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from core.checks import Check
from core.words import Verdict
from dashboards.engine import Engine, State
from dashboards.generate import generated
from dashboards.grafana import Grafana
from dashboards.grafana_json import DATASOURCE_UID
from dashboards.model import Panel
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from dashboards.provision import FOLDER_TITLE, FOLDER_UID, Provisioned, Wanted, Window, provision
from dashboards.sampler import PanelSamples, Samples
from dashboards.variables import choose, step_s
from dashboards.verify import dashboards_provisioned_check
from infra.embedded.programs import ProgramId, ensure
from targets.model import load_profile
from tests.grafana_stand_in import PASSWORD, TOKEN, USER, VERSION, Frames, StandIn, cells_frame, filled, line_frame
from tests.made_up import Platform
from tests.prometheus_process import Worlds, prometheus_at

PORTAL = load_profile("portal").metrics
PANELS = all_panels(PORTAL)
UIDS = ("load-test-overview", "bottleneck-detection")
RUN = "20260203T101500Z-portal-smoke-ab12"
START, END = 1_770_113_700.0, 1_770_113_790.0
WINDOWS = (
    Window("load", f"load smoke, run {RUN}", START, END),
    Window("scenario:a-shopping-flow", "scenario a-shopping-flow", START, START + 40),
    Window("scenario:b-blog-read", "scenario b-blog-read", START + 40, END),
)
TOKENS = SecretStr(TOKEN)
OTHER = {"title": "Sales", "tags": ["sales"], "panels": []}


def without(*metrics: str) -> Frames:
    """Queries of these metrics have no series."""
    return lambda query, start, end: [] if any(m in query["expr"] for m in metrics) else filled(query, start, end)


def wanted(write: bool = True, windows: tuple[Window, ...] = WINDOWS, prometheus: str = "http://p:9090") -> Wanted:
    return Wanted(PORTAL, RUN, prometheus, write, windows)


def carry_out(
    there: StandIn, asked: Wanted | None = None, secret: SecretStr | None = TOKENS, timeout_s: float = 5.0
) -> Provisioned:
    with closing(Grafana(there.url, secret, timeout_s)) as grafana:
        return provision(grafana, asked or wanted())


def samples(*empty: str) -> Samples:
    """What the sampler saw in Prometheus: data everywhere but in the panels `empty`."""
    return Samples(tuple(sample(panel, panel.title in empty) for panel in PANELS), ())


def sample(panel: Panel, empty: bool) -> PanelSamples:
    return PanelSamples(panel, State.EMPTY if empty else State.LIVE, 3, 3, "", "")


def judged(found: Provisioned, *empty: str) -> Check:
    return dashboards_provisioned_check(found, samples(*empty))


@pytest.fixture
def grafana() -> Iterator[StandIn]:
    with StandIn(filled) as there:
        yield there


class TestWriting:
    def test_puts_folder_data_source_and_both_dashboards_there(self, grafana: StandIn) -> None:
        found = carry_out(grafana)
        assert found.problems == []
        assert found.done == {"folder": "created", "data source": "created", **dict.fromkeys(UIDS, "created")}
        assert grafana.folders[FOLDER_UID]["title"] == FOLDER_TITLE
        source = grafana.datasources[DATASOURCE_UID]
        assert (source["type"], source["url"], source["jsonData"]["timeInterval"]) == (
            "prometheus",
            "http://p:9090",
            "5s",
        )
        for uid in UIDS:
            kept = grafana.dashboards[uid]
            assert kept["meta"]["folderUid"] == FOLDER_UID
            ours = json.loads(generated(PORTAL)[f"json/{uid}.json"])
            assert {key: kept["dashboard"][key] for key in ours} == ours

    def test_twice_changes_nothing_the_second_time(self, grafana: StandIn) -> None:
        carry_out(grafana)
        writes, kept, notes = grafana.writes, json.dumps(grafana.dashboards), list(grafana.annotations)
        found = carry_out(grafana)
        assert set(found.done.values()) == {"unchanged"}
        assert (grafana.writes, json.dumps(grafana.dashboards), grafana.annotations) == (writes, kept, notes)

    def test_signs_in_with_user_and_password_too(self, grafana: StandIn) -> None:
        assert carry_out(grafana, secret=SecretStr(f"{USER}:{PASSWORD}")).problems == []

    def test_works_below_a_base_path(self) -> None:
        with StandIn(filled, base_path="/grafana") as there:
            found = carry_out(there)
        assert found.problems == []
        assert found.links["load-test-overview"].startswith(f"{there.url}/d/load-test-overview?")

    def test_brings_what_is_ours_up_to_date(self, grafana: StandIn) -> None:
        carry_out(grafana)
        grafana.folders[FOLDER_UID]["title"] = "Old name"
        grafana.datasources[DATASOURCE_UID]["url"] = "http://old:9090"
        grafana.datasources[DATASOURCE_UID]["jsonData"]["customQueryParameters"] = "by a person"
        grafana.dashboards[UIDS[0]]["dashboard"]["panels"][3]["title"] = "changed by a person"
        found = carry_out(grafana)
        assert found.problems == []
        assert list(found.done.values()) == ["updated", "updated", "updated", "unchanged"]
        assert grafana.folders[FOLDER_UID]["title"] == FOLDER_TITLE
        assert grafana.datasources[DATASOURCE_UID]["url"] == "http://p:9090"
        assert grafana.datasources[DATASOURCE_UID]["jsonData"]["customQueryParameters"] == "by a person"
        assert grafana.dashboards[UIDS[0]]["dashboard"]["panels"][3]["title"] == "k6: Response Time"

    def test_brings_a_dashboard_back_into_our_folder(self, grafana: StandIn) -> None:
        carry_out(grafana)
        grafana.dashboards[UIDS[1]]["meta"]["folderUid"] = "elsewhere"
        assert carry_out(grafana).done[UIDS[1]] == "updated"
        assert grafana.dashboards[UIDS[1]]["meta"]["folderUid"] == FOLDER_UID

    def test_saves_over_the_newer_version_of_somebody_who_was_faster(self, grafana: StandIn) -> None:
        carry_out(grafana)
        kept = grafana.dashboards[UIDS[0]]["dashboard"]
        kept["title"] = "changed by a person"

        def somebody_saves() -> None:
            kept["version"] = 7

        conflict = {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        grafana.say("POST /api/dashboards/db", 412, conflict, times=1, before=somebody_saves)
        found = carry_out(grafana)
        assert (found.problems, found.done[UIDS[0]]) == ([], "updated")
        now = grafana.dashboards[UIDS[0]]["dashboard"]
        assert (now["version"], now["title"]) == (8, "Load Test Overview")

    def test_gives_up_on_a_conflict_that_does_not_end(self, grafana: StandIn) -> None:
        conflict = {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        grafana.say("POST /api/dashboards/db", 412, conflict)
        (problem,) = carry_out(grafana).problems
        assert "changed by someone else" in problem
        assert problem.endswith("then run again.")
        assert grafana.requests["POST /api/dashboards/db"] == 3

    def test_leaves_alone_what_grafana_took_from_files(self, grafana: StandIn) -> None:
        carry_out(grafana)
        grafana.datasources[DATASOURCE_UID] |= {"readOnly": True, "url": "http://prometheus:9090"}
        for uid in UIDS:
            grafana.dashboards[uid]["meta"] |= {"provisioned": True, "folderUid": "of-the-provider"}
        writes = grafana.writes
        found = carry_out(grafana)
        assert found.problems == []
        assert list(found.done.values())[1:] == ["from Grafana's own files"] * 3
        assert grafana.writes == writes

    def test_takes_a_refusal_to_save_over_a_file_as_such(self, grafana: StandIn) -> None:
        carry_out(grafana)
        grafana.dashboards[UIDS[0]]["dashboard"]["title"] = "an older file"
        grafana.say("POST /api/dashboards/db", 400, {"message": "Cannot save provisioned dashboard"})
        found = carry_out(grafana)
        assert found.done[UIDS[0]] == "from Grafana's own files"
        (problem,) = found.problems
        assert problem.startswith("The dashboard 'load-test-overview' is not as generated at title.")
        assert "`python -m dashboards.generate --target ...`" in problem


class TestSomebodyElses:
    def test_dashboard_under_our_uid_is_not_touched(self, grafana: StandIn) -> None:
        grafana.keep({"uid": UIDS[1], **OTHER}, "sales", "Sales reports")
        result = judged(carry_out(grafana))
        assert result.verdict is Verdict.FAIL
        assert "the uid 'bottleneck-detection' is taken by another dashboard, 'Sales' in folder" in result.observed
        assert "Give that dashboard another uid, or the tag perf-suite" in result.observed
        assert grafana.dashboards[UIDS[1]]["dashboard"]["title"] == "Sales"

    def test_dashboard_with_our_tag_may_be_replaced(self, grafana: StandIn) -> None:
        grafana.keep({"uid": UIDS[1], **OTHER, "tags": ["perf-suite"]}, "sales", "Sales reports")
        assert carry_out(grafana).done[UIDS[1]] == "updated"

    def test_data_source_under_our_uid_is_not_touched(self, grafana: StandIn) -> None:
        theirs = {"uid": DATASOURCE_UID, "name": "Logs", "type": "loki", "readOnly": False, "version": 1}
        grafana.datasources[DATASOURCE_UID] = dict(theirs)
        (problem,) = carry_out(grafana).problems
        assert "is of type loki, so it is not the suite's" in problem
        assert problem.endswith("Give it another uid. It was not changed.")
        assert grafana.datasources[DATASOURCE_UID] == theirs

    def test_data_source_of_our_name_is_named(self, grafana: StandIn) -> None:
        name = "Prometheus (performance tests)"
        grafana.datasources["theirs"] = {"uid": "theirs", "name": name, "type": "prometheus"}
        (problem,) = carry_out(grafana).problems
        assert "data source with the same name already exists" in problem
        assert problem.endswith("Rename or remove that.")


class TestLookingOnly:
    def test_writes_nothing_and_says_so(self, grafana: StandIn) -> None:
        carry_out(grafana)
        writes = grafana.writes
        result = judged(carry_out(grafana, wanted(write=False)))
        assert result.verdict is Verdict.PASS
        assert "looked at only, nothing was written (SUITE_PROVISION_GRAFANA)" in result.observed
        assert "28 of 28 panels answered with data" in result.observed
        assert grafana.writes == writes

    def test_misses_what_is_not_there(self, grafana: StandIn) -> None:
        result = judged(carry_out(grafana, wanted(write=False)))
        assert result.verdict is Verdict.FAIL
        for uid in UIDS:
            assert f"The dashboard '{uid}' is not there. Set SUITE_PROVISION_GRAFANA=yes" in result.observed
        assert grafana.writes == 0

    def test_names_where_a_dashboard_is_another_one(self, grafana: StandIn) -> None:
        carry_out(grafana)
        kept = grafana.dashboards[UIDS[0]]["dashboard"]
        kept["panels"][0]["targets"][0]["expr"] = "up"
        kept["panels"][1] |= {"title": "x", "type": "table", "description": "y"}
        (problem,) = carry_out(grafana, wanted(write=False)).problems
        assert "panels[0].targets[0].expr" in problem
        assert "and 1 more" in problem


class TestPanels:
    def test_are_each_asked_through_the_data_source_with_their_variables_filled_in(self, grafana: StandIn) -> None:
        found = carry_out(grafana)
        assert {each.state for each in found.panels} <= {State.LIVE, State.CONSTANT}
        assert [each.panel.id for each in found.panels] == [panel.id for panel in PANELS]
        assert [each["legendFormat"] for each in grafana.asked] == [t.legend for panel in PANELS for t in panel.targets]
        assert {each["datasource"]["uid"] for each in grafana.asked} == {DATASOURCE_UID}
        assert {(each["range"], each["intervalMs"], each["maxDataPoints"]) for each in grafana.asked} == {
            (True, 5000, 19)
        }
        k6 = [each["expr"] for each in grafana.asked if "k6_http_reqs_total" in each["expr"]]
        assert k6
        assert all(f'run_id=~"{RUN}"' in expr and "[1m]" in expr for expr in k6)

    def test_empty_here_and_full_in_prometheus_fail_the_check(self) -> None:
        with StandIn(without("redis_evicted_keys_total")) as there:
            result = judged(carry_out(there))
        assert result.verdict is Verdict.FAIL
        assert "27 of 28 panels answered with data" in result.observed
        assert "Data in Prometheus but none through Grafana: Redis: Eviction Rate." in result.observed
        assert "SUITE_GRAFANA_PROMETHEUS_URL" in result.observed
        assert result.evidence["panels"]["bottleneck-detection/redis-eviction-rate"] == "empty"

    def test_empty_in_prometheus_too_are_the_business_of_another_check(self) -> None:
        with StandIn(without("redis_evicted_keys_total")) as there:
            result = judged(carry_out(there), "Redis: Eviction Rate")
        assert result.verdict is Verdict.PASS
        assert "27 of 28 panels answered with data (empty: Redis: Eviction Rate)" in result.observed

    @pytest.mark.parametrize(
        ("frames", "state"),
        [
            ([], State.EMPTY),
            ([{"schema": {"fields": []}, "data": {"values": []}}], State.EMPTY),
            ([line_frame({}, [], [])], State.EMPTY),
            ([line_frame({}, [0, 1], [None, None])], State.NAN_ONLY),
            ([line_frame({}, [0, 1], [0.0, 0.0])], State.CONSTANT),
            ([line_frame({}, [0, 1], [0.0, None])], State.CONSTANT),
            ([line_frame({}, [0, 1], [None, None]), line_frame({"a": "b"}, [0, 1], [1.0, 2.0])], State.LIVE),
            ([cells_frame([])], State.EMPTY),
            ([cells_frame([(0, 0.1, 0.2, 3.0), (1, 0.2, 0.4, 3.0)])], State.CONSTANT),
        ],
    )
    def test_are_read_from_grafanas_frames(self, frames: list[Any], state: State) -> None:
        with StandIn(lambda *_: frames) as there:
            assert {each.state for each in carry_out(there).panels} == {state}

    def test_whose_query_fails_are_named_with_the_cause_and_do_not_fail_the_others(self) -> None:
        def failing(query: Mapping[str, Any], start: str, end: str) -> list[Any]:
            if "hikaricp_connections_timeout" in query["expr"]:
                raise ValueError("bad_data: parse error")
            return filled(query, start, end)

        with StandIn(failing) as there:
            result = judged(carry_out(there))
        assert "HikariCP: Timeout Count: the data source answered 'bad_data: parse error'." in result.observed
        assert "27 of 28 panels answered with data" in result.observed

    def test_are_not_asked_without_a_load(self, grafana: StandIn) -> None:
        result = judged(carry_out(grafana, wanted(windows=())))
        assert result.verdict is Verdict.PASS
        assert (grafana.asked, grafana.annotations, result.evidence["panels"]) == ([], [], {})
        assert "panels answered" not in result.observed


class TestAnnotations:
    def test_mark_the_load_and_each_scenario_on_both_dashboards(self, grafana: StandIn) -> None:
        assert carry_out(grafana).annotations == 6
        for uid in UIDS:
            notes = [each for each in grafana.annotations if each["dashboardUID"] == uid]
            assert [(each["time"], each["timeEnd"]) for each in notes] == [
                (1_770_113_700_000, 1_770_113_790_000),
                (1_770_113_700_000, 1_770_113_740_000),
                (1_770_113_740_000, 1_770_113_790_000),
            ]
            assert notes[1]["tags"] == ["perf-suite", f"run:{RUN}", "scenario:a-shopping-flow"]

    def test_of_another_run_in_the_same_time_are_told_apart(self, grafana: StandIn) -> None:
        carry_out(grafana)
        carry_out(grafana, Wanted(PORTAL, "another-run", "http://p:9090", True, WINDOWS))
        assert len(grafana.annotations) == 12

    def test_that_are_not_read_back_are_a_problem(self, grafana: StandIn) -> None:
        grafana.say("POST /api/annotations", 200, {"message": "Annotation added", "id": 1})
        (problem,) = carry_out(grafana).problems
        assert problem.startswith("3 of 3 annotations of 'load-test-overview' are not there when read back")


class TestLinks:
    def test_open_the_dashboard_at_the_run_and_its_load(self, grafana: StandIn) -> None:
        links = judged(carry_out(grafana)).evidence["links"]
        assert set(links) == set(UIDS)
        parts = urlsplit(links["bottleneck-detection"])
        assert (f"{parts.scheme}://{parts.netloc}", parts.path) == (grafana.url, "/d/bottleneck-detection")
        assert parse_qs(parts.query) == {"from": ["1770113700000"], "to": ["1770113790000"], "var-run_id": [RUN]}


PAGE = "<html><title>Log in</title></html>"
ECHO = {"message": f"no such token: {TOKEN}"}
Switch = Callable[[StandIn], None]
TROUBLE: Mapping[str, tuple[Switch, str, str]] = {
    "asks for other credentials": (
        lambda there: there.say("GET /api/folders/.*", 401, {"message": "Invalid API key"}),
        "Grafana does not accept the credentials: Invalid API key",
        "Give a token of a service account, or user:password, in SUITE_GRAFANA_CREDENTIALS.",
    ),
    "gives no right to save": (
        lambda there: there.say("POST /api/dashboards/db", 403, {"message": "Access denied", "title": "Access denied"}),
        "Grafana does not give the account this right: Access denied (POST",
        "Give the account the role Editor",
    ),
    "has no such path": (
        lambda there: there.say("POST /api/ds/query", 404, {"message": "Not found"}),
        "Grafana knows nothing at this path: Not found",
        "Grafana 9 or newer is needed.",
    ),
    "keeps the dashboard for a plugin": (
        lambda there: there.say(
            "POST /api/dashboards/db", 412, {"message": "of a plugin", "status": "plugin-dashboard"}
        ),
        "or it is not free: of a plugin",
        "See what it is in Grafana, then run again.",
    ),
    "refuses what was sent": (
        lambda there: there.say("POST /api/dashboards/db", 400, {"message": "Dashboard title cannot be empty"}),
        "Grafana refuses what was sent: Dashboard title cannot be empty",
        "See its log.",
    ),
    "breaks": (
        lambda there: there.say("POST /api/folders", 500, {"message": "Internal server error"}),
        "Grafana answered 500: Internal server error",
        "See its log.",
    ),
    "is not behind its proxy": (
        lambda there: there.say("GET /api/health", 502, text="<html>Bad Gateway</html>"),
        "Grafana answered 502 (GET",
        "See its log.",
    ),
    "has a failing database": (
        lambda there: there.say("GET /api/health", 200, {"database": "failing", "version": "x"}),
        "Grafana's own database is failing",
        "See its log.",
    ),
    "sends on to another base path": (
        lambda there: there.say("GET /api/health", 302, headers={"Location": "/grafana/api/health"}),
        "Grafana sends on to /grafana/api/health",
        "with its base path, in SUITE_GRAFANA_URL.",
    ),
    "is a proxy's page": (
        lambda there: there.say("GET /api/health", 200, text=PAGE),
        "what answers is not Grafana: an answer without JSON",
        "A proxy's page may stand in the way.",
    ),
    "is another program": (
        lambda there: there.say("GET /api/health", 200, {"status": "UP"}),
        "what answers is not Grafana",
        "with its base path, in SUITE_GRAFANA_URL.",
    ),
    "answers another shape": (
        lambda there: there.say("GET /api/dashboards/uid/.*", 200, [1, 2]),
        "what answers is not Grafana: an answer which is not an object",
        "A proxy's page may stand in the way.",
    ),
    "answers a query in another shape": (
        lambda there: there.say("POST /api/ds/query", 200, {"results": [1]}),
        "what answers is not Grafana: an answer without results",
        "A proxy's page may stand in the way.",
    ),
    "answers annotations in another shape": (
        lambda there: there.say("GET /api/annotations", 200, {"rows": 3}),
        "what answers is not Grafana: an answer which is not a list",
        "A proxy's page may stand in the way.",
    ),
    "does not reach Prometheus": (
        lambda there: there.say(".*/uid/.*/health", 400, {"status": "ERROR", "message": "connection refused"}),
        "the data source does not work: connection refused",
        "SUITE_GRAFANA_PROMETHEUS_URL.",
    ),
    "has a data source that cannot be asked": (
        lambda there: there.say(".*/uid/.*/health", 500, {"message": "Plugin unavailable"}),
        "Grafana answered 500: Plugin unavailable",
        "See its log.",
    ),
    "loses the data source": (
        lambda there: there.say(".*/uid/.*/health", 404, {"message": "Data source not found"}),
        "the data source 'perf-suite-prometheus' is not there",
        "or give Grafana the files of dashboards/provisioning.",
    ),
    "repeats the token": (
        lambda there: there.say("GET /api/folders/.*", 401, ECHO),
        "Grafana does not accept the credentials: no such token: ***",
        "SUITE_GRAFANA_CREDENTIALS.",
    ),
}


class TestTrouble:
    @pytest.mark.parametrize("case", TROUBLE)
    def test_is_one_problem_with_cause_and_cure(self, case: str, grafana: StandIn) -> None:
        switch, cause, cure = TROUBLE[case]
        switch(grafana)
        found = carry_out(grafana)
        (problem,) = found.problems
        assert cause in problem
        assert cure in problem
        result = judged(found)
        assert result.verdict is Verdict.FAIL
        assert problem in result.observed
        assert TOKEN not in result.model_dump_json()
        assert "<html>" not in problem

    def test_of_nobody_there(self) -> None:
        with StandIn(filled) as there:
            url = there.url
        with closing(Grafana(url, TOKENS)) as grafana:
            result = judged(provision(grafana, wanted()))
        assert result.verdict is Verdict.FAIL
        assert f"Grafana does not answer: [Errno 111] Connection refused (GET {url}/api/health)." in result.observed
        assert "Is it running?" in result.observed

    def test_of_silence_ends_after_the_time_limit(self, grafana: StandIn) -> None:
        grafana.hang("POST /api/folders")
        (problem,) = carry_out(grafana, timeout_s=0.2).problems
        assert "Grafana did not answer within 0.2 s (POST" in problem
        assert problem.endswith("is it overloaded?")

    def test_of_an_address_that_is_none(self) -> None:
        with closing(Grafana("http://127.0.0.1:port", TOKENS)) as grafana:
            (problem,) = provision(grafana, wanted()).problems
        assert "Grafana does not answer" in problem

    def test_without_credentials_asks_for_them(self, grafana: StandIn) -> None:
        (problem,) = carry_out(grafana, secret=None).problems
        assert problem.startswith("Grafana asks for credentials: Unauthorized")
        assert "SUITE_GRAFANA_CREDENTIALS" in problem

    @pytest.mark.parametrize("secret", [TOKEN, f"{USER}:{PASSWORD}"])
    def test_and_success_hold_no_secret(self, secret: str, grafana: StandIn, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        grafana.say("POST /api/annotations", 500, {"message": f"who sent Authorization {secret}?"})
        found = carry_out(grafana, secret=SecretStr(secret))
        texts = judged(found).model_dump_json() + repr(found) + caplog.text
        assert "who sent Authorization ***?" in texts
        assert secret not in texts
        assert PASSWORD not in texts

    def test_shows_the_stand_in_for_what_it_is(self, grafana: StandIn) -> None:
        result = judged(carry_out(grafana))
        assert result.verdict is Verdict.PASS
        assert result.observed.startswith(f"Grafana ({VERSION}) at {grafana.url}: folder created, ")
        assert result.evidence["grafana"] == VERSION


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Window]]:
    """A Prometheus with ten minutes of a made-up platform under load."""
    program = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    with prometheus_at(program, tmp_path_factory.mktemp("behind"), {"scrape_configs": []}) as url:
        end = Worlds.of(url).put(Platform(PORTAL).lines())
        yield url, Window("load", "made-up load", end - 300, end)


class TestPrometheusBehindIt:
    """The stand-in hands the queries on to the Prometheus that its data source names."""

    def test_shows_through_the_data_source_what_the_engine_saw_directly(self, load: tuple[str, Window]) -> None:
        url, window = load
        with StandIn() as there:
            found = carry_out(there, Wanted(PORTAL, "r1", url, True, (window,)))
        result = judged(found)
        assert (result.verdict, found.problems) == (Verdict.PASS, [])
        assert "28 of 28 panels answered with data" in result.observed
        engine = Engine(Prometheus(url), choose(PORTAL, run_id="r1"))
        step = step_s(window.end - window.start)
        seen = {panel.id: engine.ask(panel, window.start, window.end, step).state for panel in PANELS}
        engine.prometheus.close()
        assert {each.panel.id: each.state for each in found.panels} == seen

    def test_is_missed_when_it_is_another_one(self, load: tuple[str, Window]) -> None:
        url, window = load
        before = Window("load", "before any series", window.start - 7200, window.end - 7200)
        with StandIn() as there:
            result = judged(carry_out(there, Wanted(PORTAL, "r1", url, True, (before,))))
        assert result.verdict is Verdict.FAIL
        assert "0 of 28 panels answered with data" in result.observed
        assert f"Data in Prometheus but none through Grafana: {PANELS[0].title}, {PANELS[1].title}, " in result.observed

    def test_is_missed_when_it_is_not_there(self) -> None:
        with StandIn() as there:
            (problem,) = carry_out(there, wanted(prometheus="http://127.0.0.1:1")).problems
        assert 'the data source does not work: Post "http://127.0.0.1:1/api/v1/query_range"' in problem
        assert problem.endswith("in SUITE_GRAFANA_PROMETHEUS_URL.")
