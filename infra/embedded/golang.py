"""Programs built from Go modules: one module a program under `go/`, so that versions do not pull on each other."""

from __future__ import annotations

from pathlib import Path

from infra.embedded.tools import GO, require, require_go
from infra.embedded.workshop import Unit, Workshop, stamp_of

MODULES = Path(__file__).parent / "go"
FLAGS = ("-trimpath", "-ldflags=-s -w")
ENV = {"CGO_ENABLED": "0", "GOWORK": "off"}
CURE = "Check the network and Go's proxy settings (`go env GOPROXY`), then run it again: what was fetched is kept."


def go_unit(name: str, version: str, package: str) -> Unit:
    """Build `package` from the module `go/<name>`, which pins `version`, to the binary `<folder>/<name>`."""
    module = MODULES / name
    recipe = [module / "go.mod", module / "go.sum", *module.glob("*.go")]

    def make(folder: Path, workshop: Workshop) -> None:
        workshop.run(
            f"building {name} v{version}",
            (require(GO), "build", *FLAGS, "-o", str(folder / name), package),
            cwd=module,
            env=ENV,
            cure=CURE,
        )

    return Unit(name, stamp_of(package, *FLAGS, files=recipe), "build", make, require_go)
