"""News by e-mail: Prefect's notification blocks know no SMTP, so an automation starts this flow."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect_email import EmailServerCredentials, email_send_message
from pydantic import Field

from core.errors import SetupError
from core.words import Verdict
from tasks.step import verdict_state


@flow(name="mail", description="Send one message over SMTP; started by an automation.", flow_run_name="{subject}")
async def mail(
    subject: str = Field(description="subject of the message"),
    text: str = Field(description="the message, as plain text"),
    to: list[str] = Field(description="who gets it"),
    credentials: str = Field(description="name of an email-server-credentials block"),
    sender: str | None = Field(default=None, description="its From; default: the block's user name"),
) -> State[Any]:
    """Completed once the mail server has taken it."""
    try:
        server: Any = await EmailServerCredentials.aload(credentials)
        await email_send_message(subject, "", server, msg_plain=text, email_from=sender or server.username, email_to=to)
    except Exception as error:  # noqa: BLE001 - whatever the block or the mail server fails with is one sentence
        known = SetupError(
            f"the mail was not sent: {error}",
            where=f"block email-server-credentials/{credentials}",
            cure="Mend the block in Prefect's UI, then `make notify ARGS=--test`.",
        )
        return verdict_state(Verdict.ERROR, str(known), known)
    return Completed(message=f"sent to {', '.join(to)}")
