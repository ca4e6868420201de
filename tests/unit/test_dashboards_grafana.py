"""Before any Grafana is asked: its settings, what counts as a difference, and the JSON against Grafana's own types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanasDashboard
from pydantic import SecretStr

from core.errors import ConfigError
from core.settings import Settings
from dashboards.generate import generated
from dashboards.provision import Wanted, differences, link
from targets.model import load_profile
from tests.grafana_stand_in import TOKEN

PORTAL = load_profile("portal").metrics
UIDS = ("load-test-overview", "bottleneck-detection")


class TestDifferences:
    @pytest.mark.parametrize(
        ("sent", "seen", "paths"),
        [
            ({"a": 1}, {"a": 1, "id": 7, "b": [1]}, []),
            ({"a": None, "b": {}, "c": []}, {}, []),
            ({"a": 0}, {}, ["a"]),
            ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, ["a.b[1].c"]),
            ({"a": [1, 2]}, {"a": [1]}, ["a"]),
            ({"a": [1]}, {"a": "x"}, ["a"]),
            ({"a": None}, {"a": 3}, ["a"]),
        ],
    )
    def test_are_named_by_their_path(self, sent: Any, seen: Any, paths: list[str]) -> None:
        assert list(differences(sent, seen)) == paths


class TestLink:
    def test_without_a_load_has_no_window(self) -> None:
        wanted = Wanted(PORTAL, "a-run", "http://p:9090", write=True)
        assert link("http://g", "a", wanted) == "http://g/d/a?var-run_id=a-run"


class TestSettings:
    def test_keep_the_credentials_to_themselves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_CREDENTIALS", TOKEN)
        settings = Settings()
        assert settings.grafana_credentials == SecretStr(TOKEN)
        assert TOKEN not in repr(settings) + settings.model_dump_json()

    @pytest.mark.parametrize("bad", [f"{TOKEN}\n", f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}ä"])
    def test_refuse_what_no_header_carries_without_repeating_it(
        self, bad: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_CREDENTIALS", bad)
        with pytest.raises(ConfigError, match=r"SUITE_GRAFANA_CREDENTIALS.*on one line") as refused:
            Settings()
        assert TOKEN not in str(refused.value)

    @pytest.mark.parametrize(("said", "meant"), [("yes", True), ("No", False), ("true", True), ("", None)])
    def test_know_yes_from_no(self, said: str, meant: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_PROVISION_GRAFANA", said)
        assert Settings().provision_grafana is meant

    def test_refuse_what_is_neither(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_PROVISION_GRAFANA", "maybe")
        with pytest.raises(
            ConfigError, match=r"'maybe' is neither yes nor no \(SUITE_PROVISION_GRAFANA\)\. Say yes or no"
        ):
            Settings()


class TestGeneratedDashboards:
    @pytest.mark.parametrize("uid", UIDS)
    def test_are_read_by_grafanas_own_types_without_loss(self, uid: str) -> None:
        """The SDK's models are generated from Grafana's published schema: a key that they do not know would be lost."""
        register_default_plugins()
        ours = json.loads(generated(PORTAL)[f"json/{uid}.json"])
        read = GrafanasDashboard.from_json(ours)
        assert list(differences(ours, json.loads(JSONEncoder().encode(read)))) == []
