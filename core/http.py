"""The suite's HTTP client: no proxy from the environment, no redirects followed, a bound on every wait."""

from __future__ import annotations

import httpx


def http_client(timeout_s: float = 5.0) -> httpx.Client:
    """A client for addresses that the guard has allowed; it goes there and nowhere else."""
    return httpx.Client(timeout=timeout_s, trust_env=False, follow_redirects=False)
