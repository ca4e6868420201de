"""The supervisor's protocol: one request a connection, newline-delimited JSON both ways.

request   {"do": "start", …}
answers   {"event": {…}} any number of times, then one of {"result": …} and {"error": {"what", "where", "cure"}}

A lease is the connection of a `hello` with `"lease": true`: it stays open, and lasts exactly as long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.errors import SetupError, SuiteError

LINE_LIMIT_BYTES = 16 * 2**20
"""A start request carries every configuration file of the stack."""


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """One message; ValueError when the line is not a JSON object."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message must be a JSON object")
    return message


def error_message(error: SuiteError) -> dict[str, Any]:
    return {"error": error.as_row()}


def raise_error(row: Mapping[str, str]) -> None:
    """The supervisor's error, raised on the client's side."""
    raise SetupError(row["what"], where=row["where"], cure=row["cure"])
