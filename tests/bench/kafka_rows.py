"""Kafka's rows: the bot beside the design's bot, ProducerPerformance and a bare confluent-kafka loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from bots.plan import BotResult
from targets.load import EngineName
from tests.bench.kafka_bench import FAST_PER_S, PACED_PER_S, KafkaBench, Round, middle
from tests.bench.kafka_site import Figures, acked_per_s
from tests.bench.row import Measure, Row

RATES_PER_S = (100, 1_000, PACED_PER_S)
HELD_AT_LEAST = 0.998
UNPACED_AT_LEAST = 0.7
FAST_AT_LEAST = 0.99
FAST_WHERE_PER_S = 130_000
"""Where ProducerPerformance makes so many, 100,000 are to be reached; where it makes less, as large a share of it."""
FELT_MS = 1000

_PACED = f"ProducerPerformance at {PACED_PER_S:,} msg/s"
_UNPACED = "ProducerPerformance, unpaced"


def kafka_measures(kafka: KafkaBench) -> Mapping[str, Measure]:
    """Row id -> what measures it."""
    rows: Mapping[str, Callable[[str, KafkaBench], Row]] = {
        **{f"kafka-rate-{rate}": partial(_rate_row, rate) for rate in RATES_PER_S},
        "kafka-unpaced": _unpaced_row,
        "kafka-bare-confluent": _bare_row,
        f"kafka-rate-{FAST_PER_S}": _fast_row,
        f"kafka-p99-{PACED_PER_S}": _p99_row,
        f"kafka-p99-{PACED_PER_S}-default": _default_p99_row,
        "kafka-cpu-default": _default_cpu_row,
        "kafka-cpu-confluent": _confluent_cpu_row,
        "kafka-cpu-design-bot": _design_bot_cpu_row,
        "kafka-cpu-producer-performance": _producer_performance_cpu_row,
        "kafka-cpu-bare-confluent": _bare_cpu_row,
        "kafka-restarts-kafka-python": partial(_restarts_row, "kafka-python"),
        "kafka-restarts-confluent": partial(_restarts_row, "confluent"),
    }
    return {id: partial(_told, row, id, kafka) for id, row in rows.items()}


def _told(row: Callable[[str, KafkaBench], Row], id: str, kafka: KafkaBench) -> Iterator[Row]:
    _say(id, "measuring ...")
    yield row(id, kafka)


def _rate_row(rate_per_s: int, id: str, kafka: KafkaBench) -> Row:
    held, design = kafka.default_engine(rate_per_s), kafka.design_bot(rate_per_s)
    reached, least = acked_per_s(held.result), HELD_AT_LEAST * rate_per_s
    _say(id, f"{reached / rate_per_s:.4f} of what was asked; {held}")
    beside = "the design's bot, asked for as much"
    return Row(id, reached, "msg/s", beside, design.rate_per_s, f">= {least:,.1f}", reached >= least)


def _unpaced_row(id: str, kafka: KafkaBench) -> Row:
    bot, yardstick = _bots(kafka.unpaced), _yardsticks(kafka.unpaced)
    accounts = [round.bot for round in kafka.unpaced]
    wrong = [told for told in map(_wrong, accounts) if told]
    for round in kafka.unpaced:
        _say(
            id,
            f"{acked_per_s(round.bot):,.0f} msg/s, ProducerPerformance {round.producer_performance.rate_per_s:,.0f}"
            f" ({kafka.record_bytes} bytes a record); {_wrong(round.bot) or 'each message in the log once'}",
        )
    ok = bot.rate_per_s >= UNPACED_AT_LEAST * yardstick.rate_per_s and not wrong
    return Row(id, bot.rate_per_s, "msg/s", _UNPACED, yardstick.rate_per_s, f">= {UNPACED_AT_LEAST} x", ok)


def _bare_row(id: str, kafka: KafkaBench) -> Row:
    bare, yardstick = _bares(kafka), _yardsticks(kafka.unpaced)
    return Row(id, bare.rate_per_s, "msg/s", _UNPACED, yardstick.rate_per_s, "-", ok=True)


def _fast_row(id: str, kafka: KafkaBench) -> Row:
    """A queue that grew until the end is no rate that was reached: `acked_per_s` counts until its last answer."""
    yardstick, result = kafka.producer_performance(), kafka.fast()
    reached = acked_per_s(result)
    least = FAST_AT_LEAST * FAST_PER_S * min(1.0, yardstick.rate_per_s / FAST_WHERE_PER_S)
    _say(id, f"p99 from intended send {result.from_intended.p99_ms} ms; {result.acked} of {result.sent} acknowledged")
    want = f">= {least:,.0f} ({FAST_AT_LEAST:.0%} of {FAST_PER_S:,} where the other makes {FAST_WHERE_PER_S:,})"
    return Row(id, reached, "msg/s", _UNPACED, yardstick.rate_per_s, want, reached >= least)


def _p99_row(id: str, kafka: KafkaBench) -> Row:
    """Harder on the bot: its latency counts from the intended send, ProducerPerformance's from the send."""
    bot, yardstick = _p99_ms(_bots(kafka.paced)), _p99_ms(_yardsticks(kafka.paced))
    for round in kafka.paced:
        _say(id, f"{_p99_ms(Figures.of_bot(round.bot))} ms, {_PACED} {_p99_ms(round.producer_performance)} ms")
    return Row(id, bot, "ms", f"{_PACED}, from send", yardstick, "<= 1 x", bot <= yardstick)


