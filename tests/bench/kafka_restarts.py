"""The bot while its broker is restarted: both engines send at once, so that every restart hits them both."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import get_args

from bots.plan import BotResult, Progress
from targets.load import EngineName
from tests.bench.kafka_site import Site
from tests.kafka_broker import eventually

RESTARTS = 5
RATE_PER_S = 1000
AGAIN = 2000
"""So many more messages are acknowledged before the broker is ended again: the load is back."""
BACK_WITHIN_S = 60.0
AT_MOST_S = 600.0
"""The load's length; it is stopped when the restarts are over."""


def restarted(site: Site) -> Mapping[EngineName, BotResult]:
    """The account of each engine over `RESTARTS` restarts, gentle (TERM) and at once (KILL) in turn.

    AssertionError when a bot was not sending at one of them.
    """
    stop, latest = Event(), dict[EngineName, Progress]()
    engines: tuple[EngineName, ...] = get_args(EngineName)

    def send(engine: EngineName) -> BotResult:
        return site.bot(
            engine,
            RATE_PER_S,
            AT_MOST_S,
            verify=True,
            stop=stop,
            on_progress=lambda progress: latest.update({engine: progress}),
        )

    with ThreadPoolExecutor() as pool:
        running = {engine: pool.submit(send, engine) for engine in engines}
        try:
            _wait_until_acknowledged(running, latest)
            for number in range(RESTARTS):
                (site.kafka.kill if number % 2 else site.kafka.stop)()
                site.kafka.start()
                _wait_until_acknowledged(running, latest)
        finally:
            stop.set()
        return {engine: bot.result() for engine, bot in running.items()}


def _wait_until_acknowledged(
    running: Mapping[EngineName, Future[BotResult]], latest: Mapping[EngineName, Progress]
) -> None:
    """Until each engine has `AGAIN` more messages acknowledged than now."""
    before = {engine: latest[engine].acked if engine in latest else 0 for engine in running}

    def sends_again(engine: EngineName) -> bool:
        assert not running[engine].done(), f"the bot with {engine} ended before its time: {running[engine].result()}"
        return engine in latest and latest[engine].acked >= before[engine] + AGAIN

    for engine in running:
        eventually(f"{engine} has messages acknowledged", partial(sends_again, engine), BACK_WITHIN_S)
