"""The docker backend by hand.

python -m infra.docker diff [FILE …]    what a run would add to the platform's own compose project; changes nothing
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from core.errors import ConfigError, SuiteError
from core.settings import Settings
from core.words import EXIT_CODES, EXIT_SIGINT, Verdict
from infra.docker.joined import join, named_files, named_services
from infra.docker.variables import secret_variables, state_folder

console = Console()


def main() -> int:
    """Run one command; errors become text and an exit code here and nowhere else."""
    arguments = _parser().parse_args()
    try:
        arguments.command(arguments)
    except SuiteError as error:
        console.print(f"[red]error:[/red] {error.what}", highlight=False)
        console.print(f"where: {error.where}\ncure:  {error.cure}", highlight=False, markup=False)
        return EXIT_CODES[Verdict.ERROR]
    except KeyboardInterrupt:
        return EXIT_SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.docker", description="The docker backend, by hand.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    diff = commands.add_parser("diff", help="what a run would add to a platform's own compose project; changes nothing")
    diff.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: SUITE_COMPOSE_FILES")
    diff.set_defaults(command=_diff)
    return parser


def _diff(arguments: argparse.Namespace) -> None:
    """The dry run: how each service is dealt with, then every key that the overlay changes."""
    settings = Settings()
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


if __name__ == "__main__":
    sys.exit(main())
