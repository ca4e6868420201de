"""What a run may do to its target: its budget is reckoned and counted; one that has had enough is left alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bots.plan import Progress as BotProgress
from core.errors import TargetError
from core.ports import ServiceId
from core.request import Request
from core.words import Phase
from infra.room import disk_problem, elasticsearch_problem
from k6.model import Progress
from k6.spending import spending
from targets.budget import Spending, messages, require_within
from targets.load import Load
from targets.model import Profile
from tasks.run import Run

log = logging.getLogger("suite")

LOOK_EVERY_S = 5.0
BOT = "the Kafka bot"


def require_budget(request: Request, profile: Profile, load: Load) -> None:
    """ConfigError, before anything is started, when what was asked for may exceed the target's budget."""
    require_within(profile, _planned(request, profile, load), load.name)


def _planned(request: Request, profile: Profile, load: Load) -> Iterator[Spending]:
    if Phase.LOAD in request.phases:
        asked = [scenario for scenario in profile.scenarios if not request.scenario or scenario in request.scenario]
        yield from (spending(each, load, profile) for each in asked if each != "e" or profile.cache is not None)
    elif Phase.DASHBOARDS in request.phases:
        yield spending("b", load, profile)
    if Phase.KAFKA_BOT in request.phases:
        yield messages(load.bot)


def limited(run: Run, scenario: str, show: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`show`, and the load ends when the budget is used up or the target fails too much."""
    limit = run.limits.of(scenario)

    def note(progress: Progress) -> None:
        show(progress)
        brake(run, limit(progress.elapsed_s, progress.requests, progress.ill_ratio))

    return note


def limited_bot(run: Run, show: Callable[[BotProgress], None]) -> Callable[[BotProgress], None]:
    """`show`, and the load ends when the budget is used up or the broker fails too much."""
    limit = run.limits.of(BOT)

    def note(progress: BotProgress) -> None:
        show(progress)
        if progress.doing == "sending":
            brake(run, limit(progress.elapsed_s, progress.sent, progress.failed / max(1, progress.sent)))

    return note


@contextmanager
def room_watched(run: Run) -> Iterator[None]:
    """Beside the load, look every few seconds whether disk and Elasticsearch have room; without it the load ends."""
    ended = threading.Event()
    watcher = threading.Thread(target=_watch_room, args=(run, ended), name="room", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch_room(run: Run, ended: threading.Event) -> None:
    while True:
        for problem in _room_problems(run):
            brake(run, problem)
        if ended.wait(LOOK_EVERY_S):
            return


def _room_problems(run: Run) -> Sequence[str]:
    problems = [disk_problem(run.directory.path, run.profile.abort.disk_free_mb)]
    if ServiceId.ELASTICSEARCH in run.endpoints:
        problems.append(elasticsearch_problem(run.endpoints.url(ServiceId.ELASTICSEARCH)))
    return problems


def brake(run: Run, problem: str) -> None:
    """End the load, once, because of `problem`; "" is none."""
    if not problem or run.stop.is_set():
        return
    log.error("the load ends: %s", problem)
    run.fail(
        TargetError(
            problem,
            where=f"target '{run.profile.name}'",
            cure="The load was ended for its sake: `budget` and `abort` of the profile. See to it, then run again.",
        )
    )
    run.braked = problem
    run.stop.set()
