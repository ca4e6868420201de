"""A read-through cache in Redis with single flight: one load per expired key, however many ask for it at once.

Within the process, callers share the load in progress. Between processes a Redis lock decides who loads; the others
look again until the value is there. Loads and hits are counted (`cache_load_duration_seconds`, `cache_gets_total`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from prometheus_client import Counter, Summary
from redis.asyncio import Redis

from infra.portal.faults import NO_SINGLE_FLIGHT, Faults
from infra.portal.metrics import Meters
from infra.portal.stores import CALL_TIMEOUT_S

Load = Callable[[], Awaitable[bytes | None]]

LOCK_TTL_MS = 3000
_LOOK_INTERVAL_S = 0.02


class Origin(Protocol):
    """Where a product comes from: a cache, or its origin each time."""

    async def get(self, key: str, load: Load) -> bytes | None: ...


class Cache:
    """Values as bytes under `<name>:<key>`; a load that finds nothing (None) is not kept."""

    def __init__(self, redis: Redis, meters: Meters, name: str, ttl_s: float, faults: Faults) -> None:
        self._redis, self._name, self._ttl_ms, self._faults = redis, name, round(ttl_s * 1000), faults
        self._loading: dict[str, asyncio.Task[bytes | None]] = {}
        self._missing_until: dict[str, float] = {}
        faults.on_switch(NO_SINGLE_FLIGHT, self._missing_until.clear)
        gets = Counter("cache_gets_total", "Look-ups", ("cache", "result"), registry=meters.registry)
        loads = Summary("cache_load_duration_seconds", "Loads", ("cache", "result"), registry=meters.registry)
        self._hits, self._misses = gets.labels(name, "hit"), gets.labels(name, "miss")
        self._loaded, self._failed = loads.labels(name, "success"), loads.labels(name, "failure")

    async def get(self, key: str, load: Load) -> bytes | None:
        """The cached value, or what `load` returns; None when there is no such thing."""
        value = await self._look_up(key)
        if value is not None:
            self._hits.inc()
            return value
        self._misses.inc()
        if self._faults.strength(NO_SINGLE_FLIGHT):
            return await self._fill(key, load)
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load_once(key, load))
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(task)

    async def _look_up(self, key: str) -> bytes | None:
        """What is cached; while the fault is on a miss is believed for a while, whatever has been cached since."""
        if time.monotonic() < self._missing_until.get(key, 0.0):
            return None
        value = await self._cached(key)
        if value is None and (believed_s := self._faults.strength(NO_SINGLE_FLIGHT)):
            self._missing_until[key] = time.monotonic() + believed_s
        return value

    async def _cached(self, key: str) -> bytes | None:
        return cast("bytes | None", await self._redis.get(f"{self._name}:{key}"))

    async def _load_once(self, key: str, load: Load) -> bytes | None:
        """Load under the lock; a value that appeared meanwhile wins. The lock ends by itself if its owner dies."""
        lock = f"{self._name}:lock:{key}"
        async with asyncio.timeout(CALL_TIMEOUT_S):
            while not await self._redis.set(lock, b"1", nx=True, px=LOCK_TTL_MS):
                await asyncio.sleep(_LOOK_INTERVAL_S)
                if (value := await self._cached(key)) is not None:
                    return value
            try:
                return await self._cached(key) or await self._fill(key, load)
            finally:
                await self._redis.delete(lock)

    async def _fill(self, key: str, load: Load) -> bytes | None:
        value = await self._measured(load)
        if value is not None:
            await self._redis.set(f"{self._name}:{key}", value, px=self._ttl_ms)
        return value

    async def _measured(self, load: Load) -> bytes | None:
        started = time.perf_counter()
        try:
            value = await load()
        except BaseException:
            self._failed.observe(time.perf_counter() - started)
            raise
        self._loaded.observe(time.perf_counter() - started)
        return value
