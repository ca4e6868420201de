"""What the reference portal would answer to the scenarios' requests, for a server that answers from memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from infra.portal import seed
from targets.model import ItemPage, Profile

COUPON, PRODUCT = "1", "1"
TOKEN = "x" * 300
"""As long as the reference portal's."""
POST_PAGES, POST_DETAILS = 7, 3
"""B reads 70 % lists (design 4.3 B)."""

Answers = dict[str, list[dict[str, Any]]]
"""Path and query -> answers given in turn: {status, body}."""
Product = tuple[int, str, str, int, int, str, bool]


def mix_of(profile: Profile) -> dict[str, list[tuple[str, str, str | None]]]:
    """Scenario -> the requests (method, path and query, body) that it makes, in their shares."""
    route = {name.value: (item.method, item.path) for name, item in profile.routes.items()}
    responses = profile.responses

    def one(name: str, path: str = "", body: object = None) -> tuple[str, str, str | None]:
        method, plain = route[name]
        return method, path or plain, None if body is None else orjson.dumps(body).decode()

    lists = [_page(route["post_list"][1], responses.posts, page) for page in range(POST_PAGES)]
    details = [_of(route["post_detail"][1], row[0]) for row in list(seed.posts())[:POST_DETAILS]]
    detail = one("product_detail", _of(route["product_detail"][1], PRODUCT))
    return {
        "a": [
            one("product_list", _page(route["product_list"][1], responses.products, 0)),
            detail,
            one("add_to_cart", body={"productId": int(PRODUCT), "quantity": 1}),
            one("checkout"),
            one("create_order", body={"shippingAddress": {"receiverName": "bench", "address1": "Load test"}}),
        ],
        "b": [one("post_list", path) for path in lists] + [one("post_detail", path) for path in details],
        "c": [one("coupon_issue", _of(route["coupon_issue"][1], COUPON))],
        "d": [one("product_search", path) for path in _searches(profile)],
        "e": [detail],
    }


def answers_of(profile: Profile) -> Answers:
    """Every answer that the scenarios need; of the coupons every fifth is issued, as in C (100 of 500)."""
    path = {name.value: route.path for name, route in profile.routes.items()}
    products = [_product(row) for row in seed.products()]
    posts = list(seed.posts())
    cart = _cart(products[0])
    order = {**cart, "orderNumber": "ORD-20260101-0123456789", "discountAmount": 0, "finalAmount": cart["totalAmount"]}
    issued = {"id": 1, "couponId": int(COUPON), "couponCode": "LOADTEST", "status": "AVAILABLE", "issuedAt": _AT}
    sold_out = {"success": False, "error": {"code": "S602", "message": "Coupon exhausted", "timestamp": _AT}}
    return {
        path["login"]: [_good({"accessToken": TOKEN, "expiresIn": 900})],
        path["add_to_cart"]: [_good(cart)],
        path["checkout"]: [_good(cart)],
        path["create_order"]: [_good(order)],
        _of(path["coupon_issue"], COUPON): [_good(issued), *[{"status": 409, "body": sold_out}] * 4],
        **{_of(path["product_detail"], str(row["id"])): [_good(row)] for row in products},
        **{_of(path["post_detail"], id): [_good(orjson.loads(whole))] for id, _, _, whole in posts},
        **_pages(path["product_list"], profile.responses.products, products),
        **_pages(path["post_list"], profile.responses.posts, [orjson.loads(summary) for _, _, summary, _ in posts]),
        **_searches(profile),
    }


_AT = "2026-01-01T00:00:00"


def _pages(path: str, paging: ItemPage, items: list[dict[str, Any]]) -> Answers:
    """All pages of a list, and the empty one behind them."""
    whole = -(-len(items) // paging.size)
    found: Answers = {}
    for page in range(whole + 1):
        part = items[page * paging.size : (page + 1) * paging.size]
        data = {"items": part, "page": page + 1, "size": paging.size, "totalElements": len(items), "totalPages": whole}
        found[_page(path, paging, page)] = [_good(data)]
    return found


def _searches(profile: Profile) -> Answers:
    search = profile.responses.search
    path = next(route.path for name, route in profile.routes.items() if name.value == "product_search")
    found: Answers = {}
    for word, hits in profile.catalogue.search_words.items():
        rows = [_hit(row, word) for row in seed.products() if word in row[1]]
        query = f"{profile.responses.search_parameter}={quote(word)}&"
        data = {"results": rows[: search.size], "totalHits": hits, "page": 0, "size": search.size, "totalPages": 1}
        found[_page(path, search, 0, query)] = [_good(data)]
    return found


def _of(path: str, id: str) -> str:
    return path.replace("{id}", id)


def _page(path: str, paging: ItemPage, number: int, query: str = "") -> str:
    page = f"{paging.page_parameter}={paging.first_page + number}"
    return f"{path}?{query}{page}&{paging.size_parameter}={paging.size}"


def _good(data: object) -> dict[str, Any]:
    return {"status": 200, "body": {"success": True, "data": data}}


def _product(row: Product) -> dict[str, Any]:
    number, name, description, price, discount, category, featured = row
    return {
        "id": number, "name": name, "description": description, "price": price, "discountPrice": discount,
        "stock": seed.STOCK, "imageUrl": None, "category": category, "featured": featured, "images": [],
        "averageRating": None, "reviewCount": 0, "createdAt": _AT, "updatedAt": _AT,
    }  # fmt: skip


def _hit(row: Product, word: str) -> dict[str, Any]:
    number, name, description, price, *_ = row
    marked = name.replace(word, f"<em>{word}</em>")
    return {
        "id": number, "name": name, "description": description, "price": price, "stock": seed.STOCK,
        "highlightedName": marked, "highlightedDescription": description, "score": 1.5,
    }  # fmt: skip


def _cart(product: Mapping[str, Any]) -> dict[str, Any]:
    line = {
        "id": 1, "productId": product["id"], "productName": product["name"], "price": product["price"], "quantity": 2,
        "subtotal": 2 * product["price"], "addedAt": _AT,
    }  # fmt: skip
    return {
        "id": 1, "userId": seed.user_uuid(1), "status": "ACTIVE", "items": [line], "itemCount": 1, "totalQuantity": 2,
        "totalAmount": line["subtotal"],
    }  # fmt: skip
