"""Deny by default: nothing is sent but to what the profile allows, by name, port and every address (docs/safety.md)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from core import reach
from core.errors import TargetRefused
from core.reach import Reach
from targets.model import Profile

PRODUCTION = "production"


def refuse_unless_allowed(profile: Profile) -> None:
    """TargetRefused unless every address of the profile is one that it allows; asked before any request."""
    for service, address in profile.addresses.items():
        require_allowed(address, f"target '{profile.name}', addresses.{service}", profile.reach)


def require_allowed(address: str, where: str, allowed: Reach | None = None) -> None:
    """TargetRefused unless `address` (a URL or `host:port`) and all that it stands for may be reached.

    `allowed`: by default what this process may reach now.
    """
    (allowed or reach.current()).addresses(address, where)


def require_consent(profile: Profile, i_mean: str | None) -> None:
    """TargetRefused when the target is in production and was not called by its name for this very run."""
    if profile.environment == PRODUCTION and i_mean != profile.name:
        said = f"--i-mean says '{i_mean}'" if i_mean else "nobody typed its name"
        raise TargetRefused(
            f"target '{profile.name}' is production, and {said}",
            where="environment",
            cure=f"If you mean it: --i-mean {profile.name} (in Prefect: the parameter i_mean), for every run anew.",
        )


def pinned(profile: Profile) -> Mapping[str, str]:
    """Host -> the address at which load finds it, for every http address; as allowed and resolved just now."""
    return {
        urlsplit(address).hostname or "": profile.reach.addresses(
            address, f"target '{profile.name}', addresses.{service}"
        )[0]
        for service, address in profile.addresses.items()
        if address.startswith("http")
    }
