"""Limited coupons: Redis decides who gets one, MySQL keeps who got it, and both are kept in step.

A script takes one from the stock and notes the user, or refuses, in one step; only the chosen reach MySQL. Both stores
are asked for all who came meanwhile at once. When the row cannot be written the script is undone. When Redis has lost
its keys they are made again from the rows. Truth is the rows of `user_coupons`; `redis_stock + rows = total` holds
between requests.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, Field
from pymysql.err import DataError, IntegrityError
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import seed
from infra.portal.coupon_rows import CouponRows, Issued, Wish, utc_now
from infra.portal.events import Publisher
from infra.portal.faults import OVERSELL, Faults
from infra.portal.http import ApiError, json_response, ok, payload, user_id, whole_number
from infra.portal.pool import Pool, Row, Session
from infra.portal.together import Together
from infra.portal.tracing import client_span

TOPIC = "shopping.coupon.issued"
LOAD_COUPON_ID = 1
_LIFETIME = timedelta(days=365)

ISSUE = """
local verdicts = {}
for i, user in ipairs(ARGV) do
  local stock_key, issued_key = KEYS[2 * i - 1], KEYS[2 * i]
  local stock = redis.call('GET', stock_key)
  if not stock then
    verdicts[i] = -2
  elseif redis.call('SISMEMBER', issued_key, user) == 1 then
    verdicts[i] = -1
  elseif tonumber(stock) <= 0 then
    verdicts[i] = 0
  else
    redis.call('DECR', stock_key)
    redis.call('SADD', issued_key, user)
    verdicts[i] = 1
  end
end
return verdicts
"""
UNDO = """
if redis.call('SREM', KEYS[2], ARGV[1]) == 1 then redis.call('INCR', KEYS[1]) end
"""
RESTORE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return end
redis.call('DEL', KEYS[2])
for i = 2, #ARGV do redis.call('SADD', KEYS[2], ARGV[i]) end
redis.call('SET', KEYS[1], ARGV[1])
"""
_TAKEN, _SOLD_OUT, _DUPLICATE, _UNKNOWN = 1, 0, -1, -2
TAKES_AT_ONCE = 500
WRITES_AT_ONCE = 100


class CouponBody(BaseModel):
    """POST /admin/coupons."""

    code: str = Field(min_length=1, max_length=60)
    total: int = Field(ge=1, le=100_000)


def _keys(coupon_id: int) -> list[str]:
    return [f"coupon:stock:{coupon_id}", f"coupon:issued:{coupon_id}"]


