"""The overlay fitted to a platform's own compose project: what it lacks is added, what it has is at most extended.

Pure functions over documents: `theirs` is what `docker compose config` says of the platform's files (every short form
resolved), `ours` is compose.perf.yml as it is written. Nothing of theirs is removed, no store or application altered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ConfigError
from core.ports import STORES, ServiceId

Document = dict[str, Any]

IMAGES: Mapping[ServiceId, tuple[str, ...]] = {
    ServiceId.MYSQL: ("mysql", "mariadb"),
    ServiceId.POSTGRESQL: ("postgres",),
    ServiceId.REDIS: ("redis",),
    ServiceId.KAFKA: ("apache/kafka", "bitnami/kafka", "confluentinc/cp-kafka"),
    ServiceId.ELASTICSEARCH: ("elasticsearch",),
    ServiceId.ZIPKIN: ("openzipkin/zipkin",),
    ServiceId.PROMETHEUS: ("prom/prometheus",),
    ServiceId.GRAFANA: ("grafana/grafana-oss", "grafana/grafana"),
    ServiceId.CADVISOR: ("cadvisor/cadvisor", "google/cadvisor"),
    ServiceId.MYSQL_EXPORTER: ("prom/mysqld-exporter",),
    ServiceId.REDIS_EXPORTER: ("oliver006/redis_exporter",),
    ServiceId.KAFKA_EXPORTER: ("danielqsj/kafka-exporter",),
}
"""How a service is known by its image where it has another name; the registry and the tag do not matter."""

WATCHES = {
    ServiceId.MYSQL_EXPORTER: ServiceId.MYSQL,
    ServiceId.REDIS_EXPORTER: ServiceId.REDIS,
    ServiceId.KAFKA_EXPORTER: ServiceId.KAFKA,
    ServiceId.ZIPKIN: ServiceId.ELASTICSEARCH,
}
"""What is of no use without its store: where the platform has no such store it is left out."""

ADDRESSES = {
    ServiceId.MYSQL: "mysql:3306",
    ServiceId.REDIS: "redis:6379",
    ServiceId.KAFKA: "kafka:29092",
    ServiceId.ELASTICSEARCH: "elasticsearch:9200",
}
"""How compose.perf.yml names the stores."""

NETWORK = "portal-universe-net"
"""The network that compose.perf.yml names."""


@dataclass(frozen=True)
class Fitted:
    """`document` is the overlay; `names` say which of the project's services is which, `notes` what was decided."""

    document: Document
    names: Mapping[ServiceId, str]
    notes: tuple[str, ...]

    @property
    def added(self) -> frozenset[str]:
        """Names of services that only the overlay has."""
        return frozenset(name for name, service in self.document["services"].items() if "image" in service)

    @property
    def altered(self) -> frozenset[str]:
        """Names of the platform's own services that the overlay extends."""
        return frozenset(self.document["services"]) - self.added


def detect(theirs: Document, said: Mapping[ServiceId, str]) -> dict[ServiceId, str]:
    """Which service of the project is which: as `said`, else by name, else by image.

    ConfigError where two fit, or where a name that was said does not exist.
    """
    found = {service: _find(service, theirs["services"], said) for service in ServiceId}
    return {service: name for service, name in found.items() if name is not None}


def fit(theirs: Document, ours: Document, said: Mapping[ServiceId, str]) -> Fitted:
    """The overlay for this project; ConfigError where it cannot join (no common network, services that are unclear)."""
    names = detect(theirs, said)
    network = common_network(theirs, names)
    services: Document = {}
    notes = []
    for key, wanted in ours["services"].items():
        service = ServiceId(key)
        store = WATCHES.get(service)
        if service in names:
            services[names[service]] = _extension(theirs["services"][names[service]], wanted)
            changed = ", ".join(services[names[service]]) or "nothing"
            notes.append(f"{service}: the platform has it ({names[service]}); extended: {changed}")
        elif store is not None and store not in names:
            notes.append(f"{service}: left out, the platform has no {store} in this project")
        else:
            services[key] = _addition(theirs, wanted, names, network)
            notes.append(f"{service}: added")
    kept = {name: service for name, service in services.items() if service}
    return Fitted({"services": kept}, names, tuple(notes))


def common_network(theirs: Document, names: Mapping[ServiceId, str]) -> str:
    """The network in which all stores and the Prometheus are, where there is one, else ConfigError."""
    present = [names[service] for service in (*STORES, ServiceId.PROMETHEUS) if service in names]
    sets = [set(theirs["services"][name].get("networks") or {"default": None}) for name in present]
    shared = set.intersection(*sets) if sets else set()
    if not shared:
        raise ConfigError(
            f"no network is common to {', '.join(present) or 'any store'}",
            where="the platform's compose files",
            cure="The exporters must reach the stores and Prometheus the exporters: put them in one network.",
        )
    return NETWORK if NETWORK in shared else str(min(shared))


