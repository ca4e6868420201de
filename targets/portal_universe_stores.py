"""portal-universe's databases: the run's own rows, made, counted and removed (its schema of 2026-02-18, c9250af6).

Coupons and inventory have no API there. PostgreSQL holds auth_db and shopping_db, MySQL notification_db alone; Redis
decides who gets a coupon (`coupon:stock:{id}`, `coupon:issued:{id}`). A row is found again by the run's mark, by the
coupon, or by the load users, who are the suite's own: never by time, because the platform writes its host's local time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import redis

from core import reach
from core.errors import ConfigError, TargetError
from core.ports import ServiceId
from targets.adapter import CouponBook, OrderBook
from targets.model import Profile, Store

AUTH, SHOPPING, NOTIFICATION = "auth_db", "shopping_db", "notification_db"
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
PLENTY = 1_000_000
"""Pieces in stock of a product whose inventory is made for a run: a load's customers never reach it."""

_COUPON = """
    INSERT INTO coupons (code, name, description, discount_type, discount_value, total_quantity, issued_quantity,
                         status, starts_at, expires_at)
    VALUES (%s, %s, 'made by a performance test for its run', 'FIXED', 1000, %s, 0,
            'ACTIVE', LOCALTIMESTAMP - INTERVAL '2 days', LOCALTIMESTAMP + INTERVAL '7 days')
    RETURNING id
"""
"""Valid by two days: the platform compares with its host's local time, whatever zone that is."""
_INVENTORY = """
    INSERT INTO inventory (product_id, available_quantity, reserved_quantity, total_quantity)
    SELECT product_id, %s, 0, %s FROM unnest(%s::bigint[]) AS product_id
    ON CONFLICT (product_id) DO NOTHING RETURNING product_id
"""
_ORDERS = """
    SELECT o.order_number, o.total_amount, COALESCE(SUM(i.subtotal), 0)
    FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
    WHERE o.receiver_name = %s AND o.status = 'CONFIRMED' GROUP BY o.id
"""
_OF_ORDERS = ("saga_states", "deliveries", "payments")
"""Tables whose rows belong to an order and do not go with it by themselves."""


