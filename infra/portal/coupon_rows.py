"""Who holds which coupon, in MySQL: the rows of `user_coupons`, and how many they are in `coupons.issued_quantity`.

The rows are the truth. The counter goes up in the transaction that writes them, by a statement that cannot lose what
others counted; unless the fault `lost-update` is on.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from infra.portal.faults import LOST_UPDATE, Faults
from infra.portal.http import ApiError
from infra.portal.pool import Pool, Session

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS coupons (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        code VARCHAR(60) NOT NULL UNIQUE,
        discount_value INT NOT NULL DEFAULT 1000,
        total_quantity INT NOT NULL,
        issued_quantity INT NOT NULL DEFAULT 0,
        active BOOL NOT NULL DEFAULT TRUE,
        starts_at DATETIME NOT NULL,
        expires_at DATETIME NOT NULL,
        created_at DATETIME(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)))""",
    """CREATE TABLE IF NOT EXISTS user_coupons (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        user_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        coupon_id BIGINT NOT NULL,
        issued_at DATETIME(6) NOT NULL,
        UNIQUE (user_id, coupon_id),
        KEY (coupon_id))""",
    """SET @add_the_counter = (SELECT IF(COUNT(*), 'DO 0',
            'ALTER TABLE coupons ADD COLUMN issued_quantity INT NOT NULL DEFAULT 0')
        FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = 'coupons' AND column_name = 'issued_quantity')""",
    "PREPARE add_the_counter FROM @add_the_counter",
    "EXECUTE add_the_counter",
    "UPDATE coupons c SET issued_quantity = (SELECT COUNT(*) FROM user_coupons u WHERE u.coupon_id = c.id)",
)
"""A database from before the counter is given one (MySQL, unlike MariaDB, has no ADD COLUMN IF NOT EXISTS); it starts
with what the rows say."""

Wish = tuple[int, str]
"""(coupon id, user id) of a user who wants a coupon."""
Issued = dict[str, Any]
"""An issued coupon as it is shown; its id is that of its row."""


def utc_now() -> datetime:
    """Now, as the rows have it: UTC without offset."""
    return datetime.now(UTC).replace(tzinfo=None)


class CouponRows:
    """The coupons' rows in one database."""

    def __init__(self, pool: Pool, faults: Faults) -> None:
        self._pool, self._faults = pool, faults

    async def write(self, wishes: Sequence[Wish]) -> list[Issued | ApiError]:
        """What is issued for each wish, now written; or, where the coupon is not to be had now, why nothing is.

        Raises IntegrityError for a user who holds one already, DataError for a row that cannot be: none is written.
        """
        now = utc_now()
        each_counts_itself = bool(self._faults.strength(LOST_UPDATE))
        async with self._pool.transaction() as session:
            await _insert(session, wishes, now)
            written = await _written(session, wishes, now)
            coupon_ids = [issued["couponId"] for issued in written if not isinstance(issued, ApiError)]
            if not each_counts_itself:
                await _count(session, coupon_ids)
        if each_counts_itself:
            await asyncio.gather(*map(self._read_and_write_back, coupon_ids), return_exceptions=True)
        return written

    async def _read_and_write_back(self, coupon_id: int) -> None:
        """The fault: between reading the counter and writing it back one higher, others read it too."""
        async with self._pool.transaction() as session:
            rows = await session.rows("SELECT issued_quantity FROM coupons WHERE id = %s", coupon_id)
            for (issued,) in rows:
                await session.execute("UPDATE coupons SET issued_quantity = %s WHERE id = %s", issued + 1, coupon_id)


async def _insert(session: Session, wishes: Sequence[Wish], now: datetime) -> None:
    wanted = " UNION ALL ".join(["SELECT %s AS user_id, %s AS coupon_id"] * len(wishes))
    await session.execute(
        f"INSERT INTO user_coupons (user_id, coupon_id, issued_at) SELECT w.user_id, c.id, %s FROM ({wanted}) w"
        " JOIN coupons c ON c.id = w.coupon_id WHERE c.active AND c.starts_at <= %s AND c.expires_at > %s",
        *(now, *(value for coupon_id, user in wishes for value in (user, coupon_id)), now, now),
    )


async def _written(session: Session, wishes: Sequence[Wish], now: datetime) -> list[Issued | ApiError]:
    """What was issued for each wish, or why nothing was."""
    marks = ", ".join(["%s"] * len(wishes))
    rows = await session.rows(
        "SELECT c.id, u.user_id, u.id, c.code, c.active, c.starts_at, c.expires_at FROM coupons c"
        f" LEFT JOIN user_coupons u ON u.coupon_id = c.id AND u.user_id IN ({marks}) WHERE c.id IN ({marks})",
        *(user for _, user in wishes),
        *(coupon_id for coupon_id, _ in wishes),
    )
    coupons = {coupon_id: coupon for coupon_id, _, _, *coupon in rows}
    row_ids = {(coupon_id, user): row_id for coupon_id, user, row_id, *_ in rows}
    return [
        _issued(wish, row_ids[wish], coupons[wish[0]], now) if wish in row_ids else _unusable(coupons.get(wish[0]), now)
        for wish in wishes
    ]


async def _count(session: Session, coupon_ids: Sequence[int]) -> None:
    for coupon_id, issued in sorted(Counter(coupon_ids).items()):
        await session.execute(
            "UPDATE coupons SET issued_quantity = issued_quantity + %s WHERE id = %s", issued, coupon_id
        )


def _issued(wish: Wish, row_id: int, coupon: Sequence[object], now: datetime) -> Issued:
    code, _, _, expires_at = coupon
    coupon_id, user = wish
    return {
        "id": row_id,
        "userId": user,
        "couponId": coupon_id,
        "couponCode": code,
        "status": "AVAILABLE",
        "issuedAt": now,
        "expiresAt": expires_at,
    }


def _unusable(coupon: Sequence[object] | None, now: datetime) -> ApiError:
    if coupon is None:
        return ApiError(404, "S601", "Coupon not found")
    _, active, starts_at, _ = coupon
    if not active:
        return ApiError(400, "S606", "Coupon is not active")
    if isinstance(starts_at, datetime) and starts_at > now:
        return ApiError(400, "S605", "Coupon is not yet valid")
    return ApiError(400, "S603", "Coupon has expired")
