"""The cart: a user has one active cart; checked out it waits for its order (platform.md 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from infra.portal.http import ApiError, ok, payload, user_id
from infra.portal.pool import Pool, Session

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS carts (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        user_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        status VARCHAR(12) NOT NULL DEFAULT 'ACTIVE',
        active BOOL DEFAULT TRUE COMMENT 'TRUE or NULL: a user has one active cart',
        created_at DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
        UNIQUE (user_id, active),
        KEY (user_id, status))""",
    """CREATE TABLE IF NOT EXISTS cart_items (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        cart_id BIGINT NOT NULL,
        product_id BIGINT NOT NULL,
        product_name VARCHAR(100) NOT NULL,
        price INT NOT NULL,
        quantity INT NOT NULL,
        added_at DATETIME NOT NULL DEFAULT (UTC_TIMESTAMP()),
        UNIQUE (cart_id, product_id),
        FOREIGN KEY (cart_id) REFERENCES carts (id) ON DELETE CASCADE)""",
)


class ItemBody(BaseModel):
    productId: int = Field(ge=1)
    quantity: int = Field(ge=1, le=1_000_000)


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a cart or an order."""

    item_id: int
    product_id: int
    name: str
    price: int
    quantity: int
    added_at: datetime

    @property
    def subtotal(self) -> int:
        return self.price * self.quantity

    def shown(self) -> dict[str, object]:
        return {
            "id": self.item_id,
            "productId": self.product_id,
            "productName": self.name,
            "price": self.price,
            "quantity": self.quantity,
            "subtotal": self.subtotal,
            "addedAt": self.added_at,
        }


class Carts:
    """Carts of one database; its SQL stands apart, because another product says some of it otherwise."""

    open_cart = "SELECT id FROM carts WHERE user_id = %s AND active FOR UPDATE"
    check_out = "UPDATE carts SET status = 'CHECKED_OUT', active = NULL WHERE id = %s"
    stocked = (
        "SELECT p.name, p.price, i.stock FROM products p LEFT JOIN inventory i ON i.product_id = p.id WHERE p.id = %s"
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def cart(self, request: Request) -> Response:
        """GET /cart; a user without one is given one."""
        user = user_id(request)
        async with self._pool.session() as session:
            cart_id = await self._active_cart(session, user)
            return ok(cart_shown(cart_id, user, "ACTIVE", await items_of(session, cart_id)))

    async def add_item(self, request: Request) -> Response:
        """POST /cart/items: the same product adds up; 404 S001, 404 S401 without inventory, 400 S105 above stock."""
        user = user_id(request)
        body = await payload(request, ItemBody)
        async with self._pool.transaction() as session:
            name, price, stock = await self._stocked_product(session, body.productId)
            cart_id = await self._active_cart(session, user)
            await self._add(session, cart_id, body, name, price)
            items = await items_of(session, cart_id)
            if any(item.quantity > stock for item in items if item.product_id == body.productId):
                raise ApiError(400, "S105", "Stock exceeded")
        return ok(cart_shown(cart_id, user, "ACTIVE", items))

    async def checkout(self, request: Request) -> Response:
        """POST /cart/checkout: 404 S101 without an active cart, 400 S104 when it is empty."""
        user = user_id(request)
        async with self._pool.transaction() as session:
            row = await session.row(self.open_cart, user)
            if row is None:
                raise ApiError(404, "S101", "Cart not found")
            items = await items_of(session, row[0])
            if not items:
                raise ApiError(400, "S104", "Cart is empty")
            await session.execute(self.check_out, row[0])
        return ok(cart_shown(row[0], user, "CHECKED_OUT", items))

    async def _stocked_product(self, session: Session, product_id: int) -> tuple[str, int, int]:
        row = await session.row(self.stocked, product_id)
        if row is None:
            raise ApiError(404, "S001", "Product not found")
        name, price, stock = row
        if stock is None:
            raise ApiError(404, "S401", "Inventory not found")
        return name, price, stock

    async def _active_cart(self, session: Session, user: str) -> int:
        return await session.insert(
            "INSERT INTO carts (user_id) VALUES (%s) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)", user
        )

    async def _add(self, session: Session, cart_id: int, body: ItemBody, name: str, price: int) -> None:
        await session.execute(
            "INSERT INTO cart_items (cart_id, product_id, product_name, price, quantity)"
            " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE quantity = quantity + %s",
            *(cart_id, body.productId, name, price, body.quantity, body.quantity),
        )


async def items_of(session: Session, cart_id: int) -> list[Item]:
    """The lines of a cart, in the order they were added."""
    rows = await session.rows(
        "SELECT id, product_id, product_name, price, quantity, added_at FROM cart_items WHERE cart_id = %s ORDER BY id",
        cart_id,
    )
    return [Item(*row) for row in rows]


def cart_shown(cart_id: int, user: str, status: str, items: Sequence[Item]) -> dict[str, object]:
    """A cart as it is answered."""
    return {
        "id": cart_id,
        "userId": user,
        "status": status,
        "items": [item.shown() for item in items],
        "itemCount": len(items),
        "totalQuantity": sum(item.quantity for item in items),
        "totalAmount": sum(item.subtotal for item in items),
    }