def _default_p99_row(id: str, kafka: KafkaBench) -> Row:
    held = Figures.of_bot(kafka.default_engine(PACED_PER_S).result)
    beside = f"{_PACED}, from send"
    return Row(id, _p99_ms(held), "ms", beside, _p99_ms(_yardsticks(kafka.paced)), "-", ok=True)


def _default_cpu_row(id: str, kafka: KafkaBench) -> Row:
    return _paced_cpu_row(id, Figures.of_bot(kafka.default_engine(PACED_PER_S).result), kafka)


def _confluent_cpu_row(id: str, kafka: KafkaBench) -> Row:
    return _paced_cpu_row(id, _bots(kafka.paced), kafka)


def _design_bot_cpu_row(id: str, kafka: KafkaBench) -> Row:
    return _paced_cpu_row(id, kafka.design_bot(PACED_PER_S), kafka)


def _producer_performance_cpu_row(id: str, kafka: KafkaBench) -> Row:
    return _cpu_row(id, _yardsticks(kafka.paced), "the same, unpaced", _yardsticks(kafka.unpaced))


def _bare_cpu_row(id: str, kafka: KafkaBench) -> Row:
    return _cpu_row(id, _bares(kafka), "the bot's confluent engine, both unpaced", _bots(kafka.unpaced))


def _paced_cpu_row(id: str, figures: Figures, kafka: KafkaBench) -> Row:
    return _cpu_row(id, figures, _PACED, _yardsticks(kafka.paced))


def _cpu_row(id: str, figures: Figures, beside: str, yardstick: Figures) -> Row:
    """Processor seconds of the client per million messages, its start left out; for information."""
    return Row(id, figures.cpu_s_per_million, "s", beside, yardstick.cpu_s_per_million, "-", ok=True)


def _restarts_row(engine: EngineName, id: str, kafka: KafkaBench) -> Row:
    """Acknowledged messages that the log does not hold; the restarts count only where the load has felt them."""
    result = kafka.restarts[engine]
    account, longest_ms = result.accounting, result.from_intended.max_ms or 0
    assert account is not None, result.verification_problem
    _say(
        id,
        f"{result.acked} of {result.sent} acknowledged, the longest after {longest_ms / 1000:.1f} s, {result.failed}"
        f" failed, {account.duplicates} in the log twice, {account.unacknowledged_in_log} there unacknowledged",
    )
    felt = result.failed > 0 or longest_ms > FELT_MS
    return Row(id, account.lost, "messages", "acknowledged", result.acked, "0 lost", account.lost == 0 and felt)


def _wrong(result: BotResult) -> str:
    """What the account of a run without disturbance should not hold."""
    account = result.accounting
    if account is None:
        return f"the log was not read back: {result.verification_problem}"
    found = {"lost": account.lost, "duplicates": account.duplicates, "never sent": account.never_sent}
    found["failed"] = result.failed
    return ", ".join(f"{count} {what}" for what, count in found.items() if count)


def _bots(rounds: Sequence[Round]) -> Figures:
    return middle([Figures.of_bot(round.bot) for round in rounds])


def _yardsticks(rounds: Sequence[Round]) -> Figures:
    return middle([round.producer_performance for round in rounds])


def _bares(kafka: KafkaBench) -> Figures:
    return middle([round.bare for round in kafka.unpaced if round.bare is not None])


def _p99_ms(figures: Figures) -> float:
    assert figures.p99_ms is not None
    return figures.p99_ms


def _say(id: str, what: str) -> None:
    print(f"{id}: {what}", flush=True)
