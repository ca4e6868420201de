"""portal-universe's API as the adapter needs it: signing up and in, lists, and how much the search index holds.

Each user names a client address of its own: the limiter and the login lock count by it (platform.md 1 and 2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
import jwt

from core.errors import TargetError
from core.http import http_client
from core.ports import ServiceId
from targets.adapter import LoadUser
from targets.model import ItemPage, Profile, Route, RouteName

T = TypeVar("T")
TIMEOUT_S = 15.0
AT_ONCE = 10
"""More logins at a time are no faster: each costs the platform 94-130 ms of CPU (platform.md 12)."""
NETWORK = "10.78"
"""Client addresses that are named to the limiter; nothing is sent there."""
SIGNUP = "/api/v1/users/signup"
INDEX = "products"
LOCKED = "A018"
_CURES = {
    400: "Does the password meet its policy? Upper and lower case, digit, special, no triples (platform.md 2).",
    401: "Mend `users` of the profile: the account exists with another password.",
    429: "The login lock or the limiter holds: wait a minute, or remove the keys `login_attempt:*` in its Redis.",
    503: "The gateway's circuit breaker is open or the service is down: see its log, wait 10 s and try again.",
}


class Api:
    """The target's HTTP side."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def sign_up(self, numbers: Sequence[int]) -> None:
        """Make these users; one that is there already is as good. 0 is the design's test account."""
        self._each(self._sign_up, numbers)

    def sign_in(self, count: int) -> list[LoadUser]:
        """The pool's users 1 to `count`, by login or by minted tokens, as the profile says."""
        if self._profile.users.tokens.way == "mint":
            return [self._minted(number) for number in range(1, count + 1)]
        return self._each(self._sign_in, range(1, count + 1))

    def total(self, route: RouteName, page: ItemPage) -> int:
        """How many items a list says that it has."""
        said = at_path(self._page(route, page), page.total) if page.total else None
        return int(said) if said is not None else len(self.ids(route, page))

    def ids(self, route: RouteName, page: ItemPage) -> list[str]:
        """Ids on the first page of a list: those that scenario A buys."""
        return [str(item[page.id]) for item in at_path(self._page(route, page), page.items) or ()]

    def hits(self, word: str) -> int:
        """How many products a search says that it finds."""
        responses = self._profile.responses
        found = self._page(RouteName.PRODUCT_SEARCH, responses.search, {responses.search_parameter: word})
        return int(at_path(found, responses.search.total or "") or 0)

    def indexed(self) -> int:
        """Documents in the search index; 0 without the index."""
        url = f"{self._profile.addresses[ServiceId.ELASTICSEARCH]}/{INDEX}/_count"
        with http_client(TIMEOUT_S) as client:
            answer = self._sent(url, lambda: client.get(url))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return 0
        return int(_good(answer)["count"])

    def _sign_up(self, client: httpx.Client, number: int) -> None:
        body = {**self._credentials(number), "nickname": f"load{number:04d}", "marketingAgree": False}
        answer = self._asked(client, Route(method="POST", path=SIGNUP), number, json=body)
        if answer.status_code != httpx.codes.CONFLICT:
            _good(answer)

    def _sign_in(self, client: httpx.Client, number: int) -> LoadUser:
        route = self._profile.routes[RouteName.LOGIN]
        answer = _good(self._asked(client, route, number, json=self._credentials(number)))
        token = at_path(answer, self._profile.responses.token)
        if not isinstance(token, str):
            path = self._profile.responses.token
            raise TargetError(f"a login has no token at '{path}'", where=route.path, cure="Mend `responses.token`.")
        return LoadUser(str(jwt.decode(token, options={"verify_signature": False})["sub"]), token)

    def _minted(self, number: int) -> LoadUser:
        tokens = self._profile.users.tokens
        assert tokens.key is not None  # the model sees to it
        user, now, roles = tokens.minted_id(number), int(time.time()), ["ROLE_USER"]
        claims = {"sub": user, "iat": now, "exp": now + int(tokens.lifetime_s), "nickname": f"load{number}"}
        claims |= {"roles": roles, "effectiveRoles": roles, "memberships": {}}
        key = tokens.key.get_secret_value()
        return LoadUser(user, jwt.encode(claims, key, "HS256", headers={"kid": tokens.key_id}))

    def _credentials(self, number: int) -> dict[str, str]:
        users = self._profile.users
        email, password = (users.pool.email(number), users.pool.password) if number else (users.email, users.password)
        return {"email": email, "password": password.get_secret_value()}

    def _page(self, route: RouteName, page: ItemPage, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        params = {page.page_parameter: str(page.first_page), page.size_parameter: str(page.size)}
        with http_client(TIMEOUT_S) as client:
            answer = self._asked(client, self._profile.routes[route], 0, params={**params, **(query or {})})
        return _good(answer)

    def _asked(self, client: httpx.Client, route: Route, number: int, **request: Any) -> httpx.Response:
        """One request at the gateway, whichever way the load goes."""
        url = self._profile.base_url + route.path
        limiter = self._profile.limiter
        own = {limiter.header: f"{NETWORK}.{number >> 8}.{number & 255}"} if limiter else {}
        return self._sent(url, lambda: client.request(route.method, url, headers=own, **request))

    def _sent(self, url: str, send: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            return send()
        except httpx.HTTPError as error:
            raise TargetError(
                f"no answer: {error or type(error).__name__}", where=url, cure="Start it, or mend its address."
            ) from error

    def _each(self, ask: Callable[[httpx.Client, int], T], numbers: Sequence[int]) -> list[T]:
        with http_client(TIMEOUT_S) as client, ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda number: ask(client, number), numbers))


def at_path(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = document
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _good(answer: httpx.Response) -> Mapping[str, Any]:
    """The body of an answer that is done; TargetError with what was said and what helps."""
    where, cure = str(answer.request.url), _CURES.get(answer.status_code, "See its log.")
    if answer.is_error:
        said = " ".join(answer.text.split())[:200] or "an empty body"
        raise TargetError(f"answered {answer.status_code}: {said}", where=where, cure=cure)
    try:
        body: Mapping[str, Any] = answer.json()
    except ValueError as error:
        said = " ".join(answer.text.split())[:80]
        raise TargetError(f"answered no JSON: {said}", where=where, cure="See what listens there.") from error
    return body
