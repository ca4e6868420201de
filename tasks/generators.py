"""Several generators of one scenario: each a task on a Dask worker, begun in one moment, with one result.

A generator is started once: Dask gives the task of a worker that it lost to another one, which must not put the load
a second time. One that is lost ends the others, for what they measure is not the load that was asked for.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import dask
from distributed import Client, LocalCluster, get_client
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect_dask.task_runners import DaskTaskRunner

from core.errors import ConfigError, LoadError, known_error
from core.ports import LOOPBACK, ServiceId
from infra.embedded.programs import ProgramId, ensure
from k6.merge import merged
from k6.model import GeneratorFigures, K6Program, Progress, ScenarioRequest, ScenarioResult, Threshold
from k6.plan import offered_iterations, scenario_name
from k6.runner import Stop, run_scenario
from report.prometheus import Prometheus
from tasks.dask_signals import SILENT_AFTER_S, SharedGate, Signals
from tasks.histograms import MergedHistograms
from tasks.run import Run

log = logging.getLogger("k6")

CLUSTER_WITHIN_S = 15.0
HEARD_WITHIN_S = SILENT_AFTER_S
"""A generator at work tells its progress every two seconds; one that is silent for so long is lost."""
LOOK_EVERY_S = 0.2
ENDS_WITHIN_S = 60.0
"""After the others were told to end: k6's graceful stop and its last samples."""
KEPT_FILE_BYTES = 64 * 2**20
"""A larger file of a generator stays where it is."""


@dataclass(frozen=True)
class Part:
    """What one generator sends back: its result, or why there is none, and its files by name."""

    generator: int
    result: ScenarioResult | None
    why_none: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


class Crew:
    """The generators of one scenario. A plain class: Prefect looks into models and dataclasses, these hold secrets."""

    def __init__(self, request: ScenarioRequest, generators: int) -> None:
        self.request = request
        self.generators = generators
        self.id = f"{request.run_id}-{request.scenario}"

    def request_of(self, generator: int) -> ScenarioRequest:
        return replace(self.request, generator=generator, generators=self.generators)


class Outside:
    """Who is shown the progress, and who may stop the run. Stays in this process: Prefect sends a flow's parameters to
    its workers, which have no use for these."""

    def __init__(self, show: Callable[[Progress], None], stop: Stop) -> None:
        self.show = show
        self.stop = stop

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextmanager
def workers_ready(run: Run) -> Iterator[None]:
    """A worker for each generator of this run, where there are several."""
    if run.load.generators == 1:
        yield
        return
    with dask_cluster(run.request.dask, run.load.generators) as run.dask:
        yield


@contextmanager
def dask_cluster(address: str | None, generators: int) -> Iterator[str]:
    """Address of a Dask scheduler with a worker for each generator: the one given, or a temporary one on loopback.

    ConfigError where none answers at `address`, or it has too few workers.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)  # its start and end are no news to who runs a load
    if address is not None:
        _require_workers(address, generators)
        yield address
        return
    pages = f"{LOOPBACK}:0"  # Dask's own would listen on every address
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=generators,
            threads_per_worker=1,
            host=LOOPBACK,
            dashboard_address=pages,
            worker_dashboard_address=pages,
            silence_logs=logging.ERROR,
        ) as cluster,
    ):
        yield str(cluster.scheduler_address)


def _require_workers(address: str, generators: int) -> None:
    where = f"--dask {address}"
    try:
        with Client(address, timeout=CLUSTER_WITHIN_S, set_as_default=False) as client:
            threads = sum(client.nthreads().values())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers: {error}",
            where=where,
            cure="Start one with `dask scheduler`, or leave --dask out.",
        ) from error
    if threads < generators:
        raise ConfigError(
            f"{generators} generators need as many worker threads, the cluster has {threads}",
            where=where,
            cure=f"Start more workers (`dask worker {address} --nthreads 1`), or ask for fewer generators.",
        )


def put_by_several(run: Run, request: ScenarioRequest, show: Callable[[Progress], None]) -> ScenarioResult:
    """One scenario over this run's generators, with one result of those that came back."""
    parts = run_on_generators(Crew(request, run.load.generators), run.dask, show, run.stop)
    results = [part.result for part in parts if part.result is not None]
    lost = tuple(f"generator {part.generator} was lost: {part.why_none}" for part in parts if part.result is None)
    with Prometheus(run.endpoints.url(ServiceId.PROMETHEUS)) as prometheus:
        whole = merged(results, MergedHistograms(prometheus, run.run_id, results))
    return whole.model_copy(
        update={
            "generator": _figures(request, whole, results),
            "thresholds": tuple(_with_all_samples(row, results) for row in whole.thresholds),
            "parts": tuple(results),
            "lost_generators": lost,
            "ended_by_itself": whole.ended_by_itself and not lost,
            "error": None if lost else whole.error,  # the others were stopped because of it
        }
    )


