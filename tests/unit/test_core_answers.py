"""What came back over HTTP, in words with a cure."""

from __future__ import annotations

import httpx
import pytest

from core.answers import fetch, json_of
from core.errors import TargetError
from core.http import http_client
from core.processes import free_port

PAGE = "<html><head><title> Sign in </title></head></html>"


def answer(status: int, text: str = "", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, text=text, headers=named, request=httpx.Request("GET", "http://127.0.0.1/x"))


class TestAnAnswer:
    def test_is_read_as_json(self) -> None:
        assert json_of(answer(200, '{"a": 1}')) == {"a": 1}

    @pytest.mark.parametrize(
        ("given", "what", "cure"),
        [
            (answer(200, PAGE, content_type="text/html"), "a page of HTML, 'Sign in'", "behind the login"),
            (answer(200, "  <p>hello", content_type="text/plain"), "a page of HTML", "behind the login"),
            (answer(302, location="http://sso.example/login"), "redirects to http://sso.example/login", "behind"),
            (answer(401, '{"error": "who?"}'), 'answered 401 {"error": "who?"}', "credentials"),
            (answer(403), "answered 403", "credentials"),
            (answer(404), "answered 404", "right service"),
            (answer(429), "answered 429", "limiter"),
            (answer(502), "answered 502", "log"),
            (answer(200, "ok"), "no JSON: ok", "right service"),
        ],
        ids=["login page", "HTML called text", "redirect", "401", "403", "404", "429", "502", "text"],
    )
    def test_that_is_something_else_is_named_with_its_cure(self, given: httpx.Response, what: str, cure: str) -> None:
        with pytest.raises(TargetError) as caught:
            json_of(given)
        assert what in caught.value.what
        assert cure in caught.value.cure
        assert caught.value.where == "http://127.0.0.1/x"

    def test_that_does_not_come_is_named_with_the_cure_of_who_asked(self) -> None:
        with http_client() as client, pytest.raises(TargetError) as caught:
            fetch(client, "GET", f"http://127.0.0.1:{free_port()}/", "Start it.")
        assert "does not answer" in caught.value.what
        assert caught.value.cure == "Start it."
