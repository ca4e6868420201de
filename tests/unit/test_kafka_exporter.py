"""kafka_exporter speaks danielqsj/kafka_exporter v1.8.0's series, and says when it knows nothing."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from kafka import TopicPartition

from infra.embedded.kafka_cluster import Broker, Cluster, Group, Partition
from infra.embedded.kafka_exporter import families, make_server
from infra.kafka_ready import listens

ORDERS = "shopping.order.created"


def samples(cluster: Cluster) -> dict[str, float]:
    """`name{label=value,…}` -> value."""
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sample.labels.items())}}}": sample.value
        for family in families(cluster)
        for sample in family.samples
    }


@pytest.fixture
def cluster() -> Cluster:
    """Two partitions of a topic; a group that has committed the first, another that has committed a deleted topic."""
    return Cluster(
        brokers={1: "127.0.0.1:9092"},
        partitions={
            TopicPartition(ORDERS, 0): Partition(oldest=5, current=100, leader=1, replicas=(1, 2), in_sync=(1,)),
            TopicPartition(ORDERS, 1): Partition(oldest=0, current=7, leader=2, replicas=(1,), in_sync=(1,)),
        },
        groups={
            "notification-group": Group(members=2, committed={TopicPartition(ORDERS, 0): 60}),
            "idle": Group(members=0, committed={TopicPartition("gone", 0): 3}),
        },
    )


class TestSeries:
    def test_are_v1_8_0s(self, cluster):
        assert {name.partition("{")[0] for name in samples(cluster)} == {
            "kafka_brokers",
            "kafka_broker_info",
            "kafka_topic_partitions",
            "kafka_topic_partition_current_offset",
            "kafka_topic_partition_oldest_offset",
            "kafka_topic_partition_leader",
            "kafka_topic_partition_leader_is_preferred",
            "kafka_topic_partition_replicas",
            "kafka_topic_partition_in_sync_replica",
            "kafka_topic_partition_under_replicated_partition",
            "kafka_consumergroup_members",
            "kafka_consumergroup_current_offset",
            "kafka_consumergroup_current_offset_sum",
            "kafka_consumergroup_lag",
            "kafka_consumergroup_lag_sum",
        }

    @pytest.mark.parametrize(
        ("series", "value"),
        [
            ("kafka_brokers{}", 1),
            ("kafka_broker_info{id=1,address=127.0.0.1:9092}", 1),
            (f"kafka_topic_partitions{{topic={ORDERS}}}", 2),
            (f"kafka_topic_partition_current_offset{{topic={ORDERS},partition=0}}", 100),
            (f"kafka_topic_partition_oldest_offset{{topic={ORDERS},partition=0}}", 5),
            (f"kafka_topic_partition_leader_is_preferred{{topic={ORDERS},partition=0}}", 1),
            (f"kafka_topic_partition_leader_is_preferred{{topic={ORDERS},partition=1}}", 0),
            (f"kafka_topic_partition_under_replicated_partition{{topic={ORDERS},partition=0}}", 1),
            (f"kafka_topic_partition_under_replicated_partition{{topic={ORDERS},partition=1}}", 0),
            ("kafka_consumergroup_members{consumergroup=notification-group}", 2),
            ("kafka_consumergroup_members{consumergroup=idle}", 0),
        ],
    )
    def test_say(self, cluster, series, value):
        assert samples(cluster)[series] == value


class TestLag:
    def test_is_the_end_of_the_log_less_what_was_committed(self, cluster):
        # 100 written, 60 committed
        lag = f"kafka_consumergroup_lag{{consumergroup=notification-group,topic={ORDERS},partition=0}}"
        assert samples(cluster)[lag] == 40

    def test_is_minus_one_where_a_consumed_topic_has_a_partition_without_commit(self, cluster):
        key = f"{{consumergroup=notification-group,topic={ORDERS},partition=1}}"
        assert samples(cluster)[f"kafka_consumergroup_lag{key}"] == -1
        assert samples(cluster)[f"kafka_consumergroup_current_offset{key}"] == -1

    def test_sums_leave_partitions_without_commit_out(self, cluster):
        key = f"{{consumergroup=notification-group,topic={ORDERS}}}"
        assert samples(cluster)[f"kafka_consumergroup_lag_sum{key}"] == 40
        assert samples(cluster)[f"kafka_consumergroup_current_offset_sum{key}"] == 60

    def test_has_no_series_for_a_topic_that_is_gone(self, cluster):
        assert not [name for name in samples(cluster) if "gone" in name]


class TestServer:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        """An exporter whose broker's port is closed."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            everything = re.compile("")
            broker = Broker(f"127.0.0.1:{closed.getsockname()[1]}", everything, everything)
            with make_server(broker, "127.0.0.1", 0) as server:
                thread = threading.Thread(target=server.serve_forever, args=(0.05,))
                thread.start()
                yield f"http://127.0.0.1:{server.server_port}"
                server.shutdown()
                thread.join()

    def test_answers_503_with_the_reason_while_the_broker_is_away(self, url):
        answer = httpx.get(f"{url}/metrics", trust_env=False)
        assert answer.status_code == 503
        assert "nothing listens on 127.0.0.1:" in answer.text

    def test_says_where_the_metrics_are(self, url):
        answer = httpx.get(f"{url}/", trust_env=False)
        assert answer.status_code == 404
        assert "/metrics" in answer.text


class TestReadiness:
    def test_waits_for_a_port_that_opens_late(self):
        with socket.socket() as late:
            late.bind(("127.0.0.1", 0))
            opens = threading.Timer(0.2, late.listen)
            opens.start()
            assert listens(f"127.0.0.1:{late.getsockname()[1]}", wait_s=5)
            opens.join()

    def test_gives_up_on_a_port_that_stays_closed(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            assert not listens(f"127.0.0.1:{closed.getsockname()[1]}", wait_s=0.1)
