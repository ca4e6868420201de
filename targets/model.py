"""The target profile as a typed model: all that scripts and tasks may know about a platform (architecture.md).

A profile is data. Paths may carry `{id}`; everything else that only code can say is the adapter
(`targets/<dialect>.py`) and one k6 module (`k6/lib/dialects/<dialect>.js`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.ports import Endpoints, ServiceId
from core.reach import THIS_MACHINE, Reach
from targets.documents import find_document, read_document
from targets.secrets import Password, ReadBlock

FOLDER = Path(__file__).parent


class Data(BaseModel):
    """A part of a profile: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteName(StrEnum):
    """Every request that a scenario makes; also the request's `name` tag in k6."""

    LOGIN = "login"
    REFRESH = "refresh"
    PRODUCT_LIST = "product_list"
    PRODUCT_DETAIL = "product_detail"
    PRODUCT_SEARCH = "product_search"
    ADD_TO_CART = "add_to_cart"
    CHECKOUT = "checkout"
    CREATE_ORDER = "create_order"
    POST_LIST = "post_list"
    POST_DETAIL = "post_detail"
    COUPON_ISSUE = "coupon_issue"


SCENARIO_ROUTES: Mapping[str, tuple[RouteName, ...]] = {
    "a": (RouteName.LOGIN, RouteName.PRODUCT_LIST, RouteName.PRODUCT_DETAIL, RouteName.ADD_TO_CART),
    "b": (RouteName.LOGIN, RouteName.POST_LIST, RouteName.POST_DETAIL),
    "c": (RouteName.LOGIN, RouteName.COUPON_ISSUE),
    "d": (RouteName.LOGIN, RouteName.PRODUCT_SEARCH),
    "e": (RouteName.LOGIN, RouteName.PRODUCT_DETAIL),
}
ORDER_ROUTES = (RouteName.CHECKOUT, RouteName.CREATE_ORDER)
"""What A needs besides, where the target says that its data may be written."""


class Route(Data):
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str = Field(description="path below the entry's address; `{id}` is replaced by the item's id")

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError("a path that starts with one '/', without host")
        return path


class ItemPage(Data):
    """How a paged answer is asked for and read."""

    first_page: int = Field(ge=0, description="number of the first page")
    size: int = Field(gt=0, le=1000)
    page_parameter: str = "page"
    size_parameter: str = "size"
    items: str = Field(description="dotted path to the list in the body")
    id: str = Field(default="id", description="key of an item's id")
    total: str | None = Field(default=None, description="dotted path to the number of all items")
    detail_id: str = Field(default="data.id", description="dotted path to the id where one item is asked for (plain)")


class Answer(Data):
    """A status, and where the platform tells more than the status its error code."""

    status: int = Field(ge=100, le=599)
    code: str | None = None


class Responses(Data):
    success: str = Field(description="dotted path that is true in a good answer")
    token: str = Field(description="dotted path to the access token in the login's answer")
    token_lifetime_s: str = Field(description="dotted path to its lifetime")
    refresh_token: str | None = Field(default=None, description="dotted path to the token that renews it")
    error_code: str = Field(description="dotted path to the error code in a refusal")
    products: ItemPage
    posts: ItemPage
    search: ItemPage
    search_parameter: str = "keyword"
    coupon_sold_out: tuple[Answer, ...]
    coupon_duplicate: tuple[Answer, ...]


class UserPool(Data):
    """Load users `<prefix><number, zero-padded to digits>@<domain>`, numbered from 1, all with one password."""

    prefix: str
    digits: int = Field(ge=1, le=9)
    domain: str
    count: int = Field(ge=1)
    password: Password

    def email(self, number: int) -> str:
        """Address of user `number`, 1 ≤ number ≤ count."""
        return f"{self.prefix}{number:0{self.digits}d}@{self.domain}"


class Tokens(Data):
    """How a user comes by an access token, and by the next one when it ends in the course of a long load.

    `login` signs in each time; `refresh` once, then renews; `mint` signs tokens itself with the target's own key, for
    users who need not exist: no login is measured then.
    """

    way: Literal["login", "refresh", "mint"] = "login"
    key: Password | None = Field(default=None, description="mint: the HS256 key that the target checks with")
    key_id: str = Field(default="key-default", description="mint: the header `kid`")
    lifetime_s: float = Field(default=900, gt=0, description="mint: how long a token is good")
    id_prefix: str = Field(
        default="10ad7e57-0000-4000-8000-",
        min_length=24,
        max_length=24,
        description="mint: a user's id is this and the user's number in 12 digits",
    )

    @model_validator(mode="after")
    def _can_be_had(self) -> Tokens:
        if self.way == "mint" and self.key is None:
            raise ValueError("way 'mint' needs `key`, with which the target checks tokens")
        return self

    def minted_id(self, number: int) -> str:
        """Id of user `number` of the pool; 0 is the test account."""
        return f"{self.id_prefix}{number:012d}"


