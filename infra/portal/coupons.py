"""Limited coupons: Redis decides who gets one, MySQL keeps who got it, and both are kept in step.

A script takes one from the stock and notes the user, or refuses, in one step; only the chosen reach MySQL. Both stores
are asked for all who came meanwhile at once. When the row cannot be written the script is undone. When Redis has lost
its keys they are made again from the rows. Truth is the rows of `user_coupons`; `redis_stock + rows = total` holds
between requests.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, Field
from pymysql.err import DataError, IntegrityError
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import seed
from infra.portal.events import Publisher
from infra.portal.http import ApiError, json_response, ok, payload, user_id, whole_number
from infra.portal.pool import Pool, Row, Session
from infra.portal.together import Together
from infra.portal.tracing import client_span

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS coupons (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        code VARCHAR(60) NOT NULL UNIQUE,
        discount_value INT NOT NULL DEFAULT 1000,
        total_quantity INT NOT NULL,
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
)

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

Wish = tuple[int, str]
"""(coupon id, user id) of a user who wants a coupon."""


class CouponBody(BaseModel):
    """POST /admin/coupons."""

    code: str = Field(min_length=1, max_length=60)
    total: int = Field(ge=1, le=100_000)


def _keys(coupon_id: int) -> list[str]:
    return [f"coupon:stock:{coupon_id}", f"coupon:issued:{coupon_id}"]


class Coupons:
    """Coupons of one database and one Redis."""

    def __init__(self, pool: Pool, redis: Redis, publisher: Publisher) -> None:
        self._pool, self._redis, self._publisher = pool, redis, publisher
        self._issue, self._undo, self._restore = map(redis.register_script, (ISSUE, UNDO, RESTORE))
        self._takes = Together(self._take_all, TAKES_AT_ONCE)
        self._writes = Together(self._write_all, WRITES_AT_ONCE)

    async def coupons(self, _request: Request) -> Response:
        """GET /coupons; what remains is counted from the rows."""
        rows = await self._pool.rows(
            "SELECT c.id, c.code, c.discount_value, c.total_quantity, COUNT(u.id), c.starts_at, c.expires_at"
            " FROM coupons c LEFT JOIN user_coupons u ON u.coupon_id = c.id"
            " WHERE c.active GROUP BY c.id ORDER BY c.id DESC LIMIT 100"
        )
        return ok([_coupon(row) for row in rows])

    async def issue(self, request: Request) -> Response:
        """POST /coupons/{id}/issue: 200, or 409 S602 sold out, 409 S604 held already, 404 S601 unknown."""
        user = user_id(request)
        coupon_id = whole_number("id", request.path_params["id"], low=1)
        verdict = await self._take(coupon_id, user)
        if verdict == _SOLD_OUT:
            raise ApiError(409, "S602", "Coupon exhausted")
        if verdict == _DUPLICATE:
            raise _duplicate()
        with client_span("mysql", "insert"):
            issued = await self._writes.ask((coupon_id, user))
        self._announce(issued)
        return ok(issued)

    async def create(self, request: Request) -> Response:
        """POST /admin/coupons {code, total}: {id} of a coupon that nobody has yet."""
        body = await payload(request, CouponBody)
        now = _now()
        async with self._pool.session() as session:
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
        await self._refill(coupon_id)
        return json_response({"id": coupon_id})

    async def ledger(self, request: Request) -> Response:
        """GET /admin/coupons/{id}/ledger: what MySQL and Redis each say about who holds the coupon."""
        coupon_id = whole_number("id", request.path_params["id"], low=1)
        rows = await self._pool.rows("SELECT user_id FROM user_coupons WHERE coupon_id = %s ORDER BY id", coupon_id)
        users = [user for (user,) in rows]
        stock_key, issued_key = _keys(coupon_id)
        stock = await self._redis.get(stock_key)
        return json_response(
            {
                "rows": len(users),
                "distinct_users": len(set(users)),
                "users": users,
                "redis_stock": None if stock is None else int(stock),
                "redis_issued": int(await self._redis.scard(issued_key)),
            }
        )

    async def plant(self) -> None:
        """The load test's coupon, with full stock and no holders; safe to repeat."""
        code, total = seed.LOAD_COUPON
        now = _now()
        async with self._pool.transaction() as session:
            await session.execute("DELETE FROM user_coupons WHERE coupon_id = %s", LOAD_COUPON_ID)
            await session.execute(
                "REPLACE INTO coupons (id, code, total_quantity, starts_at, expires_at) VALUES (%s, %s, %s, %s, %s)",
                LOAD_COUPON_ID,
                code,
                total,
                now - timedelta(minutes=1),
                now + _LIFETIME,
            )
        await self._refill(LOAD_COUPON_ID)

    async def read_back(self) -> dict[str, object]:
        """{id, code, total, issued, redis_stock} of the load test's coupon."""
        row = await self._pool.row(
            "SELECT code, total_quantity, (SELECT COUNT(*) FROM user_coupons u WHERE u.coupon_id = c.id)"
            " FROM coupons c WHERE id = %s",
            LOAD_COUPON_ID,
        )
        if row is None:
            return {}
        stock = await self._redis.get(_keys(LOAD_COUPON_ID)[0])
        read = dict(zip(("code", "total", "issued"), row, strict=True))
        return {"id": LOAD_COUPON_ID, **read, "redis_stock": None if stock is None else int(stock)}

    async def remove_since(self, since: datetime) -> int:
        """Delete the coupons made since then, with what was issued of them; returns how many coupons."""
        rows = await self._pool.rows(
            "SELECT id FROM coupons WHERE id <> %s AND created_at >= %s", LOAD_COUPON_ID, since
        )
        for (coupon_id,) in rows:
            async with self._pool.transaction() as session:
                await session.execute("DELETE FROM user_coupons WHERE coupon_id = %s", coupon_id)
                await session.execute("DELETE FROM coupons WHERE id = %s", coupon_id)
            await self._redis.delete(*_keys(coupon_id))
        return len(rows)

    async def _take(self, coupon_id: int, user: str) -> int:
        with client_span("redis", "evalsha"):
            verdict = await self._takes.ask((coupon_id, user))
            if verdict == _UNKNOWN:
                await self._refill(coupon_id, keep=True)
                verdict = await self._takes.ask((coupon_id, user))
        return verdict

    async def _take_all(self, wishes: Sequence[Wish]) -> list[int]:
        keys = [key for coupon_id, _ in wishes for key in _keys(coupon_id)]
        verdicts: list[int] = await self._issue(keys=keys, args=[user for _, user in wishes])
        return verdicts

    async def _refill(self, coupon_id: int, keep: bool = False) -> None:
        """Make the Redis keys from the rows; `keep` leaves keys that are there. Raises 404 S601: no such coupon."""
        row = await self._pool.row("SELECT total_quantity FROM coupons WHERE id = %s", coupon_id)
        if row is None:
            raise ApiError(404, "S601", "Coupon not found")
        holders = await self._pool.rows("SELECT user_id FROM user_coupons WHERE coupon_id = %s", coupon_id)
        if not keep:
            await self._redis.delete(*_keys(coupon_id))
        stock = row[0] - len(holders)
        await self._restore(keys=_keys(coupon_id), args=[stock, *(user for (user,) in holders)])

    async def _write_all(self, wishes: Sequence[Wish]) -> list[dict[str, object] | BaseException]:
        """The holders' rows, where the coupon is active and valid now; what was taken for the others is put back."""
        now = _now()
        try:
            async with self._pool.transaction() as session:
                await _insert(session, wishes, now)
                written = await _written(session, wishes, now)
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

    async def _write_each(self, wishes: Sequence[Wish]) -> list[dict[str, object] | BaseException]:
        """One by one, so that a row that cannot be is no reason to refuse the others."""
        each = await asyncio.gather(*(self._write_all([wish]) for wish in wishes), return_exceptions=True)
        return [written if isinstance(written, BaseException) else written[0] for written in each]

    async def _put_back(self, wishes: Sequence[Wish]) -> None:
        for coupon_id, user in wishes:
            await self._undo(keys=_keys(coupon_id), args=[user])

    def _announce(self, issued: dict[str, object]) -> None:
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


