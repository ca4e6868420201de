"""The shape of the bot's load: steps that hold a rate or go from one to another, also written as text.

100 for 5m                       constant
100 to 1000 for 2m               ramp
100 for 5m, 1000 for 1m          spike: steps one after the other, apart by commas or on lines of their own
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from targets.model import Data

MOST_PER_S = 1_000_000
"""A rate that no broker on one machine reaches: asked for, it means "as fast as it goes"."""
MOST_S = 86_400
BotRate = Annotated[float, Field(gt=0, le=MOST_PER_S)]

_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_NUMBER = r"(\d[\d_]*(?:\.\d+)?)"
_STEP = re.compile(rf"{_NUMBER}(?:\s*(?:to|->)\s*{_NUMBER})?\s+for\s+{_NUMBER}\s*(ms|s|m|h)?", re.IGNORECASE)
_SYNTAX = "write steps as `100 for 5m, 100 to 1000 for 30s, 1000 for 1m`"


class BotStep(Data):
    """One step of the Kafka bot; with `to_rate_per_s` its rate moves there in a straight line."""

    rate_per_s: BotRate
    duration_s: Annotated[float, Field(ge=0, le=MOST_S)]
    to_rate_per_s: BotRate | None = Field(default=None, description="rate at the end of a ramp; none: constant")

    @property
    def last_rate_per_s(self) -> float:
        return self.rate_per_s if self.to_rate_per_s is None else self.to_rate_per_s

    @property
    def mean_rate_per_s(self) -> float:
        return (self.rate_per_s + self.last_rate_per_s) / 2

    def __str__(self) -> str:
        ramp = "" if self.to_rate_per_s is None else f" to {self.to_rate_per_s:.10g}"
        return f"{self.rate_per_s:.10g}{ramp} for {self.duration_s:.10g}s"


def parse_shape(text: str) -> tuple[BotStep, ...]:
    """The steps that `text` holds, `#` comments left out; ValueError naming the part that is no step."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    parts = [part.strip() for line in lines for part in line.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"the shape holds no step; {_SYNTAX}")
    return tuple(_parse_step(part) for part in parts)


def steps_of(value: Any) -> Any:
    """Text as steps, anything else as it is: for a field that takes both."""
    return parse_shape(value) if isinstance(value, str) else value


def _parse_step(part: str) -> BotStep:
    found = _STEP.fullmatch(part)
    if found is None:
        raise ValueError(f"'{part}' is no step; {_SYNTAX}")
    rate, to_rate, length, unit = found.groups()
    duration_s = _number(length) * _UNIT_S[(unit or "s").lower()]
    for what, value, most in (
        ("rate", _number(rate), MOST_PER_S),
        ("rate", _number(to_rate or rate), MOST_PER_S),
        ("duration in seconds", duration_s, MOST_S),
    ):
        if not 0 < value <= most:
            raise ValueError(f"a {what} must be above 0 and at most {most:,}, found {value:.10g} in '{part}'")
    return BotStep(
        rate_per_s=_number(rate),
        duration_s=duration_s,
        to_rate_per_s=None if to_rate is None else _number(to_rate),
    )


def _number(text: str) -> float:
    return float(text.replace("_", ""))
