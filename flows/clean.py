"""Remove later what a run made on its target: rows, coupon, carts, and its annotations in Grafana.

python -m flows.clean runs/<run id>       exit code 0: nothing is left, 1: something is, 2: it could not be done
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from core.errors import SuiteError
from core.ports import ServiceId
from core.reach import reaching
from core.settings import Settings
from core.words import EXIT_CODES, Verdict
from dashboards.grafana import Grafana
from dashboards.provision import remove_annotations
from targets.adapter import adapter_for
from targets.guard import refuse_unless_allowed, require_allowed, require_consent
from targets.made import Made
from targets.model import Profile, load_profile
from tasks.blocks import read_block
from tasks.clean import remove


def main(argv: Sequence[str] | None = None) -> int:
    """Clean up after the run in the given directory; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.clean", description="Remove what a run made on its target.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="such as runs/latest")
    parser.add_argument("--i-mean", metavar="NAME", help="the name of a production target, typed for this time")
    given = parser.parse_args(argv)
    console = Console(highlight=False, soft_wrap=True)
    try:
        left = clean(given.run_dir, given.i_mean)
    except SuiteError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]ERROR[/] {escape(str(error))}")
        return EXIT_CODES[Verdict.ERROR]
    console.print("; ".join(left) or "nothing that the run made is left")
    return EXIT_CODES[Verdict.FAIL if left else Verdict.PASS]


def clean(run_dir: Path, i_mean: str | None = None) -> Sequence[str]:
    """What is still left; TargetRefused or ConfigError before anything is sent, TargetError when nothing answers."""
    made = Made.read(run_dir)
    profile = load_profile(made.target, read_block).model_copy(update={"addresses": made.addresses})
    require_consent(profile, i_mean)
    refuse_unless_allowed(profile)
    with reaching(profile.reach):
        complaints, left = remove(adapter_for(profile), made.fixtures)
        _remove_annotations(profile, made.run_id)
    made.model_copy(update={"left": left}).write(run_dir)
    return complaints


def _remove_annotations(profile: Profile, run_id: str) -> None:
    settings = Settings()
    url = settings.grafana_url or profile.addresses.get(ServiceId.GRAFANA)
    if url:
        require_allowed(url, "Grafana")
        with closing(Grafana(url, settings.grafana_credentials)) as grafana:
            remove_annotations(grafana, run_id)


if __name__ == "__main__":
    sys.exit(main())
