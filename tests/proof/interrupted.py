"""docs/interruptions.md: a run is ended in each phase, in each way, and must leave a report and nothing else.

python -m tests.proof.interrupted [PHASE/HOW ...]     # such as load/SIGKILL; without names: all twenty

All runs attach to one stack, so that what is left is the run's own; tests/e2e/test_kills.py has runs with their own.
Each row's outcome is kept in runs/proof/interrupted/; the page is drawn once all are there.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.ports import WHOLE_STACK
from core.settings import ROOT, Settings
from core.waiting import wait_for
from core.words import Phase
from infra.embedded import procfs
from infra.embedded.catalogue import open_backend
from report.journal import FILE
from tests.prefect_site import PrefectSite
from tests.proof.suite_process import SHORT_LOAD, SuiteProcess
from tests.proof.table import asked_for, machine, today

CANCEL, KILL = "cancel", "SIGKILL"
WAYS = ("SIGINT", "SIGTERM", KILL, CANCEL)
ROWS = tuple(f"{phase.value}/{how}" for phase in Phase for how in WAYS)
PAGE = ROOT / "docs" / "interruptions.md"
LOAD_ENDS_WITHIN_S = 5.0
REACHED_WITHIN_S = 300.0
ENDED_WITHIN_S = 240.0
UNDER_WAY = {Phase.LOAD: "scenario a", Phase.DASHBOARDS: "scenario b", Phase.KAFKA_BOT: "the Kafka bot"}
"""What a phase's load is called in the journal; the two others have none."""
BEGINS = re.compile(r"(\S+: starting k6|kafka bot started)")


@dataclass(frozen=True)
class Row:
    """What came of one interruption."""

    phase: str
    how: str
    at: str
    """What the run was at, by its journal."""
    load_ended_s: float | None
    """From the signal until no k6 and no bot of the run was left; None where none ran."""
    ended: str
    """Exit code, or the flow run's state."""
    verdict: str
    report_s: float
    orphans: tuple[str, ...]
    second_loads: int
    resumed: str
    """Verdict after `--resume`; "" where the run was not resumed."""
    made: str

    @property
    def good(self) -> bool:
        has_load = Phase(self.phase) in UNDER_WAY
        in_time = self.load_ended_s <= LOAD_ENDS_WITHIN_S if self.load_ended_s is not None else not has_load
        reported = self.verdict not in ("none", "PASS") and bool(self.resumed) == (self.how == KILL)
        return in_time and reported and not self.orphans and not self.second_loads


class RunAtWork:
    """A run of the suite that begins when this is made, seen through its run directory."""

    def __init__(self, site: PrefectSite, phase: Phase, how: str) -> None:
        self._site, self._before = site, set(_run_dirs(site.runs))
        self.process: SuiteProcess | None = None
        alone = [phase.value] if phase in (Phase.DASHBOARDS, Phase.KAFKA_BOT) else []
        if how == CANCEL:
            parameters = {"ports": "free", "load": str(SHORT_LOAD), "phase": alone, "run_dir": str(site.runs)}
            self.flow_run = site.start("full-suite", parameters)
        else:
            self.process = _suite(site, *(["--phase", *alone] if alone else []))

    def wait_until_in(self, phase: Phase) -> str:
        """What the journal says when the phase has come to its load, or has begun where it has none."""
        wanted = f"phase {phase}" + (f", {UNDER_WAY[phase]}" if phase in UNDER_WAY else "")
        seen = wait_for(self._doing, lambda doing: doing.startswith(wanted), REACHED_WITHIN_S, every_s=0.02)
        assert seen.startswith(wanted), f"{seen}\n{self.output}"
        if phase in UNDER_WAY:
            assert wait_for(self.loads, bool, 60.0, every_s=0.1), self.output
            time.sleep(1.0)  # so that there is a load to be ended: k6 itself has just been started
        return seen

    def end(self, how: str) -> None:
        """Strike."""
        if self.process is None:
            self._site.cancel(self.flow_run)
        else:
            self.process.kill("suite", getattr(signal, how))

    def wait_until_ended(self) -> str:
        """Exit code, or the state's name."""
        if self.process is not None:
            return f"exit {self.process.wait(ENDED_WITHIN_S)}"
        return self._site.wait_until(self.flow_run, "Cancelled", timeout_s=ENDED_WITHIN_S).name or ""

    @property
    def folder(self) -> Path:
        (new,) = set(_run_dirs(self._site.runs)) - self._before
        return new

    @property
    def output(self) -> str:
        return self.process.output if self.process else self._site.output

    def loads(self) -> list[int]:
        """Process ids of the run's k6 and bot: its id stands in their command lines."""
        run_id = self.folder.name
        mine = [pid for pid in procfs.pids() if run_id in procfs.command_line(pid, 10_000) and procfs.read_stat(pid)]
        return [pid for pid in mine if _is_load(procfs.command_line(pid, 10_000))]

    def leftovers(self) -> list[str]:
        """What still lives of the run: its load, and the process that the worker made for it."""
        pids = self.loads() + ([] if self.process else _of_flow_run(str(self.flow_run.id)))
        return [f"{pid} {procfs.command_line(pid)}" for pid in pids]

    def verdict(self) -> str:
        """Of its report."""
        path = self.folder / "report.json"
        return str(json.loads(path.read_bytes())["verdict"]) if path.exists() else "none"

    def second_loads(self) -> int:
        """Scenarios and bots that were begun more often than once, over all that the run's log holds."""
        said = Counter(BEGINS.findall((self.folder / "logs" / "suite.log").read_text(encoding="utf-8")))
        return sum(times - 1 for times in said.values())

    def _doing(self) -> str:
        new = set(_run_dirs(self._site.runs)) - self._before
        return str(_journal(next(iter(new)))["doing"]) if new else ""


