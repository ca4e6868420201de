"""What a run makes on its target: listed in `made.json` before the load begins, so that it can be removed later too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import ConfigError
from core.ports import ServiceId
from targets.adapter import Adapter, Fixtures, LedgerCounts

FILE = "made.json"


class Made(BaseModel):
    """One run's traces on its target, and where that was."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    target: str = Field(description="profile, by name or file, as it was asked for")
    addresses: Mapping[ServiceId, str]
    fixtures: Fixtures
    counts: Mapping[str, int] = Field(default_factory=dict, description="kind -> rows before they were removed")
    left: Mapping[str, int] | None = Field(default=None, description="counted again after the removal; None: not yet")
    kept: Mapping[str, str] = Field(default_factory=dict, description="what cannot be removed or is meant to stay: why")

    def write(self, folder: Path) -> None:
        (folder / FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Made:
        """From a run directory; ConfigError where there is none, or it made nothing."""
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except FileNotFoundError as error:
            raise ConfigError(
                "the run made nothing on its target, or this is no run directory",
                where=str(folder / FILE),
                cure="Name a directory such as runs/latest.",
            ) from error
        except ValidationError as error:
            raise ConfigError(
                f"the list cannot be read: {error.errors()[0]['msg']}",
                where=str(folder / FILE),
                cure="Remove by hand what carries the run's mark.",
            ) from error


def count(adapter: Adapter, fixtures: Fixtures) -> dict[str, int]:
    """Kind -> what the target's own books hold of the run now; TargetError when they cannot be read."""
    return dict(_kinds(adapter.ledger_counts(fixtures)))


def _kinds(books: LedgerCounts) -> Sequence[tuple[str, int]]:
    found: list[tuple[str, int | None]] = []
    if books.coupons is not None:
        found += [("coupons issued", len(books.coupons.users)), ("coupon holders in Redis", books.coupons.members)]
    if books.orders is not None:
        found += [
            ("orders", books.orders.rows),
            ("carts", books.orders.carts),
            ("notifications", books.orders.notifications),
        ]
    return [(kind, number) for kind, number in found if number is not None]
