"""`zipkin-es-index` and `traces-complete`: requests of the suite's own are traced and read back from Zipkin."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
PROBE_EVERY_S = 2.0
READ_BACK_WITHIN_S = 20.0
"""A trace that is not whole by then has lost a span; Elasticsearch shows new documents within a second or two."""
INCOMPLETE_AT_MOST = 0.01
"""Share of the probes whose trace may lack a span."""
CURE = "Does Elasticsearch run with http.compression=false (corrections.md 14)? Look at logs/zipkin.log."


def zipkin_es_index_check(profile: Profile, endpoints: Endpoints, timeout_s: float = 30.0) -> Check:
    """Request, trace and index: each is looked at until it is there, at most `timeout_s` each."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    try:
        with http_client() as client:
            status = _traced_request(client, profile, trace_id, span_id)
            answered, spans = wait_for(
                lambda: _spans(client, endpoints, trace_id), lambda seen: _complete(seen[1]), timeout_s
            )
            indices = _awaited_indices(client, endpoints, timeout_s)
    except (httpx.HTTPError, ValueError) as error:
        return check("zipkin-es-index", Verdict.FAIL, f"no answer on the way: {error!r}. {CURE}", trace_id=trace_id)
    services = _services(spans)
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
        else f"{len(spans)} spans of {', '.join(services)} came back; {_index_words(indices)}"
    )
    return passed_if("zipkin-es-index", not problems, observed, **evidence)


@dataclass
class TraceProbes:
    """Traced requests made beside the load; each trace is read back until it is whole, at most READ_BACK_WITHIN_S."""

    profile: Profile
    endpoints: Endpoints
    whole: int = 0
    incomplete: list[str] = field(default_factory=list)  # trace ids
    unanswered: int = 0  # not answered 200, so that nothing is claimed about their traces
    _waiting: dict[str, tuple[str, float]] = field(default_factory=dict)  # trace id -> (root span id, sent at)
    _client: httpx.Client = field(default_factory=http_client)  # one: making it costs 20 ms of the load's processors

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Send a probe every two seconds while the body runs, then wait for the traces that are still on their way."""
        ended = threading.Event()
        thread = threading.Thread(target=self._send_until, args=(ended,), name="trace-probes", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            wait_for(self._read_back, lambda waiting: not waiting, READ_BACK_WITHIN_S)
            self._client.close()

    def _send_until(self, ended: threading.Event) -> None:
        while not ended.wait(PROBE_EVERY_S):
            self._send()
            self._read_back()

    def _send(self) -> None:
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        try:
            answered = _traced_request(self._client, self.profile, trace_id, span_id) == httpx.codes.OK
        except httpx.HTTPError:
            answered = False
        if answered:
            self._waiting[trace_id] = (span_id, time.monotonic())
        else:
            self.unanswered += 1

    def _read_back(self) -> int:
        """Look at the traces that are awaited; returns how many still are."""
        for trace_id, (span_id, sent_at) in list(self._waiting.items()):
            if is_whole(self._spans_so_far(trace_id), span_id):
                self.whole += 1
            elif time.monotonic() - sent_at >= READ_BACK_WITHIN_S:
                self.incomplete.append(trace_id)
            else:
                continue
            del self._waiting[trace_id]
        return len(self._waiting)

    def _spans_so_far(self, trace_id: str) -> Sequence[Mapping[str, Any]]:
        """The trace's spans; nothing while Zipkin does not answer, so that it is asked again."""
        try:
            return _spans(self._client, self.endpoints, trace_id)[1]
        except (httpx.HTTPError, ValueError):
            return ()


