"""`make ui` for real: one run through server and worker and what a team sees of it; who is told; what is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, LogFilter
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect_email import EmailServerCredentials

from core.checks import SCENARIOS
from core.errors import ConfigError
from core.ports import LOOPBACK
from core.request import Request
from core.settings import ROOT, process_environment
from core.waiting import wait_for
from core.words import Phase, Verdict
from docs.prefect_pictures import ARTIFACTS, FORM, RUN
from docs.screenshot import BYTES_MAX, CHROMIUM
from flows.notifications import apply, read_channels
from infra.embedded import procfs
from report.told import Outcome
from tasks.tell import post, tell_once
from tests.prefect_site import PrefectSite
from tests.proof.suite_process import SHORT_LOAD
from tests.receivers import mail_server, webhook

DEPLOYMENTS = [
    row["name"] for row in yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
]
ARRIVES_WITHIN_S = 180.0
"""A mail is a flow run of its own: a worker looks for one every ten seconds and starts a process for it."""
SCHEDULED_WITHIN_S = 150.0
"""Prefect's scheduler looks every minute."""
UNDER_LOAD_WITHIN_S, ENDS_WITHIN_S = 300.0, 900.0
NEVER = datetime.max.replace(tzinfo=UTC)
BROWSER = next(filter(None, map(shutil.which, CHROMIUM)), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSite]:
    """One server and worker for the tests of this file; what it starts is gone when it ends."""
    with PrefectSite(tmp_path_factory.mktemp("site")) as site:
        children = {pid: stat.start_ticks for pid in site.children() if (stat := procfs.read_stat(pid)) is not None}
        yield site
    assert len(children) == 3, "server, reports and worker"
    assert [pid for pid, ticks in children.items() if procfs.is_alive(pid, ticks)] == []


@dataclass(frozen=True)
class Seen:
    """The run when it has ended, and what the server says of it."""

    run: FlowRun
    report: dict[str, Any]
    report_html: str
    subflows: list[FlowRun]
    graph: set[str]  # names of its nodes
    artifacts: dict[str, Artifact]
    link_answer: str  # what a browser gets that follows the link of `report-html`
    logs: list[str]


@pytest.fixture(scope="module")
def seen(site: PrefectSite) -> Seen:
    """The whole suite, triggered by the API and carried out by the worker."""
    run = site.start("full-suite", {"load": str(SHORT_LOAD), "ports": "free"})
    assert site.wait_until(run, "Running", timeout_s=UNDER_LOAD_WITHIN_S).name == "Running"
    site.wait_until(run, timeout_s=ENDS_WITHIN_S)
    site.wait_until_idle()
    with site.client() as client:
        ended = client.read_flow_run(run.id)
        of_run = {"parent_flow_run_id": {"any_": [run.id]}}
        subflows = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(of_run))
        every = {"flow_run_id": {"any_": [run.id, *(row.id for row in subflows)]}}
        found = client.read_artifacts(artifact_filter=ArtifactFilter.model_validate(every), limit=100)
        logs = client.read_logs(LogFilter.model_validate(every))
        graph = client.request("GET", f"/flow_runs/{run.id}/graph-v2").json()  # type: ignore[arg-type]
    artifacts = {row.key: row for row in found if row.key}
    link = re.search(r"\((http[^)]+)\)", str(artifacts["report-html"].data))
    assert link is not None
    folder = site.runs / "latest"
    return Seen(
        ended,
        json.loads((folder / "report.json").read_text(encoding="utf-8")),
        (folder / "report.html").read_text(encoding="utf-8"),
        subflows,
        {node["label"].partition(" / ")[0] for _, node in graph["nodes"]},
        artifacts,
        httpx.get(link[1], trust_env=False).text,
        [row.message for row in logs],
    )


@dataclass(frozen=True)
class Looked:
    """What a browser showed."""

    text: dict[str, str]
    elsewhere: list[str]
    pictures: dict[str, bytes]


