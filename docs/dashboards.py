"""The page of both dashboards, drawn from the panels themselves."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.missing import SOURCES
from dashboards.model import Dashboard, Panel, Traffic
from dashboards.pages import dashboards
from docs.markdown import code, table
from report.panel_figures import readable
from targets.model import load_profile

TARGET = "portal"
"""The profile whose labels the committed JSON has."""
NO_DATA = (
    (
        "`... has no series (given by <exporter>: is it up, and scraped?)`",
        "Nothing of that exporter is there. Look at it in Prometheus, Status > Targets, and at its log.",
    ),
    (
        "`..., which gives <another name>: if it was renamed`",
        "The exporter is there and gives a name that looks like it. Correct the name in dashboards/queries.py.",
    ),
    (
        "`... its label 'application' is not on any of its series, but 'job' fits`",
        "The platform's label dialect is not the profile's. Set what the sentence says in the target profile "
        "(`metrics.service_label` or `metrics.container_label`) and generate the dashboards again.",
    ),
    (
        "`Prometheus takes no native histograms`, `Prometheus refuses what comes with a native histogram`",
        "Start Prometheus with `--enable-feature=native-histograms`. One that refuses keeps nothing of k6 at all.",
    ),
    (
        "`k6 wrote ..._p99 instead`",
        "k6 was started by hand without K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM=true in its environment.",
    ),
    (
        "`... which count requests without buckets`",
        "Spring's percentile histogram is off: set the property that the sentence names.",
    ),
    (
        "`its series are there, but with fewer than two samples`",
        "A rate needs two scrapes: wait, or look whether the load ended sooner.",
    ),
)
"""What a panel without data says -> what to do."""


GRAFANAS = (
    (
        "embedded",
        "none, unless `SUITE_GRAFANA_URL` names one on this machine",
        "writes to the one that is named",
    ),
    ("docker", "the project's own, started for phase 4; `SUITE_GRAFANA_URL` names another", "writes"),
    (
        "external",
        "`SUITE_GRAFANA_URL`, or the profile's `addresses.grafana`",
        "looks; `SUITE_PROVISION_GRAFANA=yes`: writes",
    ),
)
"""Backend -> which Grafana a run goes to, and what it does there."""
WRITING = """\
Writing means: a folder, a data source under a uid of its own, both dashboards with the target's labels, and the load's
windows as annotations; the second time nothing is written again, and nothing of anybody else's is changed. All of it is
read back, and each panel is asked through Grafana's data source: the check `dashboards-provisioned`. Credentials go in
`SUITE_GRAFANA_CREDENTIALS` (a token, or user:password); the project's own needs none. Where Grafana reaches Prometheus
at another address than the run does, `SUITE_GRAFANA_PROMETHEUS_URL` says it. Without a run, `dashboards/provisioning`
and `dashboards/json` are what Grafana reads from files."""


def dashboards_page() -> str:
    """docs/dashboards.md."""
    return (
        "# Dashboards\n\nTwo pages of 28 panels, written as code in `dashboards/` and generated with the labels of the "
        "target profile: `python -m dashboards.generate --target <profile>`. A run asks every panel's queries while "
        "the load runs, and its report shows both pages drawn from the answers, whether there is a Grafana or not."
        "\n\n"
        "Both have the variables `service`, `run_id` and `scenario` (All works) and `interval` (1m, 5m, 15m), lead to "
        "each other with time range and variables kept, and from latencies to Zipkin.\n\n"
        + "".join(_section(each) for each in dashboards(load_profile(TARGET).metrics))
        + "## In a Grafana\n\n"
        + table(("where", "which one", "what a run does there"), GRAFANAS)
        + f"\n{WRITING}\n\n"
        + "## A panel without data\n\nThe checks `k6-panels`, `panels-data` and `dashboard-live` name the panel and "
        "the reason, and the report shows the reason in the panel's place.\n\n"
        + table(("it says", "do"), NO_DATA)
        + "\n## Who gives which metric\n\n"
        + table(("metrics", "given by"), _sources())
    )


def _section(dashboard: Dashboard) -> str:
    head = f"## {dashboard.title}\n\n{dashboard.description}\n\n"
    columns = ("panel", "shows", "unit", "colours from", "under load")
    return head + table(columns, (_row(panel) for panel in dashboard.panels)) + "\n"


def _row(panel: Panel) -> tuple[str, ...]:
    limits = ", ".join(f"{each.colour} {readable(each.above, panel.unit)}" for each in panel.thresholds)
    moves = "moves" if panel.live else "may be constant"
    events = " (with events)" if panel.needs is Traffic.EVENTS else ""
    return f"**{panel.title}**", panel.description, code(panel.unit), limits, moves + events


def _sources() -> Iterable[tuple[str, str]]:
    return ((code(f"{each.prefix}*"), each.name) for each in SOURCES if each.prefix)
