"""The command line of the flows: parameters in, exit code out. Only here errors become text."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, get_args

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from core.checks import SCENARIOS
from core.errors import SuiteError
from core.request import BackendName, Language, PortChoice, Request
from core.words import EXIT_CODES, Phase, Verdict
from flows.logs import show_in_terminal
from infra.portal_faults import FAULTS, is_strength, parted
from report.gate_file import gates_for
from targets.guard import PRODUCTION
from targets.model import load_profile
from targets.resolve import resolve
from targets.secrets import read_later

EPILOG = """\
exit codes:  0 PASS   1 FAIL   2 ERROR (could not run: set-up, configuration, target refused)
             3 INVALID or NO_DATA   130 / 143 interrupted

examples:
  python -m flows.full_suite                                     everything, smoke load, the reference portal
  python -m flows.full_suite --phase exporters --phase tracing   two phases only
  python -m flows.full_suite --load design --scenario b          the design's own numbers, blog read only
"""
GONE_CURE = "Does its server (PREFECT_API_URL) still answer? Without that variable a run starts one of its own."
DOCTOR = """\
Look before any load: is everything there that a run would need? One line a part, with its cure.

It changes nothing, and sends a target at most some twenty requests: each route once, two logins, a burst of ten.

exit codes:  0 nothing lacks (warnings may be)   2 a run would be for nothing   3 something could not be looked at
"""
_ABOUT = {name: field.description for name, field in Request.model_fields.items()}


def main(phase: Phase | None = None, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the suite (or one phase of it) with the arguments of the command line and exit with its verdict."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    request = parse(arguments, phase)
    sys.exit(_run(request))


def parse(argv: Sequence[str], phase: Phase | None = None) -> Request:
    """The request that the arguments say; argparse's own exit (code 2) for what it does not know."""
    parser = _parser(phase)
    given = vars(parser.parse_args(argv))
    if phase is not None:
        given["phase"] = [phase]
    try:
        return Request(**given)
    except ValidationError as error:
        first = error.errors()[0]
        parser.error(f"argument --{str(first['loc'][0]).replace('_', '-')}: {first['msg']}, found {first['input']!r}")


def main_doctor(argv: Sequence[str] | None = None) -> NoReturn:
    """Look before any load, with the arguments of the command line, and exit with what was found."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.doctor", description=DOCTOR, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_what_is_looked_at(parser)
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help=_ABOUT["run_dir"])
    given = vars(parser.parse_args(argv))
    sys.exit(_run(Request(**given), "doctor", set(given)))


def _run(request: Request, name: str = "full_suite", parameters: Collection[str] | None = None) -> int:
    """Exit code of the flow; what cannot work is said before Prefect is imported, which takes seconds."""
    console = Console(stderr=True)
    try:
        request = _with_typed_name(request)
        profile, _ = resolve(request)
        gates_for(profile, request.gates)
        return _flow_run(name, request.model_dump(include=set(parameters) if parameters else None))
    except SuiteError as error:
        console.print(f"[bold red]ERROR[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        return EXIT_CODES[Verdict.ERROR]


def _with_typed_name(request: Request) -> Request:
    """A person at a terminal is asked for a production target's name; it is kept nowhere."""
    profile = load_profile(request.target, read_later)
    if profile.environment != PRODUCTION or request.i_mean is not None or not sys.stdin.isatty():
        return request
    sys.stderr.write(f"target '{profile.name}' is PRODUCTION. Type its name to put load on it: ")
    return request.model_copy(update={"i_mean": sys.stdin.readline().strip()})


def _flow_run(name: str, parameters: Mapping[str, Any]) -> int:
    # Imported here because Prefect takes seconds to load: a refusal does not wait for it.
    from flows.server import prefect_server
    from tasks.report import ENDED

    flow = getattr(import_module(f"flows.{name}"), name)
    show_in_terminal()
    with prefect_server():
        try:
            state: Any = flow(**parameters, return_state=True)
        except Exception as error:
            if not ENDED:
                raise SuiteError(f"Prefect could not carry the run: {error}", cure=GONE_CURE) from error
            return ENDED[-1].exit_code
        result = state.result(raise_on_failure=False)
    if isinstance(result, SuiteError):
        raise result
    if isinstance(result, BaseException):
        raise SuiteError(f"the flow ended in state {state.name}: {state.message}")
    return int(result.exit_code)


def _scenario(text: str) -> str:
    """Letter of a scenario given by letter or name."""
    letters = {**{letter: letter for letter in SCENARIOS}, **{name: letter for letter, name in SCENARIOS.items()}}
    if text.lower() not in letters:
        known = ", ".join(f"{letter} ({name})" for letter, name in SCENARIOS.items())
        raise argparse.ArgumentTypeError(f"unknown scenario '{text}'; known: {known}")
    return letters[text.lower()]


def _add_what_is_looked_at(parser: argparse.ArgumentParser) -> None:
    """What doctor and a run have in common."""
    parser.add_argument("--target", default="portal", metavar="NAME|FILE", help=f"{_ABOUT['target']} (default: portal)")
    parser.add_argument("--backend", choices=get_args(BackendName), help=_ABOUT["backend"])
    parser.add_argument("--load", default="smoke", metavar="NAME|FILE", help=f"{_ABOUT['load']} (default: smoke)")
    parser.add_argument(
        "--scenario", type=_scenario, nargs="+", action="extend", default=[], metavar="ID", help=_ABOUT["scenario"]
    )
    parser.add_argument("--gates", type=Path, metavar="FILE", help=_ABOUT["gates"])
    parser.add_argument("--i-mean", metavar="NAME", help=_ABOUT["i_mean"])


def _fault(text: str) -> str:
    """A fault by its name, with its strength where one is given: `memory-leak=0.05`."""
    fault, strength = parted(text)
    if fault not in FAULTS:
        known = ", ".join(map(repr, FAULTS))
        raise argparse.ArgumentTypeError(f"invalid choice: {fault!r} (choose from {known})")
    if strength is not None and not is_strength(strength):
        raise argparse.ArgumentTypeError(f"{strength!r} is no strength of a fault: say a number")
    return text


def _parser(phase: Phase | None) -> argparse.ArgumentParser:
    about = _ABOUT
    parser = argparse.ArgumentParser(
        prog=f"python -m flows.{phase or 'full_suite'}",
        description=f"Run phase {phase} alone." if phase else "Put a load on a target and say whether it is good.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_what_is_looked_at(parser)
    if phase is None:
        parser.add_argument(
            "--phase",
            type=Phase,
            choices=list(Phase),
            nargs="+",
            action="extend",
            default=[],
            metavar="NAME",
            help=about["phase"],
        )
    faults = f"{about['fault']}: {', '.join(FAULTS)}"
    parser.add_argument("--fault", type=_fault, nargs="+", action="extend", default=[], metavar="NAME", help=faults)
    parser.add_argument("--keep-stack", action="store_true", help=about["keep_stack"])
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help=about["run_dir"])
    parser.add_argument("--ports", choices=get_args(PortChoice), default="default", help=about["ports"])
    parser.add_argument("--lang", choices=get_args(Language), help=about["lang"])
    parser.add_argument("--resume", type=Path, metavar="RUN", help=_ABOUT["resume"])
    parser.add_argument("--generators", type=int, metavar="N", help=_ABOUT["generators"])
    parser.add_argument("--dask", metavar="tcp://HOST:PORT", help=_ABOUT["dask"])
    return parser
