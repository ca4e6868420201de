"""The external backend: every service is where the profile says, run by somebody else.

It starts, restarts, stops and changes nothing. A service that the profile does not name is not there for this run.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NoReturn, Self

import redis

from core.errors import ConfigError, SetupError, SuiteError
from core.ports import Endpoints, ServiceId
from infra.external.identities import identify
from infra.external.proofs import Proof, proven
from infra.stack import Backend, Identity, Leftover

log = logging.getLogger("infra")


class ExternalBackend(Backend):
    """A stack that somebody else runs, at `endpoints`."""

    name = "external"
    prometheus_is_ours = False

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._proofs: dict[ServiceId, Proof] = {}

    def start(self, services: Collection[ServiceId]) -> None:
        """Nothing is started; ConfigError for a service that the profile does not name."""
        for service in services:
            self.endpoint(service)

    def wait_ready(self, services: Collection[ServiceId]) -> None:
        """See Backend; each service is proven, and all that are not as they have to be are named at once."""
        good, bad = proven([service for service in services if service not in self._proofs], self._endpoints)
        self._proofs.update(good)
        for service, proof in good.items():
            log.info("%s: %s at %s", service, proof, self._endpoints[service])
        if bad:
            raise _all_of(bad)

    def endpoint(self, service: ServiceId) -> str:
        """`host:port` from the profile; ConfigError where it names none."""
        if service not in self._endpoints:
            raise ConfigError(
                f"the profile names no {service}",
                where="`addresses` of the profile",
                cure=f"Add addresses.{service} there: with the external backend nothing is started.",
            )
        return self._endpoints[service]

    def identity(self, service: ServiceId) -> Identity:
        """What the service tells of itself; not alive when it does not answer."""
        try:
            return identify(service, self._endpoints)
        except (SuiteError, KeyError, redis.RedisError) as error:
            return Identity(service, "", "", alive=False, detail=str(error) or type(error).__name__)

    def restart(self, service: ServiceId) -> NoReturn:
        """SetupError: it belongs to somebody else."""
        raise SetupError(
            f"{service} is run by somebody else", where=self.endpoint(service), cure="Restart it where it runs."
        )

    def logs(self, service: ServiceId, lines: int = 50) -> list[str]:  # noqa: ARG002
        """None: they are where the service runs."""
        return []

    def collect_logs(self, folder: Path) -> list[Path]:  # noqa: ARG002
        """None, as `logs`."""
        return []

    def exporter_account(self) -> None:
        """None: nothing is changed in a database of somebody else."""
        return

    def versions(self) -> Mapping[str, str]:
        """What was proven."""
        return {str(service): str(proof) for service, proof in self._proofs.items()}

    def started_by_us(self) -> frozenset[ServiceId]:
        """None."""
        return frozenset()

    def keep(self) -> None:
        """Everything is left running in any case."""

    def stop(self) -> None:
        """Nothing was started."""

    def leftovers(self) -> list[Leftover]:
        """None."""
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()


def _all_of(bad: Mapping[ServiceId, SuiteError]) -> SuiteError:
    """One error that names every service and its cure."""
    if len(bad) == 1:
        service, error = next(iter(bad.items()))
        return SetupError(f"{service}: {error.what}", where=error.where, cure=error.cure)
    said = "; ".join(f"{service}: {error.what} ({error.where}) {error.cure}" for service, error in bad.items())
    return SetupError(f"{len(bad)} services are not as they have to be: {said}", cure="`python -m flows.doctor` looks.")