class Coupons:
    """Coupons of one database and one Redis."""

    def __init__(self, pool: Pool, redis: Redis, publisher: Publisher, faults: Faults) -> None:
        self._pool, self._redis, self._publisher, self._faults = pool, redis, publisher, faults
        self._rows = CouponRows(pool, faults)
        self._issue, self._undo, self._restore = map(redis.register_script, (ISSUE, UNDO, RESTORE))
        self._takes = Together(self._take_all, TAKES_AT_ONCE)
        self._writes = Together(self._write_all, WRITES_AT_ONCE)
        self._single_writes = Together(self._write_all, 1)

    async def coupons(self, _request: Request) -> Response:
        """GET /coupons; what remains is told by the counter."""
        rows = await self._pool.rows(
            "SELECT id, code, discount_value, total_quantity, issued_quantity, starts_at, expires_at"
            " FROM coupons WHERE active ORDER BY id DESC LIMIT 100"
        )
        return ok([_coupon(row) for row in rows])

    async def issue(self, request: Request) -> Response:
        """POST /coupons/{id}/issue: 200, or 409 S602 sold out, 409 S604 held already, 404 S601 unknown."""
        user = user_id(request)
        coupon_id = whole_number("id", request.path_params["id"], low=1)
        if self._faults.strength(OVERSELL):
            issued = await self._look_then_take(coupon_id, user)
        else:
            _refuse_unless_taken(await self._take(coupon_id, user))
            with client_span("mysql", "insert"):
                issued = await self._writes.ask((coupon_id, user))
        self._announce(issued)
        return ok(issued)

    async def create(self, request: Request) -> Response:
        """POST /admin/coupons {code, total}: {id} of a coupon that nobody has yet."""
        body = await payload(request, CouponBody)
        now = utc_now()
        async with self._pool.apart() as session:
            try:
                coupon_id = await session.insert(
                    "INSERT INTO coupons (code, total_quantity, starts_at, expires_at) VALUES (%s, %s, %s, %s)",
                    body.code,
                    body.total,
                    now - timedelta(minutes=1),
                    now + _LIFETIME,
                )
            except IntegrityError:
                raise ApiError(409, "C006", f"There is a coupon {body.code!r} already") from None
            await self._refill(session, coupon_id)
        return json_response({"id": coupon_id})

    async def ledger(self, request: Request) -> Response:
        """GET /admin/coupons/{id}/ledger: what MySQL and Redis each say about who holds the coupon."""
        coupon_id = whole_number("id", request.path_params["id"], low=1)
        async with self._pool.apart() as session:
            counted = await session.row("SELECT issued_quantity FROM coupons WHERE id = %s", coupon_id)
            rows = await session.rows(
                "SELECT id, user_id FROM user_coupons WHERE coupon_id = %s ORDER BY id", coupon_id
            )
        users = [user for _, user in rows]
        return json_response(
            {
                "rows": len(users),
                "row_ids": [row_id for row_id, _ in rows],
                "distinct_users": len(set(users)),
                "users": users,
                "issued_quantity": counted[0] if counted else None,
                "redis_stock": await self._stock(coupon_id),
                "redis_issued": int(await self._redis.scard(_keys(coupon_id)[1])),
            }
        )

    async def plant(self) -> None:
        """The load test's coupon, with full stock and no holders; safe to repeat."""
        code, total = seed.LOAD_COUPON
        now = utc_now()
        async with self._pool.apart() as session:
            async with session.transaction():
                await session.execute("DELETE FROM user_coupons WHERE coupon_id = %s", LOAD_COUPON_ID)
                await session.execute(
                    "REPLACE INTO coupons (id, code, total_quantity, starts_at, expires_at)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    *(LOAD_COUPON_ID, code, total, now - timedelta(minutes=1), now + _LIFETIME),
                )
            await self._refill(session, LOAD_COUPON_ID)

    async def read_back(self) -> dict[str, object]:
        """{id, code, total, issued, redis_stock} of the load test's coupon."""
        async with self._pool.apart() as session:
            row = await session.row(
                "SELECT code, total_quantity, (SELECT COUNT(*) FROM user_coupons u WHERE u.coupon_id = c.id)"
                " FROM coupons c WHERE id = %s",
                LOAD_COUPON_ID,
            )
        if row is None:
            return {}
        read = dict(zip(("code", "total", "issued"), row, strict=True))
        return {"id": LOAD_COUPON_ID, **read, "redis_stock": await self._stock(LOAD_COUPON_ID)}

    async def remove_since(self, since: datetime) -> int:
        """Delete the coupons made since then, with what was issued of them; returns how many coupons."""
        async with self._pool.apart() as session:
            rows = await session.rows(
                "SELECT id FROM coupons WHERE id <> %s AND created_at >= %s", LOAD_COUPON_ID, since
            )
            for (coupon_id,) in rows:
                async with session.transaction():
                    await session.execute("DELETE FROM user_coupons WHERE coupon_id = %s", coupon_id)
                    await session.execute("DELETE FROM coupons WHERE id = %s", coupon_id)
                await self._redis.delete(*_keys(coupon_id))
        return len(rows)

    async def _stock(self, coupon_id: int) -> int | None:
        """What Redis says is left; None when it knows nothing of the coupon."""
        stock = await self._redis.get(_keys(coupon_id)[0])
        return None if stock is None else int(stock)

    async def _take(self, coupon_id: int, user: str) -> int:
        with client_span("redis", "evalsha"):
            verdict = await self._takes.ask((coupon_id, user))
            if verdict == _UNKNOWN:
                async with self._pool.session() as session:
                    await self._refill(session, coupon_id, keep=True)
                verdict = await self._takes.ask((coupon_id, user))
        return verdict

    async def _take_all(self, wishes: Sequence[Wish]) -> list[int]:
        keys = [key for coupon_id, _ in wishes for key in _keys(coupon_id)]
        verdicts: list[int] = await self._issue(keys=keys, args=[user for _, user in wishes])
        return verdicts

    async def _look_then_take(self, coupon_id: int, user: str) -> Issued:
        """The fault: look at the stock, write the row (each its own, one after the other), only then lower the stock.

        All who come before the rows of those before them are written have seen a stock that was there no more.
        """
        stock_key, issued_key = _keys(coupon_id)
        _refuse_unless_taken(await self._look(coupon_id, user))
        issued = await self._single_writes.ask((coupon_id, user))
        await self._redis.decr(stock_key)
        await self._redis.sadd(issued_key, user)
        return issued

    async def _look(self, coupon_id: int, user: str) -> int:
        stock_key, issued_key = _keys(coupon_id)
        stock = await self._redis.get(stock_key)
        if stock is None:
            async with self._pool.session() as session:
                await self._refill(session, coupon_id, keep=True)
            stock = await self._redis.get(stock_key)
        if await self._redis.sismember(issued_key, user):
            return _DUPLICATE
        return _TAKEN if int(stock or 0) > 0 else _SOLD_OUT

    async def _refill(self, session: Session, coupon_id: int, keep: bool = False) -> None:
        """Make the Redis keys from the rows; `keep` leaves keys that are there. Raises 404 S601: no such coupon."""
        row = await session.row("SELECT total_quantity FROM coupons WHERE id = %s", coupon_id)
        if row is None:
            raise ApiError(404, "S601", "Coupon not found")
        holders = await session.rows("SELECT user_id FROM user_coupons WHERE coupon_id = %s", coupon_id)
        if not keep:
            await self._redis.delete(*_keys(coupon_id))
        stock = row[0] - len(holders)
        await self._restore(keys=_keys(coupon_id), args=[stock, *(user for (user,) in holders)])

    async def _write_all(self, wishes: Sequence[Wish]) -> Sequence[Issued | BaseException]:
        """The holders' rows, where the coupon is active and valid now; what was taken for the others is put back."""
        try:
            written = await self._rows.write(wishes)
        except (IntegrityError, DataError) as error:
            if len(wishes) > 1:
                return await self._write_each(wishes)
            if isinstance(error, IntegrityError):
                return [_duplicate()]
            await self._put_back(wishes)
            raise
        except BaseException:
            await self._put_back(wishes)
            raise
        await self._put_back([wish for wish, row in zip(wishes, written, strict=True) if isinstance(row, ApiError)])
        return written

    async def _write_each(self, wishes: Sequence[Wish]) -> list[Issued | BaseException]:
        """One by one, so that a row that cannot be is no reason to refuse the others."""
        each = await asyncio.gather(*(self._write_all([wish]) for wish in wishes), return_exceptions=True)
        return [written if isinstance(written, BaseException) else written[0] for written in each]

    async def _put_back(self, wishes: Sequence[Wish]) -> None:
        for coupon_id, user in wishes:
            await self._undo(keys=_keys(coupon_id), args=[user])

    def _announce(self, issued: Issued) -> None:
        """Announce it, without waiting: as on the platform a failure is only logged."""
        event = {
            "userId": issued["userId"],
            "couponCode": issued["couponCode"],
            "couponName": issued["couponCode"],
            "discountType": "FIXED",
            "discountValue": 1000,
            "expiresAt": issued["expiresAt"],
        }
        self._publisher.announce(TOPIC, str(issued["couponCode"]), "CouponIssuedEvent", event)


def _refuse_unless_taken(verdict: int) -> None:
    if verdict == _SOLD_OUT:
        raise ApiError(409, "S602", "Coupon exhausted")
    if verdict == _DUPLICATE:
        raise _duplicate()


def _duplicate() -> ApiError:
    return ApiError(409, "S604", "Coupon already issued to this user")


def _coupon(row: Row) -> dict[str, object]:
    coupon_id, code, discount_value, total, issued, starts_at, expires_at = row
    return {
        "id": coupon_id,
        "code": code,
        "name": code,
        "discountType": "FIXED",
        "discountValue": discount_value,
        "totalQuantity": total,
        "issuedQuantity": issued,
        "remainingQuantity": total - issued,
        "status": "ACTIVE" if issued < total else "EXHAUSTED",
        "startsAt": starts_at,
        "expiresAt": expires_at,
    }
