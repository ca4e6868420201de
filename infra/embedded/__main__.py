"""The stack by hand: `python -m infra.embedded up|down|status|reset` (`make stack-up` and its siblings)."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from core.errors import SetupError
from core.ports import ServiceId
from core.settings import Settings
from infra.by_hand import carry_out
from infra.embedded.catalogue import EmbeddedCatalogue, open_backend
from infra.embedded.lease import SupervisorClient
from infra.embedded.statedir import StateDir

console = Console()
MIB = 2**20


def main() -> int:
    """Run one command."""
    arguments = _parser().parse_args()
    command: Callable[[StateDir, argparse.Namespace], None] = arguments.command
    return carry_out(lambda: command(StateDir(Settings().state_dir), arguments), console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.embedded", description="The embedded stack, by hand.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the stack; it stays until `down`, and runs attach to it")
    up.add_argument("services", nargs="*", type=ServiceId, metavar="SERVICE", help="only these, with what they need")
    up.add_argument("--ports", choices=("default", "free"), default="default", help="the design's ports, or free ones")
    up.set_defaults(command=_up)
    for name, command, text in (
        ("down", _down, "stop every service of this checkout's stack"),
        ("status", _status, "show what runs"),
        ("reset", _reset, "stop everything and delete the stack's data and logs"),
    ):
        commands.add_parser(name, help=text).set_defaults(command=command)
    return parser


def _up(state: StateDir, arguments: argparse.Namespace) -> None:
    services = arguments.services or EmbeddedCatalogue.services
    with open_backend(any_ports=arguments.ports == "free") as backend:
        backend.start(services)
        backend.wait_ready(services)
        backend.keep()
    _status(state, arguments)


def _down(state: StateDir, _: argparse.Namespace) -> None:
    client = SupervisorClient(state)
    if not client.status():
        console.print("nothing was running")
        return
    with console.status("stopping"):
        stopped = client.ask("stop")
    console.print(f"stopped: {', '.join(stopped)}")


def _status(state: StateDir, _: argparse.Namespace) -> None:
    rows = SupervisorClient(state).status()
    console.print(_table(rows) if rows else "nothing is running")


def _reset(state: StateDir, arguments: argparse.Namespace) -> None:
    _down(state, arguments)
    for folder in (state.data, state.logs):
        if folder.exists():
            _remove(folder)
            console.print(f"removed {folder}", soft_wrap=True)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise SetupError(
            f"the stack's data cannot be deleted: {error.strerror}",
            where=str(error.filename),
            cure="Run this as the user who owns it.",
        ) from error


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("service", "state", "pid", "port", "since", "memory", box=box.SIMPLE)
    for column in (table.columns[0], table.columns[4]):
        column.no_wrap = True
    for row in rows:
        table.add_row(
            row["name"],
            _state(row),
            str(row["pid"] or "-"),
            "\n".join(map(str, row["ports"])),
            f"{datetime.fromisoformat(row['since']).astimezone():%m-%d %H:%M:%S}",
            f"{row['memory_bytes'] / MIB:,.0f} MiB",
        )
    table.add_section()
    table.add_row("all", "", "", "", "", f"{sum(row['memory_bytes'] for row in rows) / MIB:,.0f} MiB")
    return table


def _state(row: dict[str, Any]) -> str:
    """`running`, `running, for a run` when it ends with that run, `exited (killed by SIGKILL)`."""
    detail = f" ({row['detail']})" if row["detail"] else ""
    return f"{row['state']}{detail}{', for a run' if row['lease'] else ''}"


if __name__ == "__main__":
    sys.exit(main())
