"""A real Prometheus that was started without a flag is named with its cure before any load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.errors import SuiteError
from core.ports import Endpoints, ServiceId
from infra.embedded.programs import ProgramId, ensure
from infra.external.proofs import prove
from tests.prometheus_process import NATIVE_HISTOGRAMS, REMOTE_WRITE, prometheus_at


def proven(folder: Path, features: Sequence[str]) -> str:
    program = ensure([ProgramId.PROMETHEUS])[ProgramId.PROMETHEUS]
    with prometheus_at(program, folder, features=features) as url:
        endpoints = Endpoints({ServiceId.PROMETHEUS: url.removeprefix("http://")})
        return str(prove(ServiceId.PROMETHEUS, endpoints))


class TestPrometheus:
    def test_with_both_flags_is_proven(self, tmp_path: Path) -> None:
        assert "takes remote write and native histograms" in proven(tmp_path, (REMOTE_WRITE, NATIVE_HISTOGRAMS))

    @pytest.mark.parametrize(
        ("features", "cure"),
        [
            ((), f"Start it with {REMOTE_WRITE} {NATIVE_HISTOGRAMS}."),
            ((REMOTE_WRITE,), f"Start it with {NATIVE_HISTOGRAMS}."),
            ((REMOTE_WRITE, "--enable-feature=exemplar-storage"), f"Start it with {NATIVE_HISTOGRAMS}."),
        ],
        ids=["no flag", "no native histograms", "another feature"],
    )
    def test_without_a_flag_is_not(self, tmp_path: Path, features: Sequence[str], cure: str) -> None:
        with pytest.raises(SuiteError) as caught:
            proven(tmp_path, features)
        assert caught.value.cure == cure
