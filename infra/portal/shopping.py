"""The shopping service: catalogue, cart and orders, coupons."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from pydantic import BaseModel
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import cart, catalogue, coupon_rows, orders, platform_schema
from infra.portal.app import App, Route, admin
from infra.portal.cache import Cache
from infra.portal.cart import Carts
from infra.portal.catalogue import Catalogue, Index
from infra.portal.coupons import Coupons
from infra.portal.events import Publisher, open_producer
from infra.portal.faults import SHOPPING_FAULTS, Faults
from infra.portal.http import json_response, payload, utc
from infra.portal.ills import with_ills
from infra.portal.metrics import Meters
from infra.portal.orders import Orders
from infra.portal.platform_coupons import PlatformCoupons
from infra.portal.platform_shop import NoCache, PlatformCarts, PlatformCatalogue, PlatformOrders
from infra.portal.pool import Pool
from infra.portal.postgres import PostgresPool
from infra.portal.relay import relayed
from infra.portal.server import observed, serve
from infra.portal.settings import PortalSettings
from infra.portal.stores import CALL_TIMEOUT_S, Probe, open_redis, wait_for

SCHEMA = (*catalogue.SCHEMA, *cart.SCHEMA, *orders.SCHEMA, *coupon_rows.SCHEMA)
SEARCH_CONNECTIONS = 50


class CleanUpBody(BaseModel):
    """POST /admin/clean-up: from when on things were made by the run (ISO 8601)."""

    since: str


class Admin:
    """What the suite asks of the service as a whole."""

    def __init__(self, catalogue: Catalogue, orders: Orders, coupons: Coupons) -> None:
        self._catalogue, self._orders, self._coupons = catalogue, orders, coupons

    async def plant(self, request: Request) -> Response:
        """POST /admin/seed: products, stock, index and the load test's coupon; safe to repeat."""
        await self._catalogue.plant()
        await self._coupons.plant()
        return await self.read_back(request)

    async def read_back(self, _request: Request) -> Response:
        """GET /admin/seed: what the stores hold now."""
        return json_response(await self._catalogue.read_back() | {"coupon": await self._coupons.read_back()})

    async def clean_up(self, request: Request) -> Response:
        """POST /admin/clean-up {since}: {orders, carts, coupons} removed. Stock comes back with the next seed."""
        since = utc("since", (await payload(request, CleanUpBody)).since)
        removed = await self._orders.remove_since(since)
        return json_response(removed | {"coupons": await self._coupons.remove_since(since)})


@asynccontextmanager
async def build(settings: PortalSettings) -> AsyncIterator[App]:
    """The shopping service with its stores open."""
    faults = Faults(SHOPPING_FAULTS)
    async with observed(settings, "shopping-service", faults) as (meters, tracer), _search_client() as client:
        pool = await _open_pool(settings, meters, faults)
        redis = await open_redis(settings, meters)
        index = Index(client, settings.elasticsearch_url, meters, faults)
        await wait_for(f"Elasticsearch at {settings.elasticsearch_url}", index.create, settings.start_timeout_s)
        producer = await open_producer(settings)
        publisher = Publisher(producer, meters, faults)
        probes: dict[str, Probe] = {
            "db": pool.ping,
            "redis": redis.ping,
            "elasticsearch": index.ping,
            "kafka": publisher.ping,
        }
        if settings.plays_the_platform:
            routes = await _platform_routes(settings, pool, redis, index, publisher)
        else:
            cache = Cache(redis, meters, "product", settings.product_cache_ttl_s, faults)
            products, carts = Catalogue(pool, cache, index), Carts(pool)
            orders, coupons = Orders(pool, publisher), Coupons(pool, redis, publisher, faults)
            routes = [
                *with_ills(_routes(products, carts, orders, coupons), faults),
                *_admin_routes(products, orders, coupons),
            ]
        async with relayed(redis, settings.redis_url, faults):
            yield App(meters, tracer, routes, probes=probes, faults=faults)
        await producer.stop()
        await redis.aclose()
        await pool.close()


async def _open_pool(settings: PortalSettings, meters: Meters, faults: Faults) -> Pool:
    platform = settings.plays_the_platform
    pool = (PostgresPool if platform else Pool)(settings, "shopping_db", meters, "HikariPool-1", faults)
    await pool.open(platform_schema.SHOPPING if platform else SCHEMA)
    return pool


async def _platform_routes(
    settings: PortalSettings, pool: Pool, redis: Redis, index: Index, publisher: Publisher
) -> list[Route]:
    """The platform's shop, seeded as it seeds itself; it has no admin endpoints."""
    products, orders = PlatformCatalogue(pool, NoCache(), index), PlatformOrders(pool, publisher)
    orders.has_seller = settings.seller_service
    await products.plant()
    return _routes(products, PlatformCarts(pool), orders, PlatformCoupons(pool, redis, publisher))


def _search_client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit_per_host=SEARCH_CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
    )


def _routes(products: Catalogue, carts: Carts, orders: Orders, coupons: Coupons | PlatformCoupons) -> list[Route]:
    return [
        Route("GET", "/products", products.products),
        Route("GET", "/products/{id}", products.product),
        Route("GET", "/search/products", products.search),
        Route("GET", "/cart", carts.cart),
        Route("POST", "/cart/items", carts.add_item),
        Route("POST", "/cart/checkout", carts.checkout),
        Route("POST", "/orders", orders.order),
        Route("GET", "/orders", orders.orders),
        Route("GET", "/orders/{orderNumber}", orders.one_order),
        Route("GET", "/coupons", coupons.coupons),
        Route("POST", "/coupons/{id}/issue", coupons.issue),
    ]


def _admin_routes(products: Catalogue, orders: Orders, coupons: Coupons) -> list[Route]:
    whole = Admin(products, orders, coupons)
    return [
        Route("POST", "/admin/seed", admin(whole.plant)),
        Route("GET", "/admin/seed", admin(whole.read_back)),
        Route("POST", "/admin/clean-up", admin(whole.clean_up)),
        Route("POST", "/admin/coupons", admin(coupons.create)),
        Route("GET", "/admin/coupons/{id}/ledger", admin(coupons.ledger)),
        Route("GET", "/admin/orders/ledger", admin(orders.ledger)),
    ]


if __name__ == "__main__":
    serve(build, default_port=8083)
