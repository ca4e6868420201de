"""The phase's three checks, judged from what the bot answered (architecture.md, "Check ids are fixed")."""

from __future__ import annotations

from bots.plan import Accounting, BotResult, Drain, StepResult
from core.checks import Check, check, passed_if
from core.words import Verdict

RATE_TOLERANCE = 0.005
"""The rate and the time it was held may be off by this share."""
BURST_LATENESS_MS = 1000
"""An average rate made of bursts is not the rate asked for: p99 of the lateness."""
PEAK_LAG_RECORDS = 10_000
"""platform.md 8: lag below 10,000, recovered within 5 minutes, nothing lost."""


def kafka_bot_rate_check(result: BotResult) -> Check:
    """PASS when every step was held at its rate; INVALID when the run was cut short or sent in bursts."""
    id, evidence = "kafka-bot-rate", _load_evidence(result)
    if result.stopped_by is not None:
        return check(id, Verdict.FAIL, f"the load ended early: {result.stopped_by}", **evidence)
    if result.interrupted:
        return check(
            id, Verdict.INVALID, f"interrupted after {result.sent} of {_scheduled(result)} messages", **evidence
        )
    if _scheduled(result) == 0:
        return check(id, Verdict.NO_DATA, "the schedule holds no message", **evidence)
    missed = [step for step in result.steps if step.scheduled and not _held(step)]
    if missed:
        return check(id, Verdict.FAIL, "; ".join(_told(step) for step in missed), **evidence)
    if (result.lateness.p99_ms or 0) > BURST_LATENESS_MS:
        return check(
            id,
            Verdict.INVALID,
            f"sent in bursts: 1 % of the messages were over {result.lateness.p99_ms:.0f} ms late",
            **evidence,
        )
    return check(id, Verdict.PASS, "; ".join(_told(step) for step in result.steps), **evidence)


def kafka_bot_accounting_check(result: BotResult) -> Check:
    """PASS when acked = sent and each message is in the log once; without reading back it can only FAIL."""
    id = "kafka-bot-accounting"
    evidence = {"sent": result.sent, "acked": result.acked, "failures": dict(result.failures)}
    failed = "" if not result.failed else f"{result.failed} of {result.sent} messages failed ({_reasons(result)})"
    account = result.accounting
    if account is None:
        missing = f"the log was not read back: {result.verification_problem or 'not asked for'}"
        silent = Verdict.NO_DATA if result.verification_problem else Verdict.SKIPPED
        return check(id, Verdict.FAIL if failed else silent, failed or missing, **evidence)
    evidence |= account.model_dump()
    if result.sent == 0:
        return check(id, Verdict.NO_DATA, "no message was sent", **evidence)
    wrong = [part for part in (failed, *_differences(account)) if part]
    good = f"{result.acked} messages acknowledged, each in the log once and in order"
    return passed_if(id, not wrong, "; ".join(wrong) or good, **evidence)


def kafka_lag_drains_check(result: BotResult) -> Check:
    """PASS when the group's lag stayed below its bound, went back to 0, and no message went to the dead letters."""
    id, drain = "kafka-lag-drains", result.drain
    if drain is None:
        if result.verification_problem is None:
            return check(id, Verdict.SKIPPED, "the consumer group was not watched: not asked for")
        return check(id, Verdict.NO_DATA, f"the consumer group could not be watched: {result.verification_problem}")
    evidence = {**drain.model_dump(exclude={"series"}), "lag_records": [s.lag_records for s in drain.series]}
    if wrong := _undrained(drain, result.interrupted):
        return check(id, Verdict.FAIL, "; ".join(wrong), **evidence)
    if drain.peak_lag_records is None:
        what = f"group '{drain.group}' has never committed an offset of '{result.topic}': is its consumer running?"
        return check(id, Verdict.NO_DATA, what, **evidence)
    if drain.last_lag_records is None:
        return check(id, Verdict.NO_DATA, "the lag was not seen again after the load", **evidence)
    if drain.last_lag_records:
        return check(id, Verdict.INVALID, f"interrupted with a lag of {drain.last_lag_records} records", **evidence)
    good = f"the lag rose to {drain.peak_lag_records} records and was 0 again {drain.drain_s:.0f} s after the load"
    return check(id, Verdict.PASS, good, **evidence)


def _undrained(drain: Drain, interrupted: bool) -> list[str]:
    """What went wrong with the consumers, in sentences."""
    peak, last = drain.peak_lag_records or 0, drain.last_lag_records or 0
    faults = {
        f"the lag rose to {peak:,} records, {PEAK_LAG_RECORDS:,} is the bound": peak >= PEAK_LAG_RECORDS,
        f"{drain.dead_letters} messages went to the dead-letter topic": drain.dead_letters > 0,
        f"the lag was still {last} records {drain.drain_s:.0f} s after the load": last > 0 and not interrupted,
    }
    return [sentence for sentence, is_so in faults.items() if is_so]


def _held(step: StepResult) -> bool:
    right_rate = abs(step.rate_per_s / step.asked_rate_per_s - 1) <= RATE_TOLERANCE
    # A step's sends lie within `scheduled` intervals, which is its duration but for a rest below one interval.
    right_time = abs(step.sending_s / (step.scheduled / step.asked_rate_per_s) - 1) <= RATE_TOLERANCE
    return right_rate and right_time


def _told(step: StepResult) -> str:
    ramp = f" ({step.asked})" if " to " in step.asked else ""
    return (
        f"{step.rate_per_s:.1f} msg/s acknowledged of {step.asked_rate_per_s:.10g} asked{ramp}, "
        f"for {step.sending_s:.1f} of {step.asked_duration_s:g} s"
    )


def _scheduled(result: BotResult) -> int:
    return sum(step.scheduled for step in result.steps)


def _reasons(result: BotResult) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in result.failures.items())


def _differences(account: Accounting) -> list[str]:
    figures = {
        "acknowledged messages are not in the log (was the topic deleted, or its retention short?)": account.lost,
        "duplicates are in the log": account.duplicates,
        "messages are in the log that were never sent": account.never_sent,
        "messages are in the log that were never acknowledged": account.unacknowledged_in_log,
        "messages stand in the log behind a later one of the same key": account.order_breaks,
    }
    return [f"{count} {what}" for what, count in figures.items() if count]


def _load_evidence(result: BotResult) -> dict[str, object]:
    return {
        "steps": [step.model_dump() for step in result.steps],
        "from_intended": result.from_intended.model_dump(),
        "from_send": result.from_send.model_dump(),
        "lateness": result.lateness.model_dump(),
    }
