"""What an OpenAPI 3 document tells of a platform: routes by their words, response paths from schemas, the login's body.

Guesses stay guesses: each finding says from what it was taken, and what is not there is left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import yaml

from core.answers import fetch, require_good
from core.errors import ConfigError
from core.http import http_client
from targets.bodies import LIFETIMES, TOKENS, paths_of_keys, paths_of_lists, value_at
from targets.guard import require_allowed
from targets.model import RouteName

DEEPEST = 8
"""How far a schema is followed: one may hold itself."""
TOTALS = ("total", "totalelements", "totalcount", "totalhits", "totalitems", "count")
IDS = ("id", "uuid", "_id", "slug", "sku")
PAGES = ("page", "pagenumber", "pageindex", "p")
SIZES = ("size", "limit", "pagesize", "perpage", "per_page", "page_size")
SEARCHES = ("keyword", "q", "query", "search", "term", "text")
THINGS = {
    "products": ("product", "item", "catalog", "goods"),
    "posts": ("post", "article", "blog", "news"),
}


@dataclass(frozen=True)
class Operation:
    """One operation of the document. words: path, operationId, tags and summary, in lower case."""

    method: str
    path: str
    words: str
    query: tuple[Mapping[str, Any], ...]  # query parameters
    takes: tuple[str, ...]  # properties of its JSON body
    answers: Any  # a body made up from the schema of its good answer

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{([^}]*)}", self.path)

    @property
    def takes_a_form(self) -> bool:
        return self.takes == ("form",)


@dataclass(frozen=True)
class Paging:
    """How a list is asked for and read; None where the document does not tell."""

    first_page: int | None
    page_parameter: str | None
    size_parameter: str | None
    items: str | None
    id: str | None
    total: str | None
    detail_id: str | None = None


@dataclass(frozen=True)
class Told:
    """What the document tells."""

    title: str = ""
    server: str | None = None
    prefix: str = ""
    routes: Mapping[RouteName, Operation] = field(default_factory=dict)
    lists: Mapping[str, Paging] = field(default_factory=dict)
    success: str | None = None
    token: str | None = None
    token_lifetime_s: str | None = None
    search_parameter: str | None = None


def read_openapi(source: str) -> Told:
    """The document in the file or at the URL; TargetRefused, TargetError, ConfigError with the cure."""
    text = _fetched(source) if "://" in source else _file(source)
    try:
        document = yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        raise ConfigError("is neither JSON nor YAML", where=source, cure="Give an OpenAPI document.") from error
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3"):
        raise ConfigError("is no OpenAPI 3 document", where=source, cure="Convert it to OpenAPI 3 first.")
    if not isinstance(document.get("paths"), dict):
        raise ConfigError("its `paths` are no mapping", where=source, cure="Mend the document.")
    try:
        return told(document, source)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        cure = "Validate the document, or leave --openapi out and fill the profile in by hand."
        raise ConfigError(f"is not built as OpenAPI 3 says: {error!r}", where=source, cure=cure) from error


def told(document: Mapping[str, Any], source: str = "") -> Told:
    """What a parsed document tells; `source` is its address, against which its server is read."""
    operations = list(_operations(document))
    routes = _routes(operations)
    server, prefix = _server(document, source)
    login = routes.get(RouteName.LOGIN)
    body = login.answers if login else None
    lists = {
        "products": _paging(routes, RouteName.PRODUCT_LIST, RouteName.PRODUCT_DETAIL),
        "posts": _paging(routes, RouteName.POST_LIST, RouteName.POST_DETAIL),
        "search": _paging(routes, RouteName.PRODUCT_SEARCH, None),
    }
    search = routes.get(RouteName.PRODUCT_SEARCH)
    some = next((each.answers for each in routes.values() if each.method == "GET"), None)
    return Told(
        title=str(document.get("info", {}).get("title", "")),
        server=server,
        prefix=prefix,
        routes=routes,
        lists={name: paging for name, paging in lists.items() if paging},
        success=next((path for path in paths_of_keys(some, ("success", "ok")) if value_at(some, path) is True), None),
        token=next(paths_of_keys(body, TOKENS), None),
        token_lifetime_s=next(paths_of_keys(body, LIFETIMES), None),
        search_parameter=_parameter(search, SEARCHES) if search else None,
    )


def _fetched(url: str) -> str:
    require_allowed(url, "--openapi")
    with http_client() as client:
        answer = fetch(client, "GET", url, "Start what gives it, or give a file.")
    require_good(answer)
    return answer.text


def _file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}", where=name, cure="Give a file or a URL.") from error


def _server(document: Mapping[str, Any], source: str) -> tuple[str | None, str]:
    """(scheme://host:port, path before every route) of the first server that the document names."""
    named = next((str(each.get("url", "")) for each in document.get("servers", ())), "/")
    parts = urlsplit(urljoin(source, named) if "://" in source else named)
    return (f"{parts.scheme}://{parts.netloc}" if parts.netloc else None), parts.path.rstrip("/")


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in document.get("paths", {}).items():
        for method in ("get", "post", "put", "delete"):
            if method in item:
                yield _operation(document, method.upper(), path, item, item[method])


def _operation(
    document: Mapping[str, Any], method: str, path: str, item: Mapping[str, Any], said: Mapping[str, Any]
) -> Operation:
    named = [_resolved(document, each) for each in (*item.get("parameters", ()), *said.get("parameters", ()))]
    words = " ".join((path, said.get("operationId", ""), *said.get("tags", ()), said.get("summary", "")))
    content = _resolved(document, said.get("requestBody", {})).get("content", {})
    taken = _made_up(document, _json_schema(content))
    form = content and not any("json" in kind for kind in content)
    return Operation(
        method=method,
        path=path,
        words=words.lower(),
        query=tuple(each for each in named if each.get("in") == "query"),
        takes=("form",) if form else tuple(taken) if isinstance(taken, dict) else (),
        answers=_made_up(document, _good_schema(document, said)),
    )


def _good_schema(document: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
    good = [answer for status, answer in said.get("responses", {}).items() if str(status).startswith("2")]
    return _json_schema(_resolved(document, good[0]).get("content", {})) if good else {}


def _json_schema(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((each.get("schema", {}) for kind, each in content.items() if "json" in kind or kind == "*/*"), {})


def _resolved(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a local `$ref` leads to, at most DEEPEST steps."""
    for _ in range(DEEPEST):
        if "$ref" not in node:
            break
        found: Any = document
        for key in str(node["$ref"]).removeprefix("#/").split("/"):
            found = found.get(key.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
        node = found
    return node


def _made_up(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Any:
    """A body as the schema describes it: one item a list, true for a boolean."""
    schema = _resolved(document, schema)
    if depth > DEEPEST:
        return None
    if parts := schema.get("allOf"):
        bodies = [_made_up(document, part, depth + 1) for part in parts]
        return {key: value for body in bodies if isinstance(body, dict) for key, value in body.items()}
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if _resolved(document, choice).get("type") != "null":
            return _made_up(document, choice, depth + 1)
    if "properties" in schema:
        return {name: _made_up(document, each, depth + 1) for name, each in schema["properties"].items()}
    if "items" in schema:
        return [_made_up(document, schema["items"], depth + 1)]
    return {"boolean": True, "integer": 1, "number": 1.0, "string": "text"}.get(str(schema.get("type")))


# -- which operation is which route --------------------------------------------------------------------


def _routes(operations: list[Operation]) -> Mapping[RouteName, Operation]:
    found: dict[RouteName, Operation] = {}
    for route, candidates in (
        (RouteName.LOGIN, _posting(operations, ("login", "signin", "sign-in", "authenticate", "/token"))),
        (RouteName.PRODUCT_SEARCH, _searching(operations)),
        (RouteName.PRODUCT_LIST, _listing(operations, THINGS["products"])),
        (RouteName.POST_LIST, _listing(operations, THINGS["posts"])),
        (RouteName.CHECKOUT, _posting(operations, ("checkout",))),
        (RouteName.ADD_TO_CART, _posting(operations, ("cart", "basket"), but=("checkout",))),
        (RouteName.CREATE_ORDER, _posting(operations, ("order",), but=("cancel", "checkout", "cart"))),
        (
            RouteName.COUPON_ISSUE,
            [each for each in _posting(operations, ("coupon", "voucher"), None) if each.parameters],
        ),
    ):
        if fitting := sorted(candidates, key=lambda each: (len(each.parameters), len(each.path))):
            found[route] = fitting[0]
    for listed, one in (
        (RouteName.PRODUCT_LIST, RouteName.PRODUCT_DETAIL),
        (RouteName.POST_LIST, RouteName.POST_DETAIL),
    ):
        if listed in found and (detail := _detail_of(operations, found[listed])):
            found[one] = detail
    return {route: found[route] for route in RouteName if route in found}


def _posting(
    operations: list[Operation], words: tuple[str, ...], parameters: int | None = 0, but: tuple[str, ...] = ()
) -> list[Operation]:
    return [
        each
        for each in operations
        if each.method == "POST"
        and any(word in each.words for word in words)
        and not any(word in each.path.lower() for word in but)
        and (parameters is None or len(each.parameters) == parameters)
    ]


def _listing(operations: list[Operation], words: tuple[str, ...]) -> list[Operation]:
    """Reading without parameters in the path, and a list in the answer; the path's own words count first."""
    lists = [each for each in operations if each.method == "GET" and not each.parameters and _has_list(each)]
    lists = [each for each in lists if "search" not in each.path.lower()]
    named = [each for each in lists if any(word in each.path.lower() for word in words)]
    return named or [each for each in lists if any(word in each.words for word in words)]


def _searching(operations: list[Operation]) -> list[Operation]:
    """A path that says search, products' first; else a list with a parameter for words."""
    readers = [each for each in operations if each.method == "GET" and not each.parameters and _has_list(each)]
    named = [each for each in readers if "search" in each.path.lower()]
    things = [each for each in named if any(word in each.words for word in THINGS["products"])]
    return things or named or [each for each in readers if _parameter(each, SEARCHES)]


def _detail_of(operations: list[Operation], listed: Operation) -> Operation | None:
    """`<path of the list>/{anything}`."""
    wanted = re.compile(re.escape(listed.path.rstrip("/")) + r"/{[^}/]+}/?")
    return next((each for each in operations if each.method == "GET" and wanted.fullmatch(each.path)), None)


def _has_list(operation: Operation) -> bool:
    return next(paths_of_lists(operation.answers), None) is not None


# -- how lists are read --------------------------------------------------------------------------------


def _paging(routes: Mapping[RouteName, Operation], listed: RouteName, detail: RouteName | None) -> Paging | None:
    operation = routes.get(listed)
    if operation is None:
        return None
    items = next(paths_of_lists(operation.answers), None)
    item = value_at(operation.answers, items)[0] if items else {}
    id = next((name for name in item if name.lower() in IDS), None)
    one = routes.get(detail) if detail else None
    named = next(paths_of_keys(one.answers, (id.lower(),)), None) if one and id else None
    return Paging(
        first_page=_first_page(operation),
        page_parameter=_parameter(operation, PAGES),
        size_parameter=_parameter(operation, SIZES),
        items=items,
        id=id,
        total=next(paths_of_keys(operation.answers, TOTALS), None),
        detail_id=named,
    )


def _parameter(operation: Operation, names: tuple[str, ...]) -> str | None:
    return next((str(each["name"]) for each in operation.query if str(each["name"]).lower() in names), None)


def _first_page(operation: Operation) -> int | None:
    """The default or the least value of the page parameter."""
    schema: Mapping[str, Any] = next(
        (each.get("schema", {}) for each in operation.query if str(each["name"]).lower() in PAGES), {}
    )
    told = schema.get("default", schema.get("minimum"))
    return told if isinstance(told, int) else None