def traces_complete_check(probes: TraceProbes) -> Check:
    """`traces-complete`: FAIL above INCOMPLETE_AT_MOST, NO_DATA without an answered probe."""
    judged = probes.whole + len(probes.incomplete)
    evidence: dict[str, Any] = {
        "probes": judged,
        "incomplete": len(probes.incomplete),
        "unanswered": probes.unanswered,
        "trace_ids": probes.incomplete[:5],
    }
    if not judged:
        return check("traces-complete", Verdict.NO_DATA, "no probe was answered beside the load", **evidence)
    lost = len(probes.incomplete)
    observed = f"{probes.whole} of {judged} traces came back whole"
    if lost:
        observed += (
            f"; {probes.incomplete[0]} lacks spans. Look at zipkin_reporter_spans_dropped_total of the services."
        )
    return passed_if("traces-complete", lost <= INCOMPLETE_AT_MOST * judged, observed, **evidence)


def is_whole(spans: Sequence[Mapping[str, Any]], root_id: str) -> bool:
    """The gateway's span and one behind it are there, and no span lacks its parent; `root_id` is the client's span."""
    known = {span["id"] for span in spans} | {root_id}
    return _complete(spans) and all(span.get("parentId", root_id) in known for span in spans)


def _awaited_indices(client: httpx.Client, endpoints: Endpoints, timeout_s: float) -> Mapping[str, int] | None:
    """Zipkin's indices once today's is there; None where the profile names no Elasticsearch."""
    if ServiceId.ELASTICSEARCH not in endpoints:
        return None
    return wait_for(lambda: _indices(client, endpoints), lambda seen: _index_name() in seen, timeout_s)


def _index_words(indices: Mapping[str, int] | None) -> str:
    if indices is None:
        return "the profile names no elasticsearch, so that its index was not looked at"
    return f"{_index_name()} holds documents"


def _problems(
    status: int, answered: int, spans: list[dict[str, Any]], indices: Mapping[str, int] | None
) -> Iterable[str]:
    if status != httpx.codes.OK:
        yield f"the traced request was answered {status}"
    if not spans:
        yield f"its trace did not come back from Zipkin, which answered {answered} at last"
    elif not _complete(spans):
        yield f"its trace holds spans of {_services(spans)[0]} only"
    if indices is not None and not indices.get(_index_name()):
        yield f"{_index_name()} is not in Elasticsearch, or empty"


def _traced_request(client: httpx.Client, profile: Profile, trace_id: str, span_id: str) -> int:
    """One product list with B3 headers that ask for sampling; returns its status."""
    page = profile.responses.products
    headers = {"X-B3-TraceId": trace_id, "X-B3-SpanId": span_id, "X-B3-Sampled": "1"}
    answer = client.get(
        profile.base_url + profile.routes[RouteName.PRODUCT_LIST].path,
        params={page.page_parameter: page.first_page, page.size_parameter: page.size},
        headers=headers,
    )
    return answer.status_code


def _spans(client: httpx.Client, endpoints: Endpoints, trace_id: str) -> tuple[int, list[dict[str, Any]]]:
    """(status, spans); a span index that was made this second answers 500 until its shard is up."""
    answer = client.get(endpoints.url(ServiceId.ZIPKIN, f"/api/v2/trace/{trace_id}"))
    return answer.status_code, answer.json() if answer.is_success else []


def _complete(spans: Sequence[Mapping[str, Any]]) -> bool:
    """The gateway's span and a span behind it are there."""
    return len(_services(spans)) > 1


def _services(spans: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the services that reported them."""
    return sorted({span.get("localEndpoint", {}).get("serviceName", "?") for span in spans})


def _indices(client: httpx.Client, endpoints: Endpoints) -> Mapping[str, int]:
    """Zipkin's span indices in Elasticsearch -> number of documents."""
    answer = client.get(
        endpoints.url(ServiceId.ELASTICSEARCH, f"/_cat/indices/{INDEX_PREFIX}*"), params={"format": "json"}
    )
    answer.raise_for_status()
    return {row["index"]: int(row["docs.count"] or 0) for row in answer.json()}


def _index_name() -> str:
    """Today's index; Zipkin names them by the span's UTC day."""
    return f"{INDEX_PREFIX}{datetime.now(UTC):%Y-%m-%d}"
