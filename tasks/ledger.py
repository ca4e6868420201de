"""The business ledger: what the clients were told, compared with the target's own books (corrections.md 6-8)."""

from __future__ import annotations

from collections.abc import Iterable

from core.checks import Check, check, passed_if
from core.words import Verdict
from k6.model import ScenarioResult
from targets.adapter import LedgerCounts

NO_ANSWER = "0"
"""k6's status of a request that got no answer: the target may or may not have carried it out."""


def coupons_check(result: ScenarioResult, counts: LedgerCounts, stock: int) -> Check:
    """`ledger-coupons`: answered 200 = rows = distinct users = members in Redis, at most the stock."""
    answered = result.counters.get("coupons_issued", 0)
    figures = {
        "answered": answered,
        "rows": counts.coupon_rows,
        "distinct_users": counts.coupon_users,
        "redis_members": counts.coupon_members,
        "redis_stock_left": counts.coupon_stock_left,
        "stock": stock,
        "unanswered": result.outcomes.get(NO_ANSWER, 0),
    }
    if counts.coupon_rows is None:
        return check("ledger-coupons", Verdict.SKIPPED, "the target cannot tell its coupon rows", **figures)
    if not result.requests:
        return check("ledger-coupons", Verdict.NO_DATA, "no coupon was asked for", **figures)
    problems = list(_coupon_problems(answered, counts, stock, result.outcomes.get(NO_ANSWER, 0)))
    observed = "; ".join(problems) or f"{answered} coupons answered = rows = users = Redis, of a stock of {stock}"
    return passed_if("ledger-coupons", not problems, observed, **figures)


def _coupon_problems(answered: int, counts: LedgerCounts, stock: int, unanswered: int) -> Iterable[str]:
    rows = counts.coupon_rows or 0
    if rows > stock:
        yield f"{rows} coupons of a stock of {stock} were issued"
    if not answered <= rows <= answered + unanswered:
        yield f"{answered} were answered 200, {rows} are in the database"
    if counts.coupon_users is not None and counts.coupon_users != rows:
        yield f"{rows} rows belong to {counts.coupon_users} users"
    if counts.coupon_members is not None and counts.coupon_members != rows:
        yield f"Redis holds {counts.coupon_members} members for {rows} rows"
    if counts.coupon_stock_left is not None and counts.coupon_stock_left != stock - rows:
        yield f"Redis has {counts.coupon_stock_left} left of {stock} with {rows} rows"


def orders_check(result: ScenarioResult, counts: LedgerCounts, events: int | None, dead_letters: int | None) -> Check:
    """`ledger-orders`: answered = rows = events on the topic = notifications, none in the dead-letter topic."""
    answered = result.counters.get("orders_created", 0)
    figures = {
        "answered": answered,
        "rows": counts.order_rows,
        "events": events,
        "notifications": counts.notification_rows,
        "dead_letters": dead_letters,
        "unanswered": result.outcomes.get(NO_ANSWER, 0),
    }
    if counts.order_rows is None:
        return check("ledger-orders", Verdict.SKIPPED, "the target cannot tell its order rows", **figures)
    if not answered:
        return check("ledger-orders", Verdict.NO_DATA, "no order was answered", **figures)
    problems = list(_order_problems(answered, counts, events, dead_letters, result.outcomes.get(NO_ANSWER, 0)))
    observed = "; ".join(problems) or f"{answered} orders answered = rows = events = notifications"
    return passed_if("ledger-orders", not problems, observed, **figures)


def _order_problems(
    answered: int, counts: LedgerCounts, events: int | None, dead_letters: int | None, unanswered: int
) -> Iterable[str]:
    rows = counts.order_rows or 0
    if not answered <= rows <= answered + unanswered:
        yield f"{answered} orders were answered, {rows} are in the database"
    if events is not None and events != rows:
        yield f"{events} events are on the topic for {rows} orders"
    if counts.notification_rows is not None and counts.notification_rows != rows:
        yield f"{counts.notification_rows} notifications for {rows} orders"
    if dead_letters:
        yield f"{dead_letters} events went to the dead-letter topic"
