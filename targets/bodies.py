"""Reading an answer's body by a dotted path, and saying what is there instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

MISSING = object()
SHOWN_KEYS = 8
TOKENS = ("token", "accesstoken", "idtoken", "jwt")
LIFETIMES = ("expiresin", "expiresins", "expires", "lifetime", "ttl")
"""Keys under which logins answer with a token and its lifetime, for `paths_of_keys`."""
WHOLE = "@this"
"""The path of the whole body, as k6 reads paths."""


def value_at(body: Any, path: str) -> Any:
    """The value at `path`, MISSING where there is none. `!` begins a constant, `@this` is the whole body, as in k6."""
    if path.startswith("!"):
        return orjson.loads(path[1:])
    for key in [] if path == WHOLE else path.removeprefix(f"{WHOLE}.").split("."):
        if isinstance(body, list) and key.isdigit() and int(key) < len(body):
            body = body[int(key)]
        elif isinstance(body, dict) and key in body:
            body = body[key]
        else:
            return MISSING
    return body


def said_instead(body: Any, path: str) -> str:
    """What is at the deepest part of `path` that exists; of a text only that it is one, for it may be a token."""
    known: list[str] = []
    for key in path.split("."):
        if value_at(body, ".".join([*known, key])) is MISSING:
            break
        known.append(key)
    found = value_at(body, ".".join(known) or WHOLE)
    return f"{'.'.join(known) or 'the body'} {_described(found)}"


def paths_of_lists(body: Any, at: str = "") -> Iterator[str]:
    """Paths of the lists of objects in a body, the shallowest first."""
    if isinstance(body, list):
        if body and isinstance(body[0], dict):
            yield at or WHOLE
    elif isinstance(body, dict):
        nested = [(f"{at}.{key}" if at else key, value) for key, value in body.items()]
        yield from (path for path, value in nested if isinstance(value, list) for path in paths_of_lists(value, path))
        yield from (path for path, value in nested if isinstance(value, dict) for path in paths_of_lists(value, path))


def paths_of_keys(body: Any, names: tuple[str, ...], at: str = "") -> Iterator[str]:
    """Paths of the keys called one of `names`, whatever their case and underscores."""
    if isinstance(body, dict):
        for key, value in body.items():
            path = f"{at}.{key}" if at else key
            if key.lower().replace("_", "") in names:
                yield path
            yield from paths_of_keys(value, names, path)


def _described(value: Any) -> str:
    if isinstance(value, dict):
        keys = ", ".join(list(value)[:SHOWN_KEYS])
        return f"has {keys}" if keys else "is empty"
    if isinstance(value, list):
        return f"is a list of {len(value)}"
    return "is empty" if value is None else "is a text" if isinstance(value, str) else f"is {value}"
