"""The sending processes: released together, stopped together, and never silently lost."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import pytest

from bots.crew import WORKER, Crew
from bots.ledger import State
from bots.lines import LineProcess, Said
from bots.plan import BotPlan
from bots.share import ShareLine, SharePlan, ShareResult
from core.errors import LoadError
from core.settings import process_environment
from targets.model import load_profile
from targets.shape import parse_shape
from tests.kafka_broker import eventually

EVENTS = load_profile("portal").events
WITHOUT_BROKER = (sys.executable, "-m", "tests.fake_worker")
READY = '{"ready": true}'
STATE = '{"state": {"sent": 5, "acked": 4, "failed": 1, "late_s": 0.5}}'


def plan_of(shape: str) -> BotPlan:
    return BotPlan(run_id="r1", bootstrap_servers="127.0.0.1:1", events=EVENTS, steps=parse_shape(shape))


def script(*lines: str, then: str) -> Sequence[str]:
    """A process that takes its `plan`, says `lines`, is told to start, and does `then`."""
    says = "\n".join(f"print({line!r}, flush=True)" for line in lines)
    code = f"import os, sys\nplan = sys.stdin.readline()\n{says}\nsys.stdin.readline()\n{then}"
    return (sys.executable, "-I", "-S", "-c", code)


def run_crew(producers: int, folder: Path, command: Sequence[str]) -> Sequence[ShareResult]:
    """A message's load by processes that are `command`."""
    with Crew(plan_of("1 for 1s"), producers, folder, command) as crew:
        crew.wait_until_ready(Event(), nothing)
        return crew.run(Event(), nothing)


def nothing() -> None:
    """No ticking needed."""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestCrew:
    def test_sends_the_whole_schedule_between_its_processes(self, tmp_path: Path) -> None:
        told: list[int] = []
        with Crew(plan_of("200 for 500ms, 50 for 220ms"), 2, tmp_path, WITHOUT_BROKER) as crew:
            crew.wait_until_ready(Event(), nothing)
            results = crew.run(Event(), lambda: told.append(crew.state.acked))
            books = crew.books()
        assert [(result.sent, result.acked, result.failures) for result in results] == [(56, 56, {}), (55, 55, {})]
        assert [[step.sent for step in result.steps] for result in results] == [[50, 6], [50, 5]]
        assert books == [bytes([State.ACKED] * 56), bytes([State.ACKED] * 55)]
        assert told == sorted(told)
        assert told[-1] == crew.state.sent == 111

    def test_stops_when_it_is_told_to_and_accounts_for_what_was_sent(self, tmp_path: Path) -> None:
        stop = Event()
        with Crew(plan_of("100 for 60s"), 1, tmp_path, WITHOUT_BROKER) as crew:
            crew.wait_until_ready(stop, nothing)
            (result,) = crew.run(stop, lambda: stop.set() if crew.state.acked > 20 else None)
            (states,) = crew.books()
        assert 20 < result.sent < 1000  # a minute would be 6000
        assert result.sent == result.acked == states.count(State.ACKED)

    @pytest.mark.parametrize(
        ("then", "end"),
        [
            pytest.param("sys.exit('boom')", "exit code 1: boom", id="by itself"),
            pytest.param("os.kill(os.getpid(), 9)", "exit code -9: it said nothing", id="killed"),
            pytest.param("pass", "exit code 0: it said nothing", id="without a result"),
        ],
    )
    def test_says_how_a_process_ended_before_its_time_and_what_was_sent(
        self, tmp_path: Path, then: str, end: str
    ) -> None:
        command = script(READY, STATE, then=then)
        with pytest.raises(LoadError) as caught:
            run_crew(1, tmp_path, command)
        assert caught.value.what == (
            f"sending process 0 ended before its time ({end}); until then the bot had "
            "5 messages sent, 4 acknowledged, 1 failed"
        )
        assert "run again" in caught.value.cure
        assert not is_alive(int(caught.value.where.removeprefix("pid ")))

    def test_says_so_too_of_a_process_that_never_began(self, tmp_path: Path) -> None:
        command = (sys.executable, "-I", "-S", "-c", "raise SystemExit('no module named bots')")
        with pytest.raises(LoadError, match=r"process 0 ended before its time \(exit code 1: no module named bots\)"):
            run_crew(1, tmp_path, command)

    def test_leaves_no_other_process_behind(self, tmp_path: Path) -> None:
        # The first ends as soon as it is told to start, the second with its stdin only.
        then = "open(f'pid-{os.getpid()}', 'w')\nsys.exit(3) if '\"producer\":0' in plan else sys.stdin.read()"
        command = script(READY, then=f"os.chdir({str(tmp_path)!r})\n{then}")
        with pytest.raises(LoadError, match="sending process 0 ended"):
            run_crew(2, tmp_path, command)
        pids = [int(file.name.removeprefix("pid-")) for file in tmp_path.glob("pid-*")]
        assert len(pids) == 2
        assert [pid for pid in pids if is_alive(pid)] == []

    def test_raises_what_a_process_said_was_wrong(self, tmp_path: Path) -> None:
        problem = json.dumps({"problem": {"what": "no producer can be made", "where": "here", "cure": "Mend it."}})
        with pytest.raises(LoadError) as caught:
            run_crew(1, tmp_path, script(problem, then=""))
        assert str(caught.value) == "no producer can be made (here). Mend it."

    def test_says_so_when_a_process_does_not_answer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bots.crew.READY_S", 0.1)
        with pytest.raises(LoadError, match="does not answer") as caught:
            run_crew(1, tmp_path, script(then=""))
        assert not is_alive(int(caught.value.where))
        assert "Ask for a lower rate" in caught.value.cure


