"""`make ui` for real: server, worker and deployments; who is told; what is refused, and in which words."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.filters import LogFilter
from prefect.exceptions import PrefectHTTPStatusError
from prefect_email import EmailServerCredentials

from core.errors import ConfigError
from core.ports import LOOPBACK
from core.settings import ROOT
from core.waiting import wait_for
from core.words import Verdict
from flows.notifications import apply, read_channels
from infra.embedded import procfs
from report.told import Outcome
from tasks.tell import post, tell_once
from tests.prefect_site import PrefectSite
from tests.receivers import mail_server, webhook

DEPLOYMENTS = [
    row["name"] for row in yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
]
ARRIVES_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSite]:
    """One server and worker for the tests of this file; what it starts is gone when it ends."""
    with PrefectSite(tmp_path_factory.mktemp("site")) as site:
        children = {pid: stat.start_ticks for pid in site.children() if (stat := procfs.read_stat(pid)) is not None}
        yield site
    assert len(children) == 3, "server, reports and worker"
    assert [pid for pid, ticks in children.items() if procfs.is_alive(pid, ticks)] == []


def outcome(verdict: str) -> Outcome:
    return Outcome("portal/smoke/all/all", "portal · smoke", Verdict(verdict), ("2 claims did not hold.",))


class TestSite:
    def test_has_every_deployment_and_a_worker_that_is_ready(self, site: PrefectSite) -> None:
        with site.client() as client:
            assert sorted(row.name for row in client.read_deployments()) == sorted(DEPLOYMENTS)
            assert client.read_work_pool("perf-suite").status == "READY"

    def test_started_again_says_where_it_is(self, site: PrefectSite) -> None:
        again = subprocess.run(
            site.command, cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert again.returncode == 0
        assert f"`make ui` runs already: {site.ui}" in again.stdout

    def test_serves_the_reports(self, site: PrefectSite) -> None:
        (site.runs / "one").mkdir(parents=True)
        (site.runs / "one" / "report.html").write_text("a report")
        address = f"http://{LOOPBACK}:{site.reports_port}/one/report.html"
        assert httpx.get(address, trust_env=False).text == "a report"


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
    return part.get_payload(decode=True).decode().replace("\r\n", "\n").strip()
