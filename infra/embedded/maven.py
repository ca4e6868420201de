"""Programs published as Maven artifacts: one small pom a program under `maven/` says what is copied or unpacked."""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.embedded.tools import MAVEN, require, require_java
from infra.embedded.workshop import Unit, Workshop, stamp_of

POMS = Path(__file__).parent / "maven"
CURE = "Check the network and Maven's settings (`mvn -version`, ~/.m2/settings.xml), then run it again."


def maven_unit(name: str, version: str) -> Unit:
    """Run `maven/<name>/pom.xml`, which pins `version`, in the unit's folder, where it lays its artifacts."""
    pom = POMS / name / "pom.xml"

    def make(folder: Path, workshop: Workshop) -> None:
        shutil.copy(pom, folder)
        command = (require(MAVEN), "--batch-mode", "--no-transfer-progress", "package")
        workshop.run(f"fetching {name} {version}", command, cwd=folder, cure=CURE)
        shutil.rmtree(folder / "target", ignore_errors=True)

    return Unit(name, stamp_of(files=[pom]), "download", make, _require_tools)


def _require_tools() -> None:
    require(MAVEN)
    require_java()
