"""The gateway: access, limiter, circuit breaker, and the way to the services (platform.md 1).

Routes strip their prefix, so that `/api/v1/blog/posts` is `/posts` at the blog service. A service that does not answer
within five seconds is 503 with the route's GW-F00x; so is one whose breaker is open. Notifications, which have no
breaker on the platform, have one here like the others.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client import Summary
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response
from yarl import URL

from infra.portal.access import Caller, caller_of
from infra.portal.app import App, Route, admin
from infra.portal.breaker import Breaker, BreakerMeters
from infra.portal.design_routes import as_platform
from infra.portal.faults import GATEWAY_FAULTS, RATE_LIMIT, Faults
from infra.portal.http import DESIGN_HEADER, ApiError, client_ip, json_response, timestamp
from infra.portal.limiter import AUTHENTICATED, STRICT, UNAUTHENTICATED, Limit, Limiter
from infra.portal.metrics import Meters, outcome
from infra.portal.server import observed, serve
from infra.portal.settings import PortalSettings
from infra.portal.stores import open_redis
from infra.portal.tracing import NOT_SAMPLED, client_span

TIME_LIMIT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
IDLE_S = 15
"""An idle upstream connection is closed here, long before the service would close it."""
UPSTREAM_CONNECTIONS = 200

_DECEIVING = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)|%2f|%5c|\\", re.IGNORECASE)
"""Paths that a service could read as others than those which were checked here."""
_NOT_FORWARDED = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "content-length", "date", "server")
)
_OURS = frozenset(("b3", DESIGN_HEADER))
_OURS_PREFIXES = ("x-user-", "x-b3-", "x-forwarded-")
"""Headers that only the gateway may say to a service."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service behind the gateway: its address and the answer when it does not answer."""

    name: str
    url: str
    fallback_code: str


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """Paths that start with `prefix`; `strip` leading segments are left out on the way to the service."""

    route_id: str
    prefix: str
    strip: int
    service: str
    limit: Limit
    limited_by: str = "ip"


ROUTES = (
    GatewayRoute("auth-login", "/api/v1/auth/login", 0, "auth", STRICT, "ip and path"),
    GatewayRoute("auth-signup", "/api/v1/users/signup", 0, "auth", STRICT, "ip and path"),
    GatewayRoute("auth-service", "/api/v1/auth/", 0, "auth", UNAUTHENTICATED),
    GatewayRoute("user-service", "/api/v1/users/", 0, "auth", UNAUTHENTICATED),
    GatewayRoute("auth-frontend", "/auth-service/api/v1/auth/", 1, "auth", UNAUTHENTICATED),
    GatewayRoute("blog-service", "/api/v1/blog/", 3, "blog", UNAUTHENTICATED),
    GatewayRoute("shopping-service", "/api/v1/shopping/", 3, "shopping", UNAUTHENTICATED),
    GatewayRoute(
        "notification-service", "/notification/api/v1/notifications", 1, "notification", AUTHENTICATED, "user"
    ),
)


class Gateway:
    """Takes every path that is not the gateway's own."""

    def __init__(self, settings: PortalSettings, meters: Meters, redis: Redis, faults: Faults) -> None:
        self._secret = settings.jwt_secret.get_secret_value()
        self._always_limited, self._faults = settings.rate_limit, faults
        self._design_routes = settings.design_routes
        self._limiter = Limiter(redis)
        self._services = {service.name: service for service in _services(settings)}
        self._breakers = {name: Breaker(name) for name in self._services}
        meters.registry.register(BreakerMeters(list(self._breakers.values())))
        self._routed = Summary(
            "spring_cloud_gateway_requests_seconds",
            "Duration of routed requests",
            ("routeId", "httpStatusCode", "outcome", "status"),
            registry=meters.registry,
        )
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit_per_host=UPSTREAM_CONNECTIONS, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=TIME_LIMIT_S, connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    async def close(self) -> None:
        """Drop the connections to the services."""
        await self._client.close()

    async def serve_design_routes(self, request: Request) -> Response:
        """PUT and DELETE /admin/design-routes: from now on they are served, or are 404 again."""
        self._design_routes = request.method == "PUT"
        return json_response({"design_routes": self._design_routes})

    async def proxy(self, request: Request) -> Response:
        """Check, limit, forward."""
        started = time.perf_counter()
        request.scope["of_design"] = self._design_routes and as_platform(request.scope)
        try:
            caller = caller_of(
                request.method, request.scope["path"], request.headers.get("authorization"), self._secret
            )
        except ApiError as error:
            return _gateway_error(error)
        route = _route_of(request.scope["path"])
        allowed, limit_headers = await self._take_token(route, request, caller)
        response = await self._forward(route, request, caller) if allowed else Response(status_code=429)
        response.headers.update(limit_headers)
        self._meter(route, response.status_code, time.perf_counter() - started)
        return response

    async def _take_token(
        self, route: GatewayRoute, request: Request, caller: Caller | None
    ) -> tuple[bool, dict[str, str]]:
        if not (self._always_limited or self._faults.strength(RATE_LIMIT)):
            return True, {}
        key = client_ip(request)
        if route.limited_by == "user" and caller:
            key = caller.user_id
        elif route.limited_by == "ip and path":
            key = f"{key}:{request.scope['path']}"
        return await self._limiter.take(route.limit, route.route_id, key)

    async def _forward(self, route: GatewayRoute, request: Request, caller: Caller | None) -> Response:
        service, breaker = self._services[route.service], self._breakers[route.service]
        url, body = _url(service, route, request), await request.body()
        if not breaker.admits():
            return _fallback(service, request)
        try:
            response = await self._call(service, request, url, body, caller)
        except (aiohttp.ClientError, TimeoutError, OSError):
            breaker.record(succeeded=False)
            return _fallback(service, request)
        breaker.record(succeeded=True)
        return response

    async def _call(self, service: Service, request: Request, url: URL, body: bytes, caller: Caller | None) -> Response:
        with client_span(f"{service.name}-service", request.method.lower()) as span:
            headers = _forwarded(request, caller, span.headers() if span else NOT_SAMPLED)
            async with self._client.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                return _passed_on(answer.status, answer.headers, await answer.read())

    def _meter(self, route: GatewayRoute, status: int, duration_s: float) -> None:
        labels = (route.route_id, str(status), outcome(status), str(status))
        self._routed.labels(*labels).observe(duration_s)


