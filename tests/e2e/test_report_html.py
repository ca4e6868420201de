"""The page in a real browser, opened from disk: every plot is drawn, nothing is loaded, the console stays empty."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from core.checks import CHECKS, check
from core.settings import ROOT, process_environment
from core.words import Verdict
from dashboards.model import COLUMNS
from dashboards.pages import all_panels
from docs.screenshot import BYTES_MAX, DASHBOARDS, FIRST_SCREEN
from report.build import build
from report.figures import PLOTS
from report.prometheus import Line, Window
from report.render import render_all
from report.store import write_collected
from tests.report_samples import (
    METRICS,
    SERVICES,
    STARTED,
    collected,
    compared,
    facts,
    passing_checks,
    soak_report,
    write_panels,
)

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
PANELS = 28
"""Of both dashboards."""
DAY_S = 86_400.0

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
    """A run with one miss, one figure worse than before, and one series that nobody collected."""
    run_dir = tmp_path_factory.mktemp("run")
    found = collected(without=["kafka_brokers"])
    write_collected(found, run_dir)
    write_panels(run_dir)
    checks = passing_checks(a=check("ledger-coupons", Verdict.FAIL, "103 rows for a stock of 100"))
    render_all(compared(build(facts(checks=checks), found)), run_dir)
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


def pages_cpu_s(browser: Browser) -> float:
    """Processor time that all pages' processes used so far, as the browser itself counts it."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return float(sum(process["cpuTime"] for process in processes if process["type"] == "renderer"))


def draw_all(page: Page) -> None:
    """Scroll through the page, as a reader does, until every plot was drawn."""
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg, .hm'))"
    )


class TestPage:
    def test_draws_every_plot_that_has_data(self, seen: Opened) -> None:
        expected = len(PLOTS) - 1 + PANELS + 1  # and the comparison
        assert seen.page.locator(".plot").count() == expected
        assert seen.page.locator(".plot.js-plotly-plot").count() == expected

    def test_each_plot_has_a_line_or_a_cell_in_it(self, seen: Opened) -> None:
        empty = seen.page.evaluate(
            "[...document.querySelectorAll('.plot')]"
            ".filter((plot) => ![...plot.querySelectorAll('path.js-line')].some((line) => line.getAttribute('d'))"
            " && !plot.querySelector('.hm image, path.point')).map((plot) => plot.dataset.figure)"
        )
        assert empty == []

    def test_shows_28_panels_and_none_of_them_empty(self, seen: Opened) -> None:
        assert seen.page.locator("[data-panel]").count() == PANELS
        assert seen.page.locator("[data-panel] .plot.js-plotly-plot").count() == PANELS
        assert seen.page.get_by_text("No data", exact=True).count() == 0

    def test_draws_both_heatmaps_as_heatmaps(self, seen: Opened) -> None:
        drawn = seen.page.locator("[data-panel]", has=seen.page.locator(".hm image"))
        assert [drawn.nth(index).get_attribute("data-panel") for index in range(drawn.count())] == [
            "load-test-overview/k6-response-time",
            "bottleneck-detection/service-latency-heatmap",
        ]

    def test_draws_thresholds_as_dashed_lines_and_says_them(self, seen: Opened) -> None:
        panel = seen.page.locator('[data-panel="load-test-overview/k6-p95-latency-per-endpoint"]')
        dashed = panel.locator(".shapelayer path").evaluate_all(
            "lines => lines.filter((line) => (line.style.strokeDasharray || 'none') !== 'none').length"
        )
        assert dashed == 1  # the made-up lines reach 300 ms: above the first threshold, far below the second
        assert panel.locator(".limits span").all_inner_texts() == ["yellow from 50 ms", "red from 500 ms"]

    def test_names_every_line_of_a_panel(self, seen: Opened) -> None:
        panel = seen.page.locator('[data-panel="bottleneck-detection/red-request-rate-per-service"]')
        assert panel.locator(".legend tbody td:first-child").all_inner_texts() == list(SERVICES)

    def test_gives_a_line_and_its_name_the_same_colour(self, seen: Opened) -> None:
        panel = seen.page.locator('[data-panel="bottleneck-detection/red-request-rate-per-service"]')
        names = panel.locator(".legend i").evaluate_all(
            "all => all.map((each) => getComputedStyle(each).backgroundColor)"
        )
        lines = panel.locator("path.js-line").evaluate_all("all => all.map((each) => getComputedStyle(each).stroke)")
        assert len(set(names)) == len(SERVICES)
        assert names == lines

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


