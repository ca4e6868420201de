"""One run a target at a time on this machine.

The lock is the kernel's (flock): it is gone the moment its owner ends, however it ends, so there is no stale lock to
judge by process id and boot. The file tells a person who has it and since when.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pydantic import ValidationError

from core.errors import TargetRefused
from core.rundir import utc_now
from targets.model import Data, Profile


class Owner(Data):
    """Who puts load on a target."""

    user: str
    host: str
    pid: int
    since: datetime

    @classmethod
    def this_process(cls) -> Owner:
        return cls(user=getpass.getuser(), host=socket.gethostname(), pid=os.getpid(), since=utc_now())

    def said(self, now: datetime) -> str:
        """In words, with the age."""
        minutes = (now - self.since).total_seconds() / 60
        return f"{self.user}@{self.host}, process {self.pid}, for {minutes:.0f} min"


def lock_name(profile: Profile, backend: str, stack: Path) -> str:
    """The target as the address that takes the load; a stack that the suite runs itself as the folder of its state.

    By address, because two names may mean one target; by folder, because such a stack's ports are free to choose.
    """
    if backend == "embedded":
        return f"stack-{hashlib.sha256(str(stack).encode()).hexdigest()[:8]}"
    addresses = profile.reach.addresses(profile.base_url, f"target '{profile.name}'")
    parts = urlsplit(profile.base_url)
    return f"{min(addresses)}-{parts.port or parts.scheme}".replace(":", ".")


@contextmanager
def alone_on(target: str, folder: Path) -> Iterator[None]:
    """Hold `<folder>/<target>.lock` for the block; TargetRefused says who else holds it, and how to break it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target}.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(path, file) from None
        file.truncate(0)
        file.write(Owner.this_process().model_dump_json())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _refusal(path: Path, file: IO[str]) -> TargetRefused:
    file.seek(0)
    try:
        owner = Owner.model_validate_json(file.read())
        who, end = owner.said(datetime.now(UTC)), f"end it (`kill {owner.pid}`)"
    except ValidationError:
        who, end = "somebody who has just come or gone", "try again"
    return TargetRefused(
        f"the target is under load by another run: {who}",
        where=str(path),
        cure=f"Wait for it, or {end}. Its lock ends with it; to break that of a process that hangs: delete the file.",
    )