def _with_all_samples(row: Threshold, results: Sequence[ScenarioResult]) -> Threshold:
    """Also where the generators differ and their histograms are too close to call: the report says so of its gate."""
    same = (own for result in results for own in result.thresholds)
    samples = sum(own.samples for own in same if (own.metric, own.expression) == (row.metric, row.expression))
    return row.model_copy(update={"samples": samples})


def _figures(request: ScenarioRequest, whole: ScenarioResult, results: Sequence[ScenarioResult]) -> GeneratorFigures:
    """Each generator knows the load as a whole; its VUs and its waits are its own."""
    delays = [result.generator.run_delay_ratio for result in results]
    return whole.generator.model_copy(
        update={
            "offered_iterations": offered_iterations(request.scenario, request.load),
            "allocated_vus": sum(result.generator.allocated_vus for result in results),
            "run_delay_ratio": max((delay for delay in delays if delay is not None), default=None),
        }
    )


def run_on_generators(crew: Crew, address: str, show: Callable[[Progress], None], stop: Stop) -> list[Part]:
    """Every generator's part, in their order; their files are below the request's `out_dir`."""
    runner: Any = DaskTaskRunner(address=address)
    parts = [
        _kept(part, crew.request.out_dir)
        for part in generators.with_options(task_runner=runner)(crew, Outside(show, stop))
    ]
    if not any(part.result for part in parts):
        raise LoadError(
            "; ".join(part.why_none for part in parts),
            where=f"scenario {scenario_name(crew.request.scenario)}",
            cure="See the log of the Dask workers.",
        )
    return parts


def _kept(part: Part, out_dir: Path) -> Part:
    """The same, with its files here."""
    folder = out_dir / f"generator-{part.generator}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in part.files.items():
        (folder / name).write_bytes(content)
    if part.result is None:
        return part
    page = part.result.web_dashboard
    here = {"log": folder / part.result.log.name, "web_dashboard": folder / page.name if page else None}
    return replace(part, result=part.result.model_copy(update=here))


@task(name="generator", task_run_name="generator {generator}", retries=0, cache_policy=NO_CACHE)
def generate(crew: Crew, generator: int) -> Part:
    """One k6 on this worker, from its start to its files."""
    signals = Signals(crew.id, get_client())
    if not signals.first_start(generator):
        return Part(generator, None, "its worker is gone")
    try:
        return _generated(crew.request_of(generator), signals)
    except Exception as error:  # noqa: BLE001 - what goes wrong on a worker is told here, with its cure
        return Part(generator, None, str(known_error(error, f"generator {generator}")))


def _generated(request: ScenarioRequest, signals: Signals) -> Part:
    program = ensure([ProgramId.K6])[ProgramId.K6]
    number = request.generator
    with tempfile.TemporaryDirectory(prefix="suite-generator-") as folder:
        here = replace(request, k6=K6Program(program.path, program.env), out_dir=Path(folder))
        gate = SharedGate(signals, number)
        result = run_scenario(here, lambda progress: signals.tell(number, progress), signals, gate)
        small = [path for path in Path(folder).iterdir() if path.stat().st_size <= KEPT_FILE_BYTES]
        return Part(number, result, files={path.name: path.read_bytes() for path in small})


