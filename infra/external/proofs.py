"""Each part of a stack that somebody else runs, proven to be what the profile says: product, version, flags.

A proof asks a few questions and changes nothing, but for Zipkin, where one span is written and read back. It raises
SuiteError, with the cure, for what is not as it has to be.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pymysql
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.answers import fetch, fetch_json, json_of, require_good
from core.errors import SetupError, SuiteError
from core.http import http_client
from core.ports import EXPORTERS, OWN_METRIC, Endpoints, ServiceId
from core.waiting import wait_for
from infra.external.kafka import look_at_cluster
from infra.prometheus.scrape import metrics_path
from infra.ready import POSTGRESQL_HELLO, POSTGRESQL_PLAIN, POSTGRESQL_TLS
from targets.guard import require_allowed

READ_BACK_WITHIN_S = 20.0
ANSWER_S = 5.0
MYSQL_REFUSES = (1044, 1045, 1698)
"""Access denied, in MySQL's and MariaDB's numbers: the server is there.

A connection that says nothing would count towards its max_connect_errors.
"""
NATIVE_WITHOUT_FLAG = (3, 8)
"""From this release on Prometheus takes native histograms by remote write without a flag."""


@dataclass(frozen=True)
class Proof:
    """What answers for a service. `version` is "" where it does not tell."""

    product: str
    version: str = ""
    note: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.product, self.version))) + (f", {self.note}" if self.note else "")


def prove(service: ServiceId, endpoints: Endpoints) -> Proof:
    """What answers at the service's address; SuiteError where it is not what it has to be."""
    with http_client(ANSWER_S) as client:
        return PROOFS.get(service, _service)(client, service, endpoints)


def prometheus_version(text: str) -> tuple[int, ...]:
    """`2.42.0+ds` -> (2, 42, 0); () where there is no number."""
    return tuple(map(int, re.findall(r"\d+", text.partition("+")[0].partition("-")[0])))


def missing_flags(flags: Mapping[str, str], version: str) -> list[str]:
    """The flags without which k6's series do not arrive, as they are written on Prometheus' command line."""
    missing = []
    if flags.get("web.enable-remote-write-receiver") != "true":
        missing.append("--web.enable-remote-write-receiver")
    features = flags.get("enable-feature", "").split(",")
    if prometheus_version(version) < NATIVE_WITHOUT_FLAG and "native-histograms" not in features:
        missing.append("--enable-feature=native-histograms")
    return missing


