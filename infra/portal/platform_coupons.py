"""Coupons as the platform issues them (platform.md 3, "Coupon mechanics"), one request at a time.

Validated by the row, decided by a script in Redis, written to `user_coupons`, counted by reading `issued_quantity` and
writing it back one higher: the counter loses updates and is no truth. Nothing is put back when a write fails.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymysql.err import IntegrityError
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from infra.portal.coupon_rows import utc_now
from infra.portal.coupons import TOPIC
from infra.portal.events import Publisher
from infra.portal.http import ApiError, ok, user_id, whole_number
from infra.portal.pool import Pool
from infra.portal.tracing import client_span

ISSUE = """
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return -1 end
if tonumber(redis.call('GET', KEYS[1]) or '0') <= 0 then return 0 end
redis.call('DECR', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[1])
return 1
"""
_COLUMNS = (
    "id, code, name, discount_type, discount_value, total_quantity, issued_quantity, status, starts_at, expires_at"
)
_NAMES = (
    *("id", "code", "name", "discountType", "discountValue", "totalQuantity", "issuedQuantity", "status"),
    *("startsAt", "expiresAt"),
)


class PlatformCoupons:
    """Coupons of one database and one Redis."""

    def __init__(self, pool: Pool, redis: Redis, publisher: Publisher) -> None:
        self._pool, self._publisher = pool, publisher
        self._issue = redis.register_script(ISSUE)

    async def coupons(self, _request: Request) -> Response:
        """GET /coupons: those that can be had now."""
        rows = await self._pool.rows(f"SELECT {_COLUMNS} FROM coupons WHERE status = 'ACTIVE' ORDER BY id")
        shown = [dict(zip(_NAMES, row, strict=True)) for row in rows]
        return ok([each | {"remainingQuantity": each["totalQuantity"] - each["issuedQuantity"]} for each in shown])

    async def issue(self, request: Request) -> Response:
        """POST /coupons/{id}/issue: 200, or 409 S602, S604, 404 S601, 400 S603, S605, S606."""
        user = user_id(request)
        coupon_id = whole_number("id", request.path_params["id"], low=1)
        now = utc_now()
        coupon = await self._pool.row(f"SELECT {_COLUMNS} FROM coupons WHERE id = %s", coupon_id)
        if refusal := _unusable(coupon, now):
            raise refusal
        assert coupon is not None
        await self._take(coupon_id, user)
        row_id = await self._write(coupon_id, user, coupon[-1])
        self._announce(user, coupon)
        shown = {"id": row_id, "couponId": coupon_id, "couponCode": coupon[1], "status": "AVAILABLE"}
        return ok(shown | {"issuedAt": now, "expiresAt": coupon[-1]})

    async def _take(self, coupon_id: int, user: str) -> None:
        with client_span("redis", "evalsha"):
            verdict = await self._issue(keys=[f"coupon:stock:{coupon_id}", f"coupon:issued:{coupon_id}"], args=[user])
        if verdict == -1:
            raise ApiError(409, "S604", "Coupon already issued to this user")
        if verdict == 0:
            raise ApiError(409, "S602", "Coupon exhausted")

    async def _write(self, coupon_id: int, user: str, expires_at: datetime) -> int:
        try:
            async with self._pool.transaction() as session:
                row_id = await session.insert(
                    "INSERT INTO user_coupons (user_id, coupon_id, expires_at) VALUES (%s, %s, %s) RETURNING id",
                    *(user, coupon_id, expires_at),
                )
                row = await session.row("SELECT issued_quantity, total_quantity FROM coupons WHERE id = %s", coupon_id)
                issued, total = row or (0, 0)
                await session.execute(
                    "UPDATE coupons SET issued_quantity = %s, status = %s, updated_at = LOCALTIMESTAMP WHERE id = %s",
                    *(issued + 1, "EXHAUSTED" if issued + 1 >= total else "ACTIVE", coupon_id),
                )
        except IntegrityError:
            raise ApiError(409, "S604", "Coupon already issued to this user") from None
        return row_id

    def _announce(self, user: str, coupon: Sequence[Any]) -> None:
        named = dict(zip(_NAMES, coupon, strict=True))
        event = {
            "userId": user,
            "couponCode": named["code"],
            "couponName": named["name"],
            "discountType": named["discountType"],
            "discountValue": int(named["discountValue"]),
            "expiresAt": named["expiresAt"],
        }
        self._publisher.announce(TOPIC, str(named["code"]), "CouponIssuedEvent", event)


def _unusable(coupon: Sequence[Any] | None, now: datetime) -> ApiError | None:
    if coupon is None:
        return ApiError(404, "S601", "Coupon not found")
    named = dict(zip(_NAMES, coupon, strict=True))
    if named["status"] != "ACTIVE":
        return ApiError(400, "S606", "Coupon is not active")
    if named["startsAt"] > now:
        return ApiError(400, "S605", "Coupon is not yet valid")
    if named["expiresAt"] < now:
        return ApiError(400, "S603", "Coupon has expired")
    return ApiError(409, "S602", "Coupon exhausted") if named["issuedQuantity"] >= named["totalQuantity"] else None