@pytest.fixture(scope="module")
def looked(site: PrefectSite, seen: Seen, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """The UI in a real browser, by the command that takes the README's pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, "-m", "docs.prefect_pictures", site.ui, str(seen.run.id), "--out", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=process_environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return Looked(**json.loads(done.stdout), pictures={file.name: file.read_bytes() for file in folder.iterdir()})


def outcome(verdict: str) -> Outcome:
    return Outcome("portal/smoke/all/all", "portal · smoke", Verdict(verdict), ("2 claims did not hold.",))


class TestSite:
    def test_has_every_deployment_and_a_worker_that_is_ready(self, site: PrefectSite) -> None:
        with site.client() as client:
            assert sorted(row.name for row in client.read_deployments()) == sorted(DEPLOYMENTS)
            assert client.read_work_pool("perf-suite").status == "READY"

    def test_has_the_next_nights_scheduled_at_two_in_korea(self, site: PrefectSite) -> None:
        """With SQLAlchemy 2.1 Prefect 3.8.8 schedules nothing, and only the server's log says so (requirements.in)."""
        scheduled = {"state": {"type": {"any_": ["SCHEDULED"]}}, "tags": {"all_": ["nightly"]}}
        with site.client() as client:
            nights = wait_for(
                lambda: client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(scheduled)),
                lambda runs: len(runs) >= 3,
                SCHEDULED_WITHIN_S,
            )
        starts = [night.expected_start_time.astimezone(ZoneInfo("Asia/Seoul")) for night in nights]
        assert len(starts) >= 3
        assert {(start.hour, start.minute) for start in starts} == {(2, 0)}

    def test_started_again_says_where_it_is(self, site: PrefectSite) -> None:
        again = subprocess.run(
            site.command, cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert again.returncode == 0
        assert f"`make ui` runs already: {site.ui}" in again.stdout

    def test_serves_the_reports(self, site: PrefectSite) -> None:
        site.runs.joinpath("note.txt").write_text("of a run")
        assert httpx.get(f"http://{LOOPBACK}:{site.reports_port}/note.txt", trust_env=False).text == "of a run"


class TestRunThroughTheWorker:
    def test_ends_in_a_state_that_is_named_by_its_verdict(self, seen: Seen) -> None:
        assert seen.run.state is not None
        assert seen.run.state.name == seen.report["verdict"]
        assert seen.run.state.message is not None
        assert f"{seen.report['run_id']}/report.html" in seen.run.state.message

    def test_has_a_name_that_says_load_target_and_when(self, seen: Seen) -> None:
        assert re.fullmatch(r"short · portal · \d{4}-\d\d-\d\d \d\d:\d\d", seen.run.name)

    def test_shows_the_five_phases_in_their_order_each_with_its_verdict(self, seen: Seen) -> None:
        shown = [(row.name, row.state_name) for row in sorted(seen.subflows, key=lambda row: row.start_time or NEVER)]
        assert shown == [(row["id"], row["verdict"]) for row in seen.report["phases"]]
        assert [name for name, _ in shown] == list(Phase)

    def test_draws_them_in_its_graph(self, seen: Seen) -> None:
        assert set(Phase) <= seen.graph

    def test_leaves_the_checks_as_a_table_the_report_and_a_link_to_it(self, seen: Seen) -> None:
        rows = json.loads(str(seen.artifacts["checks"].data))
        assert {row["check"]: row["verdict"] for row in rows} == {
            row["id"]: row["verdict"] for row in seen.report["checks"]
        }
        assert str(seen.artifacts["report"].data).startswith("## ")
        assert seen.link_answer == seen.report_html

    def test_showed_how_far_each_scenario_was(self, seen: Seen) -> None:
        shown = {key: row.data for key, row in seen.artifacts.items() if row.type == "progress"}
        assert shown == {f"load-{name}": 100.0 for name in SCENARIOS.values()}

    def test_shows_no_trace_back_to_anybody(self, seen: Seen) -> None:
        assert seen.logs
        assert [line for line in seen.logs if "Traceback" in line] == []


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine: apt-get install chromium")
class TestInTheBrowser:
    def test_the_run_stands_there_with_its_phases(self, looked: Looked) -> None:
        assert [phase for phase in Phase if phase not in looked.text[RUN]] == []

    def test_the_form_describes_every_parameter(self, looked: Looked) -> None:
        described = [field.description for field in Request.model_fields.values()]
        assert [text for text in described if text and text not in looked.text[FORM]] == []

    def test_the_artifacts_are_there(self, looked: Looked) -> None:
        assert [key for key in ("checks", "report", "report-html") if key not in looked.text[ARTIFACTS]] == []

    def test_the_pictures_are_small_enough_for_a_readme(self, looked: Looked) -> None:
        for name in (RUN, FORM, ARTIFACTS):
            picture = looked.pictures[name]
            assert picture.startswith(b"\x89PNG")
            assert 20_000 < len(picture) <= BYTES_MAX

    def test_nobody_else_is_asked_but_for_the_one_that_is_documented(self, looked: Looked) -> None:
        """Prefect's UI asks Amplitude for a configuration even where analytics are off; it works without."""
        assert set(looked.elsewhere) <= {"sr-client-cfg.amplitude.com"}
        assert "amplitude" in (ROOT / "docs" / "prefect.md").read_text(encoding="utf-8")


class TestRefusals:
    @pytest.mark.parametrize(
        ("parameters", "said"),
        [
            ({"load": 5}, "5 is not of type 'string'"),
            ({"phase": "load"}, "'load' is not of type 'array'"),
            ({"scenario": ["z"]}, "'z' is not one of"),
        ],
        ids=str,
    )
    def test_a_parameter_of_the_wrong_type_starts_nothing(
        self, site: PrefectSite, parameters: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(PrefectHTTPStatusError) as raised:
            site.start("full-suite", parameters)
        assert said in raised.value.response.text

    def test_a_target_that_is_unknown_is_an_error_with_its_cure_and_no_trace_back(self, site: PrefectSite) -> None:
        run = site.start("full-suite", {"target": "nowhere"})
        state = site.wait_until(run)
        assert state.name == "ERROR"
        assert state.message is not None
        assert "unknown target 'nowhere'. Known: portal" in state.message
        site.wait_until_idle()
        with site.client() as client:
            logs = client.read_logs(LogFilter.model_validate({"flow_run_id": {"any_": [run.id]}}))
        assert [row.message for row in logs if "Traceback" in row.message] == []

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("notify: [{block: slack-webhook/nobody}]", "there is no block 'slack-webhook/nobody'"),
            ("notify: [{mail: [a@example.com], credentials: nobody}]", "email-server-credentials/nobody"),
            ("notify: [{blok: slack-webhook/x}]", "unknown key 'notify.0.blok'"),
            ("notify: [{}]", "give either `block` or `mail`"),
        ],
    )
    def test_a_channel_that_does_not_exist_is_named(
        self, site: PrefectSite, tmp_path: Path, content: str, said: str
    ) -> None:
        file = tmp_path / "notifications.yaml"
        file.write_text(content)
        with pytest.raises(ConfigError) as raised:
            apply(read_channels(file))
        assert said in str(raised.value)


