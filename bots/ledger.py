"""A producer's own books: one state a message, counted when the broker answers and never before."""

from __future__ import annotations

import threading
from collections import Counter
from enum import IntEnum


class State(IntEnum):
    """What is known of a message."""

    NOT_SENT = 0
    PENDING = 1
    ACKED = 2
    FAILED = 3


class Ledger:
    """States by sequence. The sender's thread writes `sent`, the client's `acked`, both may fail a message."""

    def __init__(self, messages: int) -> None:
        self.states = bytearray(messages)
        self.sent = 0
        self.acked = 0
        self.failed = 0
        self.failures: Counter[str] = Counter()
        self._waiting_since_s: float | None = None
        self._failing = threading.Lock()

    @property
    def pending(self) -> int:
        return self.sent - self.acked - self.failed

    def send(self, sequence: int, now_s: float) -> None:
        """The message is handed to the client."""
        self.states[sequence] = State.PENDING
        self.sent += 1
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s

    def acknowledge(self, sequence: int, now_s: float) -> bool:
        """The broker has the message; False when it was already settled."""
        if self.states[sequence] != State.PENDING:
            return False
        self.states[sequence] = State.ACKED
        self.acked += 1
        self._waiting_since_s = now_s if self.pending else None
        return True

    def fail(self, sequence: int, reason: str) -> bool:
        """The message was refused or given up; False when it was already settled."""
        with self._failing:
            if self.states[sequence] != State.PENDING:
                return False
            self.states[sequence] = State.FAILED
            self.failures[reason] += 1
            self.failed += 1
            return True

    def fail_pending(self, reason: str) -> int:
        """Give up on all that was never answered; returns how many. Only when the client is closed."""
        return sum(self.fail(sequence, reason) for sequence, state in enumerate(self.states) if state == State.PENDING)

    def silent_s(self, now_s: float) -> float:
        """How long messages have been sent without any being acknowledged; 0 when none waits."""
        since_s = self._waiting_since_s
        return 0.0 if since_s is None else now_s - since_s
