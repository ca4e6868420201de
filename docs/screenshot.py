"""Take the README's pictures from a run's report: report.png (its first screen), dashboards.png (Load Test Overview).

python -m docs.screenshot [runs/<id>] [--out docs]      needs chromium; exit code 2 where it, or the run, is missing

The report is drawn again by the code of this checkout, beside the run: the run directory is not touched.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from core.errors import SetupError, SuiteError
from core.settings import Settings
from report.model import read_report
from report.render import render_all

FOLDER = Path(__file__).parent
CHROMIUM = ("chromium", "chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
)
WIDTH, HEIGHT = 1280, 900
BYTES_MAX = 400_000
"""A README's picture is loaded by everyone who opens it."""
FIRST_SCREEN, DASHBOARDS = "report.png", "dashboards.png"
EVERY_PANEL = "[...document.querySelectorAll('[data-panel] .plot')]"


def pictures(html: Path) -> Mapping[str, bytes]:
    """File name -> PNG; SetupError where there is no chromium, or a picture is larger than BYTES_MAX."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(html.as_uri())
        taken = {FIRST_SCREEN: page.screenshot(), DASHBOARDS: _dashboards(page)}
        browser.close()
    for name, picture in taken.items():
        require_small(name, picture)
    return taken


def require_small(name: str, picture: bytes) -> None:
    """SetupError when the picture is larger than BYTES_MAX."""
    if len(picture) > BYTES_MAX:
        cure = "Take it of a shorter run, or of fewer panels."
        raise SetupError(f"{name} has {len(picture):,} bytes, more than {BYTES_MAX:,}", where="docs", cure=cure)


def chromium() -> str:
    """Path of the browser; SetupError where there is none."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        raise SetupError("no chromium on this machine", where="docs.screenshot", cure="apt-get install chromium")
    return found


def drawn_again(run_dir: Path, folder: Path) -> Path:
    """report.html of the run, drawn into `folder`."""
    report = read_report(run_dir / "report.json")
    shutil.copytree(run_dir / "metrics", folder / "metrics")
    render_all(report, folder)
    return folder / "report.html"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.screenshot", description="Take the README's pictures.")
    latest = Settings().runs_dir / "latest"
    parser.add_argument("run_dir", type=Path, nargs="?", default=latest, help="default: runs/latest")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the pictures (default: docs)")
    asked = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            taken = pictures(drawn_again(asked.run_dir, Path(folder)))
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, picture in taken.items():
        (asked.out / name).write_bytes(picture)
        sys.stdout.write(f"wrote {asked.out / name} ({len(picture):,} bytes)\n")
    return 0


def _dashboards(page: Page) -> bytes:
    """Load Test Overview with every panel drawn, without the panels' explanations."""
    page.evaluate(f"Promise.all({EVERY_PANEL}.map(draw))")
    page.add_style_tag(content="nav { display: none !important; } .panel figcaption p { display: none; }")
    page.evaluate(f"Promise.all({EVERY_PANEL}.map((plot) => Plotly.Plots.resize(plot)))")
    return page.locator("#load-test-overview").screenshot()


if __name__ == "__main__":
    sys.exit(main())
