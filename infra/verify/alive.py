"""`stack-alive`: every service is the same process at both ends of the run; the dead one is named."""

from __future__ import annotations

from collections.abc import Mapping

from core.checks import Check, passed_if
from infra.stack import Identity


def stack_alive_check(before: Mapping[str, Identity], after: Mapping[str, Identity]) -> Check:
    """Compare what ran after the start with what runs at the end of the run."""
    wrong = [sentence for name, first in before.items() if (sentence := _changed(name, first, after.get(name)))]
    observed = "; ".join(wrong) or f"{len(before)} services are the processes that were started"
    services = {str(name): f"{identity.instance} since {identity.started}" for name, identity in before.items()}
    return passed_if("stack-alive", bool(before) and not wrong, observed, services=services)


def _changed(name: str, first: Identity, last: Identity | None) -> str | None:
    if last is None or not last.alive:
        detail = last.detail if last and last.detail else "gone"
        return f"{name} died during the run (was {first.instance}; {detail}); its last lines are in logs/{name}.log"
    if (first.instance, first.started) != (last.instance, last.started):
        return f"{name} was restarted during the run ({first.instance} -> {last.instance})"
    return None