async def _insert(session: Session, wishes: Sequence[Wish], now: datetime) -> None:
    wanted = " UNION ALL ".join(["SELECT %s AS user_id, %s AS coupon_id"] * len(wishes))
    await session.execute(
        f"INSERT INTO user_coupons (user_id, coupon_id, issued_at) SELECT w.user_id, c.id, %s FROM ({wanted}) w"
        " JOIN coupons c ON c.id = w.coupon_id WHERE c.active AND c.starts_at <= %s AND c.expires_at > %s",
        *(now, *(value for coupon_id, user in wishes for value in (user, coupon_id)), now, now),
    )


async def _written(session: Session, wishes: Sequence[Wish], now: datetime) -> list[dict[str, object] | BaseException]:
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


def _issued(wish: Wish, row_id: int, coupon: Sequence[object], now: datetime) -> dict[str, object]:
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


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _duplicate() -> ApiError:
    return ApiError(409, "S604", "Coupon already issued to this user")


def _unusable(coupon: Sequence[object] | None, now: datetime) -> ApiError:
    if coupon is None:
        return ApiError(404, "S601", "Coupon not found")
    _, active, starts_at, _ = coupon
    if not active:
        return ApiError(400, "S606", "Coupon is not active")
    if isinstance(starts_at, datetime) and starts_at > now:
        return ApiError(400, "S605", "Coupon is not yet valid")
    return ApiError(400, "S603", "Coupon has expired")


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
