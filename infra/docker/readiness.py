"""Readiness by reading back through the published port: one look at a service, and what was seen."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

import httpx
from kafka.errors import KafkaError

from core.http import http_client
from core.ports import ServiceId
from infra.kafka_ready import broker_count, listens
from infra.ready import POSTGRESQL_HELLO, POSTGRESQL_PLAIN, READ_BACK

LOOK_TIMEOUT_S = 5.0
_SHOWN_CHARACTERS = 120


def look(service: ServiceId, endpoint: str) -> str | None:
    """None when the service at `host:port` is ready, else what was seen instead."""
    try:
        return _SPEAK[service](endpoint) if service in _SPEAK else _http(service, endpoint)
    except (OSError, httpx.HTTPError, KafkaError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN_CHARACTERS]


def _http(service: ServiceId, endpoint: str) -> str | None:
    path, expected = READ_BACK[service]
    with http_client(LOOK_TIMEOUT_S) as client:
        answer = client.get(f"http://{endpoint}{path}")
    if answer.is_success and expected in answer.text:
        return None
    return f"HTTP {answer.status_code}: {' '.join(answer.text.split())[:_SHOWN_CHARACTERS]}"


def _said(endpoint: str, question: bytes, expected: bytes) -> str | None:
    """Docker's proxy accepts before the service does, so a connection alone says nothing."""
    host, _, port = endpoint.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LOOK_TIMEOUT_S) as connection:
        connection.sendall(question)
        answer = connection.recv(4096)
    return None if expected in answer else f"answered {answer!r}"


def _kafka(endpoint: str) -> str | None:
    if not listens(endpoint, wait_s=0):
        return f"nothing listens on {endpoint}"
    return None if broker_count(endpoint) else "the cluster has no broker yet"


_SPEAK: Mapping[ServiceId, Callable[[str], str | None]] = {
    ServiceId.MYSQL: lambda endpoint: _said(endpoint, b"", b"_password"),  # the greeting names its way of logging in
    ServiceId.POSTGRESQL: lambda endpoint: _said(endpoint, POSTGRESQL_HELLO, POSTGRESQL_PLAIN),
    ServiceId.REDIS: lambda endpoint: _said(endpoint, b"PING\r\n", b"PONG"),
    ServiceId.KAFKA: _kafka,
}
