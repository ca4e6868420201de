"""Consumer lag and offsets for Prometheus, under the names and labels of danielqsj/kafka_exporter v1.8.0.

    python -m infra.embedded.kafka_exporter --kafka.server=127.0.0.1:9092 --web.listen-address=127.0.0.1:9308

That exporter's Go module is not published as a package (programs.md). Every scrape asks the broker anew; when it cannot
be asked the answer is 503 with the reason, so that `up` turns 0 instead of old figures being repeated.
"""

from __future__ import annotations

import argparse
import logging
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kafka import TopicPartition
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.embedded.kafka_cluster import NO_OFFSET, Broker, BrokerAway, Cluster, Group, Partition

log = logging.getLogger("infra")

_PARTITION_SERIES: Mapping[str, tuple[str, Callable[[Partition], float]]] = {
    "current_offset": ("Current Offset of a Broker at Topic/Partition", lambda each: each.current),
    "oldest_offset": ("Oldest Offset of a Broker at Topic/Partition", lambda each: each.oldest),
    "leader": ("Leader Broker ID of this Topic/Partition", lambda each: each.leader),
    "replicas": ("Number of Replicas for this Topic/Partition", lambda each: len(each.replicas)),
    "in_sync_replica": (
        "Number of In-Sync Replicas for this Topic/Partition",
        lambda each: len(each.in_sync),
    ),
    "leader_is_preferred": (
        "1 if Topic/Partition is using the Preferred Broker",
        lambda each: each.leader == each.replicas[0],
    ),
    "under_replicated_partition": (
        "1 if Topic/Partition is under Replicated",
        lambda each: len(each.in_sync) < len(each.replicas),
    ),
}


def families(cluster: Cluster) -> Iterator[Metric]:
    """The series of v1.8.0, in its words."""
    yield GaugeMetricFamily("kafka_brokers", "Number of Brokers in the Kafka Cluster.", value=len(cluster.brokers))
    info = GaugeMetricFamily("kafka_broker_info", "Information about the Kafka Broker.", labels=("id", "address"))
    for node, address in cluster.brokers.items():
        info.add_metric((str(node), address), 1)
    yield info
    yield from _topic_families(cluster.partitions)
    yield from _group_families(cluster)


def _topic_families(partitions: Mapping[TopicPartition, Partition]) -> Iterator[Metric]:
    counts: dict[str, int] = defaultdict(int)
    for key in partitions:
        counts[key.topic] += 1
    total = GaugeMetricFamily("kafka_topic_partitions", "Number of partitions for this Topic", labels=("topic",))
    for topic, count in counts.items():
        total.add_metric((topic,), count)
    yield total
    for name, (text, value_of) in _PARTITION_SERIES.items():
        family = GaugeMetricFamily(f"kafka_topic_partition_{name}", text, labels=("topic", "partition"))
        for key, partition in partitions.items():
            family.add_metric((key.topic, str(key.partition)), float(value_of(partition)))
        yield family


def _group_families(cluster: Cluster) -> Iterator[Metric]:
    by_partition, by_topic = ("consumergroup", "topic", "partition"), ("consumergroup", "topic")
    members = GaugeMetricFamily(
        "kafka_consumergroup_members", "Amount of members in a consumer group", labels=("consumergroup",)
    )
    offset = GaugeMetricFamily(
        "kafka_consumergroup_current_offset",
        "Current Offset of a ConsumerGroup at Topic/Partition",
        labels=by_partition,
    )
    offset_sum = GaugeMetricFamily(
        "kafka_consumergroup_current_offset_sum",
        "Current Offset of a ConsumerGroup at Topic for all partitions",
        labels=by_topic,
    )
    lag = GaugeMetricFamily(
        "kafka_consumergroup_lag",
        "Current Approximate Lag of a ConsumerGroup at Topic/Partition",
        labels=by_partition,
    )
    lag_sum = GaugeMetricFamily(
        "kafka_consumergroup_lag_sum",
        "Current Approximate Lag of a ConsumerGroup at Topic for all partitions",
        labels=by_topic,
    )
    for name, group in cluster.groups.items():
        members.add_metric((name,), group.members)
        for topic, rows in _consumed(group, cluster.partitions).items():
            for partition, committed, behind in rows:
                offset.add_metric((name, topic, str(partition)), committed)
                lag.add_metric((name, topic, str(partition)), behind)
            known = [row for row in rows if row[1] != NO_OFFSET]
            offset_sum.add_metric((name, topic), sum(committed for _, committed, _ in known))
            lag_sum.add_metric((name, topic), sum(behind for _, _, behind in known))
    yield from (members, offset, offset_sum, lag, lag_sum)


def _consumed(group: Group, partitions: Mapping[TopicPartition, Partition]) -> dict[str, list[tuple[int, int, int]]]:
    """Topic -> (partition, committed offset, lag) for each topic of which the group has committed something."""
    topics = {key.topic for key, offset in group.committed.items() if offset != NO_OFFSET}
    consumed: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for key in sorted(partitions):
        if key.topic in topics:
            committed = group.committed.get(key, NO_OFFSET)
            behind = partitions[key].current - committed if committed != NO_OFFSET else NO_OFFSET
            consumed[key.topic].append((key.partition, committed, behind))
    return consumed


class KafkaCollector(Collector):
    """Turns each scrape into one reading of the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        return families(self._broker.read())


def make_server(broker: Broker, host: str, port: int) -> ThreadingHTTPServer:
    """An HTTP server with `/metrics`: 200 with the series, or 503 with the reason."""
    registry = CollectorRegistry()
    registry.register(KafkaCollector(broker))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics":
                self.send_error(404, explain="the metrics are at /metrics")
                return
            try:
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            except BrokerAway as away:
                log.warning("%s", away)
                self._answer(503, "text/plain; charset=utf-8", f"{away}\n".encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not logged."""

    return ThreadingHTTPServer((host, port), Handler)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.kafka_exporter", description=__doc__)
    parser.add_argument("--kafka.server", dest="broker", default="127.0.0.1:9092", metavar="HOST:PORT")
    parser.add_argument("--web.listen-address", dest="listen", default="127.0.0.1:9308", metavar="HOST:PORT")
    parser.add_argument("--topic.filter", dest="topics", default=".*", type=re.compile, metavar="REGEX")
    parser.add_argument("--group.filter", dest="groups", default=".*", type=re.compile, metavar="REGEX")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # said once a scrape, by us
    host, _, port = options.listen.rpartition(":")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    make_server(Broker(options.broker, options.topics, options.groups), host, int(port)).serve_forever()


if __name__ == "__main__":
    main()
