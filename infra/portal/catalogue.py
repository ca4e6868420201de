"""Products: the list (a query each time), the detail (through the cache), the search (Elasticsearch)."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import orjson
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import seed
from infra.portal.cache import Origin
from infra.portal.faults import EMPTY_RESULTS, SLOW_SEARCH, Faults
from infra.portal.http import ApiError, invalid, list_name, ok, page_of, paging, query_int, speaks_design, whole_number
from infra.portal.metrics import Meters, outcome
from infra.portal.pool import Pool, Row
from infra.portal.tracing import client_span

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS products (
        id BIGINT PRIMARY KEY,
        name VARCHAR(100) NOT NULL,
        description VARCHAR(500) NOT NULL,
        price INT NOT NULL,
        discount_price INT,
        category VARCHAR(30) NOT NULL,
        featured BOOL NOT NULL,
        created_at DATETIME NOT NULL,
        KEY (category, id))""",
    """CREATE TABLE IF NOT EXISTS inventory (
        product_id BIGINT PRIMARY KEY,
        stock INT NOT NULL)""",
)

_COLUMNS = """p.id, p.name, p.description, p.price, p.discount_price, i.stock, p.category, p.featured, p.created_at
    FROM products p LEFT JOIN inventory i ON i.product_id = p.id"""

INDEX = "products"
_CLIENT_NAME = "elasticsearch"
INDEX_DEFINITION = {
    "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {
        "properties": {
            "name": {"type": "text", "analyzer": "standard"},
            "description": {"type": "text", "analyzer": "standard"},
            "price": {"type": "integer"},
            "stock": {"type": "integer"},
        }
    },
}
"""The platform's nori analyzer is a plug-in; with `standard` a Korean word is found where it stands between spaces."""

_SORTS: Mapping[str, list[object]] = {
    "relevance": ["_score", {"price": "asc"}],
    "price_asc": [{"price": "asc"}],
    "price_desc": [{"price": "desc"}],
}


