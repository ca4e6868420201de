"""core.settings: folders, each settable by the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import NAME, ROOT, Settings, process_environment, set_process_defaults


class TestSettings:
    def test_describe_every_field(self) -> None:
        assert all(field.description for field in Settings.model_fields.values())

    def test_follow_the_users_cache_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SUITE_CACHE_DIR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert Settings().cache_dir == tmp_path / NAME

    def test_are_set_one_by_one_with_the_prefix_suite(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_RUNS_DIR", str(tmp_path / "elsewhere"))
        assert Settings().runs_dir == tmp_path / "elsewhere"

    def test_keep_the_stack_of_each_checkout_apart_in_the_cache(self, tmp_path: Path) -> None:
        settings = Settings(cache_dir=tmp_path, stack_dir=None)
        assert settings.state_dir.parent == tmp_path / "stack"
        assert Settings(cache_dir=tmp_path, stack_dir=tmp_path / "mine").state_dir == tmp_path / "mine"

    def test_know_the_checkout(self) -> None:
        assert (ROOT / "core" / "settings.py").is_file()


class TestProcessEnvironment:
    def test_is_the_callers_own_with_the_changes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KEPT", "1")
        monkeypatch.setenv("CHANGED", "before")
        environment = process_environment(CHANGED="after")
        assert (environment["KEPT"], environment["CHANGED"]) == ("1", "after")

    def test_does_not_hand_secrets_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_GRAFANA_CREDENTIALS", "a token")
        assert "a token" not in process_environment().values()

    def test_default_does_not_overrule_the_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SET_BY_USER", "mine")
        monkeypatch.setenv("NOT_SET", "to be deleted")
        monkeypatch.delenv("NOT_SET")
        set_process_defaults({"SET_BY_USER": "ours", "NOT_SET": "ours"})
        environment = process_environment()
        assert (environment["SET_BY_USER"], environment["NOT_SET"]) == ("mine", "ours")
        monkeypatch.delenv("NOT_SET")
