"""portal-universe's adapter (docs/portal-universe.md): users over its API, fixtures and books in its databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from core.errors import SuiteError
from core.rundir import short_mark
from targets.adapter import Adapter, Fixtures, LedgerCounts, LoadUser, Seed
from targets.model import Profile, RouteName
from targets.portal_universe_api import Api
from targets.portal_universe_stores import Stores

T = TypeVar("T")
TRIAL = "PERF-TRIAL"
"""Code of the coupon by which the seeding finds out whether a run's coupon can be made and removed."""
EMPTY_INDEX = (
    "its search index `products` holds no document, so that every search finds nothing: no code path of the platform "
    "indexes products (platform.md 3). Index them (POST /products/_bulk in its Elasticsearch) and name words in "
    "catalogue.search_words, or run D against --target portal"
)
NO_WORDS = (
    "its search index holds {} documents, but the profile names no word that it must find: the design's words would "
    "find nothing and look fast. Name some in catalogue.search_words (null: at least one hit)"
)


class PortalUniverseAdapter:
    """Fulfils `targets.adapter.Adapter` for portal-universe."""

    def __init__(self, profile: Profile) -> None:
        self._profile, self._api, self._stores = profile, Api(profile), Stores(profile)

    def seed(self) -> Seed:
        """See Adapter: signs up who is missing; products and posts are the platform's own seed."""
        began = time.monotonic()
        self._sign_up_missing()
        responses = self._profile.responses
        not_applicable = self._not_applicable()
        words = () if not_applicable else self._profile.catalogue.search_words
        return Seed(
            users=len(self._user_ids()),
            products=self._api.total(RouteName.PRODUCT_LIST, responses.products),
            posts=self._api.total(RouteName.POST_LIST, responses.posts),
            search_hits={word: self._api.hits(word) for word in words},
            coupon_stock=self._trial_stock(),
            not_applicable=not_applicable,
            duration_s=time.monotonic() - began,
        )

    def fixtures(self, run_id: str) -> Fixtures:
        """A coupon of this run's own, and stock for the products that A buys: the platform's seed has none."""
        since, mark = datetime.now(UTC), short_mark(run_id)
        self._stores.remove_carts(self._user_ids())  # an earlier run's quantities would add up
        products = self._api.ids(RouteName.PRODUCT_LIST, self._profile.responses.products)
        coupon_id = self._stores.make_coupon(f"PERF-{mark}", self._profile.coupon.stock)
        inventory = self._stores.make_inventory(products)
        made = {"coupons": (coupon_id,), "inventory": inventory}
        return Fixtures(mark=mark, coupon_id=coupon_id, product_id=products[-1], since=since, made=made)

    def users(self, count: int) -> Sequence[LoadUser]:
        """See Adapter."""
        return self._api.sign_in(count)

    def ledger_counts(self, fixtures: Fixtures) -> LedgerCounts:
        """See Adapter; never by `issued_quantity`, which loses updates there (platform.md 3)."""
        orders = self._stores.orders(fixtures.mark) if self._profile.data_may_be_written else None
        return LedgerCounts(coupons=self._stores.coupon(fixtures.coupon_id), orders=orders)

    def clean_up(self, fixtures: Fixtures) -> Sequence[str]:
        """See Adapter: all but the load users, who stay for the next run."""
        stores, left = self._stores, list[str]()
        users = _tried(left, "users", self._user_ids) or ()
        removals: Mapping[str, Callable[[], list[str]]] = {
            "orders": lambda: stores.remove_orders(fixtures.mark) if self._profile.data_may_be_written else [],
            "carts": lambda: stores.remove_carts(users),
            "coupon": lambda: stores.remove_coupon(fixtures.coupon_id),
            "inventory": lambda: stores.remove_inventory(fixtures.made.get("inventory", ())),
            "notifications": lambda: stores.remove_notifications(users, f"lt-{fixtures.mark}-"),
        }
        for what, remove in removals.items():
            left += _tried(left, what, remove) or ()
        return left

    def _sign_up_missing(self) -> None:
        if self._minted:
            return
        emails = self._emails()
        known = self._stores.user_ids(list(emails))
        self._api.sign_up([number for email, number in emails.items() if email not in known])

    def _user_ids(self) -> list[str]:
        """Ids of the pool's users who are there; those of minted tokens need not be anywhere."""
        users = self._profile.users
        if self._minted:
            return [users.tokens.minted_id(number) for number in range(1, users.pool.count + 1)]
        known = self._stores.user_ids(list(self._emails()))
        return [user for email, user in known.items() if email != users.email]

    def _emails(self) -> dict[str, int]:
        """E-mail -> number of the test account (0) and the pool's users."""
        users = self._profile.users
        return {users.email: 0} | {users.pool.email(number): number for number in range(1, users.pool.count + 1)}

    @property
    def _minted(self) -> bool:
        return self._profile.users.tokens.way == "mint"

    def _not_applicable(self) -> dict[str, str]:
        indexed = self._api.indexed()
        if not indexed:
            return {"d": EMPTY_INDEX}
        return {} if self._profile.catalogue.search_words else {"d": NO_WORDS.format(indexed)}

    def _trial_stock(self) -> int:
        """Stock that is read back of a coupon made as a run's is, and removed again."""
        coupon_id = self._stores.make_coupon(f"{TRIAL}-{time.time_ns()}", self._profile.coupon.stock)
        try:
            return self._stores.coupon(coupon_id).stock_left or 0
        finally:
            self._stores.remove_coupon(coupon_id)


def _tried(left: list[str], what: str, action: Callable[[], T]) -> T | None:
    """What `action` returns; one that fails is kept in `left`, and the rest still comes."""
    try:
        return action()
    except SuiteError as error:
        left.append(f"{what}: {error.what}")
        return None


def adapter(profile: Profile) -> Adapter:
    """The adapter, for `targets.adapter.adapter_for`."""
    return PortalUniverseAdapter(profile)
