"""The ASGI application that all five processes share.

Every request is metered under its route's template, traced when sampled, and answered, whatever fails behind it.
"""

import ipaddress
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.portal.faults import Faults
from infra.portal.http import ApiError, json_response, payload
from infra.portal.metrics import Meters
from infra.portal.settings import PortalSettings
from infra.portal.stores import STORE_ERRORS, Probe, probe, store_of
from infra.portal.tracing import Tracer

log = logging.getLogger("infra.portal")

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path template, as `/posts/{id}`, with its handler. `{name}` matches one segment."""

    method: str
    template: str
    handler: Handler

    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template))


class App:
    """The ASGI application: finds the route, answers, meters, traces.

    `default` takes the paths that no route has (the gateway's proxy). A handler may set `request.scope["uri"]`, the
    `uri` label of its request.
    """

    def __init__(
        self,
        meters: Meters,
        tracer: Tracer,
        routes: Sequence[Route],
        *,
        probes: Mapping[str, Probe],
        faults: Faults | None = None,
        default: Handler | None = None,
    ) -> None:
        self._meters, self._tracer, self._probes = meters, tracer, probes
        self._default: tuple[str, Handler] = ("UNKNOWN", default) if default else ("/**", _not_found)
        own = [
            Route("GET", "/actuator/health", self._health),
            Route("GET", "/actuator/prometheus", self._prometheus),
            *(fault_routes(faults) if faults else ()),
        ]
        self._routes = [(route, route.pattern()) for route in (*routes, *own)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The meter counts it before the client can have seen the answer."""
        started = time.perf_counter()
        method = scope["method"]
        scope["uri"], handler, scope["path_params"] = self._find(method, scope["path"])
        name = f"{method.lower()} {scope['uri']}"
        with self._tracer.server_span(dict(scope["headers"]), name) as span:
            response, exception = await _answer(handler, Request(scope, receive))
            if span:
                span.tags |= {"http.method": method, "http.path": scope["path"], "status": str(response.status_code)}
                if response.status_code >= 500:
                    span.tags["error"] = exception
        duration_s = time.perf_counter() - started
        self._meters.observe_request(method, scope["uri"], response.status_code, exception, duration_s)
        await response(scope, receive, send)

    def _find(self, method: str, path: str) -> tuple[str, Handler, dict[str, str]]:
        for route, pattern in self._routes:
            if route.method == method and (match := pattern.fullmatch(path)):
                return route.template, route.handler, match.groupdict()
        return *self._default, {}

    async def _health(self, _request: Request) -> Response:
        """503 while a store is away, so that who waits for readiness waits for the truth."""
        components = {name: await probe(check) for name, check in self._probes.items()}
        up = all(components.values())
        body = {
            "status": "UP" if up else "DOWN",
            "components": {name: {"status": "UP" if answers else "DOWN"} for name, answers in components.items()},
        }
        return json_response(body, 200 if up else 503)

    async def _prometheus(self, _request: Request) -> Response:
        return Response(self._meters.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _not_found(request: Request) -> Response:
    raise ApiError(404, "C003", f"No route {request.method} {request.scope['path']}")


async def _answer(handler: Handler, request: Request) -> tuple[Response, str]:
    """The handler's answer and the name of the exception behind it ("None", as Micrometer writes it)."""
    try:
        return await handler(request), "None"
    except ApiError as error:
        return error.response(), type(error).__name__
    except ClientDisconnect as error:
        return Response(status_code=400), type(error).__name__
    except STORE_ERRORS as error:
        log.warning("%s %s: %s: %r", request.method, request.scope["path"], store_of(error), error)
        away = ApiError(503, "C005", f"{store_of(error)} does not answer")
        return away.response(), type(error).__name__
    except Exception as error:
        log.exception("%s %s failed", request.method, request.scope["path"])
        return ApiError(500, "C001", "Internal server error").response(), type(error).__name__


def admin(handler: Handler) -> Handler:
    """An endpoint for the suite: this machine only, and never through the gateway (which sets X-Forwarded-For).

    In a container this machine comes from the bridge's address: there private networks are let in
    (PORTAL_ADMIN_FROM=private), behind a port that is published on loopback only.
    """

    async def guarded(request: Request) -> Response:
        peer = request.client.host if request.client else ""
        if not _may_administer(peer) or "x-forwarded-for" in request.headers:
            raise ApiError(403, "C004", "Admin endpoints answer this machine only, on the service's own port")
        return await handler(request)

    return guarded


def _may_administer(address: str) -> bool:
    try:
        peer = ipaddress.ip_address(address)
        return peer.is_loopback or (PortalSettings().admin_from == "private" and peer.is_private)
    except ValueError:
        return False


class FaultBody(BaseModel):
    """PUT /admin/faults/{name}; no strength = the fault's own."""

    strength: float | None = Field(None, gt=0)


def fault_routes(faults: Faults) -> list[Route]:
    """GET /admin/faults, PUT and DELETE /admin/faults/{name}; each answers every fault and its strength."""

    async def show(_request: Request) -> Response:
        return json_response(faults.shown())

    async def switch_on(request: Request) -> Response:
        body = await payload(request, FaultBody)
        faults.switch_on(known(request), body.strength)
        return json_response(faults.shown())

    async def switch_off(request: Request) -> Response:
        faults.switch_off(known(request))
        return json_response(faults.shown())

    def known(request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in faults.known:
            raise ApiError(404, "C003", f"No fault {name!r} here; there are: {', '.join(sorted(faults.known))}")
        return name

    return [
        Route("GET", "/admin/faults", admin(show)),
        Route("PUT", "/admin/faults/{name}", admin(switch_on)),
        Route("DELETE", "/admin/faults/{name}", admin(switch_off)),
    ]
