"""PostgreSQL behind the pool of pool.py: where the platform keeps auth_db and shopping_db (platform.md 0, 2026-02-18).

Sessions, waits and meters are the same. A duplicate key comes as the error that the services know; decimals come as
floats, as the platform's JSON has them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.types.numeric import FloatLoader
from pymysql.err import IntegrityError

from infra.portal.pool import CONNECT_TIMEOUT_S, Pool, Row, Session
from infra.portal.stores import CALL_TIMEOUT_S
from infra.portal.tracing import client_span

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class PostgresSession(Session):
    """One borrowed connection of PostgreSQL. A statement that fails in flight closes it."""

    async def rows(self, sql: str, *args: object) -> Sequence[Row]:
        """The rows of a SELECT, or of what RETURNING names."""
        async with self._answered(sql, args) as cursor:
            return await cursor.fetchall()

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement; returns how many rows it changed."""
        async with self._answered(sql, args) as cursor:
            return cursor.rowcount

    async def insert(self, sql: str, *args: object) -> int:
        """Run an INSERT … RETURNING id; returns the id it made."""
        return int((await self.rows(sql, *args))[0][0])

    @asynccontextmanager
    async def _answered(self, sql: str, args: Sequence[object]) -> AsyncIterator[psycopg.AsyncCursor[tuple[Any, ...]]]:
        with client_span("postgresql", sql.split(maxsplit=1)[0].lower()):
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    yield await self.connection.execute(sql.encode(), args or None)
            except psycopg.IntegrityError as error:
                raise IntegrityError(str(error)) from error
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError, asyncio.CancelledError) as error:
                self.connection.pgconn.finish()
                if isinstance(error, TimeoutError):
                    raise psycopg.OperationalError(f"no answer within {CALL_TIMEOUT_S} s") from error
                raise


class PostgresPool(Pool):
    """Connections to one database of PostgreSQL."""

    away = psycopg.OperationalError
    product = "PostgreSQL"
    prelude = ("SET client_min_messages = warning",)

    def _session_of(self, connection: Connection) -> PostgresSession:
        return PostgresSession(connection)

    @property
    def _where(self) -> str:
        return f"{self._settings.postgres_host}:{self._settings.postgres_port}"

    def _is_dead(self, connection: Connection) -> bool:
        return connection.closed

    def _drop(self, connection: Connection) -> None:
        connection.pgconn.finish()

    async def _kill(self, connection: Connection) -> None:
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    async def _connect(self, database: str | None) -> Connection:
        settings = self._settings
        connection = await psycopg.AsyncConnection.connect(
            host=settings.postgres_host,
            port=settings.postgres_port,
            dbname=database or "postgres",
            user=settings.postgres_user,
            password=settings.postgres_password.get_secret_value(),
            connect_timeout=max(2, round(CONNECT_TIMEOUT_S)),
            autocommit=True,
            options="-c timezone=UTC",
        )
        connection.adapters.register_loader("numeric", FloatLoader)
        return connection

    async def _create_database(self) -> None:
        session = self._session_of(await self._connect(None))
        if not await session.rows("SELECT 1 FROM pg_database WHERE datname = %s", self._database):
            await session.execute(f"CREATE DATABASE {self._database}")
        self._drop(session.connection)
