"""The bot's own books: one state a message, counted when the broker answers and never before."""

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
    """States by sequence; the broker client's thread and the sender write to it."""

    def __init__(self, messages: int) -> None:
        self.states = bytearray(messages)
        self.sent = 0
        self.acked = 0
        self.failures: Counter[str] = Counter()
        self._waiting_since_s: float | None = None
        self._lock = threading.Lock()

    @property
    def failed(self) -> int:
        return self.failures.total()

    @property
    def pending(self) -> int:
        return self.sent - self.acked - self.failed

    def send(self, sequence: int, now_s: float) -> None:
        """The message is handed to the client."""
        with self._lock:
            self.states[sequence] = State.PENDING
            self.sent += 1
            if self._waiting_since_s is None:
                self._waiting_since_s = now_s

    def acknowledge(self, sequence: int, now_s: float) -> bool:
        """The broker has the message; False when it was already settled."""
        with self._lock:
            if self.states[sequence] != State.PENDING:
                return False
            self.states[sequence] = State.ACKED
            self.acked += 1
            self._waiting_since_s = now_s if self.pending else None
            return True

    def fail(self, sequence: int, reason: str) -> bool:
        """The message was refused or given up; False when it was already settled."""
        with self._lock:
            if self.states[sequence] != State.PENDING:
                return False
            self.states[sequence] = State.FAILED
            self.failures[reason] += 1
            return True

    def fail_pending(self, reason: str) -> int:
        """Give up on all that was never answered; returns how many."""
        pending = [sequence for sequence, state in enumerate(self.states) if state == State.PENDING]
        return sum(self.fail(sequence, reason) for sequence in pending)

    def silent_s(self, now_s: float) -> float:
        """How long messages have been sent without any being acknowledged; 0 when none waits."""
        since_s = self._waiting_since_s
        return 0.0 if since_s is None else now_s - since_s
