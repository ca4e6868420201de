"""Who may call what at the gateway, and which token says what."""

import time

import jwt
import pytest

from infra.portal.access import caller_of
from infra.portal.http import ApiError
from infra.portal.tokens import ACCESS_S, User, access_token, claims_of

SECRET = "a-secret-of-at-least-thirty-two-bytes"
USER = User("00000000-0000-4000-8000-000000000001", "load0001@test.com", "부하 1")
CART = "/api/v1/shopping/cart"


def bearer(token: str) -> str:
    return f"Bearer {token}"


def refusal(method: str, path: str, authorization: str | None) -> str:
    with pytest.raises(ApiError) as caught:
        caller_of(method, path, authorization, SECRET)
    return f"{caught.value.status} {caught.value.code}"


def token_with(**claims: object) -> str:
    return jwt.encode({"sub": USER.user_id, "exp": time.time() + 60, **claims}, SECRET, "HS256")


class TestToken:
    def test_carries_the_platforms_header_and_claims(self) -> None:
        token = access_token(USER, SECRET)
        assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "key-default"}
        claims = claims_of(token, SECRET)
        assert (claims["sub"], claims["email"], claims["effectiveRoles"]) == (USER.user_id, USER.email, ["ROLE_USER"])
        assert claims["exp"] - claims["iat"] == ACCESS_S == 900


class TestPublicPaths:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/api/v1/auth/login"),
            ("POST", "/api/v1/users/signup"),
            ("GET", "/api/v1/shopping/products"),
            ("GET", "/api/v1/shopping/products/1"),
            ("GET", "/api/v1/shopping/coupons"),
            ("GET", "/api/v1/shopping/search/products"),
            ("GET", "/api/v1/blog/posts"),
        ],
    )
    def test_admit_a_stranger(self, method: str, path: str) -> None:
        assert caller_of(method, path, None, SECRET) is None

    @pytest.mark.parametrize("path", ["/api/v1/shopping/products", "/api/v1/auth/login"])
    def test_some_never_read_the_token(self, path: str) -> None:
        assert caller_of("GET", path, bearer("nonsense"), SECRET) is None

    @pytest.mark.parametrize("path", ["/api/v1/blog/posts", "/api/v1/shopping/coupons"])
    def test_the_others_refuse_a_bad_one(self, path: str) -> None:
        assert refusal("GET", path, bearer("nonsense")) == "401 GW-A005"


class TestProtectedPaths:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", CART),
            ("GET", "/api/v1/shopping/coupons/1"),
            ("POST", "/api/v1/shopping/coupons/1/issue"),
            ("POST", "/api/v1/blog/posts"),
            ("GET", "/notification/api/v1/notifications"),
            ("GET", "/api/v1/shopping/search/anything-else"),
        ],
    )
    def test_refuse_a_stranger(self, method: str, path: str) -> None:
        assert refusal(method, path, None) == "401 GW-A001"

    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            (token_with(exp=time.time() - 1), "401 GW-A004"),
            (
                jwt.encode({"sub": "x", "exp": time.time() + 60}, "another-secret-of-thirty-two-bytes!", "HS256"),
                "401 GW-A005",
            ),
            (jwt.encode({"sub": "x"}, SECRET, "HS256"), "401 GW-A005"),
            (jwt.encode({"sub": "x", "exp": time.time() + 60}, None, "none"), "401 GW-A005"),
        ],
        ids=["expired", "signed by somebody else", "without an end", "unsigned"],
    )
    def test_refuse_a_token_that_is_no_good(self, token: str, expected: str) -> None:
        assert refusal("GET", CART, bearer(token)) == expected

    def test_tell_the_service_who_calls(self) -> None:
        caller = caller_of("GET", CART, bearer(access_token(USER, SECRET)), SECRET)
        assert caller is not None
        assert caller.headers["X-User-Id"] == USER.user_id
        assert caller.headers["X-User-Effective-Roles"] == "ROLE_USER"
        assert caller.headers["X-User-Nickname"] == "%EB%B6%80%ED%95%98%201"

    @pytest.mark.parametrize("service", ["shopping", "blog"])
    def test_admin_paths_are_closed_to_users(self, service: str) -> None:
        authorization = bearer(access_token(USER, SECRET))
        assert refusal("GET", f"/api/v1/{service}/admin/seed", authorization) == "403 GW-A002"
