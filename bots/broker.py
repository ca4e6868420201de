"""Short questions to Kafka, each bounded in time: which partitions, which offsets, how far a group has come.

kafka-python-ng's admin client and consumer wait without end for a broker that is gone, and asking them about one topic
creates it. So this asks over the plain client, and for the metadata of all topics.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self

from kafka.client_async import KafkaClient
from kafka.errors import NoBrokersAvailable, NoError, for_code
from kafka.future import Future
from kafka.protocol.commit import GroupCoordinatorRequest, OffsetFetchRequest
from kafka.protocol.offset import OffsetRequest
from kafka.structs import TopicPartition

from core.errors import ConfigError, SuiteError, TargetError
from targets.guard import require_allowed

Offsets = Mapping[int, int]
"""Partition -> offset."""

ANSWER_S = 10.0
_POLL_MS = 50
_EARLIEST, _LATEST = -2, -1
_CURE = "Start the broker (`make stack-up`), or give its address with --bootstrap-servers."


class Broker:
    """One connection for questions; a context manager. Not shared between threads.

    Every question raises TargetError when the answer is a refusal or does not come within `ANSWER_S`.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        """TargetRefused when an address, given or advertised, may not be reached; TargetError when none answers."""
        self.bootstrap_servers = _allowed_servers(bootstrap_servers)
        try:
            self._client = KafkaClient(bootstrap_servers=self.bootstrap_servers, client_id="kafka-bot-questions")
        except NoBrokersAvailable as error:
            raise self._problem("no Kafka broker answers") from error
        try:
            self._refresh()
        except SuiteError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    @property
    def api_version(self) -> tuple[int, ...]:
        """The protocol generation found, for further clients."""
        version: tuple[int, ...] = self._client.config["api_version"]
        return version

    def partitions(self, topic: str) -> frozenset[int]:
        """The topic's partitions now; empty for an unknown topic, which stays unknown."""
        self._refresh()
        return frozenset(self._client.cluster.partitions_for_topic(topic) or ())

    def require_topic(self, topic: str) -> None:
        """TargetError unless the topic is there: a message to a made-up topic would be read by nobody."""
        if not self.partitions(topic):
            raise TargetError(
                f"topic '{topic}' does not exist",
                where=", ".join(self.bootstrap_servers),
                cure=f"Start the platform, which creates it, or choose by --topic: {', '.join(self._topics()) or '-'}.",
            )

    def end_offsets(self, topic: str) -> Offsets:
        """Offset of the next record of each partition."""
        return self._offsets(topic, _LATEST, self.partitions(topic))

    def beginning_offsets(self, topic: str) -> Offsets:
        """Offset of the first record still kept of each partition."""
        return self._offsets(topic, _EARLIEST, self.partitions(topic))

    def lag_records(self, group: str, topic: str) -> int | None:
        """Records of `topic` that `group` has not committed; None when it never committed any offset of it.

        A partition without a commit counts from its first record: the platform's group starts at the earliest. The ends
        are asked right after the commits: what arrives in between counts as lag.
        """
        partitions = self.partitions(topic)
        beginning = self._offsets(topic, _EARLIEST, partitions)
        committed = self._committed_offsets(group, topic, partitions)
        if not committed:
            return None
        end = self._offsets(topic, _LATEST, partitions)
        return sum(max(0, offset - committed.get(partition, beginning[partition])) for partition, offset in end.items())

    def _committed_offsets(self, group: str, topic: str, partitions: Collection[int]) -> Offsets:
        """What the group has committed; partitions without a commit are left out."""
        coordinator = self._ask(GroupCoordinatorRequest[0](group))
        self._require_no_error(coordinator.error_code)
        wanted = [(topic, sorted(partitions))]
        answer = self._ask(OffsetFetchRequest[2](group, wanted), coordinator.coordinator_id)
        self._require_no_error(answer.error_code)
        rows = [row for _, rows in answer.topics for row in rows]
        return {partition: offset for partition, offset, _, _ in rows if offset >= 0}

    def _topics(self) -> list[str]:
        return sorted(self._client.cluster.topics(exclude_internal_topics=True))

    def _offsets(self, topic: str, which: int, partitions: Collection[int]) -> Offsets:
        by_leader: defaultdict[int | None, list[tuple[int, int]]] = defaultdict(list)
        for partition in sorted(partitions):
            leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
            by_leader[leader].append((partition, which))
        offsets: dict[int, int] = {}
        for leader, asked in by_leader.items():
            answer = self._ask(OffsetRequest[1](-1, [(topic, asked)]), leader)
            for partition, error_code, _, offset in answer.topics[0][1]:
                self._require_no_error(error_code)
                offsets[partition] = offset
        return offsets

    def _refresh(self) -> None:
        """Learn brokers, topics and leaders anew; TargetRefused when a broker sends its clients elsewhere."""
        self._answer(lambda _: self._client.cluster.request_update())
        self._require_allowed_listeners()

    def _ask(self, request: Any, node: int | None = None) -> Any:
        return self._answer(lambda deadline_s: self._client.send(self._ready_node(node, deadline_s), request))

    def _answer(self, ask: Callable[[float], Future]) -> Any:
        """The answer's value; asks again, until the time is up, when the connection was lost (a restarted broker)."""
        deadline_s = time.monotonic() + ANSWER_S
        while True:
            future = ask(deadline_s)
            while not future.is_done:
                self._poll(deadline_s)
            if future.succeeded():
                return future.value
            if not future.retriable():
                raise self._problem(f"Kafka refuses a question: {future.exception}") from future.exception
            self._poll(deadline_s)

    def _ready_node(self, wanted: int | None, deadline_s: float) -> int:
        """A connected node: the wanted one, or any."""
        while True:
            node: int | None = self._client.least_loaded_node() if wanted is None else wanted
            if node is not None and self._client.ready(node):
                return node
            self._poll(deadline_s)

    def _poll(self, deadline_s: float) -> None:
        if time.monotonic() > deadline_s:
            raise self._problem(f"Kafka does not answer within {ANSWER_S:.0f} s")
        self._client.poll(timeout_ms=_POLL_MS)

    def _require_no_error(self, error_code: int) -> None:
        error = for_code(error_code)
        if error is not NoError:
            raise self._problem(f"Kafka refuses a question: {error.__name__}")

    def _problem(self, what: str) -> TargetError:
        return TargetError(what, where=", ".join(self.bootstrap_servers), cure=_CURE)

    def _require_allowed_listeners(self) -> None:
        """A broker names the address that clients then connect to; it may name another machine."""
        for broker in self._client.cluster.brokers():
            require_allowed(f"{broker.host}:{broker.port}", f"advertised.listeners of broker {broker.nodeId}")


def _allowed_servers(bootstrap_servers: str) -> list[str]:
    servers = [server.strip() for server in bootstrap_servers.split(",") if server.strip()]
    if not servers:
        raise ConfigError("no Kafka broker was given", where="--bootstrap-servers", cure="Give host:port.")
    for server in servers:
        require_allowed(server, "--bootstrap-servers")
        if not server.rpartition(":")[2].isdigit():
            raise ConfigError(f"'{server}' names no port", where="--bootstrap-servers", cure="Give host:port.")
    return servers
