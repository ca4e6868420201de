"""Debian packages unpacked into the cache: never installed, so no service is ever started on the user's machine.

Dependencies are resolved by apt itself against what the system has, with lists and downloads in a folder of our own;
so it works for an ordinary user as well, and leaves the system's apt as it was.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from infra.embedded.tools import APT, DPKG_DEB, require
from infra.embedded.workshop import Unit, Workshop, stamp_of

CURE = "Check the network and apt's sources (`apt-get update` must work), then run it again."
UNPACK_ALL = 'for package in "$1"/*.deb; do "$0" --extract "$package" "$2" || exit; done'


def debian_unit(packages: tuple[str, ...]) -> Unit:
    """Unpack `packages`, and what of their dependencies the system lacks, into one root folder."""

    def make(folder: Path, workshop: Workshop) -> None:
        apt = folder / ".apt"
        command = _private_apt(apt)
        workshop.run("reading Debian's package lists", (*command, "update"), cwd=folder, cure=CURE)
        workshop.run(
            f"fetching {', '.join(packages)}",
            (*command, "--yes", "--no-install-recommends", "--download-only", "install", *packages),
            cwd=folder,
            cure=CURE,
        )
        workshop.run(
            "unpacking Debian packages",
            ("sh", "-c", UNPACK_ALL, require(DPKG_DEB), str(apt / "archives"), str(folder)),
            cwd=folder,
            cure="Free some disk space, then run it again.",
        )
        shutil.rmtree(apt)
        _point_to_the_systems_files(folder)

    return Unit("debian", stamp_of(_release(), *packages), "download", make, _require_tools)


def library_path(root: Path) -> str:
    """LD_LIBRARY_PATH for programs of an unpacked root."""
    return ":".join(str(folder) for base in ("usr/lib", "lib") for folder in sorted((root / base).glob("*-linux-gnu*")))


def _private_apt(apt: Path) -> tuple[str, ...]:
    for folder in ("lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True)
    options = {
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",  # apt's own user may not enter a private home folder
    }
    return (
        require(APT),
        "--quiet",
        *(part for key, value in options.items() for part in ("-o", f"{key}={value}")),
    )


def _point_to_the_systems_files(root: Path) -> None:
    """Mend relative links to packages that the system has already and that were therefore not unpacked."""
    for link in _dangling_links(root):
        inside = (link.parent / link.readlink()).resolve()
        if inside.is_relative_to(root.resolve()):
            on_system = Path("/") / inside.relative_to(root.resolve())
            if on_system.exists():
                link.unlink()
                link.symlink_to(on_system)


def _release() -> str:
    """The system's release: after an upgrade the unpacked libraries would no longer fit."""
    try:
        return platform.freedesktop_os_release().get("VERSION_ID", "")
    except OSError:
        return ""


def _dangling_links(root: Path) -> Iterator[Path]:
    return (path for path in list(root.rglob("*")) if path.is_symlink() and not path.exists())


def _require_tools() -> None:
    require(APT)
    require(DPKG_DEB)
