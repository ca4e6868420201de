"""How a plain function becomes a Prefect task: its state carries the verdict, its errors carry their cure.

A task never leaks a trace-back: what the suite knows (SuiteError) becomes a failed state with its sentence; what it
does not know goes to the log file in full, and to the reader as one sentence.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed

from core.checks import Check
from core.errors import known_error
from core.words import Verdict

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger("suite")


def step(function: Callable[P, R]) -> Callable[P, R]:
    """A task around `function`; calling it returns the function's value or raises a SuiteError.

    Nothing is cached and nothing retried: each value is evidence of this moment.
    """
    name = function.__name__.replace("_", "-")
    run_task = task(name=name, description=function.__doc__, cache_policy=NO_CACHE)(_as_state(function))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        state: State[Any] = run_task(*args, **kwargs, return_state=True)
        value: Any = state.result(raise_on_failure=False)
        if isinstance(value, BaseException):
            raise value
        return cast(R, value)

    return call


class VerdictState(State[Any]):
    """A failed state that is told rather than raised.

    Prefect's engine asks a run's last state for its result, and what that raises stands in the run's log as a
    trace-back: a verdict is no accident.
    """

    def result(self, raise_on_failure: bool = False, retry_result_failure: bool = True, **options: Any) -> Any:
        del raise_on_failure
        return State.result(self, raise_on_failure=False, retry_result_failure=retry_result_failure, **options)


def verdict_state(verdict: Verdict, message: str, data: Any = None) -> State[Any]:
    """PASS and SKIPPED are Completed, the rest Failed, with the verdict as the state's name."""
    kind = StateType.COMPLETED if verdict in (Verdict.PASS, Verdict.SKIPPED) else StateType.FAILED
    return VerdictState(type=kind, name=verdict.value, message=message, data=data)


def _as_state(function: Callable[P, R]) -> Callable[P, State[Any]]:
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> State[Any]:
        try:
            value = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one place where errors become states
            known = known_error(error, function.__name__)
            return verdict_state(Verdict.ERROR, str(known), known)
        if isinstance(value, Check):
            log.info("%s %s: %s", value.verdict, value.id, value.observed)
            return verdict_state(value.verdict, value.observed, value)
        return Completed(data=value)

    return run
