"""Who is told: one Prefect automation for each channel of notifications.yaml, made, changed and removed to match it.

python -m flows.notifications [FILE] [--test]      `make notify`; `make ui` does it as well
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.events import Automation, AutomationCore, EventTrigger, Posture, RunDeployment, SendNotification
from prefect.events.actions import ActionTypes
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import Field, model_validator

from core.errors import ConfigError, SuiteError
from core.settings import ROOT
from core.words import EXIT_CODES, Verdict
from flows.server import require_usable
from flows.site import running_site
from report.told import Message, News, Outcome
from targets.documents import read_document
from targets.model import Data
from tasks.tell import post

FILE = ROOT / "notifications.yaml"
OURS = "perf-suite tells "
MAIL = "mail/mail"
SUBJECT, TEXT = "{{ event.payload.subject }}", "{{ event.payload.text }}"


class Channel(Data):
    """One entry of notifications.yaml: a notification block, or mail."""

    block: str | None = Field(default=None, description="<block type>/<name>, such as slack-webhook/perf-suite")
    mail: tuple[str, ...] = Field(default=(), description="addresses")
    credentials: str = Field(default="perf-suite", description="name of an email-server-credentials block, for mail")
    sender: str | None = Field(default=None, description="the mail's From; default: the block's user name")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.block) is bool(self.mail):
            raise ValueError("give either `block` or `mail`")
        return self

    @property
    def name(self) -> str:
        return f"{OURS}{self.block or ', '.join(self.mail)}"


class Channels(Data):
    """notifications.yaml."""

    notify: tuple[Channel, ...] = ()


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the automations match the file, 2 with cause and cure when they cannot."""
    asked = _parser().parse_args(argv)
    try:
        with temporary_settings(updates={PREFECT_API_URL: _api()}):
            names = apply(read_channels(asked.file))
            if asked.test:
                _test()
    except SuiteError as error:
        sys.stderr.write(f"ERROR {error}\n")
        return EXIT_CODES[Verdict.ERROR]
    sys.stdout.writelines(f"{name}\n" for name in names or ["nobody is told: notifications.yaml names no channel"])
    return 0


def read_channels(path: Path) -> tuple[Channel, ...]:
    """The channels in the file; ConfigError names file, line and key."""
    return read_document(path, Channels).notify


def apply(channels: Sequence[Channel]) -> list[str]:
    """One automation for each channel, and no other of ours; the names of what is there now."""
    with get_client(sync_client=True) as client:
        there = {row.name: row for row in client.read_automations() if row.name.startswith(OURS)}
        for channel in channels:
            _bring(client, _automation(client, channel), there.pop(channel.name, None))
        for left in there.values():
            client.delete_automation(left.id)
    return [channel.name for channel in channels]


def _bring(client: SyncPrefectClient, wanted: AutomationCore, there: Automation | None) -> None:
    """What somebody has paused in the UI stays paused."""
    if there is None:
        client.create_automation(wanted)
    else:
        client.update_automation(there.id, wanted.model_copy(update={"enabled": there.enabled}))


def _automation(client: SyncPrefectClient, channel: Channel) -> AutomationCore:
    return AutomationCore(
        name=channel.name,
        description="Made from notifications.yaml: a verdict that has changed, a new regression.",
        trigger=EventTrigger(
            expect={news.value for news in News}, posture=Posture.Reactive, threshold=1, within=timedelta(0)
        ),
        actions=[_action(client, channel)],
    )


def _action(client: SyncPrefectClient, channel: Channel) -> ActionTypes:
    if channel.block:
        return SendNotification(block_document_id=_block(client, channel.block), subject=SUBJECT, body=TEXT)
    _block(client, f"email-server-credentials/{channel.credentials}")
    parameters: dict[str, Any] = {
        "subject": {"__prefect_kind": "jinja", "template": SUBJECT},
        "text": {"__prefect_kind": "jinja", "template": TEXT},
        "to": list(channel.mail),
        "credentials": channel.credentials,
        "sender": channel.sender,
    }
    return RunDeployment(source="selected", deployment_id=_deployment(client), parameters=parameters)


def _block(client: SyncPrefectClient, slug: str) -> UUID:
    kind, _, name = slug.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        raise ConfigError(
            f"there is no block '{slug}'", where="notifications.yaml", cure="Make it in Prefect's UI, under Blocks."
        ) from error


def _deployment(client: SyncPrefectClient) -> UUID:
    try:
        return client.read_deployment_by_name(MAIL).id
    except ObjectNotFound as error:
        raise ConfigError(
            f"there is no deployment '{MAIL}', which sends mail",
            where="the Prefect server",
            cure="Run `prefect deploy --all` first.",
        ) from error


def _api() -> str:
    """The user's server, or that of `make ui`."""
    site = running_site()
    api = PREFECT_API_URL.value() or (site.api if site else None)
    if api is None:
        raise ConfigError("no Prefect server runs", where="PREFECT_API_URL", cure="Start `make ui`, or name yours.")
    require_usable(api)
    return api


def _test() -> None:
    """A message through every channel, to see that it arrives."""
    text = "This is a test: news of the suite's runs will come this way."
    message = Message(News.TEST, "perf-suite: a test message", text)
    try:
        post([message], Outcome("test", "a test message", Verdict.SKIPPED, ()))
    except httpx.HTTPError as error:
        raise ConfigError(f"the test message was not taken: {error}", where="the Prefect server") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows.notifications", description="Make Prefect tell people.")
    parser.add_argument("file", type=Path, nargs="?", default=FILE, help="default: notifications.yaml")
    parser.add_argument("--test", action="store_true", help="then send a test message through every channel")
    return parser


if __name__ == "__main__":
    sys.exit(main())
