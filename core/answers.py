"""What came back over HTTP, in words: no answer, a login page, a refusal, or the JSON that was expected.

A platform that stands behind a login or a proxy answers 200 with a page of HTML; taken for data it would look like a
fast service with nothing in it.
"""

from __future__ import annotations

import re
import ssl
from typing import Any

import httpx
import orjson

from core.errors import TargetError

SAID_AT_MOST = 160
BEHIND = "Give the address of the service itself, behind the login or the proxy that answers here."
CREDENTIALS = "Give credentials that it takes, or let this machine in without."
_TITLE = re.compile(r"<title[^>]*>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)
_CURES = {
    401: CREDENTIALS,
    403: CREDENTIALS,
    404: "Is it the right service and path?",
    429: "Its limiter refuses: wait until it lets go, or raise the limit for the test.",
}


def fetch(client: httpx.Client, method: str, url: str, cure: str = "", **request: Any) -> httpx.Response:
    """The answer, whatever its status; TargetError, with `cure`, when there is none."""
    try:
        return client.request(method, url, **request)
    except httpx.HTTPError as error:
        what, instead = _silence(error)
        raise TargetError(what, where=url, cure=instead or cure or "Does it run, and is its address right?") from error


def fetch_json(client: httpx.Client, url: str, cure: str = "", **request: Any) -> Any:
    """The JSON that a GET answered; TargetError for everything else, in words."""
    return json_of(fetch(client, "GET", url, cure, **request))


def json_of(answer: httpx.Response, secret: str = "") -> Any:
    """The body of a good answer as JSON; TargetError with what it was instead, but never with `secret` in it."""
    require_good(answer, secret)
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError as error:
        what = f"answered {answer.status_code}, but no JSON: {_beginning(answer, secret)}"
        raise TargetError(what, where=_where(answer), cure="Is it the right service and path?") from error


def require_good(answer: httpx.Response, secret: str = "") -> None:
    """TargetError for a redirect, a page of HTML and every status but 2xx, without `secret`, which it may repeat."""
    problem = _problem(answer, secret)
    if problem:
        raise TargetError(problem[0], where=_where(answer), cure=problem[1])


def is_page(answer: httpx.Response) -> bool:
    """True for HTML, whatever the status."""
    return "html" in answer.headers.get("content-type", "") or answer.text.lstrip()[:1] == "<"


def _problem(answer: httpx.Response, secret: str) -> tuple[str, str] | None:
    """What is wrong and its cure; None for a good answer."""
    status = answer.status_code
    if answer.has_redirect_location:
        return f"redirects to {answer.headers['location']} ({status}), which is not followed", BEHIND
    if is_page(answer):
        title = _TITLE.search(answer.text)
        return f"answered {status} with a page of HTML" + (f", '{title[1]}'" if title else ""), BEHIND
    if answer.is_success:
        return None
    cure = _CURES.get(status, "Its log says why." if status >= 500 else "See what it expects at this path.")
    return f"answered {status} {_beginning(answer, secret)}".rstrip(), cure


def _silence(error: httpx.HTTPError) -> tuple[str, str]:
    """Why there was no answer, and the cure where only this says it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted: {cause.verify_message}",
                "Let SUITE_CA_FILE name the authority that signed it; certificates are always verified.",
            )
        if isinstance(cause, ssl.SSLError):
            return f"no TLS is spoken there: {cause.reason or cause}", "Write http:// where it speaks plain HTTP."
        cause = cause.__context__
    return f"does not answer: {error or type(error).__name__}", ""


def _beginning(answer: httpx.Response, secret: str) -> str:
    text = answer.text.replace(secret, "***") if secret else answer.text
    return " ".join(text.split())[:SAID_AT_MOST]


def _where(answer: httpx.Response) -> str:
    return str(answer.request.url)
