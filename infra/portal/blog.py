"""The blog service: posts as documents in MySQL (the platform keeps them in Mongo), string ids, lists from page 1."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import seed
from infra.portal.app import App, Route, admin
from infra.portal.faults import BLOG_FAULTS, SLOW_QUERY, Faults
from infra.portal.http import ApiError, json_response, list_name, ok, page_of, paging
from infra.portal.pool import Pool, Session
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


_NEWEST_FIRST = "published_at DESC"
_MOST_NAMED_FIRST = (
    "(SELECT COUNT(*) FROM posts AS other WHERE LOCATE(LOWER(posts.id), LOWER(other.document))) DESC, published_at DESC"
)
"""How many documents name the post: no index helps, every document is scanned for each post."""


class Blog:
    """Posts of one database."""

    def __init__(self, pool: Pool, faults: Faults) -> None:
        self._pool, self._faults = pool, faults

    async def posts(self, request: Request) -> Response:
        """GET /posts: newest first."""
        page, size, offset = paging(request, default_size=10)
        order = _MOST_NAMED_FIRST if self._faults.strength(SLOW_QUERY) else _NEWEST_FIRST
        async with self._pool.session() as session:
            rows = await session.rows(
                f"SELECT summary, (SELECT COUNT(*) FROM posts) FROM posts ORDER BY {order} LIMIT %s OFFSET %s",
                *(size, offset),
            )
            total = rows[0][1] if rows else await _count(session)
        summaries = [orjson.Fragment(summary) for summary, _ in rows]
        return page_of(summaries, page, size, total, list_name(request))

    async def post(self, request: Request) -> Response:
        """GET /posts/{id}."""
        row = await self._pool.row("SELECT document FROM posts WHERE id = %s", request.path_params["id"])
        if row is None:
            raise ApiError(404, "B001", "Post not found")
        return ok(orjson.Fragment(row[0]))

    async def plant(self, _request: Request) -> Response:
        """POST /admin/seed: the posts as they should be; safe to repeat."""
        await self.plant_posts()
        return await self.read_back(_request)

    async def plant_posts(self) -> None:
        """The posts as they should be; the platform plants its own at its start."""
        async with self._pool.apart() as session:
            await session.insert_many(
                "REPLACE INTO posts (id, published_at, summary, document) VALUES (%s, %s, %s, %s)", seed.posts()
            )

    async def read_back(self, _request: Request) -> Response:
        """GET /admin/seed: {posts}."""
        async with self._pool.apart() as session:
            return json_response({"posts": await _count(session)})


async def _count(session: Session) -> int:
    row = await session.row("SELECT COUNT(*) FROM posts")
    return int(row[0]) if row else 0


@asynccontextmanager
async def build(settings: PortalSettings) -> AsyncIterator[App]:
    """The blog service with its stores open."""
    faults = Faults(BLOG_FAULTS)
    async with observed(settings, "blog-service", faults) as (meters, tracer):
        pool = Pool(settings, "blog_db", meters, "HikariPool-1", faults)
        await pool.open(SCHEMA)
        blog = Blog(pool, faults)
        if settings.plays_the_platform:
            await blog.plant_posts()
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
