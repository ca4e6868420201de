"""The adapter of a platform without code of its own, against a shop that the suite knows nothing of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ConfigError, TargetError
from core.processes import free_port
from core.words import Verdict
from report.gate_file import gates_for
from targets.adapter import adapter_for
from targets.model import Profile, RouteName
from targets.new import new_profile
from tasks.seeding import seed_check
from tests.shop import ARTICLES, PASSWORD, PRODUCTS, app, shop_at


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with shop_at(free_port()) as url:
        yield url


@pytest.fixture
def profile(shop: str, tmp_path: Path) -> Profile:
    document = tmp_path / "openapi.yaml"
    document.write_text(yaml.safe_dump({**app.openapi(), "servers": [{"url": shop}]}), encoding="utf-8")
    written = yaml.safe_load(new_profile("shop", str(document), None, tmp_path / "shop.yaml").read_text("utf-8"))
    account = {"email": "load0001@shop.example", "password": PASSWORD}
    pool = {"prefix": "load", "digits": 4, "domain": "shop.example", "count": 10, "password": PASSWORD}
    catalogue = {"products": PRODUCTS, "posts": ARTICLES, "search_words": {"keyboard": 13}}
    return Profile.model_validate({**written, "users": {**account, "pool": pool}, "catalogue": catalogue})


def changed(profile: Profile, **changes: Any) -> Profile:
    return profile.model_copy(update=changes)


class TestPlainAdapter:
    def test_counts_what_is_there(self, profile: Profile) -> None:
        seed = adapter_for(profile).seed()
        assert (seed.users, seed.products, seed.posts) == (10, PRODUCTS, ARTICLES)
        assert seed.search_hits == {"keyboard": 13}
        check = seed_check(profile, seed)
        assert check.verdict is Verdict.PASS
        assert "does not tell its coupons" in check.observed

    def test_claims_nothing_of_what_it_cannot_list(self, profile: Profile) -> None:
        routes = {name: route for name, route in profile.routes.items() if name is not RouteName.POST_LIST}
        assert adapter_for(changed(profile, routes=routes)).seed().posts is None

    def test_notices_that_too_little_is_there(self, profile: Profile) -> None:
        more = changed(profile, catalogue=profile.catalogue.model_copy(update={"products": PRODUCTS + 1}))
        assert seed_check(more, adapter_for(more).seed()).verdict is Verdict.FAIL

    def test_names_a_user_who_may_not_log_in(self, profile: Profile) -> None:
        pool = profile.users.pool.model_copy(update={"password": profile.users.password.__class__("wrong")})
        wrong = changed(profile, users=profile.users.model_copy(update={"pool": pool}))
        with pytest.raises(TargetError, match="401"):
            adapter_for(wrong).seed()

    def test_makes_nothing_and_leaves_nothing(self, profile: Profile) -> None:
        fixtures = adapter_for(profile).fixtures("run-1")
        assert fixtures.product_id == "p-1"
        assert adapter_for(profile).clean_up(fixtures) == []
        assert adapter_for(profile).ledger_counts(fixtures).orders is None

    def test_refuses_a_scenario_that_writes(self, profile: Profile) -> None:
        with pytest.raises(ConfigError) as caught:
            adapter_for(changed(profile, scenarios=("a", "b", "c")))
        assert "scenario A, C writes" in caught.value.what
        assert "docs/your-platform.md" in caught.value.cure


class TestPlainGates:
    def test_judge_a_target_without_a_file_of_its_own(self, profile: Profile) -> None:
        assert set(gates_for(profile).gates) == {"server-error-ratio", "service-latency-p95"}
