"""The reference portal's adapter: its services' admin endpoints (loopback, not routed by the gateway)."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from core.errors import TargetError
from core.http import http_client
from core.ports import ServiceId
from targets.adapter import Adapter, CouponBook, Fixtures, LedgerCounts, LoadUser, OrderBook, Seed
from targets.model import Profile

SEED_TIMEOUT_S = 30.0
FIRST_QUIET_PRODUCT = 101
"""Scenario A buys from the first page; a product beyond 100 is in nobody's cache when scenario E begins."""


class PortalAdapter:
    """Fulfils `targets.adapter.Adapter` for the reference portal."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def seed(self) -> Seed:
        """See Adapter: each service plants its own part; what is returned was read back from the stores."""
        began = time.monotonic()
        for service in (ServiceId.AUTH, ServiceId.BLOG, ServiceId.SHOPPING):
            self._ask("POST", service, "/admin/seed")
        duration_s = time.monotonic() - began
        auth, blog, shopping = (
            self._ask("GET", service, "/admin/seed") for service in (ServiceId.AUTH, ServiceId.BLOG, ServiceId.SHOPPING)
        )
        return Seed(
            users=auth["load_users"],
            products=shopping["products"],
            posts=blog["posts"],
            search_hits=shopping["search"],
            coupon_stock=shopping["coupon"]["redis_stock"],
            duration_s=duration_s,
        )

    def fixtures(self, run_id: str) -> Fixtures:
        """A coupon of this run's own, and a product that nobody has looked at."""
        since = datetime.now(UTC)
        coupon = {"code": f"LT-{run_id[-20:]}", "total": self._profile.coupon.stock}
        made = self._ask("POST", ServiceId.SHOPPING, "/admin/coupons", json=coupon)
        products = self._ask("GET", ServiceId.SHOPPING, "/admin/seed")["products"]
        quiet = random.randint(FIRST_QUIET_PRODUCT, products)
        return Fixtures(mark=run_id, coupon_id=str(made["id"]), product_id=str(quiet), since=since)

    def users(self, count: int) -> Sequence[LoadUser]:
        """See Adapter: minted by the auth service, as its login makes them."""
        made = self._ask("POST", ServiceId.AUTH, "/admin/tokens", json={"count": count})
        return [LoadUser(user["user_id"], user["token"]) for user in made["users"]]

    def ledger_counts(self, fixtures: Fixtures) -> LedgerCounts:
        """See Adapter."""
        coupon = self._ask("GET", ServiceId.SHOPPING, f"/admin/coupons/{fixtures.coupon_id}/ledger")
        since = {"since": fixtures.since.isoformat()}
        orders = self._ask("GET", ServiceId.SHOPPING, "/admin/orders/ledger", params=since)
        notifications = self._ask("GET", ServiceId.NOTIFICATION, "/admin/notifications/ledger", params=since)
        return LedgerCounts(
            coupons=CouponBook(
                row_ids=frozenset(map(str, coupon["row_ids"])),
                users=tuple(coupon["users"]),
                counter=coupon["issued_quantity"],
                members=coupon["redis_issued"],
                stock_left=coupon["redis_stock"],
            ),
            orders=OrderBook(
                rows=orders["orders"],
                amount=orders["total"],
                wrong_totals=orders["wrong_totals"],
                notifications=notifications["distinct"],
                carts=orders["carts"],
            ),
        )

    def clean_up(self, fixtures: Fixtures) -> Sequence[str]:
        """See Adapter: the run's coupon, carts, orders and notifications."""
        left = []
        for service in (ServiceId.SHOPPING, ServiceId.NOTIFICATION):
            try:
                self._ask("POST", service, "/admin/clean-up", json={"since": fixtures.since.isoformat()})
            except TargetError as error:
                left.append(f"{service}: {error.what}")
        return left

    def _ask(self, method: str, service: ServiceId, path: str, **request: Any) -> Any:
        url = self._profile.addresses[service] + path
        try:
            with http_client(SEED_TIMEOUT_S) as client:
                answer = client.request(method, url, **request)
        except httpx.HTTPError as error:
            raise TargetError(
                f"{service} does not answer: {error or type(error).__name__}",
                where=url,
                cure=f"See logs/{service}.log.",
            ) from error
        if answer.is_error:
            what = f"{service} answered {answer.status_code}: {answer.text[:200]}"
            raise TargetError(what, where=url, cure=f"See logs/{service}.log.")
        return answer.json() if answer.content else {}


def adapter(profile: Profile) -> Adapter:
    """The adapter, for `targets.adapter.adapter_for`."""
    return PortalAdapter(profile)
