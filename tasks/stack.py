"""Starting the stack, proving that it lived, and leaving it as it was found."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core.checks import Check, check, passed_if
from core.errors import ConfigError, SuiteError
from core.ports import WHOLE_STACK, Endpoints, ServiceId
from core.words import Verdict
from infra.mysql.account import ensure_exporter_account
from infra.portal_faults import switch_all_off, switch_on
from infra.verify.alive import stack_alive_check
from tasks.clean import clean_target
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("suite")


def require_whole_stack(run: Run) -> None:
    """Everything that a load needs."""
    besides = [ServiceId.POSTGRESQL] if ServiceId.POSTGRESQL in run.profile.addresses else []
    require_services(run, (*WHOLE_STACK, *besides))


def require_services(run: Run, services: Sequence[ServiceId]) -> None:
    """Start those that this run has not had yet: one that died in between stays dead, and `stack-alive` names it.

    A service that the profile does not name is not there for this run; Prometheus has to be.
    """
    if why := run.lacks(ServiceId.PROMETHEUS):
        cure = "Add addresses.prometheus: k6's series and all that is judged by are read from it."
        raise ConfigError(why, where="`addresses` of the profile", cure=cure)
    missing = [service for service in services if service not in run.identities and not run.lacks(service)]
    if missing:
        start_services(run, missing)
    if ServiceId.MYSQL_EXPORTER in missing:
        create_exporter_account(run)


@step
def start_services(run: Run, services: Sequence[ServiceId]) -> None:
    """Start what does not run yet, wait until it is ready, and note who it is."""
    run.backend.start(services)
    run.backend.wait_ready(services)
    known = [service for service in (*services, ServiceId.KAFKA_BOT) if not run.lacks(service)]
    run.profile = run.profile.at(Endpoints({service: run.backend.endpoint(service) for service in known}))
    run.endpoints = run.profile.endpoints()
    run.identities.update({service: run.backend.identity(service) for service in services})


@step
def create_exporter_account(run: Run) -> None:
    """The exporter's user with the least rights that it needs, over SQL, also on an old volume (corrections.md 15)."""
    account = run.backend.exporter_account()
    if account is None:
        log.info("the database is somebody else's: the exporter's user is not touched")
        return
    ensure_exporter_account(account)


def switch_faults_on(run: Run) -> None:
    """The faults that were asked for, once, when everything is up and seeded: they act on the load."""
    if run.request.fault and not run.faults_on:
        run.faults_on = True
        switch_on(run.request.fault, run.endpoints)


@step
def stack_alive(run: Run) -> Check:
    """Compare each service's process with the one that was started."""
    if not run.identities:
        return check("stack-alive", Verdict.NO_DATA, "nothing was started")
    return stack_alive_check(run.identities, {name: run.backend.identity(ServiceId(name)) for name in run.identities})


@step
def take_down(run: Run) -> Check:
    """Remove the run's rows, keep the logs, stop what this run started, and look that it is gone."""
    left_on_target = _clean_up(run)
    run.backend.collect_logs(run.directory.logs)
    if run.request.keep_stack:
        run.backend.keep()
        return check("teardown-clean", Verdict.SKIPPED, "--keep-stack: the stack was left running on request")
    run.backend.stop()
    leftovers = [f"{left.service}: {left.what}" for left in run.backend.leftovers()] + left_on_target
    observed = "; ".join(leftovers) or "nothing that this run started is left" + _stays_on_target(run)
    made = run.made.model_dump(mode="json", include={"counts", "left", "kept"}) if run.made else None
    return passed_if("teardown-clean", not leftovers, observed, left=leftovers, made=made)


def _clean_up(run: Run) -> list[str]:
    """Switch faults off and remove the rows that this run made on the target; returns what could not be done."""
    left = []
    if run.faults_on:
        try:
            switch_all_off(run.endpoints)
        except SuiteError as error:
            left.append(f"faults may still be on: {error.what}")
    return left + clean_target(run)


def _stays_on_target(run: Run) -> str:
    """What the profile wants to be removed later."""
    if run.profile.clean_up == "end" or run.made is None or not any(run.made.counts.values()):
        return ""
    rows = ", ".join(f"{number} {kind}" for kind, number in run.made.counts.items())
    return f"; on the target stay {rows}, until `python -m flows.clean {run.directory.path}`"
