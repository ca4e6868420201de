"""Readiness of the broker: `python -P kafka_ready.py HOST:PORT` exits 0 once it answers for its cluster.

Run as a script of its own from the broker's folder, so it imports nothing of the suite. A look at the port comes first,
and waits a little for it, because starting a client costs more than waiting.
"""

from __future__ import annotations

import socket
import sys
import time

WAIT_FOR_PORT_S = 3.0
POLL_S = 0.1
ANSWER_MS = 1500


def listens(address: str, wait_s: float = WAIT_FOR_PORT_S) -> bool:
    """Whether something accepts connections at `host:port` within `wait_s`."""
    host, _, port = address.rpartition(":")
    end = time.monotonic() + wait_s
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return True
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(POLL_S)


def broker_count(address: str) -> int:
    """How many brokers the cluster at `address` has, as it says itself; KafkaError when it does not answer."""
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=address, api_version_auto_timeout_ms=ANSWER_MS)
    try:
        return len(admin.describe_cluster()["brokers"])
    finally:
        admin.close()


def main(address: str) -> str | None:
    """None when ready, else what was seen."""
    if not listens(address):
        return f"nothing listens on {address}"
    from kafka.errors import KafkaError

    try:
        count = broker_count(address)
    except KafkaError as error:
        return f"no answer for the cluster: {error}"
    sys.stdout.write(f"brokers: {count}\n")
    return None if count else "the cluster has no broker yet"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