def interrupted(site: PrefectSite, phase: Phase, how: str) -> Row:
    """One run, ended in `phase`; a killed one is recovered and resumed."""
    run = RunAtWork(site, phase, how)
    at = run.wait_until_in(phase)
    had_load, struck = bool(run.loads()), time.monotonic()
    run.end(how)
    load_ended_s = _seconds_until(lambda: not run.loads(), struck) if had_load else None
    ended = run.wait_until_ended()
    if how == KILL:
        _recover(run.folder)
    report_s = time.monotonic() - struck
    verdict = run.verdict()
    orphans = wait_for(run.leftovers, lambda seen: not seen, 10.0)
    resumed = _resumed(site, run) if how == KILL else ""
    return Row(
        phase=phase.value,
        how=how,
        at=at,
        load_ended_s=load_ended_s,
        ended=ended,
        verdict=verdict,
        report_s=report_s,
        orphans=tuple(orphans),
        second_loads=run.second_loads(),
        resumed=resumed,
        made=today(),
    )


@contextmanager
def one_site(folder: Path) -> Iterator[PrefectSite]:
    """A stack, and a Prefect server with its worker beside it."""
    with open_backend(any_ports=True, state_dir=folder / "stack") as backend:
        backend.start(WHOLE_STACK)
        backend.wait_ready(WHOLE_STACK)
        with PrefectSite(folder) as site:
            yield site


def page(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    reports, orphans = sum(row.verdict != "none" for row in rows), sum(len(row.orphans) for row in rows)
    seconds = sum(row.second_loads for row in rows)
    head = (
        "# A run that is ended\n\n"
        "In each phase a run is ended by Ctrl-C, SIGTERM, SIGKILL, and a cancel by Prefect's API (server and process\n"
        "worker of `make ui`). All attach to one stack. The load must end within 5 s and leave no process; there must\n"
        "be a report, not a PASS; a killed run gets it from `report.recover`, and is then resumed, which puts no load\n"
        "twice. "
        f"Made by `make proof` on {machine()}.\n\n"
        "| phase | ended by | the run was at | load ended after, s | ended | report | report after, s | processes left "
        "| second loads | after `--resume` | day | good |\n|" + "---|" * 12 + "\n"
    )
    foot = f"\nReports: {reports} of {len(rows)}. Orphans: {orphans}. Second loads: {seconds}.\n"
    return head + "".join(_line(row) for row in rows) + foot


def _line(row: Row) -> str:
    load = "-" if row.load_ended_s is None else f"{row.load_ended_s:.1f}"
    cells = (
        row.phase, row.how, row.at, load, row.ended, row.verdict, f"{row.report_s:.0f}", len(row.orphans),
        row.second_loads, row.resumed or "-", row.made, "yes" if row.good else "NO",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _resumed(site: PrefectSite, run: RunAtWork) -> str:
    exit_code = _suite(site, "--resume", run.folder.name).wait(ENDED_WITHIN_S)
    return f"{run.verdict()}, exit {exit_code}"


def _suite(site: PrefectSite, *arguments: str) -> SuiteProcess:
    return SuiteProcess(site.folder, *arguments, PREFECT_API_URL=site.api)


def _recover(folder: Path) -> None:
    command = [sys.executable, "-m", "report.recover", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)


def _seconds_until(seen: Callable[[], bool], since: float) -> float:
    wait_for(seen, bool, 30.0, every_s=0.05)
    return time.monotonic() - since


def _is_load(command: str) -> bool:
    return "/k6 run" in command or "bots.kafka_producer" in command or "--tag=run_id=" in command


def _of_flow_run(id: str) -> list[int]:
    """Processes of one flow run: Prefect names it in their environment."""
    mine = f"PREFECT__FLOW_RUN_ID={id}".encode()
    return [pid for pid in procfs.pids() if mine in procfs.environment(pid) and procfs.read_stat(pid)]


def _run_dirs(runs: Path) -> list[Path]:
    return [path.parent for path in runs.glob(f"2*/{FILE}")]


def _journal(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FILE).read_bytes())
    return found


def main(arguments: Sequence[str]) -> int:
    """Interrupt as asked, print a line a row; the page is drawn once all twenty are kept."""
    names = asked_for(arguments, ROWS, __doc__)
    kept = Settings().runs_dir / "proof" / "interrupted"
    kept.mkdir(parents=True, exist_ok=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="suite-ended-") as folder, one_site(Path(folder)) as site:
        for name in names or ROWS:
            phase, _, how = name.partition("/")
            row = interrupted(site, Phase(phase), how)
            (kept / f"{phase}-{how}.json").write_text(json.dumps(asdict(row)), encoding="utf-8")
            print(f"{'ok  ' if row.good else 'MISS'} {_line(row)}", end="", flush=True)
            good = good and row.good
    files = [kept / f"{name.replace('/', '-')}.json" for name in ROWS]
    if all(file.exists() for file in files):
        PAGE.write_text(page([_kept(file) for file in files]), encoding="utf-8")
    return 0 if good else 1


def _kept(file: Path) -> Row:
    values = json.loads(file.read_text(encoding="utf-8"))
    return Row(**{**values, "orphans": tuple(values["orphans"])})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