def _services(settings: PortalSettings) -> tuple[Service, ...]:
    return (
        Service("auth", settings.auth_url.rstrip("/"), "GW-F001"),
        Service("blog", settings.blog_url.rstrip("/"), "GW-F002"),
        Service("shopping", settings.shopping_url.rstrip("/"), "GW-F003"),
        Service("notification", settings.notification_url.rstrip("/"), "GW-F004"),
    )


def _route_of(path: str) -> GatewayRoute:
    for route in ROUTES:
        if path.startswith(route.prefix):
            return route
    raise ApiError(404, "C003", f"No route for {path}")


def _url(service: Service, route: GatewayRoute, request: Request) -> URL:
    """Where the request goes: its path without the route's first segments, its query as it came."""
    path = request.scope["raw_path"].decode("ascii")
    if _DECEIVING.search(path):
        raise ApiError(400, "C002", "Dot segments and encoded slashes are not routed")
    kept = "/".join(path.split("/")[1 + route.strip :])
    query = request.scope["query_string"].decode("ascii")
    return URL(f"{service.url}/{kept}{'?' if query else ''}{query}", encoded=True)


def _forwarded(request: Request, caller: Caller | None, trace: Mapping[str, str]) -> dict[str, str]:
    """The client's headers, less what only the gateway may say, plus what it has to say."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in _NOT_FORWARDED and name not in _OURS and not name.startswith(_OURS_PREFIXES)
    }
    peer = request.client.host if request.client else "unknown"
    headers |= {"x-forwarded-for": peer, **trace}
    if request.scope.get("of_design"):
        headers[DESIGN_HEADER] = "true"
    return headers | caller.headers if caller else headers


def _passed_on(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    response = Response(body, status)
    response.raw_headers += [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name.lower() not in _NOT_FORWARDED
    ]
    return response


def _fallback(service: Service, request: Request) -> Response:
    request.scope["uri"] = f"/fallback/{service.name}"
    return _gateway_error(ApiError(503, service.fallback_code, f"{service.name} service is temporarily unavailable"))


def _gateway_error(error: ApiError) -> Response:
    """The gateway's own errors keep `"data":null`."""
    body = {"code": error.code, "message": error.message, "timestamp": timestamp()}
    return json_response({"success": False, "data": None, "error": body}, error.status)


@asynccontextmanager
async def build(settings: PortalSettings) -> AsyncIterator[App]:
    """The gateway with its Redis open; it starts whether or not the services are there."""
    faults = Faults(GATEWAY_FAULTS)
    async with observed(settings, "api-gateway", faults) as (meters, tracer):
        redis = await open_redis(settings, meters)
        gateway = Gateway(settings, meters, redis, faults)
        switch = admin(gateway.serve_design_routes)
        routes = [Route(method, "/admin/design-routes", switch) for method in ("PUT", "DELETE")]
        yield App(meters, tracer, routes, probes={"redis": redis.ping}, faults=faults, default=gateway.proxy)
        await gateway.close()
        await redis.aclose()


if __name__ == "__main__":
    serve(build, default_port=8080)
