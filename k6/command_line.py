"""One scenario by hand: `k6/run.sh`, or `python -m k6.runner`."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from core.checks import SCENARIOS, Check
from core.errors import SetupError, SuiteError
from core.rundir import new_run_id, utc_now
from core.settings import Settings
from core.words import EXIT_CODES, EXIT_SIGINT, EXIT_SIGTERM, Verdict, worst
from k6.checks import generator_valid_check, thresholds_check
from k6.model import K6Program, Progress, ScenarioRequest, ScenarioResult
from k6.plan import scenario_name
from k6.progress import log_progress
from k6.runner import run_scenario
from k6.spending import spending
from targets.budget import Limits, require_within
from targets.guard import require_consent
from targets.load import load_load
from targets.lock import alone_on, lock_name
from targets.model import Profile, load_profile

log = logging.getLogger("k6")

ENVIRONMENTS = {"local": "portal", "docker": "portal"}
"""The design's names for its targets (section 4.4) -> our profiles: both publish the gateway on this machine's 8080."""
REMOTE_WRITE_URL = "http://localhost:9090/api/v1/write"
EPILOG = """examples:
  k6/run.sh                                   scenario A, load smoke, on the reference portal
  k6/run.sh c-coupon-spike portal             500 users, one coupon (COUPON_ID=7 chooses it)
  LOAD=design k6/run.sh b-blog-read           the design document's own numbers: 500 requests/s for 10 minutes

The target must be up and seeded: `make stack-up` starts the reference portal. All of it, with seeding and proof, in one
command: python -m flows.full_suite
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one scenario; 0 all thresholds held, 1 breached, 2 could not run, 3 nothing measured, 130/143 interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop, signals = threading.Event(), list[int]()
    try:
        request = _request(_parser().parse_args(arguments))
        with _stopped_by_signals(stop, signals), _lock(request.profile):
            result = run_scenario(request, _limited(request, stop), stop)
    except (SuiteError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"ERROR    {error}", highlight=False, markup=False)
        return EXIT_CODES[Verdict.ERROR]
    checks = [thresholds_check(result), generator_valid_check([result])]
    _show(Console(), result, checks)
    if signals:
        return EXIT_SIGINT if signals[0] == signal.SIGINT else EXIT_SIGTERM
    return EXIT_CODES[Verdict.ERROR if result.error else worst(check.verdict for check in checks)]


def _lock(profile: Profile) -> AbstractContextManager[None]:
    settings = Settings()
    return alone_on(lock_name(profile, profile.backend, settings.state_dir), settings.cache_dir / "locks")


def _limited(request: ScenarioRequest, stop: threading.Event) -> Callable[[Progress], None]:
    """Progress as log lines; the load ends when the target's budget is used up or it has had enough."""
    require_within(request.profile, [spending(request.scenario, request.load, request.profile)], request.load.name)
    limit = Limits(request.profile).of(request.scenario)

    def note(progress: Progress) -> None:
        log_progress(progress)
        if said := limit(progress.elapsed_s, progress.requests, progress.ill_ratio):
            log.error("the load ends: %s", said)
            stop.set()

    return note


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="k6/run.sh",
        description="Runs one k6 scenario against a target.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenario", nargs="?", default="a", help=f"{', '.join(SCENARIOS.values())}, or the letter (default: a)")
    add("target", nargs="?", default="portal", help="profile name or file; local and docker mean portal (TARGET_ENV)")
    add("remote_write_url", nargs="?", default=REMOTE_WRITE_URL, help="Prometheus; '' writes no series (%(default)s)")
    add("--load", default="smoke", help="smoke, design, soak or a file (LOAD; default: %(default)s)")
    add("--coupon-id", default="1", help="the coupon of scenario C (COUPON_ID; default: %(default)s)")
    add("--product-id", default="", help="the product of scenario E (PRODUCT_ID; default: the first one listed)")
    add("--i-mean", metavar="NAME", help="the name of a production target, typed for this run")
    add("--k6", type=Path, help="the k6 binary (default: the one that `make setup` built, or on the PATH)")
    add("--run-dir", type=Path, help="where run directories are made (default: runs/)")
    return parser


