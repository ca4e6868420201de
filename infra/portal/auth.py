"""The auth service: login, refresh, logout, sign-up (platform.md 2).

A login really verifies the password with bcrypt, in a thread, so that the loop goes on serving. The cost is
PORTAL_BCRYPT_COST, by default 4 where the platform has 10: 600 users log in within seconds on 2 cores. The seeded load
users share one hash, made once per seeding.
"""

import asyncio
import re
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import bcrypt
from pydantic import BaseModel, Field
from pymysql.err import IntegrityError
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from infra.portal import platform_schema, seed
from infra.portal.app import App, Route, admin
from infra.portal.faults import AUTH_FAULTS, Faults
from infra.portal.http import ApiError, client_ip, json_response, ok, payload
from infra.portal.pool import Pool
from infra.portal.postgres import PostgresPool
from infra.portal.server import observed, serve
from infra.portal.settings import PortalSettings
from infra.portal.stores import open_redis
from infra.portal.tokens import ACCESS_S, REFRESH_S, InvalidToken, User, access_token, claims_of, refresh_token

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS users (
        uuid CHAR(36) CHARACTER SET ascii PRIMARY KEY,
        email VARCHAR(190) NOT NULL UNIQUE,
        nickname VARCHAR(30) NOT NULL,
        password_hash CHAR(60) CHARACTER SET ascii NOT NULL)""",
)

LOCK_S = {3: 60, 5: 300, 10: 1800}
"""Failures in a row and how long the key is then locked."""
ATTEMPTS_TTL_S = 3600
_CLASSES = (r"[A-Z]", r"[a-z]", r"\d", r"[^A-Za-z0-9]")


class LoginBody(BaseModel):
    email: str = Field(min_length=1, max_length=190)
    password: str = Field(min_length=1, max_length=128)


class SignupBody(BaseModel):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=190)
    password: str = Field(min_length=8, max_length=128)
    nickname: str = Field(min_length=2, max_length=30)


class RefreshBody(BaseModel):
    refreshToken: str = ""


class TokensBody(BaseModel):
    """POST /admin/tokens."""

    count: int = Field(ge=1, le=100_000)


class Attempts:
    """Counts wrong passwords by client address and e-mail, and locks after 3, 5 and 10."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def refuse_if_locked(self, key: str) -> None:
        if await self._redis.exists(f"login_attempt:lock:{key}"):
            raise ApiError(429, "A018", "Account temporarily locked")

    async def failed(self, key: str) -> None:
        count = await self._redis.incr(f"login_attempt:count:{key}")
        await self._redis.expire(f"login_attempt:count:{key}", ATTEMPTS_TTL_S)
        if count in LOCK_S:
            await self._redis.set(f"login_attempt:lock:{key}", "1", ex=LOCK_S[count])

    async def forget(self, key: str) -> None:
        await self._redis.delete(f"login_attempt:count:{key}")


