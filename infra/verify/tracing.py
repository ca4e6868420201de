"""`zipkin-es-index`: a request of this check's own is traced, read back from Zipkin, and stored in Elasticsearch."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from core.checks import Check, check, passed_if
from core.http import http_client
from core.ports import Endpoints, ServiceId
from core.waiting import wait_for
from core.words import Verdict
from targets.model import Profile, RouteName

INDEX_PREFIX = "zipkin-span-"
CURE = "Does Elasticsearch run with http.compression=false (corrections.md 14)? Look at logs/zipkin.log."


def zipkin_es_index_check(profile: Profile, endpoints: Endpoints, timeout_s: float = 30.0) -> Check:
    """Request, trace and index: each is looked at until it is there, at most `timeout_s` each."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    try:
        status = _traced_request(profile, trace_id, span_id)
        answered, spans = wait_for(lambda: _spans(endpoints, trace_id), lambda seen: _complete(seen[1]), timeout_s)
        indices = wait_for(lambda: _indices(endpoints), lambda seen: _index_name() in seen, timeout_s)
    except (httpx.HTTPError, ValueError) as error:
        return check("zipkin-es-index", Verdict.FAIL, f"no answer on the way: {error!r}. {CURE}", trace_id=trace_id)
    services = sorted({span.get("localEndpoint", {}).get("serviceName", "?") for span in spans})
    evidence: dict[str, Any] = {
        "trace_id": trace_id,
        "request_status": status,
        "zipkin_status": answered,
        "spans": len(spans),
        "services": services,
        "indices": indices,
    }
    problems = list(_problems(status, answered, spans, indices))
    observed = (
        f"{'; '.join(problems)}. {CURE}"
        if problems
        else f"{len(spans)} spans of {', '.join(services)} came back; {_index_name()} holds documents"
    )
    return passed_if("zipkin-es-index", not problems, observed, **evidence)


def _problems(status: int, answered: int, spans: list[dict[str, Any]], indices: Mapping[str, int]) -> Iterable[str]:
    if status != httpx.codes.OK:
        yield f"the traced request was answered {status}"
    if not spans:
        yield f"its trace did not come back from Zipkin, which answered {answered} at last"
    elif not _complete(spans):
        yield "its trace holds spans of one service only"
    if not indices.get(_index_name()):
        yield f"{_index_name()} is not in Elasticsearch, or empty"


def _traced_request(profile: Profile, trace_id: str, span_id: str) -> int:
    """One product list with B3 headers that ask for sampling; returns its status."""
    page = profile.responses.products
    headers = {"X-B3-TraceId": trace_id, "X-B3-SpanId": span_id, "X-B3-Sampled": "1"}
    with http_client() as client:
        answer = client.get(
            profile.base_url + profile.routes[RouteName.PRODUCT_LIST].path,
            params={page.page_parameter: page.first_page, page.size_parameter: page.size},
            headers=headers,
        )
    return answer.status_code


def _spans(endpoints: Endpoints, trace_id: str) -> tuple[int, list[dict[str, Any]]]:
    """(status, spans); a span index that was made this second answers 500 until its shard is up."""
    with http_client() as client:
        answer = client.get(endpoints.url(ServiceId.ZIPKIN, f"/api/v2/trace/{trace_id}"))
    return answer.status_code, answer.json() if answer.is_success else []


def _complete(spans: list[dict[str, Any]]) -> bool:
    """The gateway's span and a span behind it are there."""
    return len({span.get("localEndpoint", {}).get("serviceName") for span in spans}) > 1


def _indices(endpoints: Endpoints) -> Mapping[str, int]:
    """Zipkin's span indices in Elasticsearch -> number of documents."""
    with http_client() as client:
        answer = client.get(
            endpoints.url(ServiceId.ELASTICSEARCH, f"/_cat/indices/{INDEX_PREFIX}*"), params={"format": "json"}
        )
    answer.raise_for_status()
    return {row["index"]: int(row["docs.count"] or 0) for row in answer.json()}


def _index_name() -> str:
    """Today's index; Zipkin names them by the span's UTC day."""
    return f"{INDEX_PREFIX}{datetime.now(UTC):%Y-%m-%d}"
