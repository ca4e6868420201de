"""Figures of any unit for people: '180 MiB', '12 ms', '0.4 %', '1,024 records', '+3.1 %', '14 h'."""

from __future__ import annotations

from report.units import figure_text

_MIB = 2.0**20
_HOURS_OF_A_DAY = 24
_TOO_FAR_H = 24 * 365


def amount(value: float | None, unit: str) -> str:
    """A figure in a unit of the catalogue or of a measure; '–' where there is none."""
    if value is None:
        return "–"
    match unit:
        case "bytes":
            mebibytes = value / _MIB
            return f"{mebibytes / 1024:.3g} GiB" if abs(mebibytes) >= 1024 else f"{mebibytes:.3g} MiB"
        case "s":
            return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
        case "ratio":
            return f"{value * 100:.3g} %"
        case "ms" | "MiB":
            return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"
        case "count" | "connections":
            return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
        case "% of the machine":
            return f"{value:.3g} %"
        case _:
            return figure_text(value, unit)


def relative(value: float | None) -> str:
    """A relative change: '+3.1 %'; '–' where there is none."""
    return "–" if value is None else f"{value * 100:+.1f} %"


def hours(value: float | None) -> str:
    """A time until something runs out: '45 min', '14 h', '9 days'; '–' where none is known."""
    if value is None:
        return "–"
    if value > _TOO_FAR_H:
        return "> 1 year"
    if value >= 2 * _HOURS_OF_A_DAY:
        return f"{value / _HOURS_OF_A_DAY:.0f} days"
    return f"{value:.1f} h" if value >= 1 else f"{value * 60:.0f} min"
