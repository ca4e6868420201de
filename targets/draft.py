"""The text of a new profile: what was told and seen, and a marked guess with where to look for all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from core.ports import EXPORTERS, loopback_endpoints
from targets.metrics_look import Seen
from targets.model import RouteName
from targets.openapi import Operation, Paging, Told

READING = {
    "b": (RouteName.POST_LIST, RouteName.POST_DETAIL),
    "d": (RouteName.PRODUCT_SEARCH,),
}
"""Scenarios that the dialect `plain` can play, and the routes that they need."""
GUESSES = {
    RouteName.LOGIN: ("POST", "/login"),
    RouteName.PRODUCT_SEARCH: ("GET", "/products/search"),
}
"""Without these routes no scenario runs."""
BUCKETS = "Spring: management.metrics.distribution.percentiles-histogram.http.server.requests=true"


def draft(name: str, told: Told, seen: Seen, allow: tuple[str, ...], schema: str) -> str:
    """The profile as text; `allow` is what its load may go to, `schema` the way to the JSON Schema from its folder."""
    lines = [
        f"# yaml-language-server: $schema={schema}",
        f"# The target '{name}'. What is marked FILL IN is a guess; docs/your-platform.md says how to go on.",
        *_head(name, told, allow),
        *_addresses(told, seen),
        *_routes(told),
        *_responses(told),
        *_users(told),
        *_rest(seen),
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, told: Told, allow: tuple[str, ...]) -> Iterator[str]:
    scenarios = [letter for letter, routes in READING.items() if all(route in told.routes for route in routes)] or ["d"]
    yield f"name: {name}"
    yield f"description: {_quoted(told.title or name)}"
    yield "dialect: plain # reads through the API alone; carts, orders and coupons need an adapter of your own"
    yield "environment: test # test, staging, or production, which asks for its name and a budget"
    yield f"allow: {_listed(allow)} # all that load may go to"
    yield "backend: external # somebody else runs it: nothing is started, everything is verified"
    yield "data_may_be_written: false # true lets scenario A make orders"
    yield f"scenarios: {_listed(scenarios)} # A needs a cart, C a limited coupon, E a cache: see docs/scenarios"


def _addresses(told: Told, seen: Seen) -> Iterator[str]:
    yield "entry: api-gateway"
    yield "addresses: # scheme://host:port, without a path; what is not named is SKIPPED"
    if told.server:
        yield f"  api-gateway: {told.server} # takes the load; from the document's servers"
    else:
        yield "  api-gateway: http://127.0.0.1:8080 # FILL IN: where your platform takes requests"
    if seen.url:
        yield f"  prometheus: {seen.url}"
    else:
        yield "  prometheus: http://127.0.0.1:9090 # FILL IN: the Prometheus that scrapes it"
    yield "  # zipkin: http://127.0.0.1:9411 # traces are read back where it is named"
    yield "  # elasticsearch: http://127.0.0.1:9200 # Zipkin's storage"
    yield "  # kafka: tcp://127.0.0.1:9092 # the bot's phase"
    for service, usual in loopback_endpoints().items():
        if service in EXPORTERS:
            yield f"  # {service}: http://{seen.exporters.get(service, usual)} # as Prometheus reaches it"


def _routes(told: Told) -> Iterator[str]:
    yield "routes: # {id} is replaced by an item's id"
    for route in RouteName:
        if route in told.routes:
            yield _route(route, told.prefix, told.routes[route])
        elif route in GUESSES:
            method, path = GUESSES[route]
            yield f"  {route}: {{method: {method}, path: {path}}} # FILL IN: not found in the document"
        elif route is not RouteName.REFRESH:
            method = "POST" if _writes(route) else "GET"
            yield f"  # {route}: {{method: {method}, path: ...}} # not found in the document"


def _route(route: RouteName, prefix: str, found: Operation) -> str:
    path = prefix + found.path
    for parameter in found.parameters:
        path = path.replace(f"{{{parameter}}}", "{id}")
    unsure = " # FILL IN: right one? by its words alone" if _writes(route) else ""
    return f"  {route}: {{method: {found.method}, path: {_quoted(path)}}}{unsure}"


def _writes(route: RouteName) -> bool:
    return route not in (RouteName.LOGIN, *(each for each in RouteName if each.startswith(("product", "post"))))


def _responses(told: Told) -> Iterator[str]:
    yield "responses: # dotted paths in the answers; '@this' is the whole body, '!…' a constant"
    nothing = "'!true' where nothing says so"
    yield f"  success: {told.success or _quoted('!true')} # what is true in a good answer; {nothing}"
    if told.token:
        yield f"  token: {told.token}"
    else:
        yield "  token: accessToken # FILL IN: where the login's answer has the token"
    if told.token_lifetime_s:
        yield f"  token_lifetime_s: {told.token_lifetime_s}"
    else:
        yield f"  token_lifetime_s: {_quoted('!900')} # FILL IN: where its lifetime in seconds is, or a constant"
    yield "  error_code: error.code # where a refusal tells its code"
    for name in ("products", "posts", "search"):
        yield f"  {name}: {_paging(told.lists.get(name))}"
    yield f"  search_parameter: {told.search_parameter or 'keyword # FILL IN: the query parameter of a search'}"
    yield "  coupon_sold_out: [{status: 409}] # what C expects once the stock is gone"
    yield "  coupon_duplicate: [] # and what for a second coupon of one user"


def _paging(found: Paging | None) -> str:
    if found is None:
        return "{first_page: 1, size: 20, items: items} # not listed: unused as long as no route is"
    keys: dict[str, object] = {
        "first_page": 1 if found.first_page is None else found.first_page,
        "size": 20,
        "page_parameter": found.page_parameter or "page",
        "size_parameter": found.size_parameter or "size",
        "items": found.items or "items",
        "id": found.id or "id",
        "total": found.total,
        "detail_id": found.detail_id or "id",
    }
    told = {key: value for key, value in keys.items() if value is not None}
    unsure = [
        word
        for word, value in (("first_page", found.first_page), ("items", found.items), ("id", found.id))
        if value is None
    ]
    return _flow(told) + (f" # FILL IN: {', '.join(unsure)} not told" if unsure else "")


def _users(told: Told) -> Iterator[str]:
    yield "users: # who logs in with {email, password}"
    login = told.routes.get(RouteName.LOGIN)
    if login is not None and not {"email", "password"} <= set(login.takes):
        takes = "a form" if login.takes_a_form else ", ".join(login.takes) or "an unknown body"
        yield f"  # FILL IN: your login takes {takes}; the suite sends email and password: see docs/your-platform.md"
    yield "  email: loadtest@example.com # FILL IN: an account for reading"
    yield "  password: change-me # FILL IN"
    yield "  pool: {prefix: load, digits: 4, domain: example.com, count: 1, password: change-me} # FILL IN"


def _rest(seen: Seen) -> Iterator[str]:
    yield "catalogue:"
    yield "  products: 1 # at least so many, before any load"
    yield "  posts: 1"
    yield "  search_words: {} # FILL IN: words and their hits, such as {keyboard: 14}; else the design's are asked"
    yield "coupon: {stock: 100}"
    yield "cache: null # {ttl_s: …, origin_loads: {name: …}} lets scenario E ask about a cache"
    yield "events: # used where addresses.kafka is named"
    yield "  topic: orders"
    yield "  dead_letter_topic: orders.DLT"
    yield "  consumer_group: orders"
    yield "  key: orderNumber"
    yield "  fields: {orderNumber: order_number, userId: user_id, totalAmount: amount, createdAt: timestamp}"
    yield from _metrics(seen)


def _metrics(seen: Seen) -> Iterator[str]:
    yield "metrics: # labels of your own series in Prometheus"
    if seen.service_label:
        yield f"  service_label: {seen.service_label}"
        yield f"  services: {_listed(seen.services)}"
    else:
        yield "  service_label: application # FILL IN: the label that names a service"
        yield "  services: [api-gateway] # FILL IN: its values"
    if seen.container_label:
        yield f"  container_label: {seen.container_label}"
    if seen.family:
        yield f"  http_requests: {seen.family}"
        if not seen.has_buckets:
            yield f"  # FILL IN: no {seen.family}_bucket, so no percentiles of the services. {BUCKETS}"
    else:
        yield "  http_requests: http_server_requests_seconds # FILL IN: the histogram of requests"
    if seen.memory:
        yield f"  memory: {seen.memory}"


def _quoted(text: str) -> str:
    """A YAML scalar on one line."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1000).strip()


def _flow(values: object) -> str:
    return yaml.safe_dump(values, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1000).strip()


def _listed(values: Iterable[str]) -> str:
    return _flow([str(value) for value in values])
