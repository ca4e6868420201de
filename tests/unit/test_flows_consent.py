"""flows.consent and the command line: a production target's name is typed for every run, and what is stored is none."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.context import FlowRunContext

import flows.consent
from core.request import Request
from flows import cli
from flows.consent import given_now
from targets.model import load_profile


@pytest.fixture
def in_deployment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that puts the test into a deployment's flow run."""

    def put(*, auto_scheduled: bool = False, maker: str | None = None, stored: bool = False) -> None:
        flow_run = SimpleNamespace(
            deployment_id=uuid4(), auto_scheduled=auto_scheduled, created_by=maker and SimpleNamespace(type=maker)
        )
        monkeypatch.setattr(FlowRunContext, "get", lambda: SimpleNamespace(flow_run=flow_run))
        monkeypatch.setattr(flows.consent, "_is_stored", lambda _: stored)

    return put


class TestGivenNow:
    def test_counts_outside_of_prefect(self) -> None:
        assert given_now("portal") == "portal"
        assert given_now(None) is None

    def test_counts_when_a_person_starts_the_deployment(self, in_deployment: Any) -> None:
        in_deployment()
        assert given_now("portal") == "portal"

    @pytest.mark.parametrize(
        "how", [{"auto_scheduled": True}, {"maker": "SCHEDULE"}, {"maker": "AUTOMATION"}, {"stored": True}]
    )
    def test_does_not_count_when_it_was_stored(self, in_deployment: Any, how: dict[str, Any]) -> None:
        in_deployment(**how)
        assert given_now("portal") is None


class Terminal(io.StringIO):
    """A person at the keyboard."""

    def isatty(self) -> bool:
        return True


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def production(self, monkeypatch: pytest.MonkeyPatch) -> None:
        profile = load_profile("portal").model_copy(update={"environment": "production"})
        monkeypatch.setattr(cli, "load_profile", lambda *_: profile)

    def test_asks_the_person_at_the_terminal(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.stdin", Terminal("portal\n"))
        assert cli._with_typed_name(Request()).i_mean == "portal"
        assert "PRODUCTION. Type its name" in capsys.readouterr().err

    def test_does_not_ask_where_nobody_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("portal\n"))
        assert cli._with_typed_name(Request()).i_mean is None

    def test_does_not_ask_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", Terminal("other\n"))
        assert cli._with_typed_name(Request(i_mean="portal")).i_mean == "portal"
