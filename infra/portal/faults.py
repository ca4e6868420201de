"""Faults that are switched on by name, so that the suite can be tested against a platform that is ill.

A service declares the faults its real parts know; the part asks `strength(name)` where it acts. A fault makes the part
itself fail (a connection is killed, the limiter limits): it is never a sleep or a made-up answer in a handler.

To add one: name it where the part is built, ask for its strength there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

RATE_LIMIT = "rate-limit"
ERROR_BURST = "error-burst"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a fault does, and its strength when none is named."""

    description: str
    default_strength: float = 1.0


class Faults:
    """The faults of one process and which of them are on."""

    def __init__(self, known: Mapping[str, Fault]) -> None:
        self.known = known
        self._active: dict[str, float] = {}

    def switch_on(self, name: str, strength: float | None = None) -> None:
        """Raises KeyError for a fault this process does not know."""
        fault = self.known[name]
        self._active[name] = fault.default_strength if strength is None else strength

    def switch_off(self, name: str) -> None:
        """Switch off; a fault that is not on stays off. Raises KeyError for one this process does not know."""
        if name not in self.known:
            raise KeyError(name)
        self._active.pop(name, None)

    def strength(self, name: str) -> float:
        """0 = off."""
        return self._active.get(name, 0.0)

    def shown(self) -> dict[str, dict[str, object]]:
        """Every known fault: what it does and how strong it is now."""
        return {
            name: {"description": fault.description, "strength": self.strength(name)}
            for name, fault in self.known.items()
        }


CONNECTION_FAULTS = {
    ERROR_BURST: Fault("this share of the pool's connections is killed in the server as it is handed out", 0.3)
}
