"""portal-universe's dialect of the portal, where no store is needed: why a coupon is not to be had, and no cache."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from infra.portal.platform_coupons import _NAMES, _unusable
from infra.portal.platform_shop import NoCache

NOW = datetime(2026, 11, 27, 12)
DAY = timedelta(days=1)


def coupon(**changes: Any) -> tuple[Any, ...]:
    """A row of `coupons` that can be had, but for `changes`."""
    row = dict.fromkeys(_NAMES) | {
        "status": "ACTIVE",
        "startsAt": NOW - DAY,
        "expiresAt": NOW + DAY,
        "issuedQuantity": 0,
        "totalQuantity": 5,
    }
    return tuple((row | changes).values())


class TestCoupon:
    def test_can_be_had(self) -> None:
        assert _unusable(coupon(), NOW) is None

    @pytest.mark.parametrize(
        ("changes", "status", "code"),
        [
            ({"status": "EXHAUSTED", "issuedQuantity": 5}, 400, "S606"),  # sold out, one after the other
            ({"issuedQuantity": 5}, 409, "S602"),
            ({"startsAt": NOW + DAY}, 400, "S605"),
            ({"expiresAt": NOW - DAY}, 400, "S603"),
        ],
    )
    def test_is_refused_with_the_platforms_code(self, changes: dict[str, Any], status: int, code: str) -> None:
        refusal = _unusable(coupon(**changes), NOW)
        assert refusal is not None
        assert (refusal.status, refusal.code) == (status, code)

    def test_that_does_not_exist_is_s601(self) -> None:
        refusal = _unusable(None, NOW)
        assert refusal is not None
        assert (refusal.status, refusal.code) == (404, "S601")


class TestNoCache:
    async def test_asks_the_origin_each_time(self) -> None:
        asked = []

        async def load() -> bytes:
            asked.append(1)
            return b"product"

        cache = NoCache()
        assert [await cache.get("7", load) for _ in range(3)] == [b"product"] * 3
        assert len(asked) == 3
