"""Faults of a service as a whole: it leaks memory, burns CPU, answers 200 to what it refuses.

They act around the handlers of the service's own routes. What the suite asks of it (`/admin`, `/actuator`) is not
touched, so that the books and the meters of an ill service can be read.
"""

import hashlib
import mmap
from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from infra.portal.app import Handler, Route
from infra.portal.faults import CPU_BURN, MEMORY_LEAK, WRONG_STATUS, Faults
from infra.portal.http import ApiError

LEAK_LIMIT_BYTES = 1 << 30
_MIB = 1 << 20


def with_ills(routes: Sequence[Route], faults: Faults) -> list[Route]:
    """The same routes, whose requests suffer from the faults that are on."""
    leak = Leak(faults)

    def suffering(healthy: Handler) -> Handler:
        async def handler(request: Request) -> Response:
            leak.take_work_space()
            _fingerprint(request, round(faults.strength(CPU_BURN)))
            try:
                return await healthy(request)
            except ApiError as refusal:
                if refusal.status >= 500 or not faults.strength(WRONG_STATUS):
                    raise
                return _as_success(refusal)

        return handler

    return [replace(route, handler=suffering(route.handler)) for route in routes]


class Leak:
    """Work spaces of requests, which are kept when the request is over, and let go when the fault is switched off."""

    def __init__(self, faults: Faults, limit_bytes: int = LEAK_LIMIT_BYTES) -> None:
        self._faults, self._limit_bytes = faults, limit_bytes
        self._kept: list[mmap.mmap] = []
        self.kept_bytes = 0
        faults.on_switch(MEMORY_LEAK, self._let_go_when_off)

    def take_work_space(self) -> None:
        """Take as much as the fault says, written to from end to end so that it is really there."""
        size_bytes = round(self._faults.strength(MEMORY_LEAK) * _MIB)
        if size_bytes and self.kept_bytes + size_bytes <= self._limit_bytes:
            space = mmap.mmap(-1, size_bytes)
            space.write(b"\x01" * size_bytes)
            self._kept.append(space)
            self.kept_bytes += size_bytes

    def _let_go_when_off(self) -> None:
        if not self._faults.strength(MEMORY_LEAK):
            for space in self._kept:
                space.close()
            self._kept.clear()
            self.kept_bytes = 0


def _fingerprint(request: Request, iterations: int) -> None:
    """A hash of what is asked for, made in the event loop: nobody else is served meanwhile."""
    if iterations:
        asked = request.scope["raw_path"] + request.scope["query_string"]
        request.state.fingerprint = hashlib.pbkdf2_hmac("sha256", asked, b"portal", iterations)


def _as_success(refusal: ApiError) -> Response:
    response = refusal.response()
    response.status_code = 200
    return response
