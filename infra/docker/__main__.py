"""The docker backend by hand: `python -m infra.docker diff|up|down|status|reset` (docs/docker.md)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from core.errors import ConfigError
from core.ports import ServiceId
from core.settings import Settings
from infra.by_hand import carry_out
from infra.docker.catalogue import open_backend
from infra.docker.engine import Engine
from infra.docker.joined import join, named_files, named_services
from infra.docker.site import Platform
from infra.docker.variables import project_name, secret_variables, state_folder

console = Console()


def main() -> int:
    """Run one command."""
    arguments = _parser().parse_args()
    command: Callable[[argparse.Namespace, Settings], None] = arguments.command
    return carry_out(lambda: command(arguments, Settings()), console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.docker", description="The docker backend, by hand.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    diff = commands.add_parser("diff", help="what a run would add to a platform's own compose project; changes nothing")
    diff.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: SUITE_COMPOSE_FILES")
    diff.set_defaults(command=_diff)
    up = commands.add_parser("up", help="start the reference portal with everything; it stays until `down`")
    up.add_argument("services", nargs="*", type=ServiceId, metavar="SERVICE", help="only these, with what they need")
    up.add_argument("--ports", choices=("default", "free"), default="default", help="the design's ports, or free ones")
    up.set_defaults(command=_up)
    for name, command, text in (
        ("down", _down, "remove every container of this checkout's project; its data stays"),
        ("status", _status, "show what runs"),
        ("reset", _reset, "as down, and delete the project's data and passwords"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    return parser


def _diff(arguments: argparse.Namespace, settings: Settings) -> None:
    """The dry run: how each service is dealt with, then every key that the overlay changes."""
    files = arguments.files or named_files(settings.compose_files)
    if not files:
        raise ConfigError(
            "no compose file of a platform is named",
            where="SUITE_COMPOSE_FILES",
            cure="Name the platform's files: python -m infra.docker diff ../platform/docker-compose.yml",
        )
    state = state_folder(settings)
    joined = join(files, state / "overlay", secret_variables(state), named_services(settings.compose_services))
    for line in (*joined.fitted.notes, "", *joined.difference()):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _up(arguments: argparse.Namespace, settings: Settings) -> None:
    services = arguments.services or list(Platform.names)
    with open_backend(arguments.ports, settings.model_copy(update={"compose_files": ""}), {}) as backend:
        backend.start(services)
        backend.wait_ready(services)
        backend.keep()
    _status(arguments, settings)


def _down(_: argparse.Namespace, settings: Settings) -> None:
    engine, project = Engine(), project_name(state_folder(settings))
    containers = engine.containers(project)
    engine.take_down(container.id for container in containers.values())
    engine.remove_networks(project)
    console.print(f"removed: {', '.join(sorted(containers)) or 'nothing was there'}")


def _status(_: argparse.Namespace, settings: Settings) -> None:
    containers = Engine().containers(project_name(state_folder(settings)))
    table = Table("service", "state", "container", "address", "since", box=box.SIMPLE)
    for name, each in sorted(containers.items()):
        table.add_row(name, each.detail, each.id[:12], "\n".join(each.published.values()), each.started[:19])
    console.print(table if containers else "nothing is running")


def _reset(arguments: argparse.Namespace, settings: Settings) -> None:
    """The passwords go with the data that knows them, so the next start makes both."""
    _down(arguments, settings)
    state = state_folder(settings)
    for name in Engine().remove_volumes(project_name(state)):
        console.print(f"removed volume {name}", soft_wrap=True)
    (state / "secrets.json").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
