"""Waiting for a condition with a bound: what is awaited is named, and the last observation is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T], good: Callable[[T], bool], timeout_s: float, every_s: float = 0.5) -> T:
    """Look until `good`, at most `timeout_s`; returns the last observation, good or not: the caller judges it."""
    deadline = time.monotonic() + timeout_s
    seen = look()
    while not good(seen) and time.monotonic() < deadline:
        time.sleep(every_s)
        seen = look()
    return seen


def every(seconds: float, action: Callable[[], object]) -> Callable[[], None]:
    """`action`, called often, done again `seconds` after it was done; one that returns False is not done yet."""
    due = time.monotonic()

    def act() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due and action() is not False:
            due = now + seconds

    return act
