"""Phase 4's claims: every panel had data and live panels moved under load, and what a Grafana shows of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from core.checks import Check, check, passed_if
from core.words import Verdict
from dashboards import bottleneck_detection, load_test_overview
from dashboards.engine import State
from dashboards.missing import BUCKETS, fed_only_by
from dashboards.model import Traffic
from dashboards.provision import Provisioned
from dashboards.sampler import PanelSamples, Samples
from targets.model import Metrics

ANY_TRAFFIC = tuple(Traffic)
PROVISIONED = "dashboards-provisioned"


def k6_panels_check(samples: Samples) -> Check:
    """`k6-panels`: the k6 panels of Load Test Overview had data under load."""
    k6 = [each for each in samples.panels if load_test_overview.is_k6(each.panel)]
    return _data_check("k6-panels", k6, ANY_TRAFFIC)


def panels_data_check(samples: Samples, traffic: Collection[Traffic] = ANY_TRAFFIC) -> Check:
    """`panels-data`: every panel that the load's `traffic` feeds had data."""
    return _data_check("panels-data", samples.panels, traffic)


def dashboard_live_check(samples: Samples, traffic: Collection[Traffic] = ANY_TRAFFIC) -> Check:
    """`dashboard-live`: every live panel of Bottleneck Detection that the load's `traffic` feeds moved."""
    mine = [each for each in samples.panels if each.panel.dashboard == bottleneck_detection.UID and each.panel.live]
    asked = [each for each in mine if each.panel.needs in traffic]
    if unanswered := _unanswered("dashboard-live", asked):
        return unanswered
    still = [each for each in asked if each.state is not State.LIVE]
    observed = f"{len(asked) - len(still)} of {len(asked)} live panels moved under load"
    reasons = [f"{each.panel.title}: {each.cause or 'stayed at one value'}" for each in still]
    return check(
        "dashboard-live",
        _lacking_verdict(still),
        _sentence(observed, reasons),
        **_evidence(mine),
        not_fed=_not_fed(mine, traffic),
    )


def not_provisioned_check(why: str) -> Check:
    """`dashboards-provisioned` where there is no Grafana."""
    return check(PROVISIONED, Verdict.SKIPPED, f"{why}; the panels' queries were asked directly")


def dashboards_provisioned_check(found: Provisioned, samples: Samples | None = None) -> Check:
    """`dashboards-provisioned`: PASS without problems; a panel fails it that had data in Prometheus and none here."""
    problems = [*found.problems, *_panel_problems(found, samples)]
    return passed_if(
        PROVISIONED,
        not problems,
        " ".join((f"{_provisioned(found)}.", *problems)),
        grafana=found.version,
        address=found.url,
        done=found.done,
        links=found.links,
        annotations=found.annotations,
        panels={each.panel.id: each.state.value for each in found.panels},
    )


def without(samples: Samples, metrics: Metrics, absent: Collection[str]) -> Samples:
    """The samples but for panels that have no data and are fed only by metrics whose names start as in `absent`."""
    fed = [each for each in samples.panels if each.state.has_data or not fed_only_by(each.panel, metrics, absent)]
    return replace(samples, panels=tuple(fed))


def panel_verdict(seen: PanelSamples, traffic: Collection[Traffic] = ANY_TRAFFIC) -> tuple[Verdict, str]:
    """(verdict, reason) of one panel: NO_DATA without data, FAIL where it had to move and did not."""
    if not seen.state.has_data and seen.panel.needs not in traffic:
        return Verdict.SKIPPED, f"this load made no {seen.panel.needs}"
    if not seen.state.has_data:
        return Verdict.NO_DATA, seen.error or seen.cause
    if seen.panel.live and seen.panel.needs in traffic and seen.state is State.CONSTANT:
        return Verdict.FAIL, "stayed at one value under load"
    return Verdict.PASS, ""


def _data_check(id: str, panels: Sequence[PanelSamples], traffic: Collection[Traffic]) -> Check:
    if unanswered := _unanswered(id, panels):
        return unanswered
    asked = [each for each in panels if each.state.has_data or each.panel.needs in traffic]
    without = [each for each in asked if not each.state.has_data]
    observed = f"{len(asked) - len(without)} of {len(asked)} panels had data under load"
    reasons = [f"{each.panel.title} ({each.state}): {each.error or each.cause}" for each in without]
    verdict = _lacking_verdict(without)
    return check(id, verdict, _sentence(observed, reasons), **_evidence(panels), not_fed=_not_fed(panels, traffic))


def _lacking_verdict(lacking: Sequence[PanelSamples]) -> Verdict:
    """NO_DATA where all that lacks is what the target is set not to give (the sentence has the cure), else FAIL."""
    if not lacking:
        return Verdict.PASS
    not_given = all(not each.state.has_data and BUCKETS in each.cause for each in lacking)
    return Verdict.NO_DATA if not_given else Verdict.FAIL


def _unanswered(id: str, panels: Sequence[PanelSamples]) -> Check | None:
    """NO_DATA when Prometheus never answered, or nobody asked."""
    if any(each.answered for each in panels):
        return None
    looks = max((each.looks for each in panels), default=0)
    error = next((each.error for each in panels if each.error), "the sampler took no look")
    return check(id, Verdict.NO_DATA, f"none of {looks} looks was answered: {error}", looks=looks)


def _sentence(observed: str, reasons: Sequence[str]) -> str:
    return f"{observed}. {'. '.join(reasons)}." if reasons else observed


def _evidence(panels: Sequence[PanelSamples]) -> Mapping[str, object]:
    looks = [each.looks for each in panels]
    return {"panels": {each.panel.id: each.state.value for each in panels}, "looks": max(looks, default=0)}


def _not_fed(panels: Sequence[PanelSamples], traffic: Collection[Traffic]) -> list[str]:
    return [each.panel.id for each in panels if each.panel.needs not in traffic]


def _provisioned(found: Provisioned) -> str:
    """What was done and seen, in one sentence."""
    empty = [each.panel.title for each in found.panels if not each.state.has_data]
    filled = f"{len(found.panels) - len(empty)} of {len(found.panels)} panels answered with data"
    only = "looked at only, nothing was written (SUITE_PROVISION_GRAFANA)"
    parts = [f"{what} {how}" for what, how in found.done.items()] if found.wrote else [only]
    parts += [f"{filled} (empty: {', '.join(empty)})" if empty else filled] if found.panels else []
    parts += [f"{found.annotations} annotations"] if found.annotations else []
    name = f"Grafana ({found.version})" if found.version else "Grafana"
    return f"{name} at {found.url}: {', '.join(parts) or 'nothing was written'}"


def _panel_problems(found: Provisioned, samples: Samples | None) -> Iterator[str]:
    """A sentence a cause, with the panels that it empties."""
    for error in dict.fromkeys(each.error for each in found.panels if each.error):
        yield f"{_titles(found, error)}: the data source answered '{error}'."
    had_data = {each.panel.id for each in samples.panels if each.state.has_data} if samples else set()
    empty = [each for each in found.panels if not each.error and not each.state.has_data and each.panel.id in had_data]
    if empty:
        names = ", ".join(each.panel.title for each in empty)
        cure = "Does its data source name the run's Prometheus (SUITE_GRAFANA_PROMETHEUS_URL)?"
        yield f"Data in Prometheus but none through Grafana: {names}. {cure}"


def _titles(found: Provisioned, error: str) -> str:
    return ", ".join(each.panel.title for each in found.panels if each.error == error)
