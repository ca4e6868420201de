"""Checks: one claim with its evidence and a verdict. Ids are fixed, because nights are compared.

The registry below is the only list of check ids; `needs` says which checks block it (a verification check that is
FAIL or NO_DATA makes every check that needs it NO_DATA, "blocked by <id>"; architecture.md, "How a run flows").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.words import Kind, Phase, Verdict

SCENARIOS = {
    "a": "a-shopping-flow",
    "b": "b-blog-read",
    "c": "c-coupon-spike",
    "d": "d-search-load",
    "e": "e-cache-thundering",
}
"""Scenario letter -> script name, the design's own (section 4.1)."""


@dataclass(frozen=True)
class CheckSpec:
    """What a check claims, before anything was looked at."""

    id: str
    phase: Phase | None  # None: belongs to the run as a whole
    kind: Kind
    claim: str
    needs: tuple[str, ...] = ()


def _verify(id: str, phase: Phase | None, claim: str, needs: tuple[str, ...] = ()) -> CheckSpec:
    return CheckSpec(id, phase, Kind.VERIFICATION, claim, needs)


def _objective(id: str, phase: Phase | None, claim: str, needs: tuple[str, ...] = ()) -> CheckSpec:
    return CheckSpec(id, phase, Kind.OBJECTIVE, claim, needs)


_UP = ("exporter-metrics", "prometheus-targets")
CHECKS: Mapping[str, CheckSpec] = {
    spec.id: spec
    for spec in (
        _verify(
            "exporter-metrics",
            Phase.EXPORTERS,
            "every exporter answers 200 with the metrics of design section 2.4, at plausible values",
        ),
        _verify("prometheus-targets", Phase.EXPORTERS, "Prometheus says that every scrape target is UP"),
        _verify(
            "zipkin-es-index",
            Phase.TRACING,
            "the trace of a request made by this check is read back from Zipkin, and its index exists in Elasticsearch",
            _UP,
        ),
        _verify(
            "seed-readback",
            Phase.LOAD,
            "users, products, search words, posts and the limited coupon are there, read back from the target",
            ("zipkin-es-index",),
        ),
        _verify(
            "doctor",
            Phase.LOAD,
            "before any load the target answers as its profile says: routes, response paths, users, clocks, breakers; "
            "what could not be looked at, and what gates and panels will lack, is named",
            ("seed-readback",),
        ),
        _verify(
            "k6-run",
            Phase.LOAD,
            "k6 ended by itself (exit 0 or 99) and the series of every scenario are in Prometheus",
            ("seed-readback", "doctor"),
        ),
        *(
            _objective(
                f"scenario-{letter}-thresholds",
                Phase.LOAD,
                f"every threshold of scenario {name} held, and each had samples",
                ("k6-run",),
            )
            for letter, name in SCENARIOS.items()
        ),
        _verify("generator-valid", Phase.LOAD, "the load generator offered the load it was asked for", ("k6-run",)),
        _objective(
            "ledger-coupons",
            Phase.LOAD,
            "coupons answered 200 = rows in the database = members in Redis, at most the stock, nobody twice",
            ("k6-run",),
        ),
        _objective(
            "ledger-orders",
            Phase.LOAD,
            "orders answered 200 = rows = events on the topic = notifications, none in the dead-letter topic",
            ("k6-run",),
        ),
        _objective(
            "traces-complete",
            Phase.LOAD,
            "requests that this check made beside the load have their whole trace in Zipkin",
            ("zipkin-es-index",),
        ),
        _objective("cache-single-flight", Phase.LOAD, "an expired key is loaded once from its origin", ("k6-run",)),
        _verify("k6-panels", Phase.LOAD, "the k6 panels of Load Test Overview had data under load", ("k6-run",)),
        _verify("panels-data", Phase.DASHBOARDS, "every panel of both dashboards answered with data", ("k6-run",)),
        _verify(
            "dashboards-provisioned",
            Phase.DASHBOARDS,
            "both dashboards are in Grafana as generated, read back, and their panels answer through it "
            "(with the external backend it is only looked at, unless SUITE_PROVISION_GRAFANA=yes)",
        ),
        _verify(
            "dashboard-live",
            Phase.DASHBOARDS,
            "the live panels of Bottleneck Detection moved under load",
            ("panels-data",),
        ),
        _verify("kafka-bot-rate", Phase.KAFKA_BOT, "the bot reached its rate within 0.5 %", _UP),
        _verify(
            "kafka-bot-accounting",
            Phase.KAFKA_BOT,
            "every message sent was acknowledged and is in the topic's log, once",
            ("kafka-bot-rate",),
        ),
        _objective(
            "kafka-lag-drains",
            Phase.KAFKA_BOT,
            "the consumer group's lag stayed below its bound and went back to 0",
            ("kafka-bot-rate",),
        ),
        _objective(
            "soak-trends",
            None,
            "under a steady load of ten minutes or more nothing grows on that would be used up within a week",
        ),
        _verify(
            "stack-alive",
            None,
            "every service has the same process at both ends of the run and none died between",
        ),
        _verify("teardown-clean", None, "what this run started is gone, what it did not start is untouched"),
    )
}

VERIFICATION_PLAN = (
    "exporter-metrics",
    "prometheus-targets",
    "zipkin-es-index",
    "k6-run",
    "k6-panels",
    "kafka-bot-rate",
    "dashboard-live",
)
"""The seven rows of the design's Verification Plan (section 10), in their order."""


class Check(BaseModel):
    """A check's result, as it stands in report.json."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind
    phase: Phase | None
    verdict: Verdict
    claim: str
    observed: str = Field(description="what was seen, in one sentence")
    evidence: dict[str, Any] = Field(default_factory=dict, description="figures and names read back")

    @property
    def blocks(self) -> bool:
        """Only a verification that is FAIL, ERROR or NO_DATA blocks what needs it; a missed objective never does."""
        return self.kind is Kind.VERIFICATION and self.verdict in (
            Verdict.FAIL,
            Verdict.NO_DATA,
            Verdict.ERROR,
        )


def check(id: str, verdict: Verdict, observed: str, **evidence: Any) -> Check:
    """A result for the registered check `id`."""
    spec = CHECKS[id]
    return Check(
        id=id,
        kind=spec.kind,
        phase=spec.phase,
        verdict=verdict,
        claim=spec.claim,
        observed=observed,
        evidence=evidence,
    )


def passed_if(id: str, good: bool, observed: str, **evidence: Any) -> Check:
    """PASS or FAIL for the registered check `id`."""
    return check(id, Verdict.PASS if good else Verdict.FAIL, observed, **evidence)


def blockers(id: str, results: Mapping[str, Check]) -> tuple[str, ...]:
    """Ids of the checks that stand in the way of check `id`, given the results so far."""
    return tuple(need for need in CHECKS[id].needs if need in results and results[need].blocks)


def blocked(id: str, by: Iterable[str]) -> Check:
    """NO_DATA for check `id`: nothing was looked at, because of `by`."""
    return check(id, Verdict.NO_DATA, f"blocked by {', '.join(by)}")


def of_phase(phase: Phase) -> tuple[CheckSpec, ...]:
    """The registered checks of one phase, in their order."""
    return tuple(spec for spec in CHECKS.values() if spec.phase is phase)
