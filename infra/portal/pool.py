"""A small MySQL connection pool that measures itself under HikariCP's names (platform.md 6).

Every wait is bounded: for a connection, for connecting, for a statement. A connection whose statement failed in
flight is closed, never handed out again; the next borrower opens a new one, which is how the pool recovers.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiomysql
from prometheus_client import Counter, Summary
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymysql.err import InterfaceError, OperationalError

from infra.portal.faults import ERROR_BURST, POOL_EXHAUSTION, Faults
from infra.portal.metrics import Meters
from infra.portal.settings import PortalSettings
from infra.portal.stores import CALL_TIMEOUT_S, wait_for
from infra.portal.tracing import client_span

ACQUIRE_TIMEOUT_S = 3.0
CONNECT_TIMEOUT_S = 1.0

_NO_NOTES = "SET sql_notes = 0"
"""IF NOT EXISTS is no reason for a note, which the client would ask for and show."""

Row = tuple[Any, ...]


class Session:
    """One borrowed connection. A statement that fails in flight closes it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def rows(self, sql: str, *args: object) -> Sequence[Row]:
        """The rows of a SELECT."""
        async with self._cursor(sql) as cursor:
            await cursor.execute(sql, args or None)
            rows: Sequence[Row] = await cursor.fetchall()
            return rows

    async def row(self, sql: str, *args: object) -> Row | None:
        """The first row, or None."""
        rows = await self.rows(sql, *args)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement; returns how many rows it changed."""
        async with self._cursor(sql) as cursor:
            return int(await cursor.execute(sql, args or None))

    async def insert(self, sql: str, *args: object) -> int:
        """Run an INSERT; returns the id it made."""
        async with self._cursor(sql) as cursor:
            await cursor.execute(sql, args or None)
            return int(cursor.lastrowid)

    async def insert_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """INSERT … VALUES (%s, …) with many rows a statement; returns how many rows it changed."""
        async with self._cursor(sql) as cursor:
            return int(await cursor.executemany(sql, list(rows)) or 0)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Session"]:
        """This session in a transaction: committed at the end, rolled back on any error."""
        await self.execute("BEGIN")
        try:
            yield self
        except BaseException:
            if not self.connection.closed:
                await self.execute("ROLLBACK")
            raise
        await self.execute("COMMIT")

    @asynccontextmanager
    async def _cursor(self, sql: str) -> AsyncIterator[aiomysql.Cursor]:
        with client_span("mysql", sql.split(maxsplit=1)[0].lower()):
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S), self.connection.cursor() as cursor:
                    yield cursor
            except (OperationalError, InterfaceError, OSError, asyncio.CancelledError) as error:
                self.connection.close()
                if isinstance(error, TimeoutError):
                    raise OperationalError(f"no answer within {CALL_TIMEOUT_S} s") from error
                raise


class Pool:
    """Connections to one database of MySQL, at most `pool_size`, opened when first needed and kept.

    What another product does otherwise stands in the methods at the end (infra/portal/postgres.py).
    """

    away: type[Exception] = OperationalError
    product = "MySQL"
    prelude: Sequence[str] = (_NO_NOTES,)

    def __init__(self, settings: PortalSettings, database: str, meters: Meters, name: str, faults: Faults) -> None:
        self._settings, self._database, self._faults = settings, database, faults
        self.size = settings.pool_size
        self._slots = asyncio.Semaphore(self.size)
        self.idle: list[Any] = []
        self.active = self.pending = 0
        self._leaked: list[Any] = []
        faults.on_switch(POOL_EXHAUSTION, self._give_back)
        self._meters = _PoolMeters(self, name, meters)

    async def open(self, schema: Sequence[str]) -> None:
        """Wait for the server, make the database and its tables."""
        where = f"{self.product} at {self._where}"
        await wait_for(where, self._create_database, self._settings.start_timeout_s)
        async with self.session() as session:
            for statement in (*self.prelude, *schema):
                await session.execute(statement)

    async def close(self) -> None:
        """Say goodbye on the idle connections; the server drops what is still in use."""
        self._give_back()
        while self.idle:
            self._drop(self.idle.pop())

    async def ping(self) -> None:
        """A sign of life, on a connection of the pool."""
        async with self.session() as session:
            await session.rows("SELECT 1")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection in autocommit mode."""
        connection = await self._acquire()
        borrowed = time.perf_counter()
        try:
            yield self._session_of(connection)
        finally:
            self._meters.usage.observe(time.perf_counter() - borrowed)
            if random.random() < self._faults.strength(POOL_EXHAUSTION):
                self._leaked.append(connection)
            else:
                self._release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """A connection in a transaction: committed at the end, rolled back on any error."""
        async with self.session() as session, session.transaction():
            yield session

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Session]:
        """A connection of its own, outside of the pool's slots, meters and faults: the suite's way to the books."""
        session = self._session_of(await self._connect(self._database))
        try:
            yield session
        finally:
            self._drop(session.connection)

    async def rows(self, sql: str, *args: object) -> Sequence[Row]:
        """The rows of a SELECT, on a connection of its own."""
        async with self.session() as session:
            return await session.rows(sql, *args)

    async def row(self, sql: str, *args: object) -> Row | None:
        """Its first row, or None."""
        async with self.session() as session:
            return await session.row(sql, *args)

    async def execute(self, sql: str, *args: object) -> int:
        """One statement, committed; returns how many rows it changed."""
        async with self.session() as session:
            return await session.execute(sql, *args)

    async def _acquire(self) -> Any:
        started = time.perf_counter()
        self.pending += 1
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError:
            self._meters.timeouts.inc()
            raise self.away(f"no connection within {ACQUIRE_TIMEOUT_S} s") from None
        finally:
            self.pending -= 1
        try:
            connection = self._take_idle() or await self._connect(self._database)
            await self._suffer(connection)
        except BaseException:
            self._slots.release()
            raise
        self.active += 1
        self._meters.acquire.observe(time.perf_counter() - started)
        return connection

    def _take_idle(self) -> Any:
        while self.idle:
            connection = self.idle.pop()
            if not self._is_dead(connection):
                return connection
            self._drop(connection)
        return None

    def _release(self, connection: Any) -> None:
        self.active -= 1
        if not connection.closed:
            self.idle.append(connection)
        self._slots.release()

    def _give_back(self) -> None:
        """End the leak: what was never given back is idle again."""
        while self._leaked:
            self._release(self._leaked.pop())

    async def _suffer(self, connection: Any) -> None:
        """The fault: the server kills the connection that is about to be used."""
        if random.random() < self._faults.strength(ERROR_BURST):
            try:
                await self._kill(connection)
            except self.away:
                return

    # -- what is MySQL's own ------------------------------------------------------------------------

    def _session_of(self, connection: Any) -> Session:
        return Session(connection)

    @property
    def _where(self) -> str:
        return f"{self._settings.mysql_host}:{self._settings.mysql_port}"

    def _is_dead(self, connection: Any) -> bool:
        return bool(connection._reader.at_eof())

    def _drop(self, connection: Any) -> None:
        connection.close()

    async def _kill(self, connection: Any) -> None:
        await connection.query("KILL CONNECTION_ID()")

    async def _connect(self, database: str | None) -> Any:
        return await aiomysql.connect(
            host=self._settings.mysql_host,
            port=self._settings.mysql_port,
            user=self._settings.mysql_user,
            password=self._settings.mysql_password.get_secret_value(),
            db=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",  # no gap locks, so fewer deadlocks
        )

    async def _create_database(self) -> None:
        session = Session(await self._connect(None))
        await session.execute(_NO_NOTES)
        await session.execute(f"CREATE DATABASE IF NOT EXISTS {self._database} CHARACTER SET utf8mb4")
        session.connection.close()


class _PoolMeters(Collector):
    """`hikaricp_*` of one pool."""

    def __init__(self, pool: Pool, name: str, meters: Meters) -> None:
        self._pool, self._name, registry = pool, name, meters.registry
        self.acquire = Summary("hikaricp_connections_acquire_seconds", "Wait", ("pool",), registry=registry).labels(
            name
        )
        self.usage = Summary("hikaricp_connections_usage_seconds", "Use", ("pool",), registry=registry).labels(name)
        self.timeouts = Counter(
            "hikaricp_connections_timeout_total", "Waits given up", ("pool",), registry=registry
        ).labels(name)
        registry.register(self)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        pool = self._pool
        readings = {
            "": pool.active + len(pool.idle),
            "_active": pool.active,
            "_idle": len(pool.idle),
            "_pending": pool.pending,
            "_max": pool.size,
            "_min": pool.size,
        }
        for suffix, value in readings.items():
            family = GaugeMetricFamily(f"hikaricp_connections{suffix}", "Pool connections", labels=("pool",))
            family.add_metric((self._name,), value)
            yield family
