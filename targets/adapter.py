"""What only code can say about a platform: five methods, one module a dialect (architecture.md, docs/adr/005)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Protocol

from core.errors import ConfigError
from targets.model import Profile


@dataclass(frozen=True)
class Seed:
    """What the seeding left on the target, read back from it; None where it cannot tell, or has no such thing."""

    users: int | None
    products: int | None
    posts: int | None
    search_hits: Mapping[str, int]
    coupon_stock: int | None
    duration_s: float
    not_applicable: Mapping[str, str] = field(default_factory=dict)  # scenario letter -> why not, and what cures it


@dataclass(frozen=True)
class Fixtures:
    """What a run made on the target for itself, and what the scripts need of it."""

    mark: str  # stands in every row this run makes, as far as the platform lets it
    coupon_id: str
    product_id: str
    since: datetime  # what the target's stores hold from then on is this run's
    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # table -> keys of rows made for this run


@dataclass(frozen=True)
class LoadUser:
    """A user of the profile's pool, signed in."""

    id: str  # as the target's stores name it
    token: str = field(repr=False)


@dataclass(frozen=True)
class CouponBook:
    """The target's books of one coupon; None where it cannot tell."""

    row_ids: frozenset[str]  # of what was issued, as they were answered to the clients
    users: tuple[str, ...]  # who holds each row
    counter: int | None  # the coupon's own count of what was issued
    members: int | None  # in Redis
    stock_left: int | None  # in Redis


@dataclass(frozen=True)
class OrderBook:
    """The target's books of a run's orders; None where it cannot tell."""

    rows: int
    amount: int | None  # sum of their totals
    wrong_totals: int | None  # orders whose total is not the sum of their cart's lines
    notifications: int | None  # distinct orders that were told of
    carts: int | None = None


@dataclass(frozen=True)
class LedgerCounts:
    """The target's own books for one run; None where it keeps none that can be read."""

    coupons: CouponBook | None
    orders: OrderBook | None


class Adapter(Protocol):
    """One platform's own code."""

    def seed(self) -> Seed:
        """Bring users, products, posts and fixtures to their known state; idempotent; TargetError when it cannot."""
        ...

    def fixtures(self, run_id: str) -> Fixtures:
        """Make what this run needs for itself, such as a coupon with a known stock."""
        ...

    def users(self, count: int) -> Sequence[LoadUser]:
        """The pool's users 1 to `count`, signed in just now: by login, or minted where the target lets it."""
        ...

    def ledger_counts(self, fixtures: Fixtures) -> LedgerCounts:
        """Count what the target's stores hold of this run."""
        ...

    def clean_up(self, fixtures: Fixtures) -> Sequence[str]:
        """Remove what the run made; returns what could not be removed."""
        ...


def adapter_for(profile: Profile) -> Adapter:
    """The adapter of the profile's dialect; ConfigError when there is none yet."""
    try:
        module = import_module(f"targets.{profile.dialect}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"target '{profile.name}' speaks '{profile.dialect}', which has no adapter",
            where=f"targets/{profile.dialect}.py",
            cure="Run it against `--target portal`, or write the adapter (docs/development.md).",
        ) from error
    adapter: Adapter = module.adapter(profile)
    return adapter
