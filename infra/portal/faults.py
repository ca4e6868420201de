"""Faults that are switched on by name, so that the suite can be tested against a platform that is ill.

A service declares the faults its real parts know; the part asks `strength(name)` where it acts. A fault makes the part
itself fail (a connection is killed, the limiter limits): it is never a sleep or a made-up answer in a handler.

To add one: name it below, in the services that know it; ask for its strength where the part acts. A part that has
something to put right when its fault is switched (what it kept, its connections) says so with `on_switch`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OVERSELL = "oversell"
LOST_UPDATE = "lost-update"
NO_SINGLE_FLIGHT = "no-single-flight"
SLOW_QUERY = "slow-query"
POOL_EXHAUSTION = "pool-exhaustion"
SLOW_SEARCH = "slow-search"
ERROR_BURST = "error-burst"
RATE_LIMIT = "rate-limit"
CONSUMER_SLOW = "consumer-slow"
CONSUMER_DROPS = "consumer-drops"
DUPLICATE_EVENTS = "duplicate-events"
MEMORY_LEAK = "memory-leak"
CPU_BURN = "cpu-burn"
SLOW_REDIS = "slow-redis"
TRACE_LOSS = "trace-loss"
WRONG_STATUS = "wrong-status"
EMPTY_RESULTS = "empty-results"


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
        self._reactions: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def on_switch(self, name: str, react: Callable[[], None]) -> None:
        """Call `react` whenever the fault is switched, on or off; one that this process has not is never switched."""
        self._reactions[name].append(react)

    def switch_on(self, name: str, strength: float | None = None) -> None:
        """Raises KeyError for a fault this process does not know."""
        fault = self.known[name]
        self._active[name] = fault.default_strength if strength is None else strength
        self._switched(name)

    def switch_off(self, name: str) -> None:
        """Switch off; a fault that is not on stays off. Raises KeyError for one this process does not know."""
        if name not in self.known:
            raise KeyError(name)
        self._active.pop(name, None)
        self._switched(name)

    def strength(self, name: str) -> float:
        """0 = off."""
        return self._active.get(name, 0.0)

    def shown(self) -> dict[str, dict[str, object]]:
        """Every known fault: what it does and how strong it is now."""
        return {
            name: {"description": fault.description, "strength": self.strength(name)}
            for name, fault in self.known.items()
        }

    def _switched(self, name: str) -> None:
        for react in self._reactions[name]:
            react()


_TRACED = {TRACE_LOSS: Fault("the reporter's queue holds one span a flush, the others are dropped")}
_STORED = {ERROR_BURST: Fault("this share of the pool's connections is killed in the server as it is handed out", 0.3)}

GATEWAY_FAULTS = {**_TRACED, RATE_LIMIT: Fault("the limiter is on, with the platform's rates")}
AUTH_FAULTS = {**_TRACED, **_STORED}
BLOG_FAULTS = {
    **_TRACED,
    **_STORED,
    SLOW_QUERY: Fault("the list is sorted by what a scan of all documents finds for each post, without an index"),
}
SHOPPING_FAULTS = {
    **_TRACED,
    **_STORED,
    OVERSELL: Fault("a coupon's stock is looked at first and lowered last: in between others look as well"),
    LOST_UPDATE: Fault("a coupon's counter is read and written back one higher, without a lock"),
    NO_SINGLE_FLIGHT: Fault("a miss of the cache is believed for this many seconds, and everyone loads for himself"),
    POOL_EXHAUSTION: Fault("this share of the connections lent by the pool is never given back", 0.5),
    SLOW_SEARCH: Fault("hits are also ranked by a regular expression whose automaton has this many states", 16_384),
    EMPTY_RESULTS: Fault("the search asks an index that is not there, which is no error but no hits"),
    DUPLICATE_EVENTS: Fault("an event is sent again although the brokers had acknowledged it"),
    MEMORY_LEAK: Fault("the work space of each request is kept: this many MiB, up to 1 GiB in all"),
    CPU_BURN: Fault("each request is fingerprinted with a hash that is iterated this often", 400_000),
    SLOW_REDIS: Fault("Redis is reached through a relay that holds everything back this many milliseconds", 60.0),
    WRONG_STATUS: Fault("refusals are answered with 200 and success: false"),
}
NOTIFICATION_FAULTS = {
    **_TRACED,
    **_STORED,
    CONSUMER_SLOW: Fault("this many rows are read one by one before a notification is written", 1000),
    CONSUMER_DROPS: Fault("the last notification of each batch is not written"),
}
