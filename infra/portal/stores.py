"""The stores seen from a service: waiting for them at start, signs of life, and naming the one that is away."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import psycopg
from aiokafka.errors import KafkaError
from prometheus_client import Summary
from pymysql.err import InterfaceError, OperationalError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from infra.portal.metrics import Meters
from infra.portal.settings import PortalSettings
from infra.portal.tracing import client_span

log = logging.getLogger("infra.portal")

PROBE_TIMEOUT_S = 1.0
CALL_TIMEOUT_S = 3.0
"""Below the gateway's 5 s, so that a service answers 503 itself before the gateway gives up on it."""
REDIS_CONNECTIONS = 50
_RETRY_INTERVAL_S = 0.5
_ATTEMPT_TIMEOUT_S = 5.0

STORE_ERRORS: Final = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    RedisError,
    KafkaError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
)
"""What a store that is away, or stays away, is seen as."""

_STORES = {
    "pymysql": "MySQL",
    "psycopg": "PostgreSQL",
    "redis": "Redis",
    "aiokafka": "Kafka",
    "aiohttp": "Elasticsearch",
}

Probe = Callable[[], Awaitable[object]]
T = TypeVar("T")


class StoreMissing(Exception):
    """A store did not come within the time allowed at start."""


def store_of(error: BaseException) -> str:
    """The store whose client raised `error`."""
    return _STORES.get(type(error).__module__.split(".")[0], "A store")


async def wait_for(store: str, connect: Callable[[], Awaitable[T]], timeout_s: float) -> T:
    """What `connect` returns once it succeeds; raises StoreMissing after `timeout_s` seconds of failures."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            async with asyncio.timeout(_ATTEMPT_TIMEOUT_S):
                return await connect()
        except STORE_ERRORS as error:
            if time.monotonic() >= deadline:
                seen = f"{store} does not answer after {timeout_s:.0f} s ({error!r})"
                raise StoreMissing(f"{seen}: start it, or correct its PORTAL_* settings") from error
            log.info("waiting for %s: %r", store, error)
            await asyncio.sleep(_RETRY_INTERVAL_S)


async def probe(check: Probe) -> bool:
    """Whether the store answers within a second."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await check()
    except STORE_ERRORS:
        return False
    return True


def redis_pool(url: str) -> BlockingConnectionPool:
    """Connections to a Redis, bounded in number and waits; one retry, for those that a restart left stale."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=REDIS_CONNECTIONS,
        timeout=CALL_TIMEOUT_S,
        socket_timeout=CALL_TIMEOUT_S,
        socket_connect_timeout=PROBE_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


class MeteredRedis(Redis):
    """A client whose commands are metered as Lettuce's are (`lettuce_command_completion_seconds`), and traced."""

    def __init__(self, pool: BlockingConnectionPool, completed: Summary) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True  # as from_pool has it
        self._completed = completed

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and await its answer, the wait for a connection included."""
        command = str(args[0])
        started = time.perf_counter()
        with client_span("redis", command.lower()):
            try:
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            finally:
                self._completed.labels(command).observe(time.perf_counter() - started)


async def open_redis(settings: PortalSettings, meters: Meters) -> Redis:
    """A Redis client, once the server answers."""
    completed = meters.timer("lettuce_command_completion_seconds", ("command",))
    client = MeteredRedis(redis_pool(settings.redis_url), completed)
    where = urlsplit(settings.redis_url)
    await wait_for(f"Redis at {where.hostname}:{where.port}", client.ping, settings.start_timeout_s)
    return client
