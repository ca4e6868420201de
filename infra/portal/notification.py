"""The notification service: the listener's rows as the users and the suite read them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from infra.portal.app import App, Route, admin
from infra.portal.events import Publisher, open_producer
from infra.portal.faults import NOTIFICATION_FAULTS, Faults
from infra.portal.http import instant, json_response, page_of, paging, payload, user_id, utc
from infra.portal.listener import Listener, open_consumer
from infra.portal.pool import Pool
from infra.portal.server import observed, serve
from infra.portal.settings import PortalSettings

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS notifications (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        user_id VARCHAR(36) COLLATE utf8mb4_bin NOT NULL,
        type VARCHAR(30) NOT NULL,
        title VARCHAR(100) NOT NULL,
        message VARCHAR(300) NOT NULL,
        link VARCHAR(150) NOT NULL,
        reference_id VARCHAR(100) COLLATE utf8mb4_bin,
        created_at DATETIME(6) NOT NULL,
        UNIQUE (user_id, reference_id),
        KEY (created_at))""",
)


class CleanUpBody(BaseModel):
    """POST /admin/clean-up: from when on rows were made by the run (ISO 8601)."""

    since: str


class Notifications:
    """What the listener wrote."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def mine(self, request: Request) -> Response:
        """GET /api/v1/notifications: the user's own, newest first."""
        user = user_id(request)
        page, size, offset = paging(request, default_size=20)
        async with self._pool.session() as session:
            rows = await session.rows(
                "SELECT id, type, title, message, link, reference_id, created_at FROM notifications"
                " WHERE user_id = %s ORDER BY id DESC LIMIT %s OFFSET %s",
                *(user, size, offset),
            )
            total = await session.rows("SELECT COUNT(*) FROM notifications WHERE user_id = %s", user)
        names = ("id", "type", "title", "message", "link", "referenceId", "createdAt")
        return page_of([dict(zip(names, row, strict=True)) for row in rows], page, size, total[0][0])

    async def ledger(self, request: Request) -> Response:
        """GET /admin/notifications/ledger?since=: {rows, distinct} (references) written since then (UTC)."""
        since = instant(request, "since") or datetime.min
        async with self._pool.apart() as session:
            row = await session.row(
                "SELECT COUNT(*), COUNT(DISTINCT reference_id) FROM notifications WHERE created_at >= %s", since
            )
        return json_response({"rows": row[0], "distinct": row[1]} if row else {})

    async def clean_up(self, request: Request) -> Response:
        """POST /admin/clean-up {since}: {notifications} removed."""
        since = utc("since", (await payload(request, CleanUpBody)).since)
        async with self._pool.apart() as session:
            removed = await session.execute("DELETE FROM notifications WHERE created_at >= %s", since)
        return json_response({"notifications": removed})


@asynccontextmanager
async def build(settings: PortalSettings) -> AsyncIterator[App]:
    """The notification service with its stores open and its listener running."""
    faults = Faults(NOTIFICATION_FAULTS)
    async with observed(settings, "notification-service", faults) as (meters, tracer):
        pool = Pool(settings, "notification_db", meters, "notification-pool", faults)
        await pool.open(SCHEMA)
        producer = await open_producer(settings)
        consumer = await open_consumer(settings)
        listener = asyncio.create_task(Listener(consumer, producer, pool, meters, faults).run())
        notifications = Notifications(pool)
        routes = [
            Route("GET", "/api/v1/notifications", notifications.mine),
            Route("GET", "/admin/notifications/ledger", admin(notifications.ledger)),
            Route("POST", "/admin/clean-up", admin(notifications.clean_up)),
        ]
        probes = {"db": pool.ping, "kafka": Publisher(producer, meters, faults).ping}
        yield App(meters, tracer, routes, probes=probes, faults=faults)
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await consumer.stop()
        await producer.stop()
        await pool.close()


if __name__ == "__main__":
    serve(build, default_port=8084)
