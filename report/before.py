"""Before any load: which gates will have no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from report.catalogue import catalogue
from report.gate_file import Gate
from targets.model import Profile

BY_THE_LOAD = ("k6", "bot")
"""Groups of series that are there only once the load runs."""


def queries_of_gates(profile: Profile, gates: Mapping[str, Gate]) -> Iterator[tuple[str, str]]:
    """(gate id, PromQL of one of its series) for every gate that is NO_DATA without it."""
    specs = {spec.id: spec for spec in catalogue(profile, "run") if spec.group not in BY_THE_LOAD}
    for id, gate in gates.items():
        if gate.absent == "no_data":
            yield from ((id, specs[series].promql) for series in (gate.series, *gate.per) if series in specs)


def gates_without_data(
    profile: Profile, gates: Mapping[str, Gate], why_missing: Callable[[str], str]
) -> Mapping[str, list[str]]:
    """Cause -> ids of the gates that it will leave NO_DATA. `why_missing`: PromQL -> cause, "" where there is data."""
    causes: dict[str, list[str]] = {}
    for id, query in queries_of_gates(profile, gates):
        if (cause := why_missing(query)) and id not in causes.setdefault(cause, []):
            causes[cause].append(id)
    return causes