@flow(flow_run_name="{crew.generators} generators", validate_parameters=False)
def generators(crew: Crew, outside: Outside) -> list[Part]:
    """Start all, let them begin together, and watch them to their end."""
    context = FlowRunContext.get()
    assert context is not None
    signals = Signals(crew.id, cast(DaskTaskRunner, context.task_runner).client)
    signals.beat()
    futures = [_Future(generate.submit(crew, number)) for number in range(1, crew.generators + 1)]
    watch = _Watch(signals, futures, outside.show)
    watch.until_ended(outside.stop)
    return [watch.part(number) for number in range(1, crew.generators + 1)]


class _Future:
    """A generator's task, as far as it is looked at without waiting."""

    def __init__(self, prefect_future: Any) -> None:
        self._dask = prefect_future.wrapped_future

    @property
    def done(self) -> bool:
        return bool(self._dask.done())

    def part(self, number: int) -> Part:
        """What an ended task brought."""
        if self._dask.status != "finished":
            return Part(number, None, "its worker is gone")
        value = self._dask.result().result(raise_on_failure=False)
        return value if isinstance(value, Part) else Part(number, None, str(value))


class _Watch:
    """What is known of each generator, by its number, while they work."""

    def __init__(self, signals: Signals, futures: Sequence[_Future], show: Callable[[Progress], None]) -> None:
        self._signals, self._show = signals, show
        self._futures = dict(enumerate(futures, 1))
        self._ready: set[int] = set()
        self._progress: dict[int, Progress] = {}
        self._heard_at = dict.fromkeys(self._futures, time.monotonic())
        self._silent: dict[int, str] = {}

    def until_ended(self, stop: Stop) -> None:
        """Return when every generator has ended, or too long after all had to."""
        deadline: float | None = None
        while any(not future.done for number, future in self._futures.items() if number not in self._silent):
            self._signals.beat()
            self._listen()
            self._note_silent()
            if deadline is None and (self._any_lost() or stop.wait(0)):
                self._signals.end_all()
                deadline = time.monotonic() + ENDS_WITHIN_S
            if deadline is not None and time.monotonic() > deadline:
                return

    def part(self, number: int) -> Part:
        """What came of a generator; one that did not end has no result."""
        future = self._futures[number]
        if future.done:
            return future.part(number)
        return Part(number, None, self._silent.get(number, f"it did not end within {ENDS_WITHIN_S:.0f} s"))

    @property
    def _all_ready(self) -> bool:
        return len(self._ready) == len(self._futures)

    def _listen(self) -> None:
        """All that was said since the last time."""
        heard = self._signals.next_heard(LOOK_EVERY_S)
        while heard is not None:
            number, progress = heard
            self._heard_at[number] = time.monotonic()
            if progress is None:
                self._now_ready(number)
            else:
                self._progress[number] = progress
                self._show(added(list(self._progress.values())))
            heard = self._signals.next_heard(0.01)

    def _now_ready(self, number: int) -> None:
        self._ready.add(number)
        log.info("generator %d is ready, %d of %d are", number, len(self._ready), len(self._futures))
        if self._all_ready:
            self._heard_at = dict.fromkeys(self._futures, time.monotonic())
            self._signals.let_go()

    def _note_silent(self) -> None:
        patience_s = HEARD_WITHIN_S if self._all_ready else SharedGate.opens_within_s
        for number, future in self._futures.items():
            waits = not self._all_ready and number in self._ready
            silent = time.monotonic() - self._heard_at[number] > patience_s
            if silent and not waits and not future.done:
                self._silent[number] = f"nothing was heard of it for {patience_s:.0f} s"

    def _any_lost(self) -> bool:
        ended = [future.part(number) for number, future in self._futures.items() if future.done]
        return bool(self._silent) or any(part.result is None for part in ended)


def added(progress: Sequence[Progress]) -> Progress:
    """One line for all generators: counts and rates add up, time is that of the slowest."""
    requests = sum(one.requests for one in progress)
    failed = sum(one.failed_ratio * one.requests for one in progress)
    return Progress(
        scenario=progress[0].scenario,
        elapsed_s=max(one.elapsed_s for one in progress),
        left_s=max(one.left_s for one in progress),
        vus=sum(one.vus for one in progress),
        requests=requests,
        rate_per_s=sum(one.rate_per_s for one in progress),
        failed_ratio=failed / requests if requests else 0.0,
    )