class Stores:
    """The databases of one target; each method opens a connection, and closes it."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    # -- users -------------------------------------------------------------------------------------

    def user_ids(self, emails: Sequence[str]) -> dict[str, str]:
        """E-mail -> id of those of `emails` who are signed up."""
        with self._postgresql(AUTH) as db:
            return dict(db.execute("SELECT email, uuid FROM users WHERE email = ANY(%s)", [list(emails)]).fetchall())

    # -- coupons -----------------------------------------------------------------------------------

    def make_coupon(self, code: str, stock: int) -> str:
        """Id of a coupon that nobody has yet, in both stores."""
        with self._postgresql(SHOPPING) as db, self._redis() as cache:
            row = db.execute(_COUPON, [code, code, stock]).fetchone()
            assert row is not None
            cache.delete(_issued(row[0]))
            cache.set(_stock(row[0]), stock)
        return str(row[0])

    def coupon(self, coupon_id: str) -> CouponBook:
        """What both stores say of the coupon; its own counter loses updates there, so it says nothing."""
        with self._postgresql(SHOPPING) as db, self._redis() as cache:
            rows = db.execute("SELECT id, user_id FROM user_coupons WHERE coupon_id = %s", [int(coupon_id)]).fetchall()
            left = cache.get(_stock(coupon_id))
            return CouponBook(
                row_ids=frozenset(str(row_id) for row_id, _ in rows),
                users=tuple(user for _, user in rows),
                counter=None,
                members=int(cache.scard(_issued(coupon_id))),
                stock_left=None if left is None else int(left),
            )

    def remove_coupon(self, coupon_id: str) -> list[str]:
        """What is left of it."""
        with self._postgresql(SHOPPING) as db, self._redis() as cache:
            db.execute("DELETE FROM user_coupons WHERE coupon_id = %s", [int(coupon_id)])
            db.execute("DELETE FROM coupons WHERE id = %s", [int(coupon_id)])
            cache.delete(_stock(coupon_id), _issued(coupon_id))
            rows = _count(db, "SELECT COUNT(*) FROM coupons WHERE id = %s", int(coupon_id))
            keys = int(cache.exists(_stock(coupon_id), _issued(coupon_id)))
        return [f"{rows} rows and {keys} keys of coupon {coupon_id}"] if rows or keys else []

    # -- inventory ---------------------------------------------------------------------------------

    def make_inventory(self, product_ids: Sequence[str]) -> tuple[str, ...]:
        """Give the products stock where they have none; the ids of those that were given it."""
        with self._postgresql(SHOPPING) as db:
            rows = db.execute(_INVENTORY, [PLENTY, PLENTY, [int(each) for each in product_ids]]).fetchall()
        return tuple(str(product_id) for (product_id,) in rows)

    def remove_inventory(self, product_ids: Sequence[str]) -> list[str]:
        """What is left of it."""
        ids = [int(each) for each in product_ids]
        with self._postgresql(SHOPPING) as db:
            db.execute("DELETE FROM inventory WHERE product_id = ANY(%s)", [ids])
            rows = _count(db, "SELECT COUNT(*) FROM inventory WHERE product_id = ANY(%s)", ids)
        return [f"{rows} inventory rows"] if rows else []

    # -- carts and orders --------------------------------------------------------------------------

    def orders(self, mark: str) -> OrderBook:
        """The confirmed orders whose receiver is the run's mark, and how many of them were told of."""
        with self._postgresql(SHOPPING) as db:
            rows = db.execute(_ORDERS, [mark]).fetchall()
        return OrderBook(
            rows=len(rows),
            amount=int(sum(total for _, total, _ in rows)),
            wrong_totals=sum(total != lines for _, total, lines in rows),
            notifications=self._told_of([number for number, *_ in rows]),
        )

    def remove_orders(self, mark: str) -> list[str]:
        """What is left of the run's orders."""
        with self._postgresql(SHOPPING) as db:
            ids = [order_id for (order_id,) in db.execute("SELECT id FROM orders WHERE receiver_name = %s", [mark])]
            for table in _OF_ORDERS if ids else ():
                db.execute(f"DELETE FROM {table} WHERE order_id = ANY(%s)", [ids])
            db.execute("DELETE FROM orders WHERE id = ANY(%s)", [ids])
            rows = _count(db, "SELECT COUNT(*) FROM orders WHERE receiver_name = %s", mark)
        return [f"{rows} orders"] if rows else []

    def remove_carts(self, user_ids: Sequence[str]) -> list[str]:
        """What is left of the load users' carts."""
        with self._postgresql(SHOPPING) as db:
            db.execute("DELETE FROM carts WHERE user_id = ANY(%s)", [list(user_ids)])
            rows = _count(db, "SELECT COUNT(*) FROM carts WHERE user_id = ANY(%s)", list(user_ids))
        return [f"{rows} carts"] if rows else []

    # -- notifications -----------------------------------------------------------------------------

    def remove_notifications(self, user_ids: Sequence[str], prefix: str) -> list[str]:
        """What is left of those of the load users, and of users whose id begins with `prefix` (the bot's)."""
        marks = ", ".join(["%s"] * len(user_ids)) or "NULL"
        theirs = f"user_id LIKE %s OR user_id IN ({marks})"
        given = [f"{prefix}%", *user_ids]
        with self._mysql(NOTIFICATION) as cursor:
            cursor.execute(f"DELETE FROM notifications WHERE {theirs}", given)
            cursor.execute(f"SELECT COUNT(*) FROM notifications WHERE {theirs}", given)
            (rows,) = cursor.fetchone() or (0,)
        return [f"{rows} notifications"] if rows else []

    def _told_of(self, order_numbers: Sequence[str]) -> int:
        if not order_numbers:
            return 0
        marks = ", ".join(["%s"] * len(order_numbers))
        with self._mysql(NOTIFICATION) as cursor:
            cursor.execute(
                f"SELECT COUNT(DISTINCT reference_id) FROM notifications WHERE reference_id IN ({marks})", order_numbers
            )
            (told,) = cursor.fetchone() or (0,)
        return int(told)

    # -- connections -------------------------------------------------------------------------------

    @contextmanager
    def _postgresql(self, database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """One transaction, committed at the end."""
        account, host, port = self._account(ServiceId.POSTGRESQL, database)
        options = f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000}"
        with _told(f"PostgreSQL's {database} at {host}:{port}", self._cure(ServiceId.POSTGRESQL)):
            connection = psycopg.connect(
                host=host,
                hostaddr=_allowed(host, port),
                port=port,
                dbname=database,
                user=account.user,
                password=account.password.get_secret_value(),
                connect_timeout=CONNECT_TIMEOUT_S,
                options=options,
            )
            with connection:
                yield connection

    @contextmanager
    def _mysql(self, database: str) -> Iterator[pymysql.cursors.Cursor]:
        account, host, port = self._account(ServiceId.MYSQL, database)
        with _told(f"MySQL's {database} at {host}:{port}", self._cure(ServiceId.MYSQL)):
            connection = pymysql.connect(
                host=_allowed(host, port),
                port=port,
                database=database,
                user=account.user,
                password=account.password.get_secret_value(),
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=STATEMENT_TIMEOUT_S,
                autocommit=True,
            )
            with connection, connection.cursor() as cursor:
                yield cursor

    @contextmanager
    def _redis(self) -> Iterator[redis.Redis]:
        host, port = self._address(ServiceId.REDIS)
        with _told(f"Redis at {host}:{port}", f"Correct addresses.{ServiceId.REDIS} of the profile, or start it."):
            client = redis.Redis(
                host=_allowed(host, port),
                port=port,
                decode_responses=True,
                socket_timeout=STATEMENT_TIMEOUT_S,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
            )
            with client:
                yield client

    def _account(self, service: ServiceId, database: str) -> tuple[Store, str, int]:
        store = self._profile.stores.get(service)
        if store is None or database not in store.databases:
            raise ConfigError(
                f"target '{self._profile.name}' gives no account for {service}'s {database}, where the run's rows are",
                where=f"stores.{service}",
                cure=f"Name user, password and `{database}` there (docs/portal-universe.md).",
            )
        return store, *self._address(service)

    def _address(self, service: ServiceId) -> tuple[str, int]:
        address = self._profile.addresses.get(service)
        parts = urlsplit(address or "")
        if not parts.hostname or not parts.port:
            raise ConfigError(
                f"target '{self._profile.name}' has no host:port for {service}",
                where=f"addresses.{service}",
                cure="Add it there.",
            )
        return parts.hostname, parts.port

    def _cure(self, service: ServiceId) -> str:
        return (
            f"Does it run, and are addresses.{service} and stores.{service} of the profile right? "
            "With the embedded backend, `make stack-reset` makes its data anew."
        )


@contextmanager
def _told(where: str, cure: str) -> Iterator[None]:
    """What a client says, as an error with a cure."""
    try:
        yield
    except (psycopg.Error, pymysql.MySQLError, redis.RedisError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TargetError(f"{where.split(' at ')[0]} refused: {reason}", where=where, cure=cure) from error


def _allowed(host: str, port: int) -> str:
    """The address of `host` that this process may reach; TargetRefused for any other."""
    return reach.current().addresses(f"tcp://{host}:{port}", "stores")[0]


def _count(db: psycopg.Connection[tuple[Any, ...]], sql: str, value: object) -> int:
    row = db.execute(sql, [value]).fetchone()
    return int(row[0]) if row else 0


def _stock(coupon_id: object) -> str:
    return f"coupon:stock:{coupon_id}"


def _issued(coupon_id: object) -> str:
    return f"coupon:issued:{coupon_id}"
