"""A profile for a platform of one's own: python -m targets.new NAME [--openapi FILE|URL] [--prometheus URL]

It is filled as far as an OpenAPI document and a look at Prometheus allow. What they do not tell holds a guess and is
marked FILL IN, with where to look. The file can be read as it is; `python -m flows.doctor` says what is still wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ConfigError, SuiteError
from core.reach import THIS_MACHINE, Reach, reaching
from core.settings import ROOT
from core.words import EXIT_CODES, Verdict
from targets.draft import draft
from targets.metrics_look import Seen, look_at_prometheus
from targets.model import FOLDER, load_profile
from targets.openapi import Told, read_openapi

SCHEMA = ROOT / "docs" / "target-schema.json"
MARK = "FILL IN"
EPILOG = """\
next:  fill in what the file marks, then `python -m flows.doctor --target FILE` (docs/your-platform.md)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the profile; exit code 0, or 2 with what is wrong and its cure."""
    given = _parser().parse_args(argv)
    try:
        file = new_profile(given.name, given.openapi, given.prometheus, given.out, given.allow)
    except SuiteError as error:
        sys.stderr.write(f"ERROR {error}\n")
        return EXIT_CODES[Verdict.ERROR]
    left = sum(f"# {MARK}" in line for line in file.read_text(encoding="utf-8").splitlines())
    sys.stdout.write(f"wrote {file}\n{left} lines are marked {MARK}; then: python -m flows.doctor --target {file}\n")
    return 0


def new_profile(
    name: str, openapi: str | None, prometheus: str | None, out: Path | None = None, allow: Sequence[str] = ()
) -> Path:
    """The new file's path; ConfigError for a name that cannot be one, or a file that is already there."""
    file = out or FOLDER / f"{name}.yaml"
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ConfigError(f"'{name}' is no name for a target", cure="Use lower-case letters, digits and '-'.")
    if file.exists():
        raise ConfigError("is already there", where=str(file), cure="Choose another name, or another --out.")
    with reaching(_reach(allow)):
        told = read_openapi(openapi) if openapi else Told()
        seen = look_at_prometheus(prometheus) if prometheus else Seen("")
    _write(file, draft(name, told, seen, _allowed(told, seen, allow), os.path.relpath(SCHEMA, file.resolve().parent)))
    load_profile(str(file))
    return file


def _reach(allow: Sequence[str]) -> Reach:
    try:
        return Reach.of((*THIS_MACHINE, *allow))
    except ValueError as error:
        raise ConfigError(
            str(error), where="--allow", cure="Give name:port, address:port or a private network."
        ) from error


def _allowed(told: Told, seen: Seen, allow: Sequence[str]) -> tuple[str, ...]:
    """What the profile has to allow: the hosts that it names, and what was said besides."""
    named = [urlsplit(url).netloc for url in (told.server, seen.url) if url]
    local = Reach.of(THIS_MACHINE)
    here = [place for place in named if _is_in(local, place)]
    return tuple(dict.fromkeys((*THIS_MACHINE, *(place for place in named if place not in here), *allow)))


def _is_in(reach: Reach, place: str) -> bool:
    try:
        reach.addresses(place, "--openapi")
    except SuiteError:
        return False
    return True


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(file), cure="Give --out FILE.") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m targets.new",
        description="Write a commented profile for a platform of your own, filled as far as can be known.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="what the target is called")
    parser.add_argument("--openapi", metavar="FILE|URL", help="OpenAPI 3 document of the platform, JSON or YAML")
    parser.add_argument("--prometheus", metavar="URL", help="the Prometheus that scrapes it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: targets/NAME.yaml)")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="what may be asked besides this machine, here and by the profile; may be repeated",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