def _request(options: argparse.Namespace) -> ScenarioRequest:
    name = scenario_name(options.scenario)
    profile = load_profile(ENVIRONMENTS.get(options.target, options.target))
    require_consent(profile, options.i_mean)
    load = load_load(options.load)
    settings = Settings()
    k6 = K6Program(options.k6 or built_k6(settings.cache_dir))
    run_id = new_run_id(profile.name, load.name, utc_now())
    return ScenarioRequest(
        scenario=name[0],
        profile=profile,
        load=load,
        run_id=run_id,
        run_mark=run_id,
        coupon_id=options.coupon_id,
        product_id=options.product_id,
        k6=k6,
        out_dir=(options.run_dir or settings.runs_dir) / run_id / "k6" / name,
        remote_write_url=options.remote_write_url or None,
    )


def built_k6(cache_dir: Path) -> Path:
    """The newest k6 in the cache, else the one on the PATH."""
    built = sorted(cache_dir.glob("programs/k6-*/k6"), key=lambda path: path.stat().st_mtime)
    found = built[-1] if built else shutil.which("k6")
    if found is None:
        raise SetupError("k6 is not there", where=str(cache_dir), cure="Run `make setup`, or give its path with --k6.")
    return Path(found)


@contextmanager
def _stopped_by_signals(stop: threading.Event, received: list[int]) -> Iterator[None]:
    """SIGINT and SIGTERM end k6 in order instead of leaving it behind."""

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(console: Console, result: ScenarioResult, checks: Sequence[Check]) -> None:
    table = Table(title=f"{scenario_name(result.scenario)}: {result.requests} requests, {result.rate_per_s:.1f}/s")
    for heading in ("threshold", "", "samples", "held"):
        table.add_column(heading, justify="right" if heading == "samples" else "left", overflow="fold")
    for row in result.thresholds:
        table.add_row(row.metric, row.expression, str(row.samples), _held(row.ok, row.samples))
    console.print(table)
    for check in checks:
        console.print(f"{check.verdict:8} {check.id}: {check.observed}", highlight=False, soft_wrap=True)
    if result.error is not None:
        console.print(f"ERROR    {result.error['what']}. {result.error['cure']}", highlight=False, soft_wrap=True)
    for complaint in result.complaints if result.error is None else ():
        console.print(f"k6 says  {complaint}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"latency  {_latency(result)}", highlight=False, soft_wrap=True)
    answers = ", ".join(f"{status}: {number}" for status, number in result.outcomes.items())
    counted = ", ".join(f"{name}: {number}" for name, number in result.counters.items())
    console.print(f"answers  {answers or 'none'}" + (f"\ncounted  {counted}" if counted else ""), highlight=False)
    if result.scenario == "c" and result.outcomes and not result.counters.get("coupons_issued"):
        sold_out = "nobody got the coupon: it is sold out or not there. COUPON_ID chooses another one."
        console.print(f"note     {sold_out}", soft_wrap=True)
    console.print(f"files    {result.log.parent}", highlight=False, soft_wrap=True)


def _latency(result: ScenarioResult) -> str:
    """Percentiles of the expected answers, and where there is a schedule, counted from when it wanted them asked."""
    if result.p50_ms is None:
        return "no answer was as expected"
    asked = f"p50 {result.p50_ms:.1f} ms, p95 {result.p95_ms:.1f} ms, p99 {result.p99_ms:.1f} ms"
    if result.p95_from_intended_ms is None:
        return asked
    late = f"p95 {result.p95_from_intended_ms:.1f} ms, p99 {result.p99_from_intended_ms:.1f} ms"
    return f"{asked}; from the intended start {late}"


def _held(ok: bool, samples: int) -> str:
    if samples == 0:
        return "[yellow]no data[/]"
    return "[green]yes[/]" if ok else "[red]no[/]"
