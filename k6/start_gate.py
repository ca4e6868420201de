"""Several k6 begin their load in one moment: each is started paused, made ready, and let go when the gate opens.

k6 waits before setup() (`k6 run --paused`) until its REST API hears that the pause is over; compiling the script and
making the VUs, which takes seconds, is done by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import httpx

from core.errors import LoadError

ANSWER_WITHIN_S = 5.0
PAUSED_BEFORE_RUN = 4
"""k6's own number for "ready, waits to be let go" (lib/execution.go, ExecutionStatus)."""


class StartGate(Protocol):
    """What a paused k6 waits at."""

    @property
    def opens_within_s(self) -> float:
        """The longest wait; a k6 that is not let go by then hangs."""

    def ready(self) -> None:
        """This k6 could begin now."""

    def is_open(self) -> bool:
        """Whether it may; asked every tenth of a second once it is ready."""


class PausedK6:
    """One k6 at a gate; `look` until it is let go."""

    def __init__(self, api: str, gate: StartGate, on_release: Callable[[], None]) -> None:
        self._api = f"http://{api}/v1/status"
        self._gate = gate
        self._on_release = on_release
        self._ready = False
        self._released = False

    def look(self) -> None:
        """Tell the gate once that k6 is ready, then let it go as soon as the gate is open."""
        if self._released:
            return
        if not self._ready and self._waits():
            self._ready = True
            self._gate.ready()
        if self._ready and self._gate.is_open():
            self._release()
            self._released = True
            self._on_release()

    def _waits(self) -> bool:
        try:
            answer = httpx.get(self._api, timeout=ANSWER_WITHIN_S, trust_env=False)
        except httpx.HTTPError:
            return False  # it compiles its script still
        return answer.is_success and answer.json()["data"]["attributes"]["status"] == PAUSED_BEFORE_RUN

    def _release(self) -> None:
        said = {"data": {"type": "status", "id": "default", "attributes": {"paused": False}}}
        try:
            httpx.patch(self._api, json=said, timeout=ANSWER_WITHIN_S, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            raise LoadError(
                f"k6 did not hear that its load may begin: {error}", where=self._api, cure="See its log, k6.log."
            ) from error
