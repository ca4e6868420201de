"""docs/scale.md's tables: one load over 1, 2 and 4 generators, and what one and several can make on this machine.

python -m tests.proof.scale        # about 6 minutes, with the machine to itself

The server answers from memory (tests/bench/fast_server), so that what is measured is the generators. Each scenario's
requests, users and keys are those of a run; nothing is written to Prometheus here.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.ports import Endpoints, ServiceId
from core.settings import ROOT, Settings
from k6.checks import RUN_DELAY_AT_MOST
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from targets.load import BlogRead, Load, load_load
from targets.model import load_profile
from tests.bench.answers import COUPON, PRODUCT, answers_of
from tests.bench.generator import fast_server
from tests.proof.table import machine, today
from tests.several_generators import shares_of, together

PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- begin: tests.proof.scale -->", "<!-- end: tests.proof.scale -->"
GENERATORS = (1, 2, 4)
SAME_LOAD = (300, 20)
"""B, requests/s and seconds: within what one generator makes on two processors."""
CEILING_RATES = (1000, 2000, 4000, 6000)
CEILING_S = 8
WITHIN = 0.01


@dataclass(frozen=True)
class Made:
    """What all generators of one load made together."""

    generators: int
    asked_per_s: int
    asked: int
    iterations: int
    per_s: float
    dropped: int
    run_delay: float
    p95_ms: tuple[float, ...]  # of each generator: they do not add up

    @property
    def valid(self) -> bool:
        return self.iterations >= (1 - WITHIN) * self.asked and self.run_delay <= RUN_DELAY_AT_MOST


def made(request: ScenarioRequest, generators: int) -> Made:
    """Put B on the server by so many generators."""
    results = together(shares_of(request, generators))
    failed = [result.error for result in results if result.error]
    assert not failed, failed
    began, ended = min(r.started for r in results), max(r.ended for r in results)
    iterations = sum(result.iterations for result in results)
    blog = request.load.b
    return Made(
        generators=generators,
        asked_per_s=int(blog.rate_per_s),
        asked=int(blog.rate_per_s * blog.duration_s),
        iterations=iterations,
        per_s=iterations / max((ended - began).total_seconds(), blog.duration_s),
        dropped=sum(result.dropped_iterations for result in results),
        run_delay=max(_run_delay(result) for result in results),
        p95_ms=tuple(result.p95_ms or 0.0 for result in results),
    )


def _run_delay(result: ScenarioResult) -> float:
    return result.generator.run_delay_ratio or 0.0


def _load(rate_per_s: int, duration_s: int) -> Load:
    blog = BlogRead(rate_per_s=rate_per_s, duration_s=duration_s, pre_allocated_vus=100, max_vus=400)
    return load_load("design").model_copy(update={"b": blog})


def _request(address: str, folder: Path, load: Load) -> ScenarioRequest:
    return ScenarioRequest(
        scenario="b",
        profile=load_profile("portal").at(Endpoints({ServiceId.GATEWAY: address})),
        load=load,
        run_id="scale",
        run_mark="scale",
        coupon_id=COUPON,
        product_id=PRODUCT,
        k6=K6Program(built_k6(Settings().cache_dir)),
        out_dir=folder,
        remote_write_url=None,
    )


def measured(folder: Path) -> tuple[list[Made], list[Made]]:
    """The same load over every number of generators, and each number's way up to its ceiling."""
    with fast_server(answers_of(load_profile("portal")), folder) as address:
        same = [made(_request(address, folder, _load(*SAME_LOAD)), n) for n in GENERATORS]
        ways = [one for n in GENERATORS for one in _way_up(address, folder, n)]
    return same, ways


def _way_up(address: str, folder: Path, generators: int) -> Iterator[Made]:
    """Higher and higher, until the first rate that is not made by valid generators."""
    for rate in CEILING_RATES:
        one = made(_request(address, folder, _load(rate, CEILING_S)), generators)
        print(one, flush=True)
        yield one
        if not one.valid:
            return


def tables(same: Sequence[Made], ways: Sequence[Made]) -> str:
    """Both tables, with machine and day."""
    head = f"Measured by `python -m tests.proof.scale` on {machine()}, {os.cpu_count()} processors, {today()}."
    columns = (
        "| generators | asked | iterations | rate | dropped | waited for a processor | p95 of each |\n"
        "|--:|--:|--:|--:|--:|--:|---|"
    )
    rows = [
        f"| {one.generators} | {one.asked:,} | {one.iterations:,} | {one.per_s:,.1f}/s | {one.dropped:,} | "
        f"{one.run_delay:.1%} | {', '.join(f'{ms:.1f} ms' for ms in one.p95_ms)} |"
        for one in same
    ]
    ceiling = (
        "| generators | rate asked | rate made | dropped | waited for a processor | valid |\n|--:|--:|--:|--:|--:|---|"
    )
    steps = [
        f"| {one.generators} | {one.asked_per_s:,}/s | {one.per_s:,.0f}/s | {one.dropped:,} | {one.run_delay:.1%} | "
        f"{'yes' if one.valid else 'no'} |"
        for one in ways
    ]
    return "\n".join([head, "", "### The same load", "", columns, *rows, "", "### The way up", "", ceiling, *steps])


def main() -> int:
    """Measure and put the tables into the page; 1 where the same load is not the same over every number."""
    with tempfile.TemporaryDirectory(prefix="suite-scale-") as folder:
        same, ways = measured(Path(folder))
    text = PAGE.read_text(encoding="utf-8")
    block = f"{BEGIN}\n{tables(same, ways)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: block, text, flags=re.DOTALL), encoding="utf-8")
    print(block)
    return 0 if all(abs(one.iterations - one.asked) <= WITHIN * one.asked for one in same) else 1


if __name__ == "__main__":
    sys.exit(main())