class TestWorker:
    """A sending process alone."""

    def test_goes_on_after_ctrl_c_and_ends_with_its_stdin(self, tmp_path: Path) -> None:
        states = tmp_path / "states"
        share = SharePlan(plan=plan_of("100 for 60s"), producer=0, producers=1, states_file=states)
        # A shell's background job hands an ignored Ctrl-C down: not so here.
        with worker(tmp_path, ("env", "--default-signal=INT", *WITHOUT_BROKER)) as (process, queue):
            process.tell(share.model_dump_json())
            assert heard(queue).ready
            process.tell(repr(time.monotonic()))
            os.kill(process.pid, signal.SIGINT)
            sent = heard_until(queue, lambda line: line.state is not None and line.state.sent > 20)
            os.kill(process.pid, signal.SIGINT)
            assert sent.state is not None
            after = heard_until(
                queue,
                lambda line: line.state is not None and sent.state is not None and line.state.sent > sent.state.sent,
            )
            assert after.result is None
            process.end_lease()
            result = heard_until(queue, lambda line: line.result is not None).result
            assert result is not None
            assert 20 < result.sent == result.acked < 3000
            assert queue.get(timeout=10) == Said(0, None)
        assert states.read_bytes() == bytes([State.ACKED] * result.sent + [State.NOT_SENT] * (6000 - result.sent))

    def test_sends_nothing_when_its_stdin_ends_before_the_start(self, tmp_path: Path) -> None:
        share = SharePlan(plan=plan_of("100 for 60s"), producer=0, producers=1, states_file=tmp_path / "states")
        with worker(tmp_path, WITHOUT_BROKER) as (process, queue):
            process.tell(share.model_dump_json())
            process.end_lease()
            result = heard_until(queue, lambda line: line.result is not None).result
        assert result is not None
        assert (result.sent, result.stopped_by) == (0, None)

    def test_says_what_is_wrong(self, tmp_path: Path) -> None:
        share = SharePlan(plan=plan_of("1 for 1s"), producer=0, producers=1, states_file=tmp_path / "states")
        with worker(tmp_path, WORKER) as (process, queue):
            process.tell(share.model_dump_json())
            problem = heard(queue).problem
        assert problem is not None
        assert problem.what == "no Kafka broker answers"


@contextmanager
def worker(folder: Path, command: Sequence[str]) -> Iterator[tuple[LineProcess, SimpleQueue[Said]]]:
    queue: SimpleQueue[Said] = SimpleQueue()
    process = LineProcess(0, command, process_environment(), folder / "worker.log", queue)
    try:
        yield process, queue
    finally:
        process.close(patience_s=5)


def heard(queue: SimpleQueue[Said]) -> ShareLine:
    line = queue.get(timeout=20).line
    assert line is not None, "it said no more"
    return ShareLine.model_validate_json(line)


def heard_until(queue: SimpleQueue[Said], is_it: Callable[[ShareLine], bool]) -> ShareLine:
    """The first line for which `is_it` holds, said within 20 s."""
    end_s = time.monotonic() + 20
    while not is_it(line := heard(queue)):
        assert time.monotonic() < end_s, f"the last it said: {line}"
    return line


class TestLineProcess:
    @contextmanager
    def running(
        self, folder: Path, code: str, patience_s: float = 5
    ) -> Iterator[tuple[LineProcess, SimpleQueue[Said]]]:
        queue: SimpleQueue[Said] = SimpleQueue()
        command = (sys.executable, "-I", "-S", "-c", code)
        process = LineProcess(4, command, process_environment(), folder / "log", queue)
        try:
            yield process, queue
        finally:
            process.close(patience_s)

    def test_hears_lines_and_answers_in_lines(self, tmp_path: Path) -> None:
        with self.running(tmp_path, "import sys\nfor line in sys.stdin: print('heard', line.strip())") as (
            process,
            queue,
        ):
            process.tell("one")
            process.tell("two")
            process.end_lease()
            said = [queue.get(timeout=10) for _ in range(3)]
        assert said == [Said(4, "heard one\n"), Said(4, "heard two\n"), Said(4, None)]

    def test_may_be_told_something_when_it_has_ended(self, tmp_path: Path) -> None:
        with self.running(tmp_path, "raise SystemExit('enough')") as (process, queue):
            assert queue.get(timeout=10) == Said(4, None)
            eventually("its stdin is closed", lambda: not is_running(process.pid))
            for _ in range(3):
                process.tell("anybody there?")
        assert process.last_words() == "exit code 1: enough"

    def test_is_ended_when_it_does_not_end_by_itself(self, tmp_path: Path) -> None:
        with self.running(tmp_path, "import time\ntime.sleep(600)", patience_s=0.1) as (process, queue):
            assert is_alive(process.pid)
        assert not is_alive(process.pid)
        assert process.last_words() == "exit code -9: it said nothing"
        assert queue.get(timeout=10) == Said(4, None)


def is_running(pid: int) -> bool:
    """False also for a process that has ended and that nobody has waited for."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
