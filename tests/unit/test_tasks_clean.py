"""tasks.clean and flows.clean: what a run made is listed, removed, and counted again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import flows.clean
import tasks.clean
from core.errors import ConfigError, TargetError, TargetRefused
from targets.adapter import CouponBook, Fixtures, LedgerCounts, OrderBook
from targets.made import Made, count
from targets.model import load_profile
from tasks.clean import clean_target, list_made

FIXTURES = Fixtures(mark="run-1", coupon_id="7", product_id="3", since=datetime(2026, 1, 1, tzinfo=UTC))
ALL = {"coupons issued": 2, "coupon holders in Redis": 2, "orders": 3, "carts": 4, "notifications": 3}


class Shop:
    """An adapter over books of its own; `late` notifications arrive after the first clean-up."""

    def __init__(self, *, late: int = 0, stuck: int = 0, complaints: Sequence[str] = (), dead: bool = False) -> None:
        self.coupons, self.orders, self.carts, self.notifications = 2, 3, 4, 3
        self.late, self.stuck, self.complaints, self.dead = late, stuck, complaints, dead

    def ledger_counts(self, fixtures: Fixtures) -> LedgerCounts:
        if self.dead:
            raise TargetError("shopping-service does not answer")
        users = tuple(f"user-{number}" for number in range(self.coupons))
        coupons = CouponBook(frozenset(users), users, counter=None, members=self.coupons, stock_left=None)
        orders = OrderBook(self.orders, None, None, notifications=self.notifications, carts=self.carts)
        return LedgerCounts(coupons, orders)

    def clean_up(self, fixtures: Fixtures) -> Sequence[str]:
        self.coupons = self.carts = 0
        self.orders, self.notifications, self.late = self.stuck, self.late, 0
        return self.complaints


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.clean, "LATE_S", 0.5)


def run_in(folder: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch, clean_up: str = "end") -> Any:
    """As much of a run as cleaning up needs, its list written."""
    monkeypatch.setattr(tasks.clean, "adapter_for", lambda _: shop)
    monkeypatch.setattr(flows.clean, "adapter_for", lambda _: shop)
    run: Any = SimpleNamespace(
        run_id="run-1",
        request=SimpleNamespace(target="portal"),
        profile=load_profile("portal").model_copy(update={"clean_up": clean_up}),
        directory=SimpleNamespace(path=folder),
        fixtures=FIXTURES,
        made=None,
    )
    list_made(run)
    return run


class TestCount:
    def test_names_every_kind_that_the_books_know(self) -> None:
        assert count(Shop(), FIXTURES) == ALL


class TestCleanTarget:
    def test_has_its_list_before_the_load(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run_in(tmp_path, Shop(), monkeypatch)
        made = Made.read(tmp_path)
        assert (made.run_id, made.target, made.fixtures, made.left) == ("run-1", "portal", FIXTURES, None)
        assert set(made.kept) == {"users", "events in shopping.order.created", "annotations"}

    def test_removes_at_the_end_and_proves_it_by_counting_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert clean_target(run_in(tmp_path, Shop(), monkeypatch)) == []
        made = Made.read(tmp_path)
        assert made.counts == ALL
        assert made.left == dict.fromkeys(ALL, 0)

    def test_removes_what_arrives_late(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tasks.clean, "LATE_S", 5.0)
        assert clean_target(run_in(tmp_path, Shop(late=1), monkeypatch)) == []

    def test_says_what_is_left_although_the_adapter_does_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert clean_target(run_in(tmp_path, Shop(stuck=2), monkeypatch)) == ["2 orders of this run"]

    def test_says_what_the_adapter_could_not_remove(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = run_in(tmp_path, Shop(complaints=["shopping-service: down"]), monkeypatch)
        assert clean_target(run) == ["the run's rows on shopping-service: down"]

    def test_says_that_a_dead_target_cannot_be_counted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = run_in(tmp_path, Shop(dead=True), monkeypatch)
        assert clean_target(run) == ["the run's rows may still be there: shopping-service does not answer"]
        assert Made.read(tmp_path).left is None

    def test_removes_nothing_where_the_profile_says_on_request(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop = Shop()
        assert clean_target(run_in(tmp_path, shop, monkeypatch, clean_up="on request")) == []
        assert (Made.read(tmp_path).counts, shop.orders) == (ALL, 3)


class TestCleanLater:
    def test_removes_what_a_killed_run_has_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run_in(tmp_path, Shop(), monkeypatch)
        assert flows.clean.main([str(tmp_path)]) == 0
        assert "nothing that the run made is left" in capsys.readouterr().out
        assert Made.read(tmp_path).left == dict.fromkeys(ALL, 0)

    def test_says_what_is_left_and_exits_1(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run_in(tmp_path, Shop(stuck=1), monkeypatch)
        assert flows.clean.main([str(tmp_path)]) == 1
        assert "1 orders of this run" in capsys.readouterr().out

    def test_of_a_folder_that_is_no_run_is_one_sentence_and_exit_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert flows.clean.main([str(tmp_path)]) == 2
        assert "Name a directory such as runs/latest." in capsys.readouterr().err

    def test_of_a_list_that_is_broken_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "made.json").write_text("{", encoding="utf-8")
        with pytest.raises(ConfigError, match="the list cannot be read"):
            Made.read(tmp_path)

    def test_goes_nowhere_but_where_the_profile_allows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = run_in(tmp_path, Shop(), monkeypatch).made
        elsewhere = {**made.addresses, "api-gateway": "http://192.0.2.1:8080"}
        made.model_copy(update={"addresses": elsewhere}).write(tmp_path)
        with pytest.raises(TargetRefused):
            flows.clean.clean(tmp_path)
