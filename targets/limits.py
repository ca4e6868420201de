"""What a visit to a target says of its limiter, and of a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import httpx

from core.findings import Finding, lacks, ok, warns

CLOCK_WARNS_S = 3.0
"""The Date header has no fractions, and the answer was on its way: below that nothing can be said."""
CLOCK_LACKS_S = 60.0
"""Windows of the load, scrapes and tokens would not fit together."""
TOO_MANY_REQUESTS = 429
RATE, BURST = "x-ratelimit-replenish-rate", "x-ratelimit-burst-capacity"
"""Headers of Spring Cloud Gateway's limiter."""


def clock_finding(part: str, skew_s: float) -> Finding:
    """How far another clock is ahead of this machine's."""
    seen = f"{abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
    cure = "Let both machines ask the same time server (chrony, NTP)."
    if abs(skew_s) >= CLOCK_LACKS_S:
        return lacks(part, seen, cure)
    if abs(skew_s) >= CLOCK_WARNS_S:
        return warns(part, f"{seen}: windows of the load are shifted by that", cure)
    return ok(part, f"within {CLOCK_WARNS_S:.0f} s of this machine's")


def limiter_finding(answers: Collection[httpx.Response], way: str | None = None) -> Finding:
    """What a short burst says of a limiter: its refusals, and the headers in which it tells its numbers.

    `way`: how the profile says that the load meets it; None: it says nothing of a limiter.
    """
    refused = Counter(answer.status_code for answer in answers)[TOO_MANY_REQUESTS]
    told = next((answer.headers for answer in answers if RATE in answer.headers), None)
    if not refused and told is None:
        return ok("limiter", f"none of {len(answers)} requests at once was refused")
    numbers = f"{told[RATE]} a second for one key, bursts of {told.get(BURST, '?')}" if told else "it tells no numbers"
    seen = f"{refused} of {len(answers)} requests were refused; {numbers}"
    if way is not None:
        return ok("limiter", f"{seen}; the load meets it as limiter.way says: {way}")
    return warns("limiter", f"{seen}: what is above is answered 429", "Set limiter.way in the profile.")