class Catalogue:
    """Products of one database, one cache, one index."""

    columns = _COLUMNS

    def __init__(self, pool: Pool, cache: Origin, index: "Index") -> None:
        self._pool, self._cache, self._index = pool, cache, index

    async def products(self, request: Request) -> Response:
        """GET /products: by id, from page 1, optionally of one category."""
        page, size, offset = paging(request, default_size=12)
        category = request.query_params.get("category")
        where, args = ("WHERE p.category = %s", (category,)) if category else ("", ())
        async with self._pool.session() as session:
            rows = await session.rows(
                f"SELECT {self.columns} {where} ORDER BY p.id LIMIT %s OFFSET %s", *args, size, offset
            )
            total = await session.rows(f"SELECT COUNT(*) FROM products p {where}", *args)
        return page_of([_product(row) for row in rows], page, size, total[0][0], list_name(request))

    async def product(self, request: Request) -> Response:
        """GET /products/{id}. `search` is no id: 400, as on the platform."""
        product_id = whole_number("id", request.path_params["id"], low=1)

        async def load() -> bytes | None:
            row = await self._pool.row(f"SELECT {self.columns} WHERE p.id = %s", product_id)
            return orjson.dumps(_product(row)) if row else None

        product = await self._cache.get(str(product_id), load)
        if product is None:
            raise ApiError(404, "S001", "Product not found")
        return ok(orjson.Fragment(product))

    async def search(self, request: Request) -> Response:
        """GET /search/products: pages from 0, `results` and `totalHits`. page=-1 is 500 C001, as on the platform."""
        params = request.query_params
        page = query_int(request, "page", 0, low=-1)
        size = query_int(request, "size", 20, low=1, high=100)
        sort = params.get("sort", "relevance")
        if page < 0:
            raise ApiError(500, "C001", "Page index must not be less than zero")
        if sort not in _SORTS:
            raise invalid("sort", f"must be one of {', '.join(_SORTS)}", sort)
        prices = {
            bound: query_int(request, name, 0, low=0)
            for bound, name in (("gte", "minPrice"), ("lte", "maxPrice"))
            if name in params
        }
        results, total = await self._index.search(params.get("keyword", ""), prices, sort, page, size)
        if speaks_design(request):
            return page_of(results, page, size, total, list_name(request))
        pages = -(-total // size)
        return ok({"results": results, "totalHits": total, "page": page, "size": size, "totalPages": pages})

    async def plant(self) -> None:
        """Products, full stock and index as they should be; safe to repeat."""
        async with self._pool.apart() as session:
            await session.insert_many(
                "REPLACE INTO products (id, name, description, price, discount_price, category, featured, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [(*product, datetime(2026, 1, 1)) for product in seed.products()],
            )
            await session.insert_many(
                "REPLACE INTO inventory (product_id, stock) VALUES (%s, %s)",
                [(product[0], seed.STOCK) for product in seed.products()],
            )
        await self._index.plant()

    async def read_back(self) -> dict[str, object]:
        """{products, inventory, lowest_stock, indexed, search: {word: hits}} as the stores have them."""
        async with self._pool.apart() as session:
            products = await session.rows("SELECT COUNT(*) FROM products")
            stock = await session.rows("SELECT COUNT(*), COALESCE(MIN(stock), 0) FROM inventory")
        return {
            "products": products[0][0],
            "inventory": stock[0][0],
            "lowest_stock": int(stock[0][1]),
            "indexed": await self._index.count(),
            "search": {word: await self._index.hits(word) for word in seed.PLANTED},
        }


@dataclass
class _Exchange:
    """An HTTP exchange under way; 0 until there is an answer."""

    status: int = 0


class Index:
    """The search index."""

    def __init__(self, client: aiohttp.ClientSession, url: str, meters: Meters, faults: Faults) -> None:
        self._client, self._url, self._faults = client, url.rstrip("/"), faults
        self._asked = meters.timer(
            "http_client_requests_seconds", ("client_name", "method", "uri", "status", "outcome", "exception")
        )

    async def ping(self) -> None:
        """A sign of life that also says whether the index can be read."""
        await self._ask("GET", f"/{INDEX}/_count")

    async def create(self) -> None:
        """Make the index unless it is there."""
        async with self._client.head(f"{self._url}/{INDEX}") as answer:
            missing = answer.status == 404
        if missing:
            await self._ask("PUT", f"/{INDEX}", INDEX_DEFINITION)

    async def plant(self) -> None:
        """Index all products and make them visible."""
        lines: list[bytes] = []
        for product_id, name, description, price, *_ in seed.products():
            document = {"name": name, "description": description, "price": price, "stock": seed.STOCK}
            lines += orjson.dumps({"index": {"_id": str(product_id)}}), orjson.dumps(document)
        await self._ask("POST", f"/{INDEX}/_bulk?refresh=true", raw=b"\n".join(lines) + b"\n")

    async def search(
        self, keyword: str, prices: Mapping[str, int], sort: str, page: int, size: int
    ) -> tuple[list[dict[str, object]], int]:
        """One page of hits, and how many there are in all."""
        query = _query(keyword, prices)
        query |= {"from": page * size, "size": size, "sort": _SORTS[sort], "track_scores": True}
        query["highlight"] = {"fields": {"name": {}, "description": {}}}
        if states := self._faults.strength(SLOW_SEARCH):
            query["query"]["bool"]["should"] = _costly_bonus(states)
        index = f"{INDEX}-nowhere-*" if self._faults.strength(EMPTY_RESULTS) else INDEX
        hits = (await self._ask("POST", f"/{index}/_search", query))["hits"]
        return [_result(hit) for hit in hits["hits"]], hits["total"]["value"]

    async def hits(self, keyword: str) -> int:
        """How many products a search for `keyword` finds."""
        return int((await self._ask("POST", f"/{INDEX}/_count", _query(keyword, {})))["count"])

    async def count(self) -> int:
        """How many products are indexed."""
        return int((await self._ask("GET", f"/{INDEX}/_count"))["count"])

    async def _ask(self, method: str, path: str, query: object = None, raw: bytes | None = None) -> Any:
        body = orjson.dumps(query) if query is not None else raw
        with client_span("elasticsearch", path.rsplit("/", 1)[-1]), self._metered(method, path) as seen:
            async with self._client.request(
                method, self._url + path, data=body, headers={"Content-Type": "application/json"}
            ) as answer:
                seen.status = answer.status
                answer.raise_for_status()
                return orjson.loads(await answer.read())

    @contextmanager
    def _metered(self, method: str, path: str) -> Iterator["_Exchange"]:
        """Time one request as Spring's client does; its `client_name` is the host, on the platform `elasticsearch`."""
        exchange, started, failed = _Exchange(), time.perf_counter(), "none"
        try:
            yield exchange
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            status = str(exchange.status) if exchange.status else "CLIENT_ERROR"
            result = outcome(exchange.status) if exchange.status else "UNKNOWN"
            labels = (_CLIENT_NAME, method, path.split("?")[0], status, result, failed)
            self._asked.labels(*labels).observe(time.perf_counter() - started)


def _query(keyword: str, prices: Mapping[str, int]) -> dict[str, Any]:
    words = {"multi_match": {"query": keyword, "fields": ["name^2", "description"], "operator": "and"}}
    must = words if re.search(r"\w", keyword) else {"match_all": {}}
    return {"query": {"bool": {"must": must, "filter": [{"range": {"price": prices}}] if prices else []}}}


def _costly_bonus(states: float) -> dict[str, object]:
    """A clause that no product earns: which hits there are, how many and in which order stays as it is.

    Its automaton is made for each query anew, and doubles with each of the expression's last letters.
    """
    letters = int(states).bit_length() - 1
    expression = {"value": f"(q|j)*q(q|j){{{letters}}}", "max_determinized_states": 2**31 - 1}
    return {"regexp": {"name": expression}}


def _result(hit: Mapping[str, Any]) -> dict[str, object]:
    marked = hit.get("highlight", {})
    return {
        "id": int(hit["_id"]),
        **hit["_source"],
        "highlightedName": marked.get("name", [None])[0],
        "highlightedDescription": marked.get("description", [None])[0],
        "score": hit["_score"],
    }


def _product(row: Row | Sequence[Any]) -> dict[str, object]:
    product_id, name, description, price, discount_price, stock, category, featured, created_at = row
    return {
        "id": product_id,
        "name": name,
        "description": description,
        "price": price,
        "discountPrice": discount_price,
        "stock": stock or 0,
        "imageUrl": None,
        "category": category,
        "featured": bool(featured),
        "images": [],
        "averageRating": None,
        "reviewCount": 0,
        "createdAt": created_at,
        "updatedAt": created_at,
    }
