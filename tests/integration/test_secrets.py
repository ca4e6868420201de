"""A canary in the profile's passwords and in tokens: no file of the run, no log and no command line of k6 holds it."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from k6.model import ScenarioResult
from k6.runner import run_scenario
from tests.elsewhere.stub import Stub, stub
from tests.integration.test_limits import request_to
from tests.secrets_told import command_lines, command_lines_watched, files_that_tell

CANARY = "canary-7f3e91-password"
TOKEN = "a-token"


def run_with(told: Stub, folder: Path, **changes: Any) -> ScenarioResult:
    """Scenario B for three seconds; `changes` to the profile."""
    return run_scenario(request_to(told.url, folder, seconds=3, **changes), lambda _: None, threading.Event())


def canary_users() -> dict[str, Any]:
    """The portal's test users, whose passwords the profile only names."""
    named = {"env": "CANARY_PASSWORD"}
    pool = {"prefix": "load", "digits": 4, "domain": "test.com", "count": 600, "password": named}
    return {"email": "loadtest@test.com", "password": named, "pool": pool}


class TestCanary:
    @pytest.fixture(autouse=True)
    def password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CANARY_PASSWORD", CANARY)

    def test_is_told_by_nothing_that_k6_leaves_or_shows(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with stub(port=0) as told, command_lines_watched([CANARY, TOKEN]) as lines:
            result = run_with(told, tmp_path, users=canary_users())
        assert told.bodies_with(CANARY) > 0  # it was used
        assert result.requests > 0
        assert lines == []
        assert files_that_tell(tmp_path, [CANARY]) == []
        assert CANARY not in caplog.text + repr(result)

    def test_is_not_told_when_the_target_refuses_the_login(self, tmp_path: Path) -> None:
        with stub(port=0) as told:
            told.login_status = 401
            result = run_with(told, tmp_path, users=canary_users())
        assert result.never_began
        assert result.error is not None
        assert CANARY not in str(result.error)
        assert files_that_tell(tmp_path, [CANARY]) == []

    def test_would_be_found(self, tmp_path: Path) -> None:
        """The positive control of both searches."""
        (tmp_path / "a.log").write_text(f"password={CANARY}", encoding="utf-8")
        assert files_that_tell(tmp_path, [CANARY]) == ["a.log: cana..."]
        assert any("pytest" in line for line in command_lines())


class TestCertificates:
    @pytest.fixture
    def ca(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def told(self, ca: trustme.CA) -> Iterator[Stub]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        with stub(port=0, tls=context) as told:
            yield told

    def test_that_nobody_known_vouches_for_are_refused_by_k6(self, told: Stub, tmp_path: Path) -> None:
        result = run_with(told, tmp_path)
        assert result.never_began
        assert "x509" in result.log.read_text(encoding="utf-8")  # Go's word for what is wrong with a certificate
        assert not told.asked

    def test_are_accepted_by_k6_when_the_settings_name_their_authority(
        self, told: Stub, tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SUITE_CA_FILE", str(tmp_path / "ca.pem"))
        result = run_with(told, tmp_path)
        assert result.error is None
        assert result.outcomes == {"200": result.requests}
