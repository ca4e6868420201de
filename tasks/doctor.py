"""Doctor's steps: what a run would need of target and stack, looked at before any load, one finding a part."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bots.broker import Broker
from core.answers import fetch_json
from core.checks import Check, check
from core.errors import SuiteError, TargetError
from core.findings import Finding, State, lacks, lacks_by, ok, unseen, warns
from core.http import http_client
from core.ports import EXPORTERS, STORES, Endpoints, ServiceId, metric_prefix
from core.rundir import utc_now
from core.words import Verdict
from dashboards.before import empty_panels
from dashboards.engine import Engine
from dashboards.missing import never_fed
from dashboards.pages import all_panels
from dashboards.prometheus import Prometheus
from infra.external.proofs import prometheus_version, proven
from infra.verify.targets import down_targets
from report.before import gates_without_data
from report.gate_file import Gate
from targets.limits import clock_finding
from targets.model import Profile
from targets.visit import answers, visit
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("suite")
DISK_LACKS_BYTES, DISK_WARNS_BYTES = 200 * 2**20, 2 * 2**30
TAKES_EXEMPLARS = (2, 43)
"""Before that Prometheus refuses a scrape that carries exemplars on `_count`, as Spring Boot 3 gives them."""
BREAKERS = "resilience4j_circuitbreaker_state"
NOT_CLOSED = f'{BREAKERS}{{state=~"open|half_open|forced_open"}} == 1'


@dataclass(frozen=True)
class Patient:
    """What doctor looks at: the target at its endpoints, what it will be asked for, and where the run will be kept."""

    profile: Profile
    scenarios: tuple[str, ...]
    gates: Mapping[str, Gate]
    kept_in: Path
    backend: str = "external"

    @property
    def endpoints(self) -> Endpoints:
        return self.profile.endpoints()

    def names(self, service: ServiceId) -> bool:
        return service in self.profile.addresses


@step
def look_before_load(run: Run) -> Check:
    """In a run, once everything is up and seeded: the target's routes, breakers and clocks, the gates' series."""
    patient = Patient(run.profile, run.scenarios, run.gates, run.directory.path)
    findings = [*target_findings(patient), *prometheus_findings(patient)]
    for finding in findings:
        log.log(logging.INFO if finding.state is State.OK else logging.WARNING, "%s %s", finding.state, finding)
        if finding.state is State.LACKS:
            run.fail(TargetError(finding.seen, where=finding.part, cure=finding.cure))
    return doctor_check(findings)


def doctor_check(findings: list[Finding]) -> Check:
    """`doctor`: ERROR with every part that lacks, NO_DATA where nothing could be seen, else PASS with its warnings."""
    wrong = [finding for finding in findings if finding.state is not State.OK]
    good = f"{len(findings) - len(wrong)} of {len(findings)} parts are as the profile says"
    lacking = [finding for finding in wrong if finding.state is State.LACKS]
    said = "; ".join(f"{finding.state} {finding}" for finding in lacking or wrong)
    parts = [f"{finding.state} {finding}" for finding in findings]
    seen = any(finding.state is not State.UNSEEN for finding in findings)
    verdict = Verdict.ERROR if lacking else Verdict.PASS if seen else Verdict.NO_DATA
    return check("doctor", verdict, f"{good}; {said}" if said else good, parts=parts)


@step
def examine(patient: Patient) -> list[Finding]:
    """Everything: stack, target, topics, series, clocks and disk."""
    return list(everything(patient))


def everything(patient: Patient) -> Iterator[Finding]:
    if patient.backend != "external" and not answers(patient.profile):
        cure = "The suite starts it by itself; to look before that, `make stack-up` first."
        yield lacks("stack", f"nothing answers at {patient.profile.base_url}", cure)
        yield disk_finding(patient.kept_in)
        return
    yield from stack_findings(patient)
    yield from target_findings(patient)
    yield from kafka_findings(patient)
    yield from prometheus_findings(patient)
    yield disk_finding(patient.kept_in)


def stack_findings(patient: Patient) -> Iterator[Finding]:
    """Every part that the profile names is what it has to be; those that it does not name are said."""
    named = [service for service in patient.profile.addresses if service is not ServiceId.KAFKA_BOT]
    good, bad = proven(named, patient.endpoints)
    yield from (ok(service, str(proof)) for service, proof in good.items())
    yield from (lacks_by(service, error) for service, error in bad.items())
    if not patient.names(ServiceId.PROMETHEUS):
        yield lacks("prometheus", "the profile names none", "Add addresses.prometheus: all is judged by its series.")
    parts = [*STORES, ServiceId.ZIPKIN, *EXPORTERS]
    if unnamed := [service for service in parts if not patient.names(service)]:
        yield ok("not named", f"{', '.join(unnamed)}: what needs them is SKIPPED")


def target_findings(patient: Patient) -> list[Finding]:
    """One request a route, a login, a short burst."""
    return visit(patient.profile, patient.scenarios)


def kafka_findings(patient: Patient) -> Iterator[Finding]:
    """The topic is there, and its group has committed."""
    if not patient.names(ServiceId.KAFKA):
        return
    events = patient.profile.events
    try:
        with Broker(patient.endpoints[ServiceId.KAFKA]) as broker:
            broker.require_topic(events.topic)
            lag = broker.lag_records(events.consumer_group, events.topic)
    except SuiteError as error:
        yield lacks("topic", error.what, "Correct events.topic in the profile, or start what creates it.")
        return
    yield ok("topic", events.topic)
    if lag is None:
        seen = f"{events.consumer_group} has committed nothing of {events.topic}: its lag cannot be seen"
        yield warns("consumer group", seen, "Correct events.consumer_group in the profile, or start the consumer.")
    else:
        yield ok("consumer group", f"{events.consumer_group} is {lag} records behind")


def prometheus_findings(patient: Patient) -> Iterator[Finding]:
    """Its clock, the breakers and targets as it sees them, and the series that gates and panels need."""
    if not patient.names(ServiceId.PROMETHEUS):
        return
    with closing(Engine.of(patient.endpoints.url(ServiceId.PROMETHEUS), patient.profile.metrics).prometheus) as asked:
        try:
            yield from _seen_by_prometheus(patient, asked)
        except SuiteError as error:
            yield unseen("series", error.what, error.cure)


def _seen_by_prometheus(patient: Patient, prometheus: Prometheus) -> Iterator[Finding]:
    yield _clock(patient)
    yield from _breakers(prometheus)
    yield from _scrapes(patient)
    yield from _panels(patient)
    yield from _gates(patient, prometheus)


def _clock(patient: Patient) -> Finding:
    with http_client() as client:
        url = patient.endpoints.url(ServiceId.PROMETHEUS, "/api/v1/query")
        told = fetch_json(client, url, params={"query": "time()"})
        return clock_finding("prometheus clock", float(told["data"]["result"][1]) - utc_now().timestamp())


def _breakers(prometheus: Prometheus) -> Iterator[Finding]:
    """Nothing where the platform has none. A run begins with every breaker closed (platform.md 12)."""
    now = utc_now().timestamp()
    if not prometheus.count(BREAKERS, now):
        return
    away = sorted({f"{row.labels.get('name')} is {row.labels['state']}" for row in prometheus.instant(NOT_CLOSED, now)})
    cure = "Mend what is behind it; after 10 s of quiet a few good calls close it. Then look again."
    yield lacks("circuit breakers", ", ".join(away), cure) if away else ok("circuit breakers", "all closed")


def _scrapes(patient: Patient) -> Iterator[Finding]:
    """Scrapes of the services that fail, and the version of Prometheus that may be why."""
    url = patient.endpoints.url(ServiceId.PROMETHEUS)
    down = down_targets(patient.endpoints, patient.profile.metrics.services)
    if not down:
        return
    with http_client() as client:
        version = fetch_json(client, f"{url}/api/v1/status/buildinfo").get("data", {}).get("version", "")
    cure = "See Prometheus, Status > Targets."
    if prometheus_version(version) < TAKES_EXEMPLARS:
        cure += (
            f" Prometheus {version} refuses exemplars on _count, which Spring Boot 3 gives: 2.43 or newer takes them."
        )
    yield warns("scrapes", "; ".join(down), cure)


def _panels(patient: Patient) -> Iterator[Finding]:
    metrics = patient.profile.metrics
    absent = [metric_prefix(exporter) for exporter in EXPORTERS if not patient.names(exporter)]
    engine = Engine.of(patient.endpoints.url(ServiceId.PROMETHEUS), metrics)
    with closing(engine.prometheus):
        causes = empty_panels(engine, all_panels(metrics), metrics, absent, utc_now().timestamp())
    if not causes:
        yield ok("panels", "every series that they need is there")
    for cause, taken in causes.items():
        yield warns("panels", f"{', '.join(taken.panels)}: {cause}: {', '.join(taken.metrics)}", "")


def _gates(patient: Patient, prometheus: Prometheus) -> Iterator[Finding]:
    now = utc_now().timestamp()

    def why(query: str) -> str:
        lacking = {} if prometheus.instant(query, now) else never_fed(prometheus, query, now)
        return "; ".join(f"{metric}: {cause}" for metric, cause in lacking.items())

    causes = gates_without_data(patient.profile, patient.gates, why)
    if not causes:
        yield ok("gates", f"the series of all {len(patient.gates)} are there, but for those that the load makes")
    for cause, ids in causes.items():
        yield warns("gates", f"{', '.join(ids)} will be NO_DATA: {cause}", "")


def disk_finding(folder: Path) -> Finding:
    """Room for the run directory."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    seen, cure = f"{free / 2**30:.1f} GiB free at {existing}", "Free some space, or give --run-dir."
    if free < DISK_LACKS_BYTES:
        return lacks("disk", seen, cure)
    return warns("disk", seen, cure) if free < DISK_WARNS_BYTES else ok("disk", seen)
