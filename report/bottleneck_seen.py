"""What the rules and the plots of bottlenecks look at: services, processes and the places where requests can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np

from report.bottleneck_work import Timer, Values, Work, total

NAMES = {
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "postgresql": "PostgreSQL",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "elasticsearch": "Elasticsearch",
    "kafka": "Kafka",
}
"""What spans and client meters call a store -> its name."""
SQL = ("mysql", "mariadb", "postgresql")
"""The stores behind a connection pool."""
_TIMERS = ("acquire", "usage", "redis_call", "http_call", "kafka_send", "listener")


class Seen:
    """A run's work, each figure taken once; `remotes` are the names that spans have for what was called."""

    def __init__(self, work: Work, remotes: Iterable[str] = ()) -> None:
        self.work = work
        self._remotes = frozenset(remotes)

    @cached_property
    def served(self) -> Mapping[str, Timer]:
        """Service -> its requests."""
        counts = self.work.added("served_total")
        return {
            service: Timer(total(values for key, values in counts.items() if key[0] == service), seconds)
            for (service,), seconds in self.work.added("served_seconds").items()
        }

    @cached_property
    def timers(self) -> Mapping[str, Mapping[tuple[str, ...], Timer]]:
        """Name of a timer -> (service, pool, client or listener) -> what it added."""
        return {name: self.work.timers(name) for name in _TIMERS}

    def failed(self, service: str) -> Values:
        """Requests that a service answered with 5xx."""
        counts = self.work.added("served_total").items()
        errors = (values for (name, status), values in counts if name == service and status.startswith("5"))
        return total((np.zeros(self.work.steps), *errors))

    def busy(self, service: str) -> Values:
        """Seconds that a service spent on its requests and its records."""
        listeners = (timer.seconds for key, timer in self.timers["listener"].items() if key[0] == service)
        served = (timer.seconds for name, timer in self.served.items() if name == service)
        return total((np.zeros(self.work.steps), *served, *listeners))

    @cached_property
    def cores(self) -> Mapping[str, Values]:
        """Process -> processors that it used: of its control group where there is one, else as it says itself."""
        step_s = self.work.step_s
        groups = {name: used / step_s for (name,), used in self.work.added("container_cpu_seconds").items()}
        count = self.work.gauge("machine_cpus")
        own = {key[0]: share * count[key] for key, share in self.work.gauge("process_cpu").items() if key in count}
        return {name: np.nan_to_num(used) for name, used in (own | groups).items()}

    @cached_property
    def database(self) -> str:
        """What the pools lead to: as spans call it, else by whose exporter there is."""
        by_spans = next((NAMES[store] for store in SQL if store in self._remotes), "")
        return by_spans or ("MySQL" if self.work.gauge("mysql_running") else "the database")

    def calls(self, service: str) -> Iterator[tuple[str, Timer]]:
        """(store, calls) of one service, by the store's name; a pool's connections in use are calls to the database."""
        for (owner, client), timer in self.timers["http_call"].items():
            if owner == service:
                yield NAMES.get(client, client), timer
        for name, store in (("redis_call", NAMES["redis"]), ("kafka_send", NAMES["kafka"]), ("usage", self.database)):
            yield from ((store, timer) for key, timer in self.timers[name].items() if key[0] == service)

    def waits(self) -> Iterator[tuple[tuple[str, ...], Timer]]:
        """(service, pool) -> waits for a connection; those that end in vain are seen while they last only."""
        pending = self.work.gauge("pool_pending")
        for key, waits in self.timers["acquire"].items():
            present = np.nan_to_num(pending.get(key, np.zeros(self.work.steps)))
            yield key, Timer(waits.count, np.maximum(waits.seconds, present * self.work.step_s))

    def places(self) -> Iterator[tuple[str, Timer]]:
        """Everywhere a request can be: a service's calls, its wait for a connection, and the service itself.

        A gateway calls the other services. What lies before a service is no place of it: its requests count from when
        it takes them up.
        """
        gateways = {service for service, _ in self.work.added("routed_total")}
        for service, served in self.served.items():
            calls = [(f"{service}: {store}", calls) for store, calls in self.calls(service)]
            calls += [(f"{service}: {pool}", waits) for (owner, pool), waits in self.waits() if owner == service]
            yield from calls
            behind = [timer for _, timer in calls]
            if service in gateways:
                behind += [timer for name, timer in self.served.items() if name not in gateways]
            elsewhere = total((np.zeros(self.work.steps), *(timer.seconds for timer in behind)))
            yield f"{service} itself", Timer(served.count, np.maximum(0.0, served.seconds - elsewhere))
