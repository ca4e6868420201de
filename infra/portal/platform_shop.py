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
from infra.portal.cart import Item, ItemBody, cart_shown, items_of
from infra.portal.catalogue import Catalogue
from infra.portal.http import ApiError, ok, payload, user_id
from infra.portal.orders import OrderBody, Orders, order_shown
from infra.portal.pool import Pool, Session

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


class PlatformCarts:
    """Carts in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def cart(self, request: Request) -> Response:
        """GET /cart; a user without one is given one."""
        user = user_id(request)
        async with self._pool.session() as session:
            cart_id = await _active_cart(session, user)
            return ok(cart_shown(cart_id, user, "ACTIVE", await items_of(session, cart_id)))

    async def add_item(self, request: Request) -> Response:
        """POST /cart/items: the same product adds up; 404 S001, 404 S401 without inventory, 400 S105 above stock."""
        user = user_id(request)
        body = await payload(request, ItemBody)
        async with self._pool.transaction() as session:
            name, price, available = await _stocked_product(session, body.productId)
            cart_id = await _active_cart(session, user)
            await _add(session, cart_id, body, name, price)
            items = await items_of(session, cart_id)
            if any(item.quantity > available for item in items if item.product_id == body.productId):
                raise ApiError(400, "S105", "Stock exceeded")
        return ok(cart_shown(cart_id, user, "ACTIVE", items))

    async def checkout(self, request: Request) -> Response:
        """POST /cart/checkout: 404 S101 without an active cart, 400 S104 when it is empty."""
        user = user_id(request)
        async with self._pool.transaction() as session:
            row = await session.row(f"{_ACTIVE} FOR UPDATE", user)
            if row is None:
                raise ApiError(404, "S101", "Cart not found")
            items = await items_of(session, row[0])
            if not items:
                raise ApiError(400, "S104", "Cart is empty")
            await session.execute("UPDATE carts SET status = 'CHECKED_OUT' WHERE id = %s", row[0])
        return ok(cart_shown(row[0], user, "CHECKED_OUT", items))


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
            cart_id = await _checked_out_cart(session, user)
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


_ACTIVE = "SELECT id FROM carts WHERE user_id = %s AND status = 'ACTIVE' ORDER BY id LIMIT 1"


async def _active_cart(session: Session, user: str) -> int:
    row = await session.row(_ACTIVE, user)
    return int(row[0]) if row else await session.insert("INSERT INTO carts (user_id) VALUES (%s) RETURNING id", user)


async def _stocked_product(session: Session, product_id: int) -> tuple[str, float, int]:
    row = await session.row(
        "SELECT p.name, p.price, i.available_quantity FROM products p"
        " LEFT JOIN inventory i ON i.product_id = p.id WHERE p.id = %s",
        product_id,
    )
    if row is None:
        raise ApiError(404, "S001", "Product not found")
    name, price, available = row
    if available is None:
        raise ApiError(404, "S401", "Inventory not found")
    return name, price, available


async def _add(session: Session, cart_id: int, body: ItemBody, name: str, price: float) -> None:
    added = await session.execute(
        "UPDATE cart_items SET quantity = quantity + %s WHERE cart_id = %s AND product_id = %s",
        *(body.quantity, cart_id, body.productId),
    )
    if not added:
        await session.execute(
            "INSERT INTO cart_items (cart_id, product_id, product_name, price, quantity) VALUES (%s, %s, %s, %s, %s)",
            *(cart_id, body.productId, name, price, body.quantity),
        )


async def _checked_out_cart(session: Session, user: str) -> int:
    row = await session.row(
        "SELECT id FROM carts WHERE user_id = %s AND status = 'CHECKED_OUT' ORDER BY id LIMIT 1 FOR UPDATE", user
    )
    if row is None:
        raise ApiError(404, "S101", "No checked-out cart")
    return int(row[0])


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