def places(page: Page) -> dict[str, tuple[float, float]]:
    """Panel -> (left edge, width) as shares of the dashboard's width."""
    found: dict[str, list[float]] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('[data-panel]')].map((panel) => {"
        " const [own, all] = [panel.getBoundingClientRect(), panel.parentElement.getBoundingClientRect()];"
        " return [panel.dataset.panel, [(own.left - all.left) / all.width, own.width / all.width]]; }))"
    )
    return {panel: (left, width) for panel, (left, width) in found.items()}


class TestDashboards:
    def test_stand_on_24_columns_as_in_grafana(self, browser: Browser, report_html: Path) -> None:
        page = opened(browser, report_html, "light", 1280).page
        seen = places(page)
        page.close()
        for panel in all_panels(METRICS):
            assert seen[panel.id] == pytest.approx((panel.grid.x / COLUMNS, panel.grid.w / COLUMNS), abs=0.02), panel.id

    def test_stand_one_below_the_other_on_a_phone(self, browser: Browser, report_html: Path) -> None:
        page = opened(browser, report_html, "light", 390).page
        seen = places(page)
        page.close()
        assert set(seen.values()) == {(0, 1)}

    def test_keep_the_place_of_an_empty_panel_and_say_why(self, browser: Browser, tmp_path: Path) -> None:
        page = opened(browser, drawn_run(tmp_path, without=["Kafka: Consumer Lag"]), "light", 1280).page
        assert page.locator("[data-panel]").count() == PANELS
        empty = page.locator("[data-panel]", has=page.get_by_text("No data", exact=True))
        assert empty.get_attribute("data-panel") == "load-test-overview/kafka-consumer-lag"
        assert "it has no series" in empty.inner_text()
        page.close()

    def test_of_a_day_are_drawn_with_all_series_in_less_than_five_seconds(
        self, browser: Browser, tmp_path: Path
    ) -> None:
        """24 h by a sample each 5 s, thinned: from opening the page until the last plot stands; below 15 MB.

        By the processor time of the page's own process: on an idle machine a reader waits no longer than that, and
        neighbours do not add to it.
        """
        times = (np.arange(0, DAY_S, 5) * 1000 + STARTED.timestamp() * 1000).astype(np.int64)
        noise = np.random.default_rng(1).random(len(times))
        short = collected()
        series = {
            id: [Line(line.labels, times, (noise + place) * line.values.max()) for place, line in enumerate(lines)]
            for id in short.series
            if (lines := short.lines(id))
        }
        write_panels(tmp_path, length_s=DAY_S)
        write_collected(
            replace(short, window=Window.from_epoch(times[0] / 1000, times[-1] / 1000), series=series), tmp_path
        )
        render_all(build(facts(), None), tmp_path)
        html = tmp_path / "report.html"
        assert html.stat().st_size < 15_000_000
        began_s = pages_cpu_s(browser)
        result = opened(browser, html, "light", 1280)
        result.page.evaluate("Promise.all(nodes.map(draw))")
        took_s = pages_cpu_s(browser) - began_s
        assert result.page.locator(".plot.js-plotly-plot").count() == len(PLOTS) + PANELS
        assert result.complaints == []
        assert 0.1 < took_s < 5, took_s
        result.page.close()


class TestPictures:
    def test_of_the_readme_are_taken_of_a_run_and_leave_it_alone(self, report_html: Path, tmp_path: Path) -> None:
        """In a process of its own: this one already drives a browser."""
        run_dir = report_html.parent
        before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
        command = [sys.executable, "-m", "docs.screenshot", str(run_dir), "--out", str(tmp_path / "pictures")]
        environment = process_environment(PYTHONPATH=str(ROOT))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        for name in (FIRST_SCREEN, DASHBOARDS):
            picture = (tmp_path / "pictures" / name).read_bytes()
            assert picture.startswith(b"\x89PNG")
            assert 20_000 < len(picture) <= BYTES_MAX
        assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == before


def drawn_run(run_dir: Path, without: Sequence[str] = (), length_s: float = 80.0) -> Path:
    """report.html of a run of which only the panels were kept."""
    write_panels(run_dir, without, length_s)
    render_all(build(facts(), None), run_dir)
    return run_dir / "report.html"


@pytest.fixture(scope="module", params=[("light", 1280), ("dark", 390)], ids=["light", "dark phone"])
def korean(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    run_dir = tmp_path_factory.mktemp("ko")
    report, found = soak_report()
    write_collected(found, run_dir)
    write_panels(run_dir)
    render_all(compared(report), run_dir, language="ko")
    result = opened(browser, run_dir / "report.html", *request.param)
    draw_all(result.page)
    yield result
    result.page.close()


class TestKorean:
    """The same page with Korean in it: nothing breaks, nothing is cut, everything can be read."""

    def test_page_says_so(self, korean: Opened) -> None:
        assert korean.page.evaluate("document.documentElement.lang") == "ko"
        assert korean.page.locator("h2.next").inner_text() == "다음에 할 일"

    def test_page_draws_without_complaint(self, korean: Opened) -> None:
        assert korean.complaints == []
        assert korean.page.locator(".plot.js-plotly-plot").count() == korean.page.locator(".plot").count() > PANELS

    def test_page_is_no_wider_than_the_screen(self, korean: Opened) -> None:
        assert korean.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def test_page_has_the_contrast(self, korean: Opened) -> None:
        assert korean.page.evaluate(CONTRAST) == []

    def test_trends_are_drawn_with_their_slope(self, korean: Opened) -> None:
        plot = korean.page.locator('[data-figure^="soak-mysql_connections"]')
        assert plot.locator(".scatterlayer path.js-line").count() == 2
        assert "계속 증가" in korean.page.locator("#soak tbody tr").first.inner_text()


class TestOnPaper:
    def test_is_light_although_the_screen_is_dark_and_has_no_navigation(
        self, browser: Browser, report_html: Path
    ) -> None:
        page = opened(browser, report_html, "dark", 1280).page
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        assert page.evaluate(CONTRAST) == []
        page.close()

    def test_is_printed_whole(self, browser: Browser, report_html: Path) -> None:
        """As PDF: pages of A4 with every plot in it, though nobody scrolled to them."""
        page = opened(browser, report_html, "light", 1280).page
        page.evaluate("nodes.forEach(draw)")
        printed = page.pdf(format="A4")
        assert printed.startswith(b"%PDF")
        assert 5 < printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") < 80
        page.close()


class TestPlot:
    def test_tells_its_figures_where_the_pointer_is(self, browser: Browser, report_html: Path) -> None:
        page = opened(browser, report_html, "light", 1280).page
        plot = page.locator('[data-figure="service_requests"]')
        plot.scroll_into_view_if_needed()
        plot.locator("path.js-line").first.wait_for(state="attached")
        plot.hover(position={"x": 250, "y": 100})
        label = plot.locator(".hoverlayer .legend, .hoverlayer .hovertext").first
        label.wait_for()
        assert "api-gateway" in (plot.locator(".hoverlayer").text_content() or "")
        page.close()


class TestTables:
    def test_are_all_sorted_by_any_of_their_columns(self, browser: Browser, report_html: Path) -> None:
        page = opened(browser, report_html, "light", 1280).page
        assert page.locator("table.sortable").count() >= 8
        unsorted = page.evaluate(SORTS)
        assert unsorted == []
        page.close()


class TestChecksTable:
    def test_is_sorted_by_verdict_with_one_click(self, browser: Browser, report_html: Path) -> None:
        page = opened(browser, report_html, "light", 1280).page
        rows = page.locator("#checks table.sortable").first.locator("tbody tr")
        assert rows.count() == len(CHECKS)
        page.locator("#checks table.sortable").first.get_by_role("button", name="Verdict").click()
        assert "ledger-coupons" in rows.first.inner_text()
        assert page.locator("#checks th[aria-sort=ascending]").count() == 1
        page.close()


SORTS = """
(() => {
  const wrong = [];
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const button of table.tHead.querySelectorAll("button")) {
      const column = button.closest("th").cellIndex;
      for (const sign of [1, -1]) {
        button.click();
        const keys = [...table.tBodies[0].rows].map((row) => {
          const text = row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
          return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
        });
        const numbers = keys.every((key) => typeof key === "number");
        const order = (a, b) => (numbers ? a - b : String(a).localeCompare(String(b)));
        if (keys.some((key, index) => index && sign * order(keys[index - 1], key) > 0))
          wrong.push(`${table.closest("section").id} ${button.textContent} ${sign}`);
      }
    }
  }
  return wrong;
})()
"""
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
    "h1, h2, h3, h4, li, p, dt, dd, td, th, a, b, strong, small, summary, button, code, span, footer"
  );
  return [...texts].filter((node) => node.textContent.trim() && node.offsetParent).flatMap((node) => {
    const [text, back] = [luminance(parse(getComputedStyle(node).color)), luminance(ground(node))];
    const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    return ratio < 4.5 ? [`${node.tagName} ${node.className} ${ratio.toFixed(2)}: ${node.textContent}`] : [];
  });
})()
"""
