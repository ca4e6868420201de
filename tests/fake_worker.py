"""A sending process as the bot starts it, on a client that needs no broker: each message is acknowledged at once."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from bots import worker
from bots.engine import Settled
from bots.events import Message


class Engine:
    """Acknowledges."""

    def __init__(self, settled: Settled) -> None:
        self._settled = settled

    def send(self, message: Message, sequence: int, intended_s: float, sent_s: float) -> None:
        self._settled(sequence, intended_s, sent_s, None)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def serve(self) -> None:
        """Everything is answered."""

    def close(self) -> None:
        """Nothing is open."""


class Broker:
    """Is asked nothing."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""


def main() -> int:
    """`bots.worker` with the two replaced."""
    replaced: dict[str, Any] = {
        "Broker": Broker,
        "engine_module": lambda name: SimpleNamespace(open_engine=lambda broker, plan, settled: Engine(settled)),
    }
    vars(worker).update(replaced)
    return worker.main()


if __name__ == "__main__":
    raise SystemExit(main())
