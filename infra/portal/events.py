"""Kafka as the services use it: topics, the event class header, publishing (platform.md 5)."""

import asyncio
import logging

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaTimeoutError, TopicAlreadyExistsError, for_code

from infra.portal.faults import DUPLICATE_EVENTS, Faults
from infra.portal.metrics import Meters, timed
from infra.portal.settings import PortalSettings
from infra.portal.stores import CALL_TIMEOUT_S, wait_for

log = logging.getLogger("infra.portal")

TYPE_HEADER = "__TypeId__"
EVENT_PACKAGE = "com.portal.universe.event.shopping."
EXPIRY_MS = 2000
"""Below CALL_TIMEOUT_S, so that an event whose order was refused is gone, and not sent when the brokers are back."""
PARTITIONS = {"shopping.order.created": 3, "shopping.order.created.DLT": 1, "shopping.coupon.issued": 3}


class Publisher:
    """Sends events with acks=all."""

    def __init__(self, producer: AIOKafkaProducer, meters: Meters, faults: Faults) -> None:
        self._producer, self._faults = producer, faults
        self._sent = meters.timer("spring_kafka_template_seconds", ("name", "result", "exception"))
        self._announcing: set[asyncio.Task[None]] = set()

    async def publish(self, topic: str, key: str, event_class: str, event: object) -> None:
        """Send and wait until the brokers have it. Raises KafkaError when they do not."""
        headers = [(TYPE_HEADER, f"{EVENT_PACKAGE}{event_class}".encode())]
        value = orjson.dumps(event)
        try:
            with timed(self._sent, "kafkaTemplate"):
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await self._producer.send_and_wait(topic, value, key.encode(), headers=headers)
                    if self._faults.strength(DUPLICATE_EVENTS):  # a retry, the acknowledgement being taken for lost
                        await self._producer.send_and_wait(topic, value, key.encode(), headers=headers)
        except TimeoutError:
            raise KafkaTimeoutError(f"no acknowledgement within {CALL_TIMEOUT_S} s") from None

    def announce(self, topic: str, key: str, event_class: str, event: object) -> None:
        """Send in the background; a failure is logged."""
        task = asyncio.create_task(self.publish(topic, key, event_class, event))
        self._announcing.add(task)
        task.add_done_callback(self._announced)

    async def ping(self) -> None:
        """A sign of life: the brokers answer a metadata request."""
        await self._producer.client.fetch_all_metadata()

    def _announced(self, task: asyncio.Task[None]) -> None:
        self._announcing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("event not sent: %r", error)


async def open_producer(settings: PortalSettings) -> AIOKafkaProducer:
    """A started producer, with the topics made."""

    async def start() -> AIOKafkaProducer:
        await create_topics(settings.kafka_bootstrap)
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            acks="all",
            enable_idempotence=False,  # an idempotent producer never gives an event up; twice is harmless here
            request_timeout_ms=EXPIRY_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    return await wait_for(f"Kafka at {settings.kafka_bootstrap}", start, settings.start_timeout_s)


async def create_topics(bootstrap: str) -> None:
    """Make the topics that are not there yet."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        made = await admin.create_topics([NewTopic(topic, count, 1) for topic, count in PARTITIONS.items()])
        for topic, code, *_ in made.topic_errors:
            if code and not issubclass(for_code(code), TopicAlreadyExistsError):
                raise for_code(code)(f"topic {topic}")
    finally:
        await admin.close()
