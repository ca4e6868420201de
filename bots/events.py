"""Order events as the target's profile describes them; each is unique and carries its run, producer and sequence."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bots.plan import BotPlan
from core.rundir import utc_now
from targets.model import Events, FieldKind

RUN_HEADER, PRODUCER_HEADER, SEQUENCE_HEADER = "run_id", "producer", "sequence"
CUSTOMERS = 10_000
"""Different users, as many as the design's bot draws from."""
_PRODUCTS = ("노트북", "스마트폰", "이어폰", "키보드", "마우스", "모니터", "태블릿", "카메라", "프린터", "스피커")


class Message(NamedTuple):
    """A record as Kafka takes it."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class EventFactory:
    """Makes message `sequence` of one producer of one run."""

    def __init__(self, plan: BotPlan, rng: random.Random, now: Callable[[], datetime] = utc_now) -> None:
        self._events: Events = plan.events
        self._prefix = f"LT-{plan.mark}-{plan.producer}"
        self._mark = plan.mark
        self._rng = rng
        self._now = now
        self._headers = [(name, value.encode()) for name, value in plan.events.headers.items()]
        self._headers += [(RUN_HEADER, plan.run_id.encode()), (PRODUCER_HEADER, str(plan.producer).encode())]

    def message(self, sequence: int) -> Message:
        """The record for `sequence`; its key is the event field that the profile names."""
        order = self._order(sequence)
        event = {field: order[kind] for field, kind in self._events.fields.items()}
        return Message(
            key=str(event[self._events.key]).encode(),
            value=json.dumps(event, ensure_ascii=False).encode(),
            headers=[*self._headers, (SEQUENCE_HEADER, str(sequence).encode())],
        )

    def _order(self, sequence: int) -> Mapping[FieldKind, Any]:
        items = [self._item() for _ in range(self._rng.randint(1, 5))]
        return {
            "order_number": f"{self._prefix}-{sequence:08d}",
            "user_id": f"lt-{self._mark}-{self._rng.randrange(CUSTOMERS):05d}",
            "amount": sum(item["price"] * item["quantity"] for item in items),
            "item_count": len(items),
            "order_items": items,
            "timestamp": _local_date_time(self._now()),
        }

    def _item(self) -> dict[str, Any]:
        product_id = self._rng.randint(1, 1000)
        return {
            "productId": product_id,
            "productName": f"{_PRODUCTS[product_id % len(_PRODUCTS)]} {product_id}",
            "quantity": self._rng.randint(1, 5),
            "price": self._rng.randrange(1_000, 100_000, 100),
        }


def _local_date_time(moment: datetime) -> str:
    """ISO 8601 in UTC without an offset: the platform's LocalDateTime refuses one (platform.md 12, "events")."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