def _prometheus(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    """Flags that cannot be seen (Thanos, Mimir) are not claimed: `k6-run` says whether the series arrived."""
    cure = "Start Prometheus, or correct addresses.prometheus in the profile."
    built = _data(fetch_json(client, endpoints.url(service, "/api/v1/status/buildinfo"), cure))
    version = str(built.get("version", ""))
    if not version:
        raise SetupError("does not answer as Prometheus does", where=endpoints.url(service), cure=cure)
    answer = fetch(client, "GET", endpoints.url(service, "/api/v1/status/flags"))
    if not answer.is_success:
        return Proof("Prometheus' API", version, "which shows no flags")
    if missing := missing_flags(_data(json_of(answer)), version):
        what = f"Prometheus {version} was started without {' and '.join(missing)}: k6's series would be lost"
        raise SetupError(what, where=endpoints.url(service), cure=f"Start it with {' '.join(missing)}.")
    return Proof("Prometheus", version, "takes remote write and native histograms")


def _elasticsearch(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    url, cure = endpoints.url(service, "/"), "Start Elasticsearch, or correct addresses.elasticsearch in the profile."
    said = fetch_json(client, url, cure)
    version = said.get("version", {}) if isinstance(said, dict) else {}
    if "number" not in version:
        raise SetupError("does not answer as Elasticsearch does", where=url, cure=cure)
    return Proof(str(version.get("distribution", "elasticsearch")).capitalize(), version["number"])


def _zipkin(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    cure = "Does its storage answer? With Elasticsearch 8 it needs http.compression=false there (corrections.md 14)."
    trace_id, url = secrets.token_hex(16), endpoints.url(service)
    span = {
        "traceId": trace_id,
        "id": trace_id[:16],
        "name": "written and read back",
        "timestamp": int(time.time() * 1e6),
        "duration": 1,
        "localEndpoint": {"serviceName": "perf-suite"},
    }
    written = fetch(client, "POST", f"{url}/api/v2/spans", "Start Zipkin, or correct addresses.zipkin.", json=[span])
    require_good(written)
    answer = wait_for(
        lambda: fetch(client, "GET", f"{url}/api/v2/trace/{trace_id}"), lambda seen: seen.is_success, READ_BACK_WITHIN_S
    )
    if not answer.is_success:
        what = f"took a span, but did not give it back within {READ_BACK_WITHIN_S:.0f} s ({answer.status_code})"
        raise SetupError(what, where=url, cure=cure)
    return Proof("Zipkin", _zipkin_version(client, url), "wrote a span and read it back")


def _zipkin_version(client: httpx.Client, url: str) -> str:
    answer = fetch(client, "GET", f"{url}/info")
    said = answer.json() if answer.is_success else {}
    return str(said.get("zipkin", {}).get("version", ""))


def _kafka(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    cluster = look_at_cluster(endpoints[service])
    return Proof("Kafka", "", f"cluster {cluster.id or '?'} with {len(cluster.brokers)} broker(s)")


def _mysql(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    require_allowed(endpoints[service], f"addresses.{service}")
    host, _, port = endpoints[service].rpartition(":")
    connection = pymysql.Connection(
        host=host, port=int(port), user="perf-suite-look", connect_timeout=ANSWER_S, read_timeout=5, defer_connect=True
    )
    try:
        connection.connect()
        connection.close()
    except pymysql.MySQLError as error:
        if not error.args or error.args[0] not in MYSQL_REFUSES:
            raise SetupError(
                f"does not answer as MySQL does: {error}",
                where=endpoints[service],
                cure="Start it, or correct addresses.mysql in the profile, or leave it out there.",
            ) from error
    return Proof("MySQL's protocol", str(getattr(connection, "server_version", "")))


def _postgresql(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    """It is asked whether it speaks TLS, which it says before anybody has signed in."""
    require_allowed(endpoints[service], f"addresses.{service}")
    host, _, port = endpoints[service].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_S) as connection:
            connection.sendall(POSTGRESQL_HELLO)
            said = connection.recv(1)
    except OSError as error:
        said, reason = b"", str(error)
    else:
        reason = f"it said {said!r}"
    if said not in (POSTGRESQL_PLAIN, POSTGRESQL_TLS):
        raise SetupError(
            f"does not answer as PostgreSQL does: {reason}",
            where=endpoints[service],
            cure="Start it, or correct addresses.postgresql in the profile, or leave it out there.",
        )
    return Proof("PostgreSQL's protocol", "", "speaks it")


def _redis(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    try:
        return Proof("Redis", redis_info(endpoints[service])["redis_version"])
    except redis.AuthenticationError as error:
        return Proof("Redis", "", f"which asks for a password ({error})")
    except (redis.RedisError, KeyError) as error:
        raise SetupError(
            f"does not answer as Redis does: {error}",
            where=endpoints[service],
            cure="Start it, or correct addresses.redis in the profile, or leave it out there.",
        ) from error


def redis_info(address: str) -> Mapping[str, Any]:
    """The server's own words about itself; redis.RedisError where it refuses."""
    require_allowed(address, "addresses.redis")
    host, _, port = address.rpartition(":")
    once = Retry(NoBackoff(), 0)
    with redis.Redis(host, int(port), socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=once) as client:
        info: Mapping[str, Any] = client.info("server")
        return info


def _exporter(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    url, cure = endpoints.url(service, metrics_path(service)), f"Start it, or correct addresses.{service}."
    answer = fetch(client, "GET", url, cure)
    require_good(answer)
    own = OWN_METRIC[service]
    if not re.search(rf"^{own}", answer.text, re.MULTILINE):
        raise SetupError(f"gives no {own}: it is no {service}", where=url, cure=cure)
    return Proof(service.value, _version_of(service, answer.text), f"gives {own}")


def _version_of(service: ServiceId, metrics: str) -> str:
    """The version in an exporter's own `…build_info` or `…exporter_build_info`, "" where it has none."""
    names = {ServiceId.CADVISOR: "cadvisor_version_info", ServiceId.MYSQL_EXPORTER: "mysqld_exporter_build_info"}
    name = names.get(service, f"{service.value.replace('-', '_')}_build_info")
    found = re.search(rf'^{name}{{.*?(?:cadvisorV|v)ersion="([^"]*)"', metrics, re.MULTILINE)
    return found[1] if found else ""


def _service(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> Proof:
    """Of a service of the platform only that it speaks HTTP; what it says is looked at by doctor."""
    cure = f"Start it, or correct addresses.{service} in the profile."
    answer = fetch(client, "GET", endpoints.url(service, metrics_path(service)), cure)
    gives = "gives metrics" if answer.is_success and "# TYPE" in answer.text else "gives no metrics there"
    return Proof("HTTP", "", gives)


def _data(body: Any) -> Mapping[str, Any]:
    found = body.get("data") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


PROOFS: Mapping[ServiceId, Callable[[httpx.Client, ServiceId, Endpoints], Proof]] = {
    ServiceId.PROMETHEUS: _prometheus,
    ServiceId.ELASTICSEARCH: _elasticsearch,
    ServiceId.ZIPKIN: _zipkin,
    ServiceId.KAFKA: _kafka,
    ServiceId.MYSQL: _mysql,
    ServiceId.POSTGRESQL: _postgresql,
    ServiceId.REDIS: _redis,
    **dict.fromkeys(EXPORTERS, _exporter),
}


def proven(
    services: Sequence[ServiceId], endpoints: Endpoints
) -> tuple[dict[ServiceId, Proof], dict[ServiceId, SuiteError]]:
    """Every service looked at, those that are what they have to be and those that are not."""
    good: dict[ServiceId, Proof] = {}
    bad: dict[ServiceId, SuiteError] = {}
    for service in services:
        try:
            good[service] = prove(service, endpoints)
        except SuiteError as error:
            bad[service] = error
    return good, bad
