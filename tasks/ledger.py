"""The business ledger: what the clients were told, compared with the target's own books (corrections.md 6-8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from core.checks import Check, check, passed_if
from core.words import Verdict
from k6.model import ScenarioResult
from targets.adapter import CouponBook, LoadUser, OrderBook

NO_ANSWER = "0"
"""k6's status of a request that got no answer: the target may or may not have carried it out."""
NAMED_AT_MOST = 5
"""Ids in a sentence; the evidence counts all."""


def coupons_check(result: ScenarioResult, book: CouponBook | None, stock: int, users: Sequence[LoadUser] = ()) -> Check:
    """`ledger-coupons`: answered 200 = rows = Redis = the coupon's counter, at most the stock, nobody twice.

    The answered ids are contained in the rows, and the rows' users in those who asked (`users`, in the order of the
    iterations; none known, none compared).
    """
    if book is None:
        return check("ledger-coupons", Verdict.SKIPPED, "the target cannot tell its coupon rows")
    answered, unanswered = result.counters.get("coupons_issued", 0), result.outcomes.get(NO_ANSWER, 0)
    figures = {
        "answered": answered,
        "receipts": len(result.receipts),
        "rows": len(book.users),
        "distinct_users": len(set(book.users)),
        "counter": book.counter,
        "redis_members": book.members,
        "redis_stock_left": book.stock_left,
        "stock": stock,
        "asked": result.iterations,
        "unanswered": unanswered,
    }
    if not result.requests:
        return check("ledger-coupons", Verdict.NO_DATA, "no coupon was asked for", **figures)
    asked = {user.id for user in users[: result.iterations]}
    problems = [*_coupon_rows(answered, unanswered, book, stock), *_coupon_sets(result.receipts, asked, book)]
    observed = "; ".join(problems) or f"{answered} coupons answered = rows = users = Redis, of a stock of {stock}"
    return passed_if("ledger-coupons", not problems, observed, **figures)


def _coupon_rows(answered: int, unanswered: int, book: CouponBook, stock: int) -> Iterable[str]:
    rows = len(book.users)
    if rows > stock:
        yield f"{rows} coupons of a stock of {stock} were issued"
    if not answered <= rows <= answered + unanswered:
        yield f"{answered} were answered 200, {rows} are in the database"
    if book.counter is not None and book.counter != rows:
        yield f"the coupon's own counter says {book.counter} for {rows} rows"
    if book.members is not None and book.members != rows:
        yield f"Redis holds {book.members} members for {rows} rows"
    if book.stock_left is not None and book.stock_left != stock - rows:
        yield f"Redis has {book.stock_left} left of {stock} with {rows} rows"


def _coupon_sets(receipts: Collection[str], asked: Collection[str], book: CouponBook) -> Iterable[str]:
    if without_row := set(receipts) - book.row_ids:
        yield f"{len(without_row)} answered coupons have no row: {_named(without_row)}"
    if len(receipts) != len(set(receipts)):
        yield "a coupon was answered twice"
    if len(set(book.users)) != len(book.users):
        yield f"{len(book.users)} rows belong to {len(set(book.users))} users"
    if asked and (strangers := set(book.users) - set(asked)):
        yield f"{len(strangers)} rows belong to users who did not ask: {_named(strangers)}"


def _named(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids)[:NAMED_AT_MOST]) + (" ..." if len(ids) > NAMED_AT_MOST else "")


def orders_check(result: ScenarioResult, book: OrderBook | None, events: int | None, dead_letters: int | None) -> Check:
    """`ledger-orders`: answered = rows = events = notifications, at the same totals, none in the dead-letter topic."""
    if book is None:
        return check("ledger-orders", Verdict.SKIPPED, "the target cannot tell its order rows")
    answered, unanswered = result.counters.get("orders_created", 0), result.outcomes.get(NO_ANSWER, 0)
    told = result.counters.get("orders_amount")
    figures = {
        "answered": answered,
        "rows": book.rows,
        "amount_answered": told,
        "amount": book.amount,
        "wrong_totals": book.wrong_totals,
        "events": events,
        "notifications": book.notifications,
        "dead_letters": dead_letters,
        "unanswered": unanswered,
    }
    if not answered:
        return check("ledger-orders", Verdict.NO_DATA, "no order was answered", **figures)
    problems = [*_order_rows(answered, unanswered, book, told), *_order_events(book, events, dead_letters)]
    observed = "; ".join(problems) or f"{answered} orders answered = rows = events = notifications, at the same totals"
    return passed_if("ledger-orders", not problems, observed, **figures)


def without_events(book: OrderBook | None, number: int) -> OrderBook | None:
    """The book without the notifications of events that were no orders: those of the bot beside the load."""
    if book is None or book.notifications is None:
        return book
    return replace(book, notifications=book.notifications - number)


def _order_rows(answered: int, unanswered: int, book: OrderBook, told: int | None) -> Iterable[str]:
    if not answered <= book.rows <= answered + unanswered:
        yield f"{answered} orders were answered, {book.rows} are in the database"
    elif book.rows == answered and None not in (told, book.amount) and told != book.amount:
        yield f"clients were told totals of {told}, the database says {book.amount}"
    if book.wrong_totals:
        yield f"{book.wrong_totals} orders have a total that is not the sum of their cart's lines"


def _order_events(book: OrderBook, events: int | None, dead_letters: int | None) -> Iterable[str]:
    if events is not None and events != book.rows:
        yield f"{events} events are on the topic for {book.rows} orders"
    if book.notifications is not None and book.notifications != book.rows:
        yield f"{book.notifications} notifications for {book.rows} orders"
    if dead_letters:
        yield f"{dead_letters} events went to the dead-letter topic"
