"""What kafka_exporter sees of a cluster at one moment: brokers, partitions with their offsets, groups with theirs."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from infra.kafka_ready import listens

REQUEST_TIMEOUT_MS = 4000
BUSY_S = 4.0
"""A scrape waits this long for the one before it; Prometheus itself gives up after 5 s."""
NO_OFFSET = -1
"""Kafka's mark for a partition of a consumed topic for which the group has committed nothing."""


class BrokerAway(Exception):
    """The broker could not be asked; the message says why."""


@dataclass(frozen=True)
class Partition:
    """One partition: offsets are of the first record kept and of the next one to be written."""

    oldest: int
    current: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """One consumer group: how many members it has and what it has committed."""

    members: int
    committed: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Cluster:
    """What one scrape saw."""

    brokers: Mapping[int, str]
    partitions: Mapping[TopicPartition, Partition]
    groups: Mapping[str, Group]


class Broker:
    """Reads a `Cluster`; connections are kept between scrapes and made again after a failure."""

    def __init__(self, address: str, topic_filter: re.Pattern[str], group_filter: re.Pattern[str]) -> None:
        self._address = address
        self._topic_filter = topic_filter
        self._group_filter = group_filter
        self._admin: KafkaAdminClient | None = None
        self._consumer: KafkaConsumer | None = None
        self._busy = threading.Lock()

    def read(self) -> Cluster:
        """Ask for everything once; BrokerAway when that does not work out."""
        if not self._busy.acquire(timeout=BUSY_S):
            raise BrokerAway(f"{self._address} has not answered the scrape before this one")
        try:
            if not listens(self._address, wait_s=0):
                raise BrokerAway(f"nothing listens on {self._address}")
            return self._read()
        except (KafkaError, OSError) as error:
            self.close()
            raise BrokerAway(f"{self._address}: {error}") from error
        finally:
            self._busy.release()

    def close(self) -> None:
        """Drop the connections."""
        for client in (self._admin, self._consumer):
            if client is not None:
                with suppress(KafkaError, OSError):
                    client.close()
        self._admin = self._consumer = None

    def _read(self) -> Cluster:
        admin, consumer = self._connect()
        brokers = {each["node_id"]: f"{each['host']}:{each['port']}" for each in admin.describe_cluster()["brokers"]}
        described = {
            TopicPartition(topic["topic"], partition["partition"]): partition
            for topic in admin.describe_topics()
            if self._topic_filter.search(topic["topic"])
            for partition in topic["partitions"]
        }
        # Committed offsets before end offsets: a lag is then never negative.
        groups = self._groups(admin)
        oldest = consumer.beginning_offsets(list(described))
        current = consumer.end_offsets(list(described))
        partitions = {
            key: Partition(
                oldest[key], current[key], partition["leader"], tuple(partition["replicas"]), tuple(partition["isr"])
            )
            for key, partition in described.items()
        }
        return Cluster(brokers, partitions, groups)

    def _groups(self, admin: KafkaAdminClient) -> dict[str, Group]:
        names = sorted(name for name, _ in admin.list_consumer_groups() if self._group_filter.search(name))
        if not names:
            return {}
        members = {each.group: len(each.members) for each in admin.describe_consumer_groups(names)}
        return {
            name: Group(
                members[name], {key: each.offset for key, each in admin.list_consumer_group_offsets(name).items()}
            )
            for name in names
        }

    def _connect(self) -> tuple[KafkaAdminClient, KafkaConsumer]:
        if self._admin is None or self._consumer is None:
            self.close()
            self._admin = KafkaAdminClient(bootstrap_servers=self._address, request_timeout_ms=REQUEST_TIMEOUT_MS)
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._address,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                session_timeout_ms=REQUEST_TIMEOUT_MS // 2,  # must be below the former; no group is joined
                heartbeat_interval_ms=REQUEST_TIMEOUT_MS // 8,
            )
        return self._admin, self._consumer
