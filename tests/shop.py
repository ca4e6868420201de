"""A small made-up shop with an OpenAPI document of its own: somebody's platform that the suite knows nothing of.

No envelope around its answers, pages from 1, `access_token` after a login, its articles under another server's path.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from core.waiting import wait_for

PRODUCTS, ARTICLES = 40, 30
WORDS = ("keyboard", "mouse", "screen")
PASSWORD = "Open-Sesame-1"


class Credentials(BaseModel):
    email: str
    password: str


class Grant(BaseModel):
    access_token: str
    expires_in: int


class Product(BaseModel):
    sku: str
    name: str
    price: int


class Products(BaseModel):
    items: list[Product]
    total: int


class Article(BaseModel):
    id: int
    title: str


class Articles(BaseModel):
    articles: list[Article]
    count: int


class Order(BaseModel):
    sku: str


bearer = HTTPBearer()
Signed = Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
Page = Annotated[int, Query(ge=1)]
app = FastAPI(title="A small shop", version="1")


@app.post("/v1/sessions/login", tags=["auth"])
def login(credentials: Credentials) -> Grant:
    """Sign in."""
    if credentials.password != PASSWORD:
        raise HTTPException(401, "who are you?")
    return Grant(access_token=f"token-of-{credentials.email}", expires_in=3600)


@app.get("/v1/catalog/products", tags=["catalog"])
def list_products(page: Page = 1, per_page: int = 20) -> Products:
    """All products."""
    found = [product(number) for number in range(1, PRODUCTS + 1)]
    return Products(items=found[(page - 1) * per_page : page * per_page], total=PRODUCTS)


@app.get("/v1/catalog/search", tags=["catalog"])
def search_products(q: str, page: Page = 1, per_page: int = 20) -> Products:
    """Products by a word."""
    found = [each for each in map(product, range(1, PRODUCTS + 1)) if q in each.name]
    return Products(items=found[(page - 1) * per_page : page * per_page], total=len(found))


@app.get("/v1/catalog/products/{sku}", tags=["catalog"])
def show_product(sku: str) -> Product:
    """One product."""
    return product(int(sku.removeprefix("p-")))


@app.get("/v1/articles", tags=["magazine"])
def list_articles(page: Page = 1, per_page: int = 20) -> Articles:
    """What the shop writes."""
    found = [Article(id=number, title=f"Article {number}") for number in range(1, ARTICLES + 1)]
    return Articles(articles=found[(page - 1) * per_page : page * per_page], count=ARTICLES)


@app.get("/v1/articles/{article_id}", tags=["magazine"])
def show_article(article_id: int) -> Article:
    """One article."""
    return Article(id=article_id, title=f"Article {article_id}")


@app.post("/v1/orders", tags=["orders"])
def place_order(order: Order, who: Signed) -> Order:
    """Order something."""
    raise HTTPException(500, f"no test may make an order: {order.sku} for {who.credentials}")


def product(number: int) -> Product:
    return Product(sku=f"p-{number}", name=f"{WORDS[number % len(WORDS)]} {number}", price=number)


@contextmanager
def shop_at(port: int) -> Iterator[str]:
    """The shop's base URL while it runs."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert wait_for(lambda: server.started, bool, timeout_s=20.0, every_s=0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