class Users(Data):
    email: str = Field(description="the design's test account")
    password: Password
    pool: UserPool
    tokens: Tokens = Tokens()


class Behind(Data):
    """A service that takes the load itself, without the gateway in front."""

    prefix: str = Field(description="routes whose path begins so; it is left out on the way to the service")
    service: ServiceId


class Limiter(Data):
    """How the load meets the target's rate limiter, which counts by client address; the report says which way.

    `x-real-ip`: each VU names an address of its own, so that each has a bucket and a login lock of its own. `direct`:
    the services themselves are asked, with the headers by which the gateway vouches for a user. `measure`: one address,
    as the generator has; the limiter is part of what is measured, and its refusals (429) are an outcome of their own.
    """

    way: Literal["x-real-ip", "direct", "measure"]
    header: str = Field(default="X-Real-IP", description="x-real-ip: the header that names the client's address")
    behind: tuple[Behind, ...] = Field(default=(), description="direct: the first whose prefix fits takes the route")
    user_header: str = Field(default="X-User-Id", description="direct: the header that names the user")
    headers: Mapping[str, str] = Field(default_factory=dict, description="direct: what the gateway says besides")

    def behind_gateway(self, path: str) -> Behind:
        """Who takes `path` without the gateway; LookupError when nobody does."""
        found = next((each for each in self.behind if path.startswith(each.prefix)), None)
        if found is None:
            raise LookupError(path)
        return found


class Catalogue(Data):
    """What the seeding leaves on the target, as known counts."""

    products: int = Field(ge=1, description="at least this many products")
    posts: int = Field(ge=1, description="at least this many posts")
    search_words: Mapping[str, int | None] = Field(
        description="search word -> number of hits; null: at least one. Without words, D asks for the design's"
    )


class Coupon(Data):
    stock: int = Field(gt=0)


class Series(Data):
    """One Prometheus series family with fixed labels."""

    name: str
    labels: Mapping[str, str] = Field(default_factory=dict)


class Cache(Data):
    """The product cache that scenario E asks about."""

    ttl_s: float = Field(gt=0)
    origin_loads: Series = Field(description="counter of loads from the origin behind the cache")


FieldKind = Literal["order_number", "user_id", "amount", "item_count", "order_items", "timestamp"]


class Events(Data):
    """The order event that the bot publishes."""

    topic: str
    dead_letter_topic: str
    consumer_group: str
    key: str = Field(description="event field that is the record's key")
    headers: Mapping[str, str] = Field(default_factory=dict)
    fields: Mapping[str, FieldKind] = Field(description="event field -> what it holds")


class Metrics(Data):
    """Label names under which the target's own series stand."""

    service_label: str = Field(description="label that names a service on application series")
    services: tuple[str, ...] = Field(min_length=1, description="its values")
    container_label: str = Field(default="name", description="label that names a container or control group")
    http_requests: str = Field(default="http_server_requests_seconds", description="histogram family of requests")
    memory: str = Field(default="process_resident_memory_bytes", description="gauge of a service's memory in bytes")
    probe_uris: str = Field(
        default="/actuator.*", description="`uri` values that are not load, as a regular expression"
    )


class Budget(Data):
    """The most that one run may put on the target."""

    requests: int = Field(gt=0, description="of k6 and messages of the bot together")
    minutes: float = Field(gt=0, description="of k6 and the bot together")


class Abort(Data):
    """When the target has had enough: the load ends, and the run says why."""

    error_ratio: float = Field(default=0.5, gt=0, le=1, description="share of failed requests ...")
    for_s: float = Field(default=30, gt=0, description="... over so many seconds")
    disk_free_mb: float = Field(default=1024, ge=0, description="least room on the run directory's disk")


class Store(Data):
    """How the adapter may look into one of the target's databases, and make and remove the run's own rows there."""

    user: str
    password: Password
    databases: tuple[str, ...] = Field(min_length=1)


