"""Passwords of one stack: made once, kept beside its data, gone with it (`make stack-reset`)."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from core.errors import SetupError

EXPORTER_USER = "exporter"
"""The database user of mysqld_exporter (design section 2.1); phase 1 creates it with `exporter_password`."""


@dataclass(frozen=True)
class Secrets:
    """Never shown: a repr leaves them out."""

    mysql_root_password: str = field(repr=False)
    portal_password: str = field(repr=False)
    exporter_password: str = field(repr=False)
    jwt_secret: str = field(repr=False)

    @classmethod
    def new(cls) -> Secrets:
        return cls(**{each.name: secrets.token_hex(24) for each in fields(cls)})


def load_secrets(data_root: Path) -> Secrets:
    """The stack's secrets from `<data_root>/secrets.json`, made (readable by this user only) when there are none."""
    path = data_root / "secrets.json"
    try:
        return Secrets(**json.loads(path.read_text()))
    except FileNotFoundError:
        return _create(path)
    except (ValueError, TypeError) as error:
        raise SetupError(
            "the stack's secrets cannot be read", where=str(path), cure="Run `make stack-reset`."
        ) from error


def _create(path: Path) -> Secrets:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Secrets.new()
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(asdict(made)))
    try:
        os.link(temporary, path)  # the first of two starts wins, and both read the same secrets
    except FileExistsError:
        return load_secrets(path.parent)
    finally:
        temporary.unlink()
    return made
