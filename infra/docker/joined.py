"""A platform's own compose project with the overlay beside it: `-f theirs -f ours`, in its network, by its names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.errors import ConfigError
from core.ports import DEFAULT_PORTS, ServiceId
from infra.docker.compose import Project
from infra.docker.merged import (
    PROVISIONING,
    SCRAPE_FILE,
    merge_provisioning,
    merged_scrape_config,
    mounted_file,
    rewrite,
)
from infra.docker.overlay import Fitted, changes, fit
from infra.prometheus.scrape import ScrapeJob, scrape_jobs

OVERLAY = Path(__file__).parent / "compose.perf.yml"
HOST = "host.docker.internal"
INSIDE = {
    ServiceId.CADVISOR: "cadvisor:8080",
    ServiceId.MYSQL_EXPORTER: "mysql-exporter:9104",
    ServiceId.REDIS_EXPORTER: "redis-exporter:9121",
    ServiceId.KAFKA_EXPORTER: "kafka-exporter:9308",
}
"""Where Prometheus scrapes what the overlay adds; the bot runs on the host."""


@dataclass(frozen=True)
class Joined:
    """`theirs` alone and `both` with the overlay; `before` is what theirs resolve to."""

    theirs: Project
    both: Project
    fitted: Fitted
    before: dict[str, Any]
    state: Path

    def difference(self) -> list[str]:
        """Everything that the overlay changes in the platform's project (`overlay.changes`), without our passwords."""
        return [self._masked(line) for line in changes(self.before, self.both.config())]

    def _masked(self, line: str) -> str:
        for name, value in self.both.variables.items():
            line = line.replace(value, "***") if "PASSWORD" in name or "SECRET" in name else line
        return line

    def write_scrape_config(self, containers: Mapping[str, str], bot_port: int) -> bool:
        """Write the merged prometheus.yml, in place (it is mounted as a file); whether it says something new."""
        name = self.fitted.names.get(ServiceId.PROMETHEUS)
        own = mounted_file(self.before["services"][name], SCRAPE_FILE).read_text(encoding="utf-8") if name else "{}"
        return rewrite(self.state / "prometheus.yml", merged_scrape_config(own, self._jobs(bot_port), containers))

    def _jobs(self, bot_port: int) -> tuple[ScrapeJob, ...]:
        names, added = self.fitted.names, self.fitted.added
        known = {service: names.get(service, str(service)) for service in INSIDE if service in {*names, *added}}
        targets = {service: INSIDE[service].replace(f"{service}:", f"{name}:") for service, name in known.items()}
        return scrape_jobs({**targets, ServiceId.KAFKA_BOT: f"{HOST}:{bot_port}"})


def join(
    files: Sequence[Path],
    state: Path,
    variables: Mapping[str, str],
    said: Mapping[ServiceId, str],
    bot_port: int = DEFAULT_PORTS[ServiceId.KAFKA_BOT],
) -> Joined:
    """Fit the overlay to the project and write what it mounts below `state`; nothing is started or changed.

    ConfigError where the project's files are broken or the overlay cannot join.
    """
    theirs = Project(None, tuple(file.resolve() for file in files), files[0].resolve().parent)
    before = theirs.config()
    fitted = fit(before, yaml.safe_load(OVERLAY.read_text(encoding="utf-8")), said)
    state.mkdir(parents=True, exist_ok=True)
    notes = _write_provisioning(before, fitted, state)
    written = state / "compose.perf.yml"
    rewrite(written, yaml.safe_dump(fitted.document, sort_keys=False))
    both = Project(
        before.get("name"),
        (*theirs.files, written),
        theirs.folder,
        {**variables, "SUITE_OVERLAY_STATE": str(state.resolve())},
    )
    fitted = Fitted(fitted.document, fitted.names, (*fitted.notes, *notes))
    joined = Joined(theirs, both, fitted, before, state)
    joined.write_scrape_config({}, bot_port)
    return joined


def named_files(text: str) -> tuple[Path, ...]:
    """The files of SUITE_COMPOSE_FILES."""
    return tuple(Path(name) for name in text.split(os.pathsep) if name)


def named_services(text: str) -> dict[ServiceId, str]:
    """The pairs of SUITE_COMPOSE_SERVICES, as `mysql=db,redis=cache`; ConfigError for what is none."""
    try:
        pairs = [pair.split("=") for pair in text.split(",") if pair.strip()]
        return {ServiceId(service.strip()): name.strip() for service, name in pairs}
    except ValueError as error:
        raise ConfigError(
            f"'{text}' does not say which service is which: {error}",
            where="SUITE_COMPOSE_SERVICES",
            cure=f"Write <service>=<name of yours>,…; services are {', '.join(ServiceId)}.",
        ) from error


def _write_provisioning(before: dict[str, Any], fitted: Fitted, state: Path) -> list[str]:
    name = fitted.names.get(ServiceId.GRAFANA)
    return merge_provisioning(before["services"][name] if name else {}, state / PROVISIONING.split("/")[2])
