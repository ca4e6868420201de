"""The page in a real browser, opened from disk: every plot is drawn, nothing is loaded, the console stays empty."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from core.checks import CHECKS, check
from core.words import Verdict
from report.build import build
from report.figures import PLOTS
from report.render import render_all
from report.store import write_collected
from tests.report_samples import collected, facts, passing_checks, write_panels

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PANELS_WITH_DATA = 5
"""`write_panels` makes six panels, one of them without data."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


@dataclass
class Opened:
    """A page, and what it did that it should not."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report_html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one miss and one series that nobody collected."""
    run_dir = tmp_path_factory.mktemp("run")
    found = collected(without=["kafka_brokers"])
    write_collected(found, run_dir)
    write_panels(run_dir)
    checks = passing_checks(a=check("ledger-coupons", Verdict.FAIL, "103 rows for a stock of 100"))
    render_all(build(facts(checks=checks), found), run_dir)
    return run_dir / "report.html"


def opened(browser: Browser, html: Path, colours: str, width: int) -> Opened:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)  # type: ignore[arg-type]
    result = Opened(page)
    page.on("console", lambda message: result.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: result.complaints.append(str(error)))
    page.on("request", lambda request: result.loads.append(request.url))
    page.goto(html.as_uri())
    return result


@pytest.fixture(
    scope="module", params=[("light", 1280), ("dark", 1280), ("light", 390)], ids=["light", "dark", "phone"]
)
def seen(request: pytest.FixtureRequest, browser: Browser, report_html: Path) -> Iterator[Opened]:
    colours, width = request.param
    result = opened(browser, report_html, colours, width)
    draw_all(result.page)
    yield result
    result.page.close()


def draw_all(page: Page) -> None:
    """Scroll through the page, as a reader does, until every plot was drawn."""
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg, .hm'))"
    )


class TestPage:
    def test_draws_every_plot_that_has_data(self, seen: Opened) -> None:
        expected = len(PLOTS) - 1 + PANELS_WITH_DATA
        assert seen.page.locator(".plot").count() == expected
        assert seen.page.locator(".plot.js-plotly-plot").count() == expected

    def test_each_plot_has_a_line_or_a_cell_in_it(self, seen: Opened) -> None:
        empty = seen.page.evaluate(
            "[...document.querySelectorAll('.plot')]"
            ".filter((plot) => ![...plot.querySelectorAll('path.js-line')].some((line) => line.getAttribute('d'))"
            " && !plot.querySelector('.hm image')).map((plot) => plot.dataset.figure)"
        )
        assert empty == []

    def test_complains_about_nothing_and_loads_only_itself(self, seen: Opened, report_html: Path) -> None:
        assert seen.complaints == []
        assert [url for url in seen.loads if not url.startswith(("data:", "blob:"))] == [report_html.as_uri()]

    def test_is_no_wider_than_the_screen(self, seen: Opened) -> None:
        assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def test_first_screen_holds_verdict_facts_and_next_step(self, seen: Opened) -> None:
        assert "FAIL" in seen.page.locator("h1").inner_text()
        assert seen.page.locator(".facts > div").count() == 3
        seen.page.evaluate("window.scrollTo(0, 0)")
        first = seen.page.locator(".steps li").first
        assert "ledger-coupons" in first.inner_text()
        box = first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900

    def test_text_has_the_contrast_that_accessibility_asks_for(self, seen: Opened) -> None:
        """WCAG 2 AA: 4.5 to 1 for text, measured on the colours that the browser computed."""
        assert seen.page.evaluate(CONTRAST) == []


class TestChecksTable:
    def test_is_sorted_by_verdict_with_one_click(self, browser: Browser, report_html: Path) -> None:
        page = opened(browser, report_html, "light", 1280).page
        rows = page.locator("#checks table.sortable tbody tr")
        assert rows.count() == len(CHECKS)
        page.locator("#checks table.sortable").get_by_role("button", name="Verdict").click()
        assert "ledger-coupons" in rows.first.inner_text()
        assert page.locator("#checks th[aria-sort=ascending]").count() == 1
        page.close()


CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = document.querySelectorAll(
    "h1, h2, h3, p, dt, dd, td, th, a, b, strong, summary, .badge, .state, footer"
  );
  return [...texts].filter((node) => node.textContent.trim() && node.offsetParent).flatMap((node) => {
    const [text, back] = [luminance(parse(getComputedStyle(node).color)), luminance(ground(node))];
    const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    return ratio < 4.5 ? [`${node.tagName} ${node.className} ${ratio.toFixed(2)}: ${node.textContent}`] : [];
  });
})()
"""
