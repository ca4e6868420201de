"""Files that survive a kill at any moment, and which boot of the machine wrote them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def write_durably(path: Path, content: bytes) -> None:
    """The whole new content or the whole old one, also after a crash of the machine; OSError when the disk is full."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def boot_id() -> str:
    """Another one after each restart of the machine; no process outlives it."""
    if _LINUX_BOOT_ID.exists():
        return _LINUX_BOOT_ID.read_text().strip()
    asked = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def sync_folder(folder: Path) -> None:
    """A file that was just made or renamed is there after a crash only when its folder is on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
