"""One visit to a target before any load: every route once, a login, a short burst; what is not as the profile says.

It changes nothing. A route that would (cart, order, coupon) is asked without a token: a refusal shows that it is there,
and nobody's data is touched. The whole visit is at most `REQUESTS_AT_MOST` requests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from core.answers import fetch, is_page, json_of, require_good
from core.errors import TargetError
from core.findings import Finding, lacks, lacks_by, ok, unseen
from core.http import http_client
from targets.bodies import LIFETIMES, MISSING, TOKENS, paths_of_keys, paths_of_lists, said_instead, value_at
from targets.guard import refuse_unless_allowed
from targets.limits import TOO_MANY_REQUESTS, clock_finding, limiter_finding
from targets.model import ORDER_ROUTES, SCENARIO_ROUTES, ItemPage, Profile, RouteName

BURST = 10
"""Requests one after another: what a limiter of one a second refuses, and few enough to harm nobody."""
REQUESTS_AT_MOST = 1 + 2 + (len(RouteName) - 1) + BURST
"""A knock, two logins, every other route once, and the burst."""
ANSWER_S = 10.0
LISTS = {
    RouteName.PRODUCT_LIST: ("products", RouteName.PRODUCT_DETAIL),
    RouteName.POST_LIST: ("posts", RouteName.POST_DETAIL),
    RouteName.PRODUCT_SEARCH: ("search", None),
}
"""List route -> its part of `responses`, and the route of one of its items."""
WRITING = (RouteName.ADD_TO_CART, RouteName.CHECKOUT, RouteName.CREATE_ORDER, RouteName.COUPON_ISSUE)
USERS_CURE = "Correct `users` in the profile, or let the suite seed them: `python -m flows.load` does where it may."


def visit(profile: Profile, scenarios: Collection[str] = ()) -> list[Finding]:
    """What the routes of `scenarios` (letters; default: the profile's) answer; TargetRefused before any request."""
    refuse_unless_allowed(profile)
    with http_client(ANSWER_S) as client:
        return list(_Visit(profile, client, scenarios or profile.scenarios).findings())


def answers(profile: Profile) -> bool:
    """Whether anything answers at the target's entry; TargetRefused before any request."""
    refuse_unless_allowed(profile)
    try:
        with http_client(ANSWER_S) as client:
            fetch(client, "HEAD", f"{profile.base_url}/")
    except TargetError:
        return False
    return True


class _Visit:
    """Its state is what one answer tells the next request: a token, and the target's clock."""

    def __init__(self, profile: Profile, client: httpx.Client, scenarios: Collection[str]) -> None:
        self._profile, self._client, self._scenarios = profile, client, scenarios
        self._headers: dict[str, str] = {}
        self._skew_s: float | None = None  # how far the target's clock is ahead

    def findings(self) -> Iterator[Finding]:
        wanted = self._wanted()
        missing = [route for route in wanted if route not in self._profile.routes]
        if missing:
            yield lacks("routes", f"no {', '.join(missing)} in the profile", "Add them, or leave scenarios out.")
        try:
            self._knock()
        except TargetError as error:
            yield lacks_by("target", error)
            return
        yield from self._login()
        for route in wanted:
            if route in LISTS and route not in missing:
                yield from self._list(route, wanted)
        yield from (self._writing(route) for route in WRITING if route in wanted and route not in missing)
        yield self._clock()
        yield self._limiter()

    @property
    def _reads(self) -> list[RouteName]:
        return [route for route in LISTS if route in self._profile.routes]

    def _wanted(self) -> list[RouteName]:
        named = {route for letter in self._scenarios for route in SCENARIO_ROUTES[letter]}
        if "a" in self._scenarios and self._profile.data_may_be_written:
            named.update(ORDER_ROUTES)
        return [route for route in RouteName if route in named or route is RouteName.LOGIN]

    def _knock(self) -> None:
        """Any answer will do here: what it says is looked at by the routes."""
        cure = "Start the target, or correct `addresses` in the profile."
        answer = fetch(self._client, "HEAD", self._profile.base_url + "/", cure)
        self._skew_s = _skew_s(answer.headers.get("date", ""))

    # -- who may come in -----------------------------------------------------------------------------

    def _login(self) -> Iterator[Finding]:
        users = self._profile.users
        if users.tokens.way == "mint":
            yield ok("login", "none: tokens are minted with the target's own key (users.tokens)")
            return
        if RouteName.LOGIN not in self._profile.routes:
            return
        found = self._sign_in(users.email, users.password.get_secret_value())
        yield found if isinstance(found, Finding) else self._token_of(found)
        last = users.pool.email(users.pool.count)
        pooled = self._sign_in(last, users.pool.password.get_secret_value())
        if isinstance(pooled, Finding):
            yield pooled
        else:
            yield ok("users", f"the last of the pool's {users.pool.count} may log in ({last})")

    def _sign_in(self, email: str, password: str) -> Any:
        """The body of the answer, or why the user did not get in."""
        route, refused = self._profile.routes[RouteName.LOGIN], f"login of {email}"
        try:
            body = {"email": email, "password": password}
            answer = fetch(self._client, route.method, self._profile.base_url + route.path, json=body)
            if answer.status_code == TOO_MANY_REQUESTS:
                return lacks(refused, "answered 429", "Its limiter or its login lock refuses: wait, then look again.")
            return json_of(answer, password)
        except TargetError as error:
            unknown = error.what.startswith("answered 4") and "HTML" not in error.what
            return lacks(refused, f"{error.what} ({error.where})", USERS_CURE if unknown else error.cure)

    def _token_of(self, body: Any) -> Finding:
        responses = self._profile.responses
        token, lifetime = value_at(body, responses.token), value_at(body, responses.token_lifetime_s)
        if not isinstance(token, str):
            like = next(paths_of_keys(body, TOKENS), "")
            cure = f"Set responses.token: {like}" if like else "Set responses.token to where it stands."
            return lacks("login", f"no token at {responses.token}: {said_instead(body, responses.token)}", cure)
        self._headers = {"Authorization": f"Bearer {token}"}
        if not isinstance(lifetime, int | float) or lifetime <= 0:
            like = next(paths_of_keys(body, LIFETIMES), "'!900' (seconds), a constant")
            seen = f"no lifetime at {responses.token_lifetime_s}: {said_instead(body, responses.token_lifetime_s)}"
            return lacks("login", seen, f"Set responses.token_lifetime_s: {like}")
        return ok("login", f"{self._profile.users.email} got a token for {lifetime:.0f} s")

    # -- what there is to read -----------------------------------------------------------------------

    def _list(self, route: RouteName, wanted: Collection[RouteName]) -> Iterator[Finding]:
        key, detail = LISTS[route]
        page: ItemPage = getattr(self._profile.responses, key)
        body = self._read(route, page)
        if isinstance(body, Finding):
            yield body
            return
        found = self._items(route, key, page, body)
        yield found if isinstance(found, Finding) else ok(route, f"{len(found)} items at {page.items}")
        if detail is None or detail not in wanted or detail not in self._profile.routes:
            return
        ids = [] if isinstance(found, Finding) else [item[page.id] for item in found]
        yield self._detail(detail, str(ids[0])) if ids else unseen(detail, "no item to ask for", "Seed the target.")

    def _read(self, route: RouteName, page: ItemPage) -> Any:
        """The body of the first page, or why it cannot be had."""
        params = {page.page_parameter: str(page.first_page), page.size_parameter: str(page.size)}
        if route is RouteName.PRODUCT_SEARCH:
            words = self._profile.catalogue.search_words
            params[self._profile.responses.search_parameter] = next(iter(words), "a")
        try:
            return json_of(self._ask(route, params=params))
        except TargetError as error:
            hint = ""
            if "answered 400" in error.what:
                hint = f" It was asked for page {page.first_page}: does it count from {1 - min(page.first_page, 1)}?"
            return lacks(route, f"{error.what} ({error.where})", f"{error.cure}{hint}")

    def _items(self, route: RouteName, key: str, page: ItemPage, body: Any) -> Finding | list[dict[str, Any]]:
        """The items of a list, or what is wrong with the paths that lead to them."""
        if self._unsuccessful(body):
            return self._no_success(route, body)
        items = value_at(body, page.items)
        if not isinstance(items, list):
            like = next(paths_of_lists(body), "")
            cure = f"Set responses.{key}.items: {like}" if like else f"Set responses.{key}.items to where the list is."
            return lacks(route, f"no list at {page.items}: {said_instead(body, page.items)}", cure)
        if page.total is not None and not isinstance(value_at(body, page.total), int):
            seen = f"no number of all items at {page.total}: {said_instead(body, page.total)}"
            return lacks(route, seen, f"Correct responses.{key}.total, or leave it out.")
        if items and page.id not in items[0]:
            return lacks(route, f"an item has no '{page.id}' ({', '.join(items[0])})", f"Set responses.{key}.id.")
        if not items and self._must_hold(key):
            return lacks(route, "an empty list", "Seed the target: the load would read nothing.")
        return items

    def _must_hold(self, key: str) -> bool:
        """A search may find nothing where the profile knows no words of the catalogue."""
        return key != "search" or bool(self._profile.catalogue.search_words)

    def _detail(self, route: RouteName, id: str) -> Finding:
        try:
            body = json_of(self._ask(route, id=id))
        except TargetError as error:
            return lacks(route, f"{error.what} ({error.where})", error.cure)
        return self._no_success(route, body) if self._unsuccessful(body) else ok(route, f"item {id} answers")

    def _unsuccessful(self, body: Any) -> bool:
        return value_at(body, self._profile.responses.success) is not True

    def _no_success(self, route: RouteName, body: Any) -> Finding:
        path = self._profile.responses.success
        cure = "Set responses.success to what is true in a good answer, or to '!true' where nothing says so."
        return lacks(route, f"not true at {path}: {said_instead(body, path)}", cure)

    # -- what would change something -----------------------------------------------------------------

    def _writing(self, route: RouteName) -> Finding:
        """Without a token; a 404 with the platform's own error code comes from behind the route."""
        sent = self._profile.routes[route]
        url = self._profile.base_url + sent.path.replace("{id}", "0")
        try:
            answer = fetch(self._client, sent.method, url, json={})
        except TargetError as error:
            return lacks_by(route, error)
        if is_page(answer) or answer.has_redirect_location:
            return self._refused(route, answer)
        if answer.status_code in (404, 405) and not self._own_error(answer):
            cure = f"Correct routes.{route} in the profile."
            return lacks(route, f"answered {answer.status_code}: no such route ({sent.method} {url})", cure)
        if answer.status_code >= 500:
            return self._refused(route, answer)
        return ok(route, f"is there: without a token it answers {answer.status_code}")

    def _refused(self, route: RouteName, answer: httpx.Response) -> Finding:
        try:
            require_good(answer)
        except TargetError as error:
            return lacks_by(route, error)
        return ok(route, "is there")

    def _own_error(self, answer: httpx.Response) -> bool:
        try:
            body = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            return False
        return value_at(body, self._profile.responses.error_code) is not MISSING

    # -- clock and limiter ---------------------------------------------------------------------------

    def _clock(self) -> Finding:
        if self._skew_s is None:
            return unseen("target clock", "its answers carry no Date")
        return clock_finding("target clock", self._skew_s)

    def _limiter(self) -> Finding:
        if not self._reads:
            return unseen("limiter", "no list to ask for")
        route = self._reads[0]
        page: ItemPage = getattr(self._profile.responses, LISTS[route][0])
        params = {page.page_parameter: str(page.first_page), page.size_parameter: str(page.size)}
        try:
            answers = [self._ask(route, params=params) for _ in range(BURST)]
        except TargetError as error:
            return lacks_by("limiter", error)
        return limiter_finding(answers, self._profile.limiter.way if self._profile.limiter else None)

    def _ask(self, route: RouteName, id: str = "", **request: Any) -> httpx.Response:
        sent = self._profile.routes[route]
        url = self._profile.base_url + sent.path.replace("{id}", id)
        return fetch(self._client, sent.method, url, headers=self._headers, **request)


def _skew_s(date: str) -> float | None:
    """How far a Date header is ahead of this machine's clock; None for what is none."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
