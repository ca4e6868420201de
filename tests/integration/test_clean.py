"""What a run makes on the reference portal is listed, counted, removed and counted again, over the real stores."""

from __future__ import annotations

from pathlib import Path

import pytest

import flows.clean
from core.http import http_client
from core.ports import ServiceId
from core.waiting import wait_for
from targets.adapter import Adapter, Fixtures, adapter_for
from targets.made import Made, count
from targets.model import Profile, load_profile
from tasks.clean import remove
from tests.integration.conftest import PortalUrls

API = "/api/v1/shopping"
RECEIVER = {"receiverName": "mark", "receiverPhone": "010-0000-0000", "zipCode": "04524", "address1": "Test"}
MADE = {"coupons issued": 2, "coupon holders in Redis": 2, "orders": 1, "carts": 2, "notifications": 1}
NOTHING = dict.fromkeys(MADE, 0)


@pytest.fixture
def profile(portal_urls: PortalUrls) -> Profile:
    known = load_profile("portal")
    urls = {
        ServiceId.GATEWAY: portal_urls.gateway,
        ServiceId.AUTH: portal_urls.auth,
        ServiceId.BLOG: portal_urls.blog,
        ServiceId.SHOPPING: portal_urls.shopping,
        ServiceId.NOTIFICATION: portal_urls.notification,
    }
    return known.model_copy(update={"addresses": {**known.addresses, **urls}})


def make_things(profile: Profile, adapter: Adapter) -> Fixtures:
    """Two users take a coupon and fill a cart, one of them orders; as a run's load does."""
    adapter.seed()
    fixtures = adapter.fixtures("20260101T000000Z-portal-smoke-c1ea")
    with http_client() as client:
        client.base_url = profile.base_url
        for number, user in enumerate(adapter.users(2)):
            client.headers["Authorization"] = f"Bearer {user.token}"
            client.post(f"{API}/coupons/{fixtures.coupon_id}/issue").raise_for_status()
            client.post(f"{API}/cart/items", json={"productId": 1, "quantity": 1}).raise_for_status()
            if number == 0:
                client.post(f"{API}/cart/checkout").raise_for_status()
                client.post(f"{API}/orders", json={"shippingAddress": RECEIVER}).raise_for_status()
    return fixtures


class TestCleanUp:
    def test_leaves_nothing_of_what_was_counted(self, profile: Profile) -> None:
        adapter = adapter_for(profile)
        fixtures = make_things(profile, adapter)
        found = wait_for(lambda: count(adapter, fixtures), lambda seen: seen == MADE, timeout_s=20)
        assert found == MADE
        complaints, left = remove(adapter, fixtures)
        assert complaints == []
        assert left == NOTHING

    def test_comes_later_from_the_list_of_a_run(
        self, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SUITE_GRAFANA_URL", raising=False)
        adapter = adapter_for(profile)
        fixtures = make_things(profile, adapter)
        Made(run_id="r", target="portal", addresses=profile.addresses, fixtures=fixtures).write(tmp_path)
        assert flows.clean.main([str(tmp_path)]) == 0
        assert Made.read(tmp_path).left == NOTHING == count(adapter, fixtures)
