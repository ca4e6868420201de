"""confluent-kafka with nothing around it, set as the bot sets it: produce one value, count the answers.

Prints one line of JSON: `acked` messages, and the `seconds` from the first send to the last answer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import count

from confluent_kafka import KafkaError, Message, Producer

from bots.engine import ACK_S, LINGER_MS
from bots.engine_confluent import QUEUED_MESSAGES

POLL_EVERY = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--num-records", type=int, required=True)
    parser.add_argument("--record-size", type=int, required=True, help="bytes")
    options = parser.parse_args()
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": LINGER_MS,
            "message.timeout.ms": ACK_S * 1000,
            "queue.buffering.max.messages": QUEUED_MESSAGES,
        }
    )
    acked = count()

    def answered(error: KafkaError | None, _: Message) -> None:
        if error is None:
            next(acked)

    value, started_s = b"x" * options.record_size, time.monotonic()
    for number in range(options.num_records):
        _produce(producer, options.topic, value, answered)
        if number % POLL_EVERY == 0:
            producer.poll(0)
    producer.flush()
    print(json.dumps({"acked": next(acked), "seconds": time.monotonic() - started_s}))


def _produce(
    producer: Producer, topic: str, value: bytes, answered: Callable[[KafkaError | None, Message], None]
) -> None:
    """Queue one message, after room was made where there is none."""
    while True:
        try:
            return producer.produce(topic, value, on_delivery=answered)
        except BufferError:
            producer.poll(0.01)


if __name__ == "__main__":
    main()
