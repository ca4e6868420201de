"""The reference portal in the dialect of a platform: what the stack starts otherwise, and with whose accounts.

The target profile of the platform says which database accounts its adapter uses; the stack is given the same, so that
the adapter's SQL runs against this machine as it does against the platform (docs/portal-universe.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import ConfigError
from core.ports import ServiceId
from targets.model import Profile, Store

DIALECT = "portal_universe"
ON_POSTGRESQL = ("auth", "shopping")
"""Processes of the portal that keep their data there, where a platform is played."""
STANDS_IN = {
    "portal": "the reference portal in portal-universe's dialect, standing in for its Spring services: users, shop and "
    "coupons in PostgreSQL, posts in MariaDB instead of MongoDB, no JVM"
}


@dataclass(frozen=True)
class Plays:
    """The dialect and the accounts."""

    stores: Mapping[ServiceId, Store]

    @classmethod
    def of(cls, profile: Profile) -> Plays | None:
        """None for the reference portal's own dialect."""
        return cls(profile.stores) if profile.dialect == DIALECT else None

    def account(self, service: ServiceId) -> Store:
        """ConfigError where the profile names none."""
        if service not in self.stores:
            raise ConfigError(
                f"the profile names no account for {service}, which the played platform has",
                where=f"stores.{service}",
                cure="Name user, password and databases there (docs/portal-universe.md).",
            )
        return self.stores[service]

    def environment(self, port: int) -> dict[str, str]:
        """PORTAL_* of every process: the limiter on, no routes of the design, no buckets (its profile `local`)."""
        account = self.account(ServiceId.POSTGRESQL)
        return {
            "PORTAL_DIALECT": "portal-universe",
            "PORTAL_RATE_LIMIT": "true",
            "PORTAL_DESIGN_ROUTES": "false",
            "PORTAL_HISTOGRAM": "false",
            "PORTAL_POSTGRES_PORT": str(port),
            "PORTAL_POSTGRES_USER": account.user,
            "PORTAL_POSTGRES_PASSWORD": account.password.get_secret_value(),
        }

    def mysql_account(self) -> str:
        """SQL that makes the adapter's account, at every start."""
        account = self.account(ServiceId.MYSQL)
        user, password = f"{_quoted(account.user)}@'127.0.0.1'", _quoted(account.password.get_secret_value())
        grants = "".join(f"GRANT ALL ON `{name}`.* TO {user};\n" for name in account.databases)
        return f"CREATE USER IF NOT EXISTS {user};\nALTER USER {user} IDENTIFIED BY {password};\n{grants}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
