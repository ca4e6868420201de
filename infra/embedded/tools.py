"""The tools that a machine must bring along; each missing one is named with the way to get it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import SetupError
from core.settings import process_environment

MIN_GO = (1, 25)
MIN_JAVA = 17
TOO_NEW_JAVA = 24
"""Java 24 took away the security manager, without which Elasticsearch 8.7.1 does not start."""
ASK_LIMIT_S = 30.0


@dataclass(frozen=True)
class Tool:
    """A command with what it is needed for and how a person gets it."""

    command: str
    needed_for: str
    cure: str


GO = Tool(
    "go",
    "building k6, mysqld_exporter and cAdvisor",
    "Install Go 1.25 or newer (https://go.dev/doc/install; Debian 12's own is older) and put it on PATH.",
)
JAVA = Tool(
    "java",
    "running Kafka, Elasticsearch and Zipkin",
    "Install a JDK, version 17 or 21 (`apt-get install openjdk-17-jdk-headless`), or point JAVA_HOME at one.",
)
MAVEN = Tool("mvn", "fetching Kafka, Elasticsearch and Zipkin", "Install Maven: `apt-get install maven`.")
APT = Tool(
    "apt-get",
    "fetching Prometheus, MariaDB, Redis and redis_exporter",
    "On a system without apt install these four with its own package manager (they are then used as they are), "
    "or use `--backend docker`.",
)
DPKG_DEB = Tool("dpkg-deb", "unpacking Debian packages", "Install dpkg: `apt-get install dpkg`.")


def require(tool: Tool) -> str:
    """Path of the tool; SetupError with its cure when it is not there."""
    found = shutil.which(tool.command, path=search_path())
    if found is None:
        raise SetupError(f"`{tool.command}` is missing; it is needed for {tool.needed_for}", cure=tool.cure)
    return found


def require_go() -> None:
    """Go of at least `MIN_GO`."""
    said = ask((require(GO), "version"))
    version = re.search(r"go(\d+)\.(\d+)", said)
    if version and (int(version[1]), int(version[2])) < MIN_GO:
        raise SetupError(f"Go {version[1]}.{version[2]} is too old", where=require(GO), cure=GO.cure)


def require_java() -> None:
    """A Java runtime from `MIN_JAVA` on, below `TOO_NEW_JAVA`."""
    said = ask((str(java()), "-version"))
    version = re.search(r'version "(\d+)', said)
    if version and not MIN_JAVA <= int(version[1]) < TOO_NEW_JAVA:
        age = "old" if int(version[1]) < MIN_JAVA else "new"
        raise SetupError(f"Java {version[1]} is too {age}", where=str(java()), cure=JAVA.cure)


def java() -> Path:
    """The real path of `java`: JAVA_HOME's own when it is set, else the one on PATH."""
    home = process_environment().get("JAVA_HOME")
    if home and (binary := Path(home) / "bin" / "java").is_file():
        return binary.resolve()
    return Path(require(JAVA)).resolve()


def search_path() -> str:
    """PATH, and where Debian keeps servers, which an ordinary user's PATH leaves out."""
    return process_environment().get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


def ask(command: tuple[str, ...], env: dict[str, str] | None = None) -> str:
    """What a program prints when asked for its version; SetupError when it cannot even do that."""
    try:
        done = subprocess.run(
            command,
            env=process_environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ASK_LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "output", None) or b""
        raise SetupError(
            f"{Path(command[0]).name} does not run: {error}\n{output.decode(errors='replace')}",
            where=command[0],
            cure="Install it again, or remove it and let the suite fetch its own.",
        ) from error
    return done.stdout.decode(errors="replace")
