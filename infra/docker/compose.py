"""`docker compose` as a command: a project, its resolved configuration, and errors as cause and cure."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import ConfigError, SetupError, SuiteError
from core.settings import process_environment

log = logging.getLogger("infra")

LIMIT_S = 900.0
"""Pulling every image over a slow line; a start alone takes a minute or two."""
TAIL_LINES = 12


@dataclass(frozen=True)
class Project:
    """Files that belong together under one project name; without a name compose takes the files' own or the folder's.

    `variables` fill the files' `${…}`; they go through the environment, so no process list shows a password.
    """

    name: str | None
    files: tuple[Path, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(self, *arguments: str, limit_s: float = LIMIT_S) -> str:
        """What `docker compose … <arguments>` printed; SetupError or ConfigError with the cure when it fails."""
        command = [*program(), "--project-directory", str(self.folder)]
        command += ["--project-name", self.name] if self.name else []
        command += [part for file in self.files for part in ("--file", str(file))]
        return _run([*command, *arguments], process_environment(**self.variables), limit_s)

    def config(self) -> dict[str, Any]:
        """The files as compose understands them: merged, every short form and variable resolved."""
        return dict(json.loads(self.run("config", "--format", "json", limit_s=60.0)))


@dataclass(frozen=True)
class _Cause:
    """A sentence of compose or the engine, and what it means; `{0}` is the pattern's first group."""

    pattern: str
    what: str
    cure: str
    error: type[SuiteError] = SetupError


_PORT_CURE = "Stop what listens there (`docker ps` shows containers), or use `--ports free`."

CAUSES = (
    _Cause(
        r"permission denied while trying to connect to the Docker daemon|dial unix (\S+): connect: permission denied",
        "this user may not talk to the Docker engine",
        "Add the user to the group `docker`, or use an engine of your own (rootless).",
    ),
    _Cause(
        r"Cannot connect to the Docker daemon|error during connect|docker daemon running|Connection refused|EOF$",
        "the Docker engine does not answer",
        "Start Docker Desktop, or `systemctl start docker`; `docker info` must answer. DOCKER_HOST names another one.",
    ),
    _Cause(
        r"is not a docker command|unknown shorthand flag: 'f'|unknown flag: --project-name",
        "docker has no compose plugin",
        "Install docker compose v2 (package docker-compose-plugin, part of Docker Desktop).",
    ),
    _Cause(
        r"(?:TCP|for|tcp4?|tcp6) (\S+:\d+).*(?:port is already allocated|address already in use)",
        "a port that is to be published is taken: {0}",
        _PORT_CURE,
    ),
    _Cause(
        r"port is already allocated|[Pp]orts are not available|address already in use",
        "a port that is to be published is taken",
        _PORT_CURE,
    ),
    _Cause(
        r"network (\S+) declared as external, but could not be found|network (\S+) not found",
        "the network {0} does not exist",
        "Start the platform's own project first, or `docker network create` it.",
    ),
    _Cause(
        r"(?:unauthorized|authentication required|incorrect username or password)",
        "the registry refuses the credentials",
        "`docker login` to the registry that the image comes from.",
    ),
    _Cause(
        r"(?:No such image|manifest for|pull access denied for|unable to get image|failed to resolve reference|Image)"
        r"[: ]+[\"']?([\w./:@-]+)|(?:dial tcp|lookup) \S*.*(?:registry|no such host|i/o timeout)",
        "an image is missing and cannot be pulled: {0}",
        "Pull or build it where there is a network (`docker pull`), then run again.",
    ),
    _Cause(
        r"no space left on device",
        "the engine's disk is full",
        "`docker system df` says what takes the space; free some of it.",
    ),
    _Cause(
        r"container (\S+) is unhealthy|dependency failed to start: container (\S+)",
        "{0} did not become healthy",
        "Its log says why: `docker logs {0}`.",
    ),
    _Cause(
        r"required variable (\S+) is missing a value",
        "the compose file needs {0}",
        "Set it in the project's .env file or in the environment.",
        ConfigError,
    ),
    _Cause(
        r"env file (\S+) not found|(?:open|stat) (\S+): no such file or directory|no configuration file provided",
        "a file of the compose project is missing: {0}",
        "Check SUITE_COMPOSE_FILES and the files that they name.",
        ConfigError,
    ),
    _Cause(
        r"(yaml: .*|validating .*|.*(?:undefined|must be|not allowed|did not find|invalid|depends on).*)",
        "the compose files are broken: {0}",
        "`docker compose config` shows the place.",
        ConfigError,
    ),
)


@cache
def program() -> tuple[str, ...]:
    """`docker compose`, or a `docker-compose` of version 2; SetupError where there is neither."""
    if shutil.which("docker") and _answers("docker", "compose", "version"):
        return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise SetupError(
        "docker compose is not installed",
        where="PATH",
        cure="Install Docker Desktop, or the packages docker and docker-compose-plugin; `docker compose version` "
        "must answer.",
    )


def explain(text: str, where: str) -> SuiteError:
    """What compose or the engine complained about, as an error with its cure."""
    for cause in CAUSES:
        if found := re.search(cause.pattern, text, re.M):
            named = next((group for group in found.groups() if group), found[0]).strip()
            return cause.error(cause.what.format(named), where=where, cure=cause.cure.format(named))
    return SetupError(
        f"docker compose failed; its last lines:\n{_tail(text)}\n", where=where, cure="Mend what the last line says."
    )


def _answers(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _run(command: list[str], environment: Mapping[str, str], limit_s: float) -> str:
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
            start_new_session=True,  # Ctrl-C is for the run, which then takes the stack down itself
        )
    except subprocess.TimeoutExpired as late:
        raise SetupError(
            f"docker compose did not end within {limit_s:.0f} s",
            where=" ".join(command[-3:]),
            cure="Is the engine busy pulling images? `docker ps -a` and `docker events` show what it does.",
        ) from late
    if ended.returncode != 0:
        log.debug("%s: %s", " ".join(command), ended.stderr)
        raise explain(ended.stderr, "docker compose")
    return ended.stdout


def _tail(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-TAIL_LINES:])
