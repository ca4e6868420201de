"""Take the pictures of Prefect's UI: prefect-run.png, prefect-form.png and prefect-artifacts.png of one run.

python -m docs.prefect_pictures UI FLOW_RUN_ID [--out docs]      the id is in a run's address

Prints as JSON what stood on the pages, and which addresses other than this machine's they asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, sync_playwright

from core.errors import SuiteError
from core.http import http_client
from core.ports import LOOPBACK
from docs.screenshot import FOLDER, QUIET, WIDTH, chromium, require_small

RUN, FORM, ARTIFACTS = "prefect-run.png", "prefect-form.png", "prefect-artifacts.png"
APPEARS_WITHIN_MS = 90_000
GRAPH_SETTLES_MS = 3_000
"""The run's graph is a drawing that glides to its place, and says nowhere when it is there."""
DESCRIPTION = "name or file of the target profile"
HEIGHT, FORM_HEIGHT = 900, 1720


@dataclass
class Looked:
    """What stood on each page, by picture, and who else was asked."""

    text: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)

    def note(self, request: Request) -> None:
        host = urlsplit(request.url).hostname
        if host and host != LOOPBACK:
            self.elsewhere.add(host)


def pictures(ui: str, run_id: str) -> tuple[Mapping[str, bytes], Looked]:
    """File name -> PNG; SetupError where there is no chromium or a picture is too large."""
    with http_client() as client:
        deployment = client.get(f"{ui}/api/flow_runs/{run_id}").raise_for_status().json()["deployment_id"]
    looked, taken = Looked(), {}
    run, form = f"{ui}/v2/runs/flow-run/{run_id}", f"{ui}/v2/deployments/deployment/{deployment}/run"
    pages = ((RUN, f"{run}?tab=SubflowRuns", "kafka_bot", HEIGHT), (FORM, form, DESCRIPTION, FORM_HEIGHT))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        for name, address, awaited, height in (*pages, (ARTIFACTS, f"{run}?tab=Artifacts", "report-html", HEIGHT)):
            page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
            page.on("request", looked.note)
            taken[name] = _picture(page, address, awaited, graph=name != FORM)
            looked.text[name] = page.locator("body").inner_text()
            page.close()
        browser.close()
    for name, picture in taken.items():
        require_small(name, picture)
    return taken, looked


def main(argv: Sequence[str] | None = None) -> int:
    about = "Take the pictures of Prefect's UI."
    parser = argparse.ArgumentParser(prog="python -m docs.prefect_pictures", description=about)
    parser.add_argument("ui", help="address of the UI, such as http://127.0.0.1:4200")
    parser.add_argument("run_id", help="id of the flow run, the last part of its address")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the pictures (default: docs)")
    asked = parser.parse_args(argv)
    try:
        taken, looked = pictures(asked.ui, asked.run_id)
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, picture in taken.items():
        (asked.out / name).write_bytes(picture)
    sys.stdout.write(json.dumps({"text": looked.text, "elsewhere": sorted(looked.elsewhere)}, indent=1) + "\n")
    return 0


def _picture(page: Page, address: str, awaited: str, *, graph: bool) -> bytes:
    page.goto(address)
    page.get_by_text(awaited).first.wait_for(timeout=APPEARS_WITHIN_MS)
    if graph:
        page.locator("canvas").first.wait_for(timeout=APPEARS_WITHIN_MS)
        page.wait_for_timeout(GRAPH_SETTLES_MS)
    return page.screenshot()


if __name__ == "__main__":
    sys.exit(main())
