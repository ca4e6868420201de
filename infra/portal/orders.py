"""Orders (platform.md 3). Stock is taken in the order's own transaction.

An order is announced on Kafka before it is committed: when the brokers do not acknowledge it, it is rolled back, so
that every order the client was told of has its event.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from infra.portal.cart import Item, items_of
from infra.portal.events import Publisher
from infra.portal.http import ApiError, instant, json_response, ok, page_of, paging, payload, user_id
from infra.portal.pool import Pool, Row, Session

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orders (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        order_number CHAR(24) CHARACTER SET ascii NOT NULL UNIQUE,
        user_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        cart_id BIGINT NOT NULL,
        total_amount BIGINT NOT NULL,
        created_at DATETIME(6) NOT NULL,
        KEY (user_id, id),
        KEY (created_at))""",
)

TOPIC = "shopping.order.created"


class Address(BaseModel):
    receiverName: str = Field(min_length=1, max_length=50)
    receiverPhone: str = Field(min_length=1, max_length=20)
    zipCode: str = Field(min_length=1, max_length=10)
    address1: str = Field(min_length=1, max_length=200)
    address2: str | None = None


class OrderBody(BaseModel):
    shippingAddress: Address
    userCouponId: int | None = None


class Orders:
    """Orders of one database."""

    def __init__(self, pool: Pool, publisher: Publisher) -> None:
        self._pool, self._publisher = pool, publisher

    async def order(self, request: Request) -> Response:
        """POST /orders: takes the oldest checked-out cart; 404 S101 without one, 400 S402 when stock is short."""
        user = user_id(request)
        await payload(request, OrderBody)
        now = datetime.now(UTC).replace(tzinfo=None)
        order_number = f"ORD-{now:%Y%m%d}-{secrets.token_hex(5).upper()}"
        async with self._pool.transaction() as session:
            cart_id = await oldest_checked_out_cart(session, user)
            items = await items_of(session, cart_id)
            total = sum(item.subtotal for item in items)
            await session.execute("UPDATE carts SET status = 'ORDERED' WHERE id = %s", cart_id)
            order_id = await session.insert(
                "INSERT INTO orders (order_number, user_id, cart_id, total_amount, created_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                *(order_number, user, cart_id, total, now),
            )
            await _take_stock(session, items)
            await self._announce(order_number, user, items, now)
        return ok(order_shown((order_id, order_number, user, total, now), items))

    async def orders(self, request: Request) -> Response:
        """GET /orders: the user's own, newest first."""
        user = user_id(request)
        page, size, offset = paging(request, default_size=10)
        async with self._pool.session() as session:
            rows = await session.rows(
                f"{_ORDERS} WHERE user_id = %s ORDER BY id DESC LIMIT %s OFFSET %s", user, size, offset
            )
            total = await session.rows("SELECT COUNT(*) FROM orders WHERE user_id = %s", user)
        return page_of([order_shown(row, ()) for row in rows], page, size, total[0][0])

    async def one_order(self, request: Request) -> Response:
        """GET /orders/{orderNumber}: 404 S201, 403 S212 when it is another user's."""
        user = user_id(request)
        async with self._pool.session() as session:
            row = await session.row(f"{_ORDERS} WHERE order_number = %s", request.path_params["orderNumber"])
            if row is None:
                raise ApiError(404, "S201", "Order not found")
            if row[2] != user:
                raise ApiError(403, "S212", "Not the user's order")
            cart = await session.row("SELECT cart_id FROM orders WHERE id = %s", row[0])
            items = await items_of(session, cart[0]) if cart else ()
        return ok(order_shown(row, items))

    async def ledger(self, request: Request) -> Response:
        """GET /admin/orders/ledger?since=&until=: {orders, total, wrong_totals, order_numbers, carts} of a UTC window.

        `wrong_totals` counts the orders whose amount is not the sum of their cart's lines.
        """
        since = instant(request, "since") or datetime.min
        until = instant(request, "until") or datetime.max
        async with self._pool.apart() as session:
            rows = await session.rows(_BOOKED, since, until)
            carts = await session.row(
                "SELECT COUNT(*) FROM carts WHERE created_at >= %s AND created_at < %s", since, until
            )
        return json_response(
            {
                "orders": len(rows),
                "total": sum(amount for _, amount, _ in rows),
                "wrong_totals": sum(amount != lines for _, amount, lines in rows),
                "order_numbers": [number for number, *_ in rows],
                "carts": carts[0] if carts else 0,
            }
        )

    async def remove_since(self, since: datetime) -> dict[str, int]:
        """Delete the orders and carts made since then; returns how many of each."""
        async with self._pool.apart() as session, session.transaction():
            orders = await session.execute("DELETE FROM orders WHERE created_at >= %s", since)
            carts = await session.execute("DELETE FROM carts WHERE created_at >= %s", since)
        return {"orders": orders, "carts": carts}

    async def _announce(self, order_number: str, user: str, items: Sequence[Item], now: datetime) -> None:
        event = {
            "orderNumber": order_number,
            "userId": user,
            "totalAmount": sum(item.subtotal for item in items),
            "itemCount": len(items),
            "items": [
                {"productId": i.product_id, "productName": i.name, "quantity": i.quantity, "price": i.price}
                for i in items
            ],
            "createdAt": now,
        }
        await self._publisher.publish(TOPIC, order_number, "OrderCreatedEvent", event)


_ORDERS = "SELECT id, order_number, user_id, total_amount, created_at FROM orders"
_BOOKED = (
    "SELECT o.order_number, o.total_amount, CAST(COALESCE(SUM(i.price * i.quantity), 0) AS SIGNED)"
    " FROM orders o LEFT JOIN cart_items i ON i.cart_id = o.cart_id"
    " WHERE o.created_at >= %s AND o.created_at < %s GROUP BY o.id ORDER BY o.id"
)


async def oldest_checked_out_cart(session: Session, user: str) -> int:
    """The cart that the next order takes; 404 S101 without one."""
    row = await session.row(
        "SELECT id FROM carts WHERE user_id = %s AND status = 'CHECKED_OUT' ORDER BY id LIMIT 1 FOR UPDATE", user
    )
    if row is None:
        raise ApiError(404, "S101", "No checked-out cart")
    return int(row[0])


async def _take_stock(session: Session, items: Sequence[Item]) -> None:
    """In the order of product ids, so that two orders never wait for each other in a circle."""
    for item in sorted(items, key=lambda item: item.product_id):
        taken = await session.execute(
            "UPDATE inventory SET stock = stock - %s WHERE product_id = %s AND stock >= %s",
            *(item.quantity, item.product_id, item.quantity),
        )
        if not taken:
            raise ApiError(400, "S402", f"Not enough stock of product {item.product_id}")


def order_shown(row: Row, items: Sequence[Item]) -> dict[str, object]:
    """An order (id, number, user, total, time) as it is answered."""
    order_id, order_number, user, total, created_at = row
    return {
        "id": order_id,
        "orderNumber": order_number,
        "userId": user,
        "status": "CONFIRMED",
        "statusDescription": "Order confirmed",
        "items": [item.shown() for item in items],
        "totalAmount": total,
        "discountAmount": 0,
        "finalAmount": total,
        "createdAt": created_at,
    }
