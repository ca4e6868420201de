"""The adapter of a platform without code of its own: it reads through its API, makes nothing and removes nothing.

Enough for the scenarios that read (B, D, and E where there is a cache). What A and C need besides, carts, orders and a
limited coupon, only code can say: `targets/<dialect>.py` and `k6/lib/dialects/<dialect>.js`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.answers import fetch, json_of
from core.errors import ConfigError, TargetError
from core.http import http_client
from targets.adapter import Adapter, Fixtures, LedgerCounts, LoadUser, Seed
from targets.bodies import MISSING, value_at
from targets.model import ItemPage, Profile, RouteName

READS = frozenset("bde")
LISTS = {"products": RouteName.PRODUCT_LIST, "posts": RouteName.POST_LIST}


class PlainAdapter:
    """Fulfils `targets.adapter.Adapter` with reading alone."""

    def __init__(self, profile: Profile) -> None:
        """ConfigError for a scenario that needs more."""
        self._profile = profile
        if more := sorted(set(profile.scenarios) - READS):
            raise ConfigError(
                f"scenario {', '.join(more).upper()} writes, which the dialect 'plain' cannot",
                where="`scenarios` of the profile",
                cure="Leave it out there, or write an adapter of the platform's own (docs/your-platform.md).",
            )

    def seed(self) -> Seed:
        """Nothing is made: what is there is counted, and the first and the last user of the pool log in."""
        began = time.monotonic()
        users = self._profile.users.pool.count
        self.users(users)
        words = self._profile.catalogue.search_words
        return Seed(
            users=users,
            products=self._count("products"),
            posts=self._count("posts"),
            search_hits={word: self._hits(word) for word in words},
            coupon_stock=None,
            duration_s=time.monotonic() - began,
        )

    def fixtures(self, run_id: str) -> Fixtures:
        """The first product that is listed, for scenario E."""
        page = self._profile.responses.products
        items = self._list("products") if RouteName.PRODUCT_LIST in self._profile.routes else []
        product = str(items[0].get(page.id, "")) if items else ""
        return Fixtures(mark=run_id, coupon_id="", product_id=product, since=datetime.now(UTC))

    def users(self, count: int) -> Sequence[LoadUser]:
        """The first and the last of them, signed in."""
        pool = self._profile.users.pool
        numbers = dict.fromkeys((1, count))
        return [self._signed_in(pool.email(number), pool.password.get_secret_value()) for number in numbers]

    def ledger_counts(self, fixtures: Fixtures) -> LedgerCounts:  # noqa: ARG002
        """It keeps no books that can be read."""
        return LedgerCounts(coupons=None, orders=None)

    def clean_up(self, fixtures: Fixtures) -> Sequence[str]:  # noqa: ARG002
        """Nothing was made."""
        return []

    def _signed_in(self, email: str, password: str) -> LoadUser:
        route = self._profile.routes[RouteName.LOGIN]
        given = {"email": email, "password": password}
        body = self._ask(route.method, route.path, secret=password, json=given)
        token = value_at(body, self._profile.responses.token)
        if not isinstance(token, str):
            raise TargetError(
                f"login of {email}: no token at {self._profile.responses.token}",
                where=self._profile.base_url + route.path,
                cure="`python -m flows.doctor` shows what is there.",
            )
        return LoadUser(email, token)

    def _count(self, things: str) -> int | None:
        """All of them, or those of the first page where the answer does not tell; None without a route to list them."""
        if LISTS[things] not in self._profile.routes:
            return None
        page: ItemPage = getattr(self._profile.responses, things)
        return _number(self._page(LISTS[things], page), page)

    def _hits(self, word: str) -> int:
        page = self._profile.responses.search
        return _number(self._page(RouteName.PRODUCT_SEARCH, page, word), page)

    def _list(self, things: str) -> list[dict[str, Any]]:
        page: ItemPage = getattr(self._profile.responses, things)
        found = value_at(self._page(LISTS[things], page), page.items)
        return found if isinstance(found, list) else []

    def _page(self, name: RouteName, page: ItemPage, word: str = "") -> Any:
        route = self._profile.routes[name]
        asked = {page.page_parameter: page.first_page, page.size_parameter: page.size}
        found = {self._profile.responses.search_parameter: word} if word else {}
        return self._ask(route.method, route.path, params={**asked, **found}, headers=self._bearer())

    def _bearer(self) -> dict[str, str]:
        users = self._profile.users
        user = self._signed_in(users.email, users.password.get_secret_value())
        return {"Authorization": f"Bearer {user.token}"}

    def _ask(self, method: str, path: str, secret: str = "", **request: Any) -> Any:
        with http_client() as client:
            return json_of(fetch(client, method, self._profile.base_url + path, "Start the target.", **request), secret)


def _number(body: Any, page: ItemPage) -> int:
    total = value_at(body, page.total) if page.total else MISSING
    items = value_at(body, page.items)
    return total if isinstance(total, int) else len(items) if isinstance(items, list) else 0


def adapter(profile: Profile) -> Adapter:
    """The adapter, for `targets.adapter.adapter_for`."""
    return PlainAdapter(profile)