def changes(before: object, after: object, path: str = "") -> list[str]:
    """What differs, keys in order: `path: before -> after`, and `path: + item` or `path: - item` of a list."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        pairs = ((before.get(key, _ABSENT), after.get(key, _ABSENT), f"{path}.{key}".lstrip(".")) for key in keys)
        return [line for each in pairs for line in changes(*each)]
    if isinstance(before, list) and isinstance(after, list):
        gone, new = ([each for each in one if each not in other] for one, other in ((before, after), (after, before)))
        return [f"{path}: - {each}" for each in gone] + [f"{path}: + {each}" for each in new]
    return [] if before == after else [f"{path}: {before} -> {after}"]


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


_ABSENT = _Absent()


def _find(service: ServiceId, services: Document, said: Mapping[ServiceId, str]) -> str | None:
    if service in said:
        if said[service] not in services:
            raise ConfigError(
                f"the project has no service '{said[service]}'",
                where="SUITE_COMPOSE_SERVICES",
                cure=f"It has: {', '.join(sorted(services))}.",
            )
        return said[service]
    if service in services:
        return str(service)
    fitting = [name for name, one in services.items() if repository(one.get("image", "")) in IMAGES.get(service, ())]
    if len(fitting) > 1:
        raise ConfigError(
            f"more than one service could be {service}: {', '.join(sorted(fitting))}",
            where="the platform's compose files",
            cure=f"Say which: SUITE_COMPOSE_SERVICES={service}=<name>.",
        )
    return fitting[0] if fitting else None


def repository(image: str) -> str:
    """`prom/prometheus` of `docker.io/prom/prometheus:v2.53.5@sha256:…`."""
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first):
        name = rest
    return name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name


def _addition(theirs: Document, wanted: Document, names: Mapping[ServiceId, str], network: str) -> Document:
    """The whole service, with the project's names and network."""
    addresses = {ADDRESSES[store]: address(theirs, names, store) for store in STORES if store in names}
    service = {key: _renamed(value, addresses) for key, value in wanted.items() if key != "x-extend"}
    service["networks"] = [network]
    service["labels"] = {"perf-suite.lease": "${SUITE_LEASE:-}"}
    needs = [names[ServiceId(each)] for each in wanted.get("depends_on", ())]
    if needs:
        service["depends_on"] = {name: {"condition": _condition(theirs["services"][name])} for name in needs}
    return service


def address(theirs: Document, names: Mapping[ServiceId, str], store: ServiceId) -> str:
    """`host:port` of a store inside the project's network; Kafka's is the listener that is advertised there."""
    name, port = names[store], ADDRESSES[store].rpartition(":")[2]
    if store is ServiceId.KAFKA:
        environment = theirs["services"][name].get("environment") or {}
        listeners = str(environment.get("KAFKA_ADVERTISED_LISTENERS", "")).split(",")
        ports = [each.rpartition(":")[2] for each in listeners if f"//{name}:" in each]
        port = ports[0] if ports else port
    return f"{name}:{port}"


def _condition(service: Document) -> str:
    return "service_healthy" if service.get("healthcheck") else "service_started"


def _renamed(value: Any, addresses: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in addresses.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, list):
        return [_renamed(each, addresses) for each in value]
    if isinstance(value, dict):
        return {key: _renamed(each, addresses) for key, each in value.items()}
    return value


def _extension(theirs: Document, wanted: Document) -> Document:
    """Only what the platform's service lacks of the keys that may be extended."""
    found = {key: EXTEND[key](theirs, wanted[key]) for key in wanted.get("x-extend", ()) if key != "depends_on"}
    extension = {key: value for key, value in found.items() if value}
    if "depends_on" in wanted.get("x-extend", ()) and extension:
        extension["depends_on"] = copy.deepcopy(wanted["depends_on"])
    return extension


def _missing_flags(theirs: Document, wanted: list[str]) -> list[str]:
    """Their command with the flags that it lacks: in an overlay a command replaces the whole one."""
    own = [str(part) for part in theirs.get("command") or ()]
    names = {flag.partition("=")[0] for flag in own}
    features = {name for flag in own if flag.startswith("--enable-feature=") for name in flag[17:].split(",")}
    lacks = [flag for flag in wanted if not _has(flag, names, features)]
    return [*own, *lacks] if lacks else []


def _has(flag: str, names: Iterable[str], features: Iterable[str]) -> bool:
    name, _, value = flag.partition("=")
    return value in features if name == "--enable-feature" else name in names


def _other_variables(theirs: Document, wanted: Mapping[str, str]) -> dict[str, str]:
    """Zipkin's storage: nothing where it is Elasticsearch already, wherever that is."""
    own = theirs.get("environment") or {}
    return {} if own.get("STORAGE_TYPE") == wanted["STORAGE_TYPE"] else dict(wanted)


def _missing_hosts(theirs: Document, wanted: list[str]) -> list[str]:
    own = {str(host).replace("=", ":").partition(":")[0] for host in theirs.get("extra_hosts") or ()}
    return [host for host in wanted if host.partition(":")[0] not in own]


def _replaced_mounts(_theirs: Document, wanted: list[str]) -> list[str]:
    """Mounts of generated files: what they hold is the platform's own with our additions (`merged.py`)."""
    return list(wanted)


EXTEND: Mapping[str, Callable[[Document, Any], Any]] = {
    "command": _missing_flags,
    "environment": _other_variables,
    "extra_hosts": _missing_hosts,
    "volumes": _replaced_mounts,
}
