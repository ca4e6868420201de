"""One row of the bench: a figure beside its yardstick."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure beside its yardstick; `want`: a bound on the value, with `x` on the ratio, `-` where there is none."""

    id: str
    value: float
    unit: str
    beside: str
    beside_value: float
    want: str
    ok: bool

    @property
    def ratio(self) -> float:
        return self.value / self.beside_value

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": round(self.ratio, 3)}


Measure = Callable[[], Iterable[Row]]
