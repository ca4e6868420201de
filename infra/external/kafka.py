"""One look at a Kafka cluster that somebody else runs: its id and its brokers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from kafka.client_async import KafkaClient
from kafka.errors import KafkaError
from kafka.protocol.metadata import MetadataRequest

from core.errors import SetupError
from targets.guard import require_allowed

ANSWER_S = 10.0
POLL_MS = 50
CURE = "Start the broker, or correct addresses.kafka in the profile."
WITH_CLUSTER_ID = 2
"""The first generation of the question whose answer names the cluster."""


@dataclass(frozen=True)
class Cluster:
    """A Kafka cluster; brokers: (node id, `host:port` that it advertises)."""

    id: str
    brokers: tuple[tuple[int, str], ...]


def look_at_cluster(address: str) -> Cluster:
    """Ask the broker at `host:port`; SetupError when it does not answer, TargetRefused for what it advertises."""
    require_allowed(address, "addresses.kafka")
    try:
        client = KafkaClient(
            bootstrap_servers=[address], client_id="perf-suite-look", api_version_auto_timeout_ms=int(ANSWER_S * 1000)
        )
    except KafkaError as error:
        raise SetupError(f"no Kafka broker answers: {error}", where=address, cure=CURE) from error
    try:
        answer = _metadata(client, address)
    finally:
        client.close()
    return Cluster(answer.cluster_id or "", tuple(sorted((row[0], f"{row[1]}:{row[2]}") for row in answer.brokers)))


def _metadata(client: KafkaClient, address: str) -> Any:
    """Nothing goes to an address that a broker advertises before the guard was asked."""
    deadline_s, future = time.monotonic() + ANSWER_S, None
    while time.monotonic() < deadline_s:
        for broker in client.cluster.brokers():
            require_allowed(f"{broker.host}:{broker.port}", f"advertised.listeners of broker {broker.nodeId}")
        node = client.least_loaded_node()
        if future is None and node is not None and client.ready(node):
            future = client.send(node, MetadataRequest[WITH_CLUSTER_ID]([]))
        client.poll(timeout_ms=POLL_MS)
        if future is not None and future.succeeded():
            return future.value
    raise SetupError(f"Kafka does not answer within {ANSWER_S:.0f} s", where=address, cure=CURE)
