"""The blog service: posts as documents in MySQL (the platform keeps them in Mongo), string ids, lists from page 1."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import seed
from infra.portal.app import App, Route, admin
from infra.portal.faults import CONNECTION_FAULTS, Faults
from infra.portal.http import ApiError, json_response, ok, page_of, paging
from infra.portal.pool import Pool
from infra.portal.server import observed, serve
from infra.portal.settings import PortalSettings

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS posts (
        id CHAR(24) CHARACTER SET ascii PRIMARY KEY,
        published_at DATETIME NOT NULL,
        summary MEDIUMTEXT NOT NULL,
        document MEDIUMTEXT NOT NULL,
        KEY (published_at))""",
)


class Blog:
    """Posts of one database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def posts(self, request: Request) -> Response:
        """GET /posts: newest first."""
        page, size, offset = paging(request, default_size=10)
        rows = await self._pool.rows(
            "SELECT summary, (SELECT COUNT(*) FROM posts) FROM posts ORDER BY published_at DESC LIMIT %s OFFSET %s",
            *(size, offset),
        )
        total = rows[0][1] if rows else await self._count()
        return page_of([orjson.Fragment(summary) for summary, _ in rows], page, size, total)

    async def post(self, request: Request) -> Response:
        """GET /posts/{id}."""
        row = await self._pool.row("SELECT document FROM posts WHERE id = %s", request.path_params["id"])
        if row is None:
            raise ApiError(404, "B001", "Post not found")
        return ok(orjson.Fragment(row[0]))

    async def plant(self, _request: Request) -> Response:
        """POST /admin/seed: the posts as they should be; safe to repeat."""
        async with self._pool.session() as session:
            await session.insert_many(
                "REPLACE INTO posts (id, published_at, summary, document) VALUES (%s, %s, %s, %s)", seed.posts()
            )
        return await self.read_back(_request)

    async def read_back(self, _request: Request) -> Response:
        """GET /admin/seed: {posts}."""
        return json_response({"posts": await self._count()})

    async def _count(self) -> int:
        row = await self._pool.row("SELECT COUNT(*) FROM posts")
        return int(row[0]) if row else 0


@asynccontextmanager
async def build(settings: PortalSettings) -> AsyncIterator[App]:
    """The blog service with its stores open."""
    async with observed(settings, "blog-service") as (meters, tracer):
        faults = Faults(CONNECTION_FAULTS)
        pool = Pool(settings, "blog_db", meters, "HikariPool-1", faults)
        await pool.open(SCHEMA)
        blog = Blog(pool)
        routes = [
            Route("GET", "/posts", blog.posts),
            Route("GET", "/posts/{id}", blog.post),
            Route("POST", "/admin/seed", admin(blog.plant)),
            Route("GET", "/admin/seed", admin(blog.read_back)),
        ]
        yield App(meters, tracer, routes, probes={"db": pool.ping}, faults=faults)
        await pool.close()


if __name__ == "__main__":
    serve(build, default_port=8082)
