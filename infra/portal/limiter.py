"""The gateway's rate limiter: a token bucket in Redis for each route and key (platform.md 1).

It fails open: while Redis is away requests pass, with a remaining of -1. A refusal is 429 with an EMPTY body and no
Retry-After; only the X-RateLimit-* headers say what happened.
"""

import math
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

BUCKET = """
local tokens_key, time_key = KEYS[1], KEYS[2]
local rate, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local tokens = tonumber(redis.call('GET', tokens_key)) or capacity
local last = tonumber(redis.call('GET', time_key)) or now
tokens = math.min(capacity, tokens + math.max(0, now - last) * rate)
local allowed = 0
if tokens >= 1 then
  allowed = 1
  tokens = tokens - 1
end
redis.call('SET', tokens_key, tostring(tokens), 'EX', ARGV[3])
redis.call('SET', time_key, string.format('%.6f', now), 'EX', ARGV[3])
return {allowed, math.floor(tokens)}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` tokens a second into a bucket of `burst`."""

    rate: int
    burst: int


STRICT = Limit(20, 50)
UNAUTHENTICATED = Limit(50, 200)
AUTHENTICATED = Limit(50, 500)


class Limiter:
    """Takes one token for one request."""

    def __init__(self, redis: Redis) -> None:
        self._bucket = redis.register_script(BUCKET)

    async def take(self, limit: Limit, route_id: str, key: str) -> tuple[bool, dict[str, str]]:
        """Whether the request may pass, and the headers that its answer carries."""
        name = f"request_rate_limiter.{{{route_id}.{key}}}"
        lifetime_s = math.ceil(limit.burst / limit.rate * 2)
        try:
            allowed, remaining = await self._bucket(
                keys=[f"{name}.tokens", f"{name}.timestamp"], args=[limit.rate, limit.burst, lifetime_s]
            )
        except RedisError:
            allowed, remaining = 1, -1
        return bool(allowed), {
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Replenish-Rate": str(limit.rate),
            "X-RateLimit-Burst-Capacity": str(limit.burst),
            "X-RateLimit-Requested-Tokens": "1",
        }
