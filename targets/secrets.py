"""A profile's passwords: written out for test users, or only named; what is named is read when the profile is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from core.settings import secret_from_environment

ReadBlock = Callable[[str], str]
"""Gives the value of a Prefect Secret block; ValueError where there is none."""


_Named = dict[Literal["env", "file", "secret"], str]


def read_later(_block: str) -> str:
    """For those who look at a profile and do not sign in."""
    return ""


def _read(value: Any, info: ValidationInfo) -> Any:
    match value:
        case {"env": str(name)} if len(value) == 1:
            return secret_from_environment(name)
        case {"file": str(path)} if len(value) == 1:
            return _first_line(Path(path).expanduser())
        case {"secret": str(block)} if len(value) == 1:
            return _from_block(block, info)
        case dict():
            raise ValueError("{env: NAME}, {file: PATH} or {secret: BLOCK} is expected")
    return value


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"the file '{path}' cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not lines or not lines[0]:
        raise ValueError(f"the file '{path}' holds no password on its first line")
    return lines[0]


def _from_block(block: str, info: ValidationInfo) -> str:
    read: ReadBlock | None = (info.context or {}).get("read_block")
    if read is None:
        raise ValueError("Prefect's blocks are read in flows only: here use {env: NAME} or {file: PATH}")
    return read(block)


Password = Annotated[
    SecretStr,
    BeforeValidator(_read, json_schema_input_type=str | _Named),
]
"""A text, `{env: NAME}`, `{file: PATH}` (its first line) or `{secret: BLOCK}` (a Prefect Secret block)."""
