"""Order events as the target's profile describes them; each is unique and carries its run, producer and sequence."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bots.plan import BotPlan
from targets.model import FieldKind

MARK_HEADER = "kafka-bot"
"""`<run id>/<producer>/<sequence>`"""
CUSTOMERS = 10_000
"""Users to draw from, as many as the design's bot; the nth orders in proportion to 1/n (Zipf's law)."""
ORDERS = 4096
"""Different orders; number and time are each message's own. Rendering every one anew would cost more than sending."""
_PRODUCTS = ("노트북", "스마트폰", "이어폰", "키보드", "마우스", "모니터", "태블릿", "카메라", "프린터", "스피커")
_NUMBER, _MOMENT = "\N{OBJECT REPLACEMENT CHARACTER}number", "\N{OBJECT REPLACEMENT CHARACTER}moment"


class Message(NamedTuple):
    """A record as Kafka takes it."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class EventFactory:
    """Makes message `sequence` of one producer of one run."""

    def __init__(
        self, plan: BotPlan, rng: random.Random, producer: int = 0, now_s: Callable[[], float] = time.time
    ) -> None:
        self._now_s, self._moment_ms, self._moment = now_s, -1, b""
        self._rng, self._mark = rng, plan.mark
        self._prefix = f"LT-{plan.mark}-{producer}-".encode()
        self._own = mark_prefix(plan.run_id, producer)
        self._headers = [(name, value.encode()) for name, value in plan.events.headers.items()]
        fields, key = plan.events.fields, plan.events.fields[plan.events.key]
        orders = [self._order() for _ in range(ORDERS)]
        self._values = [_template(json.dumps(_event(fields, order), ensure_ascii=False)) for order in orders]
        self._keys = [_template(str(order[key])) for order in orders]

    def message(self, sequence: int) -> Message:
        """The record for `sequence`; its key is the event field that the profile names."""
        order = sequence % ORDERS
        own = {b"number": b"%b%08d" % (self._prefix, sequence), b"moment": self._local_date_time()}
        return Message(
            self._keys[order] % own,
            self._values[order] % own,
            [*self._headers, (MARK_HEADER, b"%b%d" % (self._own, sequence))],
        )

    def _order(self) -> Mapping[FieldKind, Any]:
        items = [self._item() for _ in range(self._rng.randint(1, 5))]
        user = int(CUSTOMERS ** self._rng.random()) - 1
        return {
            "order_number": _NUMBER,
            "user_id": f"lt-{self._mark}-{user:05d}",
            "amount": sum(item["price"] * item["quantity"] for item in items),
            "item_count": len(items),
            "order_items": items,
            "timestamp": _MOMENT,
        }

    def _item(self) -> dict[str, Any]:
        product_id = self._rng.randint(1, 1000)
        return {
            "productId": product_id,
            "productName": f"{_PRODUCTS[product_id % len(_PRODUCTS)]} {product_id}",
            "quantity": self._rng.randint(1, 5),
            "price": self._rng.randrange(1_000, 100_000, 100),
        }

    def _local_date_time(self) -> bytes:
        """ISO 8601 in UTC without an offset: the platform's LocalDateTime refuses one (platform.md 12, "events")."""
        now_ms = int(self._now_s() * 1000)
        if now_ms != self._moment_ms:
            moment = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
            self._moment_ms, self._moment = now_ms, moment.isoformat(timespec="milliseconds").encode()
        return self._moment


def mark_prefix(run_id: str, producer: int) -> bytes:
    """What the mark of each message of this producer of this run begins with."""
    return f"{run_id}/{producer}/".encode()


def _event(fields: Mapping[str, FieldKind], order: Mapping[FieldKind, Any]) -> dict[str, Any]:
    return {field: order[kind] for field, kind in fields.items()}


def _template(text: str) -> bytes:
    """`text` for bytes' `%`, with the places of the message's own values."""
    escaped = text.replace("%", "%%").replace(_NUMBER, "%(number)b").replace(_MOMENT, "%(moment)b")
    return escaped.encode()