class Profile(Data):
    """One target."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    description: str
    dialect: str = Field(description="adapter module targets/<dialect>.py and k6/lib/dialects/<dialect>.js")
    environment: Literal["test", "staging", "production"] = Field(
        description="production takes load only when its name is typed for this very run, and within a budget"
    )
    allow: tuple[str, ...] = Field(
        default=THIS_MACHINE,
        min_length=1,
        description="all that load may go to: `name[:port]`, `address[:port]`, `network/bits`; a name's addresses must "
        "be allowed too, or be this machine's",
    )
    budget: Budget | None = Field(default=None, description="the most that one run may put on the target")
    clean_up: Literal["end", "on request"] = Field(
        default="end", description="when what a run made is removed: at its end, or by `python -m flows.clean RUN_DIR`"
    )
    abort: Abort = Field(default=Abort(), description="when a run ends its load for the target's sake")
    backend: Literal["embedded", "docker", "external"]
    data_may_be_written: bool = Field(description="orders are made only where this is true")
    no_orders_because: str | None = Field(default=None, description="why orders are off, for the report")
    limiter: Limiter | None = Field(default=None, description="null: the target has no rate limiter in the way")
    stores: Mapping[ServiceId, Store] = Field(
        default_factory=dict, description="database accounts for the adapter, where the target has no API for fixtures"
    )
    entry: ServiceId = Field(description="the service that takes the load")
    addresses: Mapping[ServiceId, str] = Field(description="base URL of each part of the target and its stack")
    routes: Mapping[RouteName, Route]
    responses: Responses
    users: Users
    catalogue: Catalogue
    coupon: Coupon
    cache: Cache | None = Field(description="null where the target has no cache: scenario E is then SKIPPED")
    events: Events
    metrics: Metrics
    versions: Mapping[str, str] = Field(default_factory=dict, description="what stands in for what, for the report")
    scenarios: tuple[Literal["a", "b", "c", "d", "e"], ...] = Field(default=("a", "b", "c", "d", "e"), min_length=1)

    @field_validator("allow")
    @classmethod
    def _is_a_reach(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        Reach.of(allow)
        return allow

    @field_validator("addresses")
    @classmethod
    def _are_base_urls(cls, addresses: Mapping[ServiceId, str]) -> Mapping[ServiceId, str]:
        for service, address in addresses.items():
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https", "tcp") or not parts.hostname or parts.path not in ("", "/"):
                raise ValueError(f"{service}: scheme://host:port expected, found '{address}'")
        return addresses

    @model_validator(mode="after")
    def _has_its_entry(self) -> Profile:
        if self.entry not in self.addresses:
            raise ValueError(f"addresses has no '{self.entry}', which entry names")
        if self.environment == "production" and self.budget is None:
            raise ValueError("a production target needs a `budget` of requests and minutes")
        return self

    @property
    def reach(self) -> Reach:
        """What `allow` says, to be asked."""
        return Reach.of(self.allow)

    @model_validator(mode="after")
    def _reaches_its_services(self) -> Profile:
        """`direct` leaves no route without a service that has an address."""
        if self.limiter is None or self.limiter.way != "direct":
            return self
        for name, route in self.routes.items():
            try:
                service = self.limiter.behind_gateway(route.path).service
            except LookupError:
                raise ValueError(f"limiter.behind has no prefix for route '{name}' ({route.path})") from None
            if service not in self.addresses:
                raise ValueError(f"addresses has no '{service}', which limiter.behind names")
        return self

    @model_validator(mode="after")
    def _can_renew_tokens(self) -> Profile:
        if self.users.tokens.way == "refresh" and not (
            self.responses.refresh_token and RouteName.REFRESH in self.routes
        ):
            raise ValueError("users.tokens.way 'refresh' needs routes.refresh and responses.refresh_token")
        return self

    def at(self, endpoints: Endpoints) -> Profile:
        """The same profile with the addresses of the services that a backend runs."""
        moved = {service: _moved(address, endpoints.get(service)) for service, address in self.addresses.items()}
        return self.model_copy(update={"addresses": moved})

    def endpoints(self) -> Endpoints:
        """`host:port` of every address, and which of them speak TLS."""
        found = Endpoints({service: urlsplit(address).netloc for service, address in self.addresses.items()})
        found.secure = frozenset(service for service, url in self.addresses.items() if url.startswith("https:"))
        return found

    @property
    def base_url(self) -> str:
        return self.addresses[self.entry].rstrip("/")

    def request_of(self, name: RouteName) -> tuple[str, str]:
        """(base URL, path with `{id}`) of a route's request: at the entry, or at the service behind it."""
        path = self.routes[name].path
        if self.limiter is None or self.limiter.way != "direct":
            return self.base_url, path
        behind = self.limiter.behind_gateway(path)
        return self.addresses[behind.service].rstrip("/"), path.removeprefix(behind.prefix)

    @property
    def choices(self) -> Mapping[str, str]:
        """What the profile chose where the target leaves a choice, in words for the report."""
        tokens = {"tokens": _TOKENS[self.users.tokens.way]}
        return tokens | ({"rate limiter": _LIMITER[self.limiter.way]} if self.limiter else {})


_TOKENS = {
    "login": "each user signs in, and again before its token ends",
    "refresh": "each user signs in once and renews its token by its refresh token",
    "mint": "tokens are signed by the suite with the target's own key: no login is measured",
}
_LIMITER = {
    "x-real-ip": "each VU names a client address of its own, so each has a bucket of its own",
    "direct": "the services are asked directly, past the gateway and its limiter",
    "measure": "one client address: the limiter itself is measured, its refusals (429) are an outcome of their own",
}


def _moved(address: str, endpoint: str | None) -> str:
    return address if endpoint is None else f"{urlsplit(address).scheme}://{endpoint}"


def load_profile(name: str, read_block: ReadBlock | None = None) -> Profile:
    """The profile called `name`, or in the file `name`; `read_block` gives the passwords that Prefect keeps."""
    return read_document(find_document(name, FOLDER, "target"), Profile, {"read_block": read_block})
