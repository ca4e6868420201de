"""Seeding as a check: what the profile promises, compared with what was read back from the target's stores."""

from __future__ import annotations

from collections.abc import Iterable

from core.checks import Check, passed_if
from targets.adapter import Seed
from targets.model import Profile


def seed_check(profile: Profile, seed: Seed) -> Check:
    """`seed-readback`: users, products, search words, posts and the coupon's stock."""
    problems = list(_problems(profile, seed))
    words = seed.not_applicable.get("d") or f"{len(profile.catalogue.search_words)} search words at their known counts"
    told = {"load users": seed.users, "products": seed.products, "posts": seed.posts, "coupons": seed.coupon_stock}
    counts = ", ".join(f"{number} {what}" for what, number in told.items() if number is not None)
    untold = [what for what, number in told.items() if number is None]
    good = f"{counts}, {words}" + (f"; the target does not tell its {', '.join(untold)}" if untold else "")
    return passed_if(
        "seed-readback",
        not problems,
        "; ".join(problems) or f"{good}, in {seed.duration_s:.1f} s",
        users=seed.users,
        products=seed.products,
        posts=seed.posts,
        search_hits=dict(seed.search_hits),
        coupon_stock=seed.coupon_stock,
        duration_s=round(seed.duration_s, 2),
    )


def _problems(profile: Profile, seed: Seed) -> Iterable[str]:
    least = (
        ("load users", seed.users, profile.users.pool.count),
        ("products", seed.products, profile.catalogue.products),
        ("posts", seed.posts, profile.catalogue.posts),
    )
    for what, seen, wanted in least:
        if seen is not None and seen < wanted:
            yield f"{seen} {what}, at least {wanted} expected"
    if "d" not in seed.not_applicable:
        yield from _word_problems(profile, seed)
    if seed.coupon_stock is not None and seed.coupon_stock != profile.coupon.stock:
        yield f"the coupon's stock is {seed.coupon_stock}, {profile.coupon.stock} expected"


def _word_problems(profile: Profile, seed: Seed) -> Iterable[str]:
    for word, wanted in profile.catalogue.search_words.items():
        found = seed.search_hits.get(word, 0)
        if found != wanted if wanted is not None else not found:
            yield f"'{word}' is found {found} times, {'at least 1' if wanted is None else wanted} expected"
