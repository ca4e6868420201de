"""Phase 5's steps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

from bots.checks import kafka_bot_accounting_check, kafka_bot_rate_check, kafka_lag_drains_check
from bots.plan import BotPlan, BotResult, Progress
from bots.runner import run_bot_process
from core.checks import Check, check
from core.errors import SuiteError
from core.ports import DEFAULT_PORTS, ServiceId
from core.words import Phase, Verdict
from tasks.brake import limited_bot, room_watched
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("suite")
BOT_PORT = DEFAULT_PORTS[ServiceId.KAFKA_BOT]


@step
def run_bot(run: Run) -> BotResult:
    """The bot in a process of its own, with the target's events at the load's rates."""
    run.begin_load("bot")
    plan = BotPlan(
        run_id=run.run_id,
        bootstrap_servers=run.endpoints[ServiceId.KAFKA],
        allow=run.profile.allow,
        events=run.profile.events,
        steps=run.load.bot,
        engine=run.load.bot_engine,
        metrics_address=run.backend.bot_address,
        metrics_port=run.endpoints.port(ServiceId.KAFKA_BOT) if not run.lacks(ServiceId.KAFKA_BOT) else BOT_PORT,
    )
    with room_watched(run):
        run.bot = run_bot_process(plan, run.directory.path / "bot", run.stop, limited_bot(run, _say))
    if run.bot.stopped_by is not None:
        problem = run.bot.stopped_by
        run.fail(SuiteError(problem.what, where=problem.where, cure=problem.cure))
    run.ledger["bot"] = run.bot.accounting.model_dump() if run.bot.accounting else None
    run.keep()
    return run.bot


@contextmanager
def bot_beside(run: Run) -> Iterator[None]:
    """Where the load says so the bot sends while the block's load does; phase 5 then only judges what it did."""
    wanted = run.load.bot_beside and Phase.KAFKA_BOT in run.request.phases
    if not wanted or run.bot is not None or "bot" in run.begun:
        yield
        return
    in_this_context = copy_context().run
    with ThreadPoolExecutor(1, thread_name_prefix="kafka-bot") as pool:
        pool.submit(in_this_context, run.attempt, "the Kafka bot", lambda: run_bot(run))
        yield


@step
def kafka_bot_rate(run: Run) -> Check:
    """The rate was the schedule's, within 0.5 %."""
    return kafka_bot_rate_check(run.bot) if run.bot else check("kafka-bot-rate", Verdict.NO_DATA, "the bot did not run")


@step
def kafka_bot_accounting(run: Run) -> Check:
    """Acknowledged messages are in the log, the log in what was sent (corrections.md 9)."""
    if run.bot is None:
        return check("kafka-bot-accounting", Verdict.NO_DATA, "the bot did not run")
    return kafka_bot_accounting_check(run.bot)


@step
def kafka_lag_drains(run: Run) -> Check:
    """The group's lag stayed below its bound and drained."""
    if run.bot is None:
        return check("kafka-lag-drains", Verdict.NO_DATA, "the bot did not run")
    return kafka_lag_drains_check(run.bot)


def _say(progress: Progress) -> None:
    log.info("kafka bot %s", progress)
