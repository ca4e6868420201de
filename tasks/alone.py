"""One run a target at a time: on this machine by a lock, across machines by a global concurrency limit of Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from core.errors import TargetRefused
from core.request import Request
from core.settings import Settings
from targets.lock import alone_on, lock_name
from targets.model import Profile
from targets.resolve import resolve

TRY_FOR_S = 1.0
LEASE_S = 60.0
"""A machine that is gone gives its slot up after this; one that lives renews it."""


@contextmanager
def alone(request: Request) -> Iterator[None]:
    """Nobody else puts load on the request's target while the block runs; TargetRefused says who does."""
    profile, _ = resolve(request)
    settings = Settings()
    name = lock_name(profile, request.backend or profile.backend, settings.state_dir)
    with alone_on(name, settings.cache_dir / "locks"):
        if _is_this_machine(profile):
            yield
            return
        with _alone_among_machines(f"perf-suite-{name}"):
            yield


def _is_this_machine(profile: Profile) -> bool:
    return all(ip_address(each).is_loopback for each in profile.reach.addresses(profile.base_url, profile.name))


@contextmanager
def _alone_among_machines(limit: str) -> Iterator[None]:
    """A slot of `limit` on the Prefect server that all machines share; without one of that kind it is free anyway."""
    _make_sure_of(limit)
    slot = concurrency(limit, timeout_seconds=TRY_FOR_S, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False)
    try:
        slot.__enter__()
    except TimeoutError as error:
        raise TargetRefused(
            "the target is under load from another machine",
            where=f"Prefect's global concurrency limit '{limit}'",
            cure=f"Wait for that run, or end it. To break it: `prefect gcl update {limit} --active-slots 0`.",
        ) from error
    try:
        yield
    finally:
        slot.__exit__(None, None, None)


def _make_sure_of(limit: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(limit)
        except ObjectNotFound:
            client.upsert_global_concurrency_limit_by_name(limit, limit=1)
