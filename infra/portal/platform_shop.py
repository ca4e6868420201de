"""The shop as the platform has it (platform.md 3 and 4): PostgreSQL, no cache, an index that nobody fills.

Products are seeded once, without inventory; a cart needs some. An order asks the seller service, which is absent unless
PORTAL_SELLER_SERVICE says otherwise; then one payment in ten is refused.
"""

import random
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from infra.portal import seed
from infra.portal.cache import Load
from infra.portal.cart import Carts, Item, ItemBody, items_of
from infra.portal.catalogue import Catalogue
from infra.portal.http import ApiError, ok, payload, user_id
from infra.portal.orders import OrderBody, Orders, oldest_checked_out_cart, order_shown
from infra.portal.pool import Session

SEED_STOCK = 11
"""Pieces of a product in the platform's own seed; the cart asks the inventory, not this (platform.md 3)."""
REFUSED_PAYMENTS = 0.1
"""MockPG."""


class NoCache:
    """What `Catalogue` asks for a product: its origin, each time."""

    async def get(self, _key: str, load: Load) -> bytes | None:
        return await load()


class PlatformCatalogue(Catalogue):
    """Products in PostgreSQL."""

    columns = (
        "p.id, p.name, p.description, p.price, p.discount_price, p.stock, p.category, p.featured, p.created_at"
        " FROM products p"
    )

    async def plant(self) -> None:
        """The platform's seed: products where there are none; no inventory, and nothing in the index."""
        async with self._pool.apart() as session, session.transaction():
            if await session.row("SELECT 1 FROM products LIMIT 1"):
                return
            for product in seed.products():
                await session.execute(
                    "INSERT INTO products (id, name, description, price, discount_price, category, featured, stock)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    *product,
                    SEED_STOCK,
                )


class PlatformCarts(Carts):
    """Carts in PostgreSQL; the platform's table lets a user have several, and takes the first active one."""

    open_cart = "SELECT id FROM carts WHERE user_id = %s AND status = 'ACTIVE' ORDER BY id LIMIT 1 FOR UPDATE"
    check_out = "UPDATE carts SET status = 'CHECKED_OUT' WHERE id = %s"
    stocked = (
        "SELECT p.name, p.price, i.available_quantity FROM products p"
        " LEFT JOIN inventory i ON i.product_id = p.id WHERE p.id = %s"
    )

    async def _active_cart(self, session: Session, user: str) -> int:
        row = await session.row(self.open_cart, user)
        if row is not None:
            return int(row[0])
        return await session.insert("INSERT INTO carts (user_id) VALUES (%s) RETURNING id", user)

    async def _add(self, session: Session, cart_id: int, body: ItemBody, name: str, price: int) -> None:
        added = await session.execute(
            "UPDATE cart_items SET quantity = quantity + %s WHERE cart_id = %s AND product_id = %s",
            *(body.quantity, cart_id, body.productId),
        )
        if not added:
            await session.execute(
                "INSERT INTO cart_items (cart_id, product_id, product_name, price, quantity)"
                " VALUES (%s, %s, %s, %s, %s)",
                *(cart_id, body.productId, name, price, body.quantity),
            )


class PlatformOrders(Orders):
    """Orders in PostgreSQL, where there is a seller service to reserve their stock."""

    has_seller = False

    async def order(self, request: Request) -> Response:
        """POST /orders: 404 S101 without a checked-out cart, 500 S901 without a seller, 500 S304 refused payment."""
        user = user_id(request)
        body = await payload(request, OrderBody)
        now = datetime.now(UTC).replace(tzinfo=None)
        number = f"ORD-{now:%Y%m%d}-{secrets.token_hex(5).upper()}"
        async with self._pool.transaction() as session:
            cart_id = await oldest_checked_out_cart(session, user)
            items = await items_of(session, cart_id)
            if not self.has_seller:
                raise ApiError(500, "S901", "Inventory reservation failed")
            paid = random.random() >= REFUSED_PAYMENTS
            order_id = await _insert_order(session, (number, user, body.shippingAddress.receiverName, paid), items)
            await session.execute("UPDATE carts SET status = 'ORDERED' WHERE id = %s", cart_id)
            if paid:
                await self._announce(number, user, items, now)
        if not paid:
            raise ApiError(500, "S304", "Payment failed")
        total = sum(item.subtotal for item in items)
        return ok(order_shown((order_id, number, user, total, now), items))


async def _insert_order(session: Session, order: tuple[str, str, str, bool], items: Sequence[Item]) -> int:
    number, user, receiver, paid = order
    order_id = await session.insert(
        "INSERT INTO orders (order_number, user_id, receiver_name, status, total_amount)"
        " VALUES (%s, %s, %s, %s, %s) RETURNING id",
        *(number, user, receiver, "CONFIRMED" if paid else "CANCELLED", sum(item.subtotal for item in items)),
    )
    for item in items:
        await session.execute(
            "INSERT INTO order_items (order_id, product_id, product_name, price, quantity, subtotal)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            *(order_id, item.product_id, item.name, item.price, item.quantity, item.subtotal),
        )
    await session.execute("INSERT INTO payments (order_id) VALUES (%s)", order_id)
    return order_id
