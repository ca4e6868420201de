"""Telling people: news of a run goes out as Prefect events, which automations turn into messages (flows/notifications).

An event is posted and its receipt awaited: `emit_event` would queue it, and nobody could say whether it was taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.events import Event, RelatedResource, Resource
from prefect.types._datetime import now

from core.errors import SuiteError, known_error
from core.request import Request
from core.settings import Settings
from core.words import Verdict
from report.history import FOLDER, History
from report.model import Report
from report.told import Message, News, Outcome, Told, ToldFile, news_of, outcome_of
from tasks.report import report_address
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("suite")
Deliver = Callable[[Sequence[Message], Outcome], bool]


@step
def tell(run: Run, report: Report) -> None:
    """Tell what has changed since the last time that somebody was told of such a run."""
    outcome = outcome_of(report, kind_of(run.request), _title(run.request))
    _tell_once(run.request, outcome, report_address(run), run.directory.path.parent / FOLDER)


@step
def tell_refusal(request: Request, error: SuiteError) -> None:
    """Tell that a run could not even begin: a silent night is not a good one."""
    outcome = Outcome(kind_of(request), _title(request), Verdict.ERROR, ("The run could not begin.", str(error)))
    folder = (request.run_dir or Settings().runs_dir).resolve() / FOLDER
    _tell_once(request, outcome, "none, nothing was started", folder)


def kind_of(request: Request) -> str:
    """What was asked for, without where and how it ran: runs of one kind follow each other."""
    parts = (
        _name(request.target),
        _name(request.load),
        "+".join(request.phase) or "all",
        "".join(request.scenario) or "all",
    )
    return "/".join(parts)


def tell_once(outcome: Outcome, link: str, folder: Path, deliver: Deliver) -> tuple[Message, ...]:
    """What was told; nothing of it counts as told unless `deliver` says that somebody took it."""
    file = ToldFile(folder)
    with History(folder).locked():
        messages, after = news_of(outcome, file.read().get(outcome.kind, Told()), link)
        if messages and not deliver(messages, outcome):
            return ()
        file.write(outcome.kind, after)
    return messages


def _tell_once(request: Request, outcome: Outcome, link: str, folder: Path) -> None:
    """Neither report nor verdict hang on it."""
    if request.fault:
        log.info("nobody is told of a run with faults switched on")
        return
    try:
        for message in tell_once(outcome, link, folder, post):
            log.info("told: %s", message.subject)
    except Exception as error:  # noqa: BLE001 - the server may be gone, the disk full; the next run tells it
        log.warning("nobody was told: %s", known_error(error, "telling"))


def post(messages: Sequence[Message], outcome: Outcome) -> bool:
    """Give the messages to Prefect; False when no automation there would pass them on."""
    with get_client(sync_client=True) as client:
        if not _somebody_listens(client):
            log.info("not told, for nobody listens: %s", "; ".join(message.subject for message in messages))
            return False
        events = [_event(message, outcome).model_dump(mode="json") for message in messages]
        client.request("POST", "/events", json=events)
    return True


def _somebody_listens(client: SyncPrefectClient) -> bool:
    """An automation waits for our events, on a server that acts on them (a run's temporary one does not)."""
    settings = client.request("GET", "/admin/settings").json()
    if not settings["server"]["services"]["triggers"]["enabled"]:
        return False
    ours = set(News)
    return any(
        automation.enabled and ours & set(getattr(automation.trigger, "expect", ()))
        for automation in client.read_automations()
    )


def _event(message: Message, outcome: Outcome) -> Event:
    resource = {"prefect.resource.id": f"perf-suite.run.{outcome.kind}", "prefect.resource.name": outcome.title}
    payload = {"subject": message.subject, "text": message.text, "verdict": outcome.verdict.value}
    return Event(
        occurred=now("UTC"),
        event=message.news.value,
        resource=Resource.model_validate(resource),
        related=[RelatedResource.model_validate(row) for row in _flow_run()],
        payload=payload,
    )


def _flow_run() -> list[dict[str, str]]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return []
    return [
        {"prefect.resource.id": f"prefect.flow-run.{context.flow_run.id}", "prefect.resource.role": "flow-run"},
    ]


def _title(request: Request) -> str:
    return f"{_name(request.target)} · {_name(request.load)}"


def _name(name_or_file: str) -> str:
    return Path(name_or_file).stem