class TestTold:
    def test_by_webhook_and_mail_once_for_each_change(self, site: PrefectSite, tmp_path: Path) -> None:
        """PASS, FAIL, FAIL, PASS: one message, none, one; the last one's arrival shows that none is on its way."""
        file = tmp_path / "notifications.yaml"
        file.write_text(
            "notify:\n- block: custom-webhook/team\n"
            "- {mail: [team@example.com], credentials: team, sender: suite@example.com}\n"
        )
        with webhook() as (url, posted), mail_server() as (port, mails):
            body = {"subject": "{{subject}}", "text": "{{body}}"}
            hook = CustomWebhookNotificationBlock(name="team", url=url, method="POST", json_data=body)
            hook.save("team", overwrite=True)
            server = EmailServerCredentials(smtp_server=LOOPBACK, smtp_port=port, smtp_type="INSECURE", username=None)
            server.save("team", overwrite=True)
            names = apply(read_channels(file))
            assert apply(read_channels(file)) == names  # the same again
            with site.client() as client:
                assert sorted(row.name for row in client.read_automations()) == sorted(names)

            told = [len(tell_once(outcome(verdict), "http://report", tmp_path, post)) for verdict in ("PASS", "FAIL")]
            wait_for(lambda: len(posted) + len(mails), lambda count: count >= 2, ARRIVES_WITHIN_S)
            told += [len(tell_once(outcome(verdict), "http://report", tmp_path, post)) for verdict in ("FAIL", "PASS")]
            wait_for(lambda: len(posted) + len(mails), lambda count: count >= 4, ARRIVES_WITHIN_S)
        assert told == [0, 1, 0, 1]
        subjects = ["portal · smoke: FAIL (before: PASS)", "portal · smoke: PASS (before: FAIL)"]
        assert [message["subject"] for message in posted] == subjects
        assert posted[0]["text"] == "2 claims did not hold.\nReport: http://report"
        assert [str(message["To"]) for message in mails] == ["team@example.com"] * 2
        assert [_decoded(message) for message in mails] == ["2 claims did not hold.\nReport: http://report"] * 2

    def test_to_nobody_counts_as_not_told(self, site: PrefectSite, tmp_path: Path) -> None:
        apply([])
        assert tell_once(outcome("FAIL"), "http://report", tmp_path, post) == ()
        assert tell_once(outcome("FAIL"), "http://report", tmp_path, lambda *_: True) != ()


def _decoded(message: Any) -> str:
    (part,) = message.get_payload()
    return str(part.get_payload(decode=True).decode()).replace("\r\n", "\n").strip()
