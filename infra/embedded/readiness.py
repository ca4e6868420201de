"""Readiness by reading back: one look at a service, and what was seen (style.md 9).

Looks run inside the supervisor's event loop, which may have no threads (process.py), hence no blocking client here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import httpx

from infra.embedded.spec import Probe

LOOK_TIMEOUT_S = 5.0
_SHOWN_CHARACTERS = 120

RunCommand = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]
"""Runs a command with the service's rights; answers its return code and output."""


async def look(probe: Probe, run: RunCommand) -> str | None:
    """None when the service is ready, else what was seen instead."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await _look(probe, run)
    except TimeoutError:
        return f"no answer within {LOOK_TIMEOUT_S:g} s"
    except (OSError, httpx.HTTPError) as error:
        return str(error) or type(error).__name__


async def _look(probe: Probe, run: RunCommand) -> str | None:
    match probe.kind:
        case "http":
            return await _look_http(probe)
        case "tcp":
            return await _look_tcp(probe)
        case "exec":
            code, output = await run(probe.argv)
            return _unless(code == 0 and probe.expect in output, f"exit code {code}: {output}")


async def _look_http(probe: Probe) -> str | None:
    # no certificates: what the supervisor starts is asked over http on loopback, and reading authorities takes 20 ms
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=LOOK_TIMEOUT_S) as client:
        answer = await client.get(probe.url)
    return _unless(answer.is_success and probe.expect in answer.text, f"HTTP {answer.status_code}: {answer.text}")


async def _look_tcp(probe: Probe) -> str | None:
    host, _, port = probe.url.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        if not probe.send:
            return None
        writer.write(probe.send.encode())
        answer = (await reader.read(4096)).decode(errors="replace")
        return _unless(probe.expect in answer, f"answered {answer!r}")
    finally:
        writer.close()
        await writer.wait_closed()


def _unless(ready: bool, seen: str) -> str | None:
    return None if ready else " ".join(seen.split())[:_SHOWN_CHARACTERS]
