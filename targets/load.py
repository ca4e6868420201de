"""Loads: how hard each scenario and the bot press, as named numbers (`targets/loads/<name>.yaml` or a file)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from targets.documents import find_document, read_document
from targets.model import FOLDER, Data
from targets.shape import BotStep, steps_of

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Rate = Annotated[float, Field(gt=0, le=100_000)]
EngineName = Literal["kafka-python", "confluent"]
"""The bot's Kafka client."""
Count = Annotated[int, Field(gt=0, le=100_000)]


class ShoppingFlow(Data):
    """A: ramping-vus."""

    vus: Count
    ramp_up_s: Seconds
    steady_s: Seconds
    ramp_down_s: Seconds


class BlogRead(Data):
    """B: constant-arrival-rate."""

    rate_per_s: Rate
    duration_s: Seconds
    pre_allocated_vus: Count
    max_vus: Count


class CouponSpike(Data):
    """C: shared-iterations, one user an iteration."""

    users: Count
    max_duration_s: Seconds


class SearchLoad(Data):
    """D: ramping-arrival-rate."""

    start_rate_per_s: Rate
    rate_per_s: Rate
    ramp_up_s: Seconds
    steady_s: Seconds
    ramp_down_s: Seconds
    pre_allocated_vus: Count
    max_vus: Count


class CacheThundering(Data):
    """E: shared-iterations just after the cache's expiry; the TTL is the target's."""

    herd_vus: Count
    max_duration_s: Seconds


class Load(Data):
    """How hard: smoke, design, soak, or a file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    description: str
    a: ShoppingFlow
    b: BlogRead
    c: CouponSpike
    d: SearchLoad
    e: CacheThundering
    bot: Annotated[tuple[BotStep, ...], BeforeValidator(steps_of)] = Field(
        min_length=1, description="steps, or a shape as text: `100 for 5m, 1000 for 1m`"
    )
    bot_engine: EngineName = "kafka-python"
    bot_beside: bool = Field(default=False, description="the bot sends while k6 runs, not after it")
    segment_s: Annotated[float, Field(ge=10, le=86_400)] | None = Field(
        default=None,
        description="A, B and D run in k6 processes of about this length, one after the other; none: in one each",
    )
    generators: int = Field(default=1, ge=1, le=64, description="k6 processes that share each scenario")


def load_load(name: str) -> Load:
    """The load called `name`, or in the file `name`."""
    return read_document(find_document(name, FOLDER / "loads", "load"), Load)
