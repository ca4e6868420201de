"""Units that a gate may use for a series, and how a figure in them is written."""

from __future__ import annotations

from collections.abc import Mapping

UNITS: Mapping[str, Mapping[str, float]] = {
    "s": {"s": 1, "ms": 1e-3},
    "ratio": {"ratio": 1, "%": 1e-2},
    "bytes": {"bytes": 1, "MiB": 2**20, "GiB": 2**30},
}
"""Unit of the catalogue -> unit of a gate -> how many of the former one of the latter is; others stand alone."""
PER_HOUR = "/h"
"""What a slope adds to the unit of its series."""


def units_for(unit: str, *, slope: bool = False) -> Mapping[str, float]:
    """Units that a gate over a series in `unit` may use, each as a factor."""
    ending = PER_HOUR if slope else ""
    return {name + ending: factor for name, factor in UNITS.get(unit, {unit: 1}).items()}


def factor_of(unit: str) -> float:
    """How many of the catalogue's unit one of a gate's unit is."""
    plain = unit.removesuffix(PER_HOUR)
    return next((factors[plain] for factors in UNITS.values() if plain in factors), 1.0)


def bound_text(value: float, unit: str) -> str:
    """A bound as a gate file gives it: '0.1%', '10,000 records', '128 MiB'."""
    return f"{value:g}%" if unit == "%" else f"{value:,.10g} {unit}"


def figure_text(value: float, unit: str) -> str:
    """A measured figure: '0.012%', '85 ms', '0.42 s', '1,024 records'."""
    if unit == "%":
        return f"{value:.3f}%"
    return f"{value:,.0f} {unit}" if abs(value) >= 10 or value == int(value) else f"{value:.3g} {unit}"
