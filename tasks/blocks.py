"""Passwords out of Prefect's Secret blocks, for a profile's `{secret: BLOCK}`."""

from __future__ import annotations

from prefect.blocks.system import Secret


def read_block(name: str) -> str:
    """The block's value as text; ValueError where there is no such block."""
    block: Secret[str] = Secret.load(name)  # type: ignore[assignment]  # in a flow it is no coroutine
    return str(block.get())
