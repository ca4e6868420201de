"""The exporter's database user, made over SQL: init.sql does not run again on an old volume (corrections.md 15)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pymysql

from core.errors import SetupError

log = logging.getLogger("infra")

STATEMENTS = (
    ("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", ("user", "password")),
    ("ALTER USER %s@'%%' IDENTIFIED BY %s WITH MAX_USER_CONNECTIONS 3", ("user", "password")),
    ("GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO %s@'%%'", ("user",)),
)
"""The rights that mysqld_exporter's own documentation asks for, and no others."""


@dataclass(frozen=True)
class ExporterAccount:
    """Where the database is, who may create users there, and the user to create."""

    host: str
    port: int
    admin: str
    admin_password: str = field(repr=False)
    user: str
    password: str = field(repr=False)


def ensure_exporter_account(account: ExporterAccount) -> None:
    """Create the user, or bring an old one to this password and these rights; SetupError when SQL refuses."""
    where = f"mysql at {account.host}:{account.port}"
    try:
        connection = pymysql.connect(
            host=account.host,
            port=account.port,
            user=account.admin,
            password=account.admin_password,
            connect_timeout=10,
            read_timeout=10,
        )
        with connection, connection.cursor() as cursor:
            for statement, names in STATEMENTS:
                cursor.execute(statement, [getattr(account, name) for name in names])
    except pymysql.MySQLError as error:
        raise SetupError(
            f"the exporter's user '{account.user}' cannot be made: {error}",
            where=where,
            cure="Does the administrator's password fit this data? A new database: `make stack-reset`, or with docker "
            "`python -m infra.docker reset`.",
        ) from error
    log.info("database user '%s' may read the server's status", account.user)
