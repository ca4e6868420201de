"""Access tokens: HS256, `kid` key-default, 15 minutes (platform.md 2). Made by auth, checked by the gateway."""

import time
from dataclasses import dataclass
from typing import Any

import jwt

ACCESS_S = 900
REFRESH_S = 7 * 24 * 3600
_HEADER = {"kid": "key-default"}

InvalidToken = jwt.InvalidTokenError
ExpiredToken = jwt.ExpiredSignatureError


@dataclass(frozen=True, slots=True)
class User:
    """Whom a token speaks for."""

    user_id: str
    email: str
    nickname: str


def access_token(user: User, secret: str) -> str:
    """A token that the gateway accepts for the next 15 minutes."""
    roles = ["ROLE_USER"]
    claims = {"roles": roles, "effectiveRoles": roles, "memberships": {}}
    return _signed({"sub": user.user_id, "email": user.email, "nickname": user.nickname, **claims}, ACCESS_S, secret)


def refresh_token(user: User, nonce: str, secret: str) -> str:
    """A token good for one refresh within 7 days."""
    return _signed({"sub": user.user_id, "jti": nonce, "type": "refresh"}, REFRESH_S, secret)


def _signed(claims: dict[str, object], lifetime_s: int, secret: str) -> str:
    now = int(time.time())
    return jwt.encode({**claims, "iat": now, "exp": now + lifetime_s}, secret, "HS256", headers=_HEADER)


def claims_of(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token of ours. Raises ExpiredToken, or InvalidToken for anything else that is wrong with it."""
    return jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp", "sub"]})
