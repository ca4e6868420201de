"""Who may call what, decided at the gateway (platform.md 1, access rules)."""

import re
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from infra.portal.http import ApiError
from infra.portal.tokens import ExpiredToken, InvalidToken, claims_of

_PUBLIC = re.compile(
    r"/api/v1/(auth|users)/.*"
    r"|/auth-service/api/v1/auth/.*"
    r"|/api/v1/shopping/(products(/.*)?|categories/.*|coupons|time-deals/.*)"
    r"|/api/v1/[^/]+/actuator/.*"
)
_PUBLIC_GET = re.compile(r"/api/v1/blog/.*|/api/v1/shopping/search/(products|suggest|popular)")
_TOKEN_NOT_READ = re.compile(r"/api/v1/auth/.*|/api/v1/shopping/(products.*|categories/.*)")
_ADMIN_ONLY = re.compile(r"/api/v1/[^/]+/admin(/.*)?")


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a checked token, as headers for the service behind."""

    user_id: str
    headers: dict[str, str]


def caller_of(method: str, path: str, authorization: str | None, secret: str) -> Caller | None:
    """Who calls; None for a stranger on a public path. Raises 401 GW-A001, A004, A005 or 403 GW-A002.

    On most public paths too a token that is sent must be good; only where the platform does not read it, it is not.
    """
    caller = None
    if authorization and authorization.startswith("Bearer ") and not _TOKEN_NOT_READ.fullmatch(path):
        caller = _caller(authorization.removeprefix("Bearer "), secret)
    if not caller and not _is_public(method, path):
        raise ApiError(401, "GW-A001", "Authentication required")
    if _ADMIN_ONLY.fullmatch(path):
        raise ApiError(403, "GW-A002", "Access denied")
    return caller


def _is_public(method: str, path: str) -> bool:
    return bool(_PUBLIC.fullmatch(path) or (method == "GET" and _PUBLIC_GET.fullmatch(path)))


def _caller(token: str, secret: str) -> Caller:
    try:
        claims = claims_of(token, secret)
    except ExpiredToken:
        raise ApiError(401, "GW-A004", "Token expired") from None
    except InvalidToken:
        raise ApiError(401, "GW-A005", "Invalid token") from None
    headers = {
        "X-User-Id": claims["sub"],
        "X-User-Roles": ",".join(claims.get("roles", ())),
        "X-User-Effective-Roles": ",".join(claims.get("effectiveRoles", ())),
        "X-User-Memberships": orjson.dumps(claims.get("memberships", {})).decode(),
        "X-User-Nickname": quote(claims.get("nickname") or ""),
        "X-User-Name": quote(claims.get("username") or ""),
    }
    return Caller(claims["sub"], headers)
