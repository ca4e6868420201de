"""One run: what it was asked for, where it happens, and what it has found so far."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from bots.plan import BotResult
from core.checks import Check, blocked, blockers, check, of_phase
from core.errors import LoadError, SuiteError, known_error
from core.ports import Endpoints, ServiceId
from core.request import Request
from core.rundir import RunDirectory, iso, utc_now
from core.words import Phase, Verdict, worst_of_phase
from dashboards.sampler import Samples
from infra.stack import Backend, Identity
from infra.verify.tracing import TraceProbes
from k6.model import ScenarioResult
from report.gate_file import Gate
from report.store import Collected
from targets.adapter import Fixtures, LoadUser
from targets.budget import Limits
from targets.load import Load
from targets.made import Made
from targets.model import Profile


@dataclass
class PhaseRecord:
    """When a phase ran and what came of it."""

    phase: Phase
    started: datetime
    ended: datetime | None = None
    note: str = ""


class Interrupted(SuiteError):
    """Somebody asked the run to stop; what was found so far is reported."""


class Run:
    """The state of one run. Flows pass it on; only `record` and `fail` add findings.

    A plain class, not a model: Prefect looks into models and dataclasses for futures, and there are none here.
    """

    def __init__(
        self,
        request: Request,
        profile: Profile,
        load: Load,
        directory: RunDirectory,
        backend: Backend,
        gates: Mapping[str, Gate],
    ) -> None:
        self.request = request
        self.profile = profile
        self.load = load
        self.directory = directory
        self.backend = backend
        self.gates = gates
        self.endpoints: Endpoints = profile.endpoints()
        self.started = utc_now()
        self.stop = threading.Event()
        self.stopped_by = 0  # number of the signal
        self.without_prefect = False  # its server has gone; this run goes on
        self.braked = ""  # why the load was ended for the target's sake
        self.limits = Limits(profile)
        self.made: Made | None = None  # on the target
        self.same_until_s = 0.0  # by the monotonic clock: a signal until then is the same wish
        self.flow_run: str | None = None  # Prefect's id
        self.lock: IO[bytes] | None = None  # of the run directory; the kernel lets go of it with this process
        self.keep: Callable[[], None] = lambda: None  # writes the journal
        self.begun: dict[str, datetime] = {}  # part of the load -> when it was about to be put
        self.cut_off: datetime | None = None  # a resumed run: when the one before was last heard of
        self.earlier: Mapping[str, Check] = {}  # a resumed run: what the one before had found
        self.results: dict[str, Check] = {}
        self.errors: list[SuiteError] = []
        self.phases: list[PhaseRecord] = []
        self.identities: dict[str, Identity] = {}
        self.fixtures: Fixtures | None = None
        self.not_applicable: Mapping[str, str] = {}  # scenario letter -> why, by what seeding found
        self.faults_on = False
        self.load_users: tuple[LoadUser, ...] = ()  # C's, in the order of its iterations
        self.probes: TraceProbes | None = None
        self.scenario_results: dict[str, ScenarioResult] = {}
        self.dask = ""  # address of the scheduler, where several generators share each scenario
        self.topic_ends: Mapping[str, int] = {}  # before the load
        self.origin_loads_before: float | None = None
        self.samples: Samples | None = None
        self.bot: BotResult | None = None
        self.collected: Collected | None = None
        self.ledger: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A run stays in its process: what Prefect sends of a task's parameters to a cluster's workers is empty."""
        return {}

    @property
    def run_id(self) -> str:
        return self.directory.run_id

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Letters of the scenarios that this run puts on the target, in order."""
        return tuple(s for s in self.profile.scenarios if not self.request.scenario or s in self.request.scenario)

    def checkpoint(self) -> None:
        """Between steps: Interrupted when the run was asked to stop."""
        if self.stop.is_set():
            raise Interrupted(
                self.braked or "the run was asked to stop", cure="What was measured until then is in the report."
            )

    def record(self, result: Check) -> Check:
        self.results[result.id] = result
        self.keep()
        return result

    def begin_load(self, part: str) -> None:
        """Note durably that a scenario or the bot is about to be put on the target; LoadError where it was already."""
        if part in self.begun:
            raise LoadError(
                f"its load had begun at {iso(self.begun[part])} and was cut off: none is put twice in one run",
                where="the Kafka bot" if part == "bot" else f"scenario {part}",
                cure="Start a new run for it.",
            )
        self.begun[part] = utc_now()
        self.keep()

    def as_before(self, id: str, why: str) -> Check:
        """What a resumed run cannot look at again stands as it was found; NO_DATA where it was not."""
        earlier = self.earlier.get(id)
        if earlier is None or self.cut_off is None:
            return check(id, Verdict.NO_DATA, why)
        found = f"{earlier.observed} (found before the run was cut off at {iso(self.cut_off)})"
        return earlier.model_copy(update={"observed": found})

    def fail(self, error: SuiteError) -> None:
        """Keep an error for the report, once."""
        if error.as_row() not in [known.as_row() for known in self.errors]:
            self.errors.append(error)
            self.keep()

    def attempt(self, where: str, action: Callable[[], object]) -> None:
        """Do what belongs to the end of every run; what goes wrong is kept, and the rest of the end still comes."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the report is written in every case
            self.fail(known_error(error, where))

    def observe(self, id: str, look: Callable[[], Check]) -> Check:
        """Record what `look` finds for check `id`, or that something it needs stands in the way."""
        self.checkpoint()
        by = blockers(id, self.results)
        return self.record(blocked(id, by) if by else look())

    def begin(self, phase: Phase) -> PhaseRecord:
        record = PhaseRecord(phase, utc_now(), note=f"resumed, cut off at {iso(self.cut_off)}" if self.cut_off else "")
        self.phases.append(record)
        self.keep()
        return record

    def has_begun(self, phase: Phase) -> bool:
        return any(record.phase is phase for record in self.phases)

    def verdict_of(self, phase: Phase) -> Verdict:
        """The worst verdict of the phase's checks that are there."""
        return worst_of_phase(self.results[spec.id].verdict for spec in of_phase(phase) if spec.id in self.results)

    def lacks(self, *services: ServiceId) -> str:
        """Why a part does not apply: the services that the profile does not name; "" where it names them all."""
        unnamed = [service for service in services if service not in self.profile.addresses]
        return f"the profile names no {' and no '.join(unnamed)}" if unnamed else ""

    def skip(self, phase: Phase, why: str) -> None:
        """Every check of the phase is SKIPPED: it does not apply."""
        for spec in of_phase(phase):
            self.record(check(spec.id, Verdict.SKIPPED, why))

    def settle(self, phase: Phase, error: SuiteError | None) -> None:
        """Give every check of the phase that has no result yet one: ERROR with its cause, or what blocks it."""
        for spec in of_phase(phase):
            if spec.id in self.results:
                continue
            by = blockers(spec.id, self.results)
            if by:
                self.record(blocked(spec.id, by))
            elif error is not None:
                self.record(check(spec.id, Verdict.ERROR, str(error)))
