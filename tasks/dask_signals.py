"""What several generators and the process that waits for them tell each other, over the Dask scheduler."""

from __future__ import annotations

import time
from typing import Any

from distributed import Client, Event, Queue, Variable

from core.waiting import every, wait_for
from k6.model import Progress
from k6.start_gate import StartGate

LOOK_EVERY_S = 0.05
BEAT_EVERY_S = 2.0
SILENT_AFTER_S = 15.0
"""Who waits for the generators says so every two seconds; after so long without a word nobody does."""
Heard = tuple[int, Progress | None]
"""Which generator, and how far it is; None: it is ready."""


class Signals:
    """The signals of one scenario's generators; `id` is that of no other."""

    def __init__(self, id: str, client: Client, silent_after_s: float = SILENT_AFTER_S) -> None:
        self._id, self._client = id, client
        self._go, self._stop = self._event("go"), self._event("stop")
        self._heard: Any = Queue(f"{id}-heard", client=client)
        self._beats: Any = Variable(f"{id}-beats", client=client)
        self._beat = every(BEAT_EVERY_S, lambda: self._beats.set(time.monotonic()))
        self._look = every(BEAT_EVERY_S, self._look_for_beat)
        self._silent_after_s = silent_after_s
        self._last_beat: float | None = None
        self._beat_seen = time.monotonic()

    def first_start(self, generator: int) -> bool:
        """False when the generator was started before, on a worker that is gone."""
        started = self._event(f"started-{generator}")
        again = bool(started.is_set())
        started.set()
        return not again

    def tell(self, generator: int, progress: Progress | None) -> None:
        self._heard.put((generator, progress))

    def next_heard(self, within_s: float) -> Heard | None:
        """The oldest thing said and not heard yet; None where nothing is said in time.

        Asked for its size first: a queue that is waited for in vain fills the scheduler's log with trace-backs.
        """
        if not wait_for(self._heard.qsize, bool, within_s, every_s=LOOK_EVERY_S):
            return None
        heard: Heard = self._heard.get()
        return heard

    def beat(self) -> None:
        """Somebody waits for the generators still; as often as one likes."""
        self._beat()

    def let_go(self) -> None:
        self._go.set()

    def may_begin(self) -> bool:
        return bool(self._go.is_set())

    def end_all(self) -> None:
        self._stop.set()

    def wait(self, timeout: float, /) -> bool:
        """k6.runner.Stop: whether all have to end, at the latest after `timeout` seconds; also when nobody waits."""
        self._look()
        return time.monotonic() - self._beat_seen > self._silent_after_s or bool(self._stop.wait(timeout))

    def _look_for_beat(self) -> None:
        beat = self._beats.get(timeout=BEAT_EVERY_S)
        if beat != self._last_beat:
            self._last_beat, self._beat_seen = beat, time.monotonic()

    def _event(self, name: str) -> Any:
        return Event(f"{self._id}-{name}", client=self._client)


class SharedGate(StartGate):
    """Opens when the process that waits for the generators says so."""

    opens_within_s = 180.0
    """On a new machine another generator builds k6 first."""

    def __init__(self, signals: Signals, generator: int) -> None:
        self._signals, self._generator = signals, generator

    def ready(self) -> None:
        self._signals.tell(self._generator, None)

    def is_open(self) -> bool:
        return self._signals.may_begin()
