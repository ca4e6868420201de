"""kafka_exporter against the real broker: what was written and committed is what it shows."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator

import httpx
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from prometheus_client.parser import text_string_to_metric_families
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from core.ports import ServiceId
from infra.embedded.backend import EmbeddedBackend
from infra.embedded.catalogue import open_backend

WRITTEN, COMMITTED = 100, 30


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBackend]:
    services = [ServiceId.KAFKA, ServiceId.KAFKA_EXPORTER]
    with open_backend(any_ports=True, state_dir=tmp_path_factory.mktemp("stack")) as running:
        running.start(services)
        running.wait_ready(services)
        yield running


@pytest.fixture(scope="module")
def broker(backend: EmbeddedBackend) -> str:
    return backend.endpoint(ServiceId.KAFKA)


@pytest.fixture
def topic(broker: str) -> str:
    """A topic of its own with one partition and 100 records, of which a group named like it has committed 30."""
    name = f"orders-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")
    for number in range(WRITTEN):
        producer.send(name, str(number).encode())
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=name, enable_auto_commit=False)
    partition = TopicPartition(name, 0)
    consumer.assign([partition])
    consumer.seek(partition, COMMITTED)
    consumer.commit()
    consumer.close()
    return name


def scrape(backend: EmbeddedBackend) -> httpx.Response:
    return httpx.get(f"http://{backend.endpoint(ServiceId.KAFKA_EXPORTER)}/metrics", trust_env=False, timeout=10)


def value(answer: httpx.Response, name: str, **labels: str) -> float:
    (found,) = (
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return found


def eventually_answers(backend: EmbeddedBackend, status: int) -> httpx.Response:
    """The first scrape with this status, within 20 s."""
    look = retry(
        retry=retry_if_result(lambda answer: answer.status_code != status),
        stop=stop_after_delay(20),
        wait=wait_fixed(0.2),
    )
    return look(scrape)(backend)


class TestExporter:
    def test_shows_what_was_written_and_what_was_not_yet_consumed(self, backend, topic):
        answer = scrape(backend)
        assert value(answer, "kafka_brokers") == 1
        assert value(answer, "kafka_topic_partition_current_offset", topic=topic, partition="0") == WRITTEN
        assert value(answer, "kafka_consumergroup_current_offset", consumergroup=topic, topic=topic) == COMMITTED
        assert value(answer, "kafka_consumergroup_lag", consumergroup=topic, topic=topic) == WRITTEN - COMMITTED

    def test_says_503_while_the_broker_is_away_and_finds_it_again(self, backend, topic):
        assert scrape(backend).status_code == 200
        os.kill(int(backend.identity(ServiceId.KAFKA).instance), signal.SIGKILL)
        assert eventually_answers(backend, 503).text.strip()
        backend.restart(ServiceId.KAFKA)
        again = eventually_answers(backend, 200)
        assert value(again, "kafka_topic_partition_current_offset", topic=topic, partition="0") == WRITTEN