class Auth:
    """Users in MySQL, refresh tokens and login attempts in Redis."""

    def __init__(self, pool: Pool, redis: Redis, settings: PortalSettings) -> None:
        self._pool, self._redis = pool, redis
        self._attempts = Attempts(redis)
        self._secret = settings.jwt_secret.get_secret_value()
        self._cost = settings.bcrypt_cost

    async def login(self, request: Request) -> Response:
        """POST /api/v1/auth/login."""
        body = await payload(request, LoginBody)
        key = f"{client_ip(request)}:{body.email}"
        await self._attempts.refuse_if_locked(key)
        user = await self._verified(body.email, body.password)
        if user is None:
            await self._attempts.failed(key)
            raise ApiError(401, "A002", "Invalid email or password")
        await self._attempts.forget(key)
        return await self._tokens(user)

    async def refresh(self, request: Request) -> Response:
        """POST /api/v1/auth/refresh: the cookie wins over the body; each refresh token is good once."""
        body = await payload(request, RefreshBody)
        token = request.cookies.get("portal_refresh_token") or body.refreshToken
        try:
            user_uuid = str(claims_of(token, self._secret)["sub"])
        except InvalidToken:
            raise ApiError(401, "A003", "Invalid refresh token") from None
        if await self._redis.get(f"refresh_token:{user_uuid}") != token.encode():
            raise ApiError(401, "A003", "Invalid refresh token")
        row = await self._pool.row("SELECT uuid, email, nickname FROM users WHERE uuid = %s", user_uuid)
        if row is None:
            raise ApiError(401, "A003", "Invalid refresh token")
        return await self._tokens(User(*row))

    async def logout(self, request: Request) -> Response:
        """POST /api/v1/auth/logout. As on the platform the access token goes on working (platform.md 12)."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = claims_of(token, self._secret)
        except InvalidToken:
            raise ApiError(401, "A005", "Invalid token") from None
        await self._redis.delete(f"refresh_token:{claims['sub']}")
        await self._redis.set(f"blacklist:{token}", "1", ex=ACCESS_S)
        return ok(None)

    async def signup(self, request: Request) -> Response:
        """POST /api/v1/users/signup."""
        body = await payload(request, SignupBody)
        if problem := weakness(body.password, (body.email.split("@")[0], body.nickname)):
            raise ApiError(400, "A021", f"Password {problem}")
        try:
            await self._pool.execute(
                "INSERT INTO users (uuid, email, nickname, password_hash) VALUES (%s, %s, %s, %s)",
                str(uuid.uuid4()),
                body.email,
                body.nickname,
                await self._hash(body.password),
            )
        except IntegrityError:
            raise ApiError(409, "A001", "Email already exists") from None
        return ok("User registered successfully")

    async def plant(self, request: Request) -> Response:
        """POST /admin/seed: the load users, unlocked and with their password; safe to repeat."""
        password_hash = await self._hash(seed.LOAD_PASSWORD)
        async with self._pool.apart() as session:
            await session.insert_many(
                "REPLACE INTO users (uuid, email, nickname, password_hash) VALUES (%s, %s, %s, %s)",
                [(*user, password_hash) for user in seed.users()],
            )
        async for key in self._redis.scan_iter("login_attempt:*:load*@test.com", count=1000):
            await self._redis.delete(key)
        return await self.read_back(request)

    async def read_back(self, _request: Request) -> Response:
        """GET /admin/seed: {users, load_users}."""
        async with self._pool.apart() as session:
            row = await session.row("SELECT COUNT(*), COALESCE(SUM(email LIKE 'load____@test.com'), 0) FROM users")
        return json_response({"users": int(row[0]), "load_users": int(row[1])} if row else {})

    async def tokens(self, request: Request) -> Response:
        """POST /admin/tokens {count}: {users: [{user_id, token}]} of the first load users; 404 when there are fewer."""
        count = (await payload(request, TokensBody)).count
        async with self._pool.apart() as session:
            rows = await session.rows(
                "SELECT uuid, email, nickname FROM users WHERE uuid BETWEEN %s AND %s ORDER BY uuid",
                *(seed.user_uuid(1), seed.user_uuid(count)),
            )
        if len(rows) < count:
            raise ApiError(404, "C003", f"There are {len(rows)} load users of {count}: POST /admin/seed plants them")
        users = [{"user_id": row[0], "token": access_token(User(*row), self._secret)} for row in rows]
        return json_response({"users": users})

    async def _verified(self, email: str, password: str) -> User | None:
        row = await self._pool.row("SELECT uuid, email, nickname, password_hash FROM users WHERE email = %s", email)
        if row is None:
            return None
        *user, password_hash = row
        matches = await asyncio.to_thread(bcrypt.checkpw, _secret_bytes(password), password_hash.encode())
        return User(*user) if matches else None

    async def _tokens(self, user: User) -> Response:
        access = access_token(user, self._secret)
        refresh = refresh_token(user, secrets.token_hex(8), self._secret)
        await self._redis.set(f"refresh_token:{user.user_id}", refresh, ex=REFRESH_S)
        answer = ok({"accessToken": access, "refreshToken": refresh, "expiresIn": ACCESS_S})
        answer.set_cookie("portal_refresh_token", refresh, max_age=REFRESH_S, httponly=True, samesite="lax")
        return answer

    async def _hash(self, password: str) -> str:
        hashed = await asyncio.to_thread(bcrypt.hashpw, _secret_bytes(password), bcrypt.gensalt(self._cost))
        return hashed.decode()


def _secret_bytes(password: str) -> bytes:
    return password.encode()[:72]  # bcrypt reads no more


def weakness(password: str, personal: tuple[str, ...]) -> str | None:
    """Why the platform's policy refuses a password, or None."""
    if not all(re.search(kind, password) for kind in _CLASSES):
        return "needs upper and lower case letters, a digit and a special character"
    if re.search(r"(.)\1\1", password):
        return "repeats a character three times"
    if _has_sequence(password.lower()):
        return "holds a sequence such as abc or 123"
    if any(len(word) >= 3 and word.lower() in password.lower() for word in personal):
        return "holds the e-mail or the nickname"
    return None


def _has_sequence(text: str) -> bool:
    steps = [b.isalnum() and a.isdigit() == b.isdigit() and ord(b) - ord(a) == 1 for a, b in pairwise(text)]
    return any(first and second for first, second in pairwise(steps))


@asynccontextmanager
async def build(settings: PortalSettings) -> AsyncIterator[App]:
    """The auth service with its stores open."""
    faults = Faults(AUTH_FAULTS)
    async with observed(settings, "auth-service", faults) as (meters, tracer):
        platform = settings.plays_the_platform
        pool = (PostgresPool if platform else Pool)(settings, "auth_db", meters, "HikariPool-1", faults)
        await pool.open(platform_schema.AUTH if platform else SCHEMA)
        redis = await open_redis(settings, meters)
        auth = Auth(pool, redis, settings)
        routes = [
            Route("POST", "/api/v1/auth/login", auth.login),
            Route("POST", "/api/v1/auth/refresh", auth.refresh),
            Route("POST", "/api/v1/auth/logout", auth.logout),
            Route("POST", "/api/v1/users/signup", auth.signup),
            Route("POST", "/admin/seed", admin(auth.plant)),
            Route("GET", "/admin/seed", admin(auth.read_back)),
            Route("POST", "/admin/tokens", admin(auth.tokens)),
        ]
        yield App(meters, tracer, routes, probes={"db": pool.ping, "redis": redis.ping}, faults=faults)
        await redis.aclose()
        await pool.close()


if __name__ == "__main__":
    serve(build, default_port=8081)
