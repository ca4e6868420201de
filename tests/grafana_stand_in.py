"""A stand-in of Grafana 11.4: a small HTTP server that keeps to Grafana's documented API, with a switch for each error.

It is no Grafana, and says so in its version. Followed are the pages of Grafana's documentation under "HTTP API":
Health (Other), Folder, Data source (with "Check data source health" and "Query a data source"), Dashboard and
Annotations; the frames of a query are those of "Data frames" in the plugin tools. Where the pages say nothing
(a read-only data source, a dashboard from files), the answers are those that users quote from Grafana 11.

    python -m tests.grafana_stand_in --port 3000 [--host 0.0.0.0] [--token TOKEN]

asks queries of the Prometheus that its data source names, and lets in whom Grafana's own variables
GF_SECURITY_ADMIN_USER and _PASSWORD name. Nothing but Python is needed: it is the image `grafana` of tests/standins.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

VERSION = "stand-in of grafana 11.4.0"
TOKEN = "glsa_made_up_for_the_stand_in"
USER, PASSWORD = "admin", "made-up-password"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Json = dict[str, Any]
Frames = Callable[[Json, str, str], list[Json]]
"""(query, from, to) -> frames; raises ValueError for a query that fails."""


@dataclass
class Answer:
    """What a switch makes the server say instead. hangs: say nothing until the client gives up."""

    status: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1_000_000
    before: Callable[[], None] = lambda: None
    hangs: bool = False


class StandIn:
    """The state of one stand-in; `with StandIn() as grafana:` serves it on 127.0.0.1 at a free port."""

    def __init__(
        self,
        frames: Frames | None = None,
        base_path: str = "",
        token: str = TOKEN,
        address: tuple[str, int] = ("127.0.0.1", 0),
        login: str = f"{USER}:{PASSWORD}",
    ) -> None:
        self.folders: dict[str, Json] = {}
        self.datasources: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}  # uid -> {dashboard, meta}
        self.annotations: list[Json] = []
        self.requests: Counter[str] = Counter()  # "METHOD path" without the query
        self.asked: list[Json] = []  # every query
        self.token = token
        self.base_path = base_path
        self._frames = frames or self._from_prometheus
        self._switches: dict[re.Pattern[str], Answer] = {}
        self._gone = threading.Event()
        self._lock = threading.Lock()
        self._login = login
        self._server = _Server(address, self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{base_path}"

    # -- switches ------------------------------------------------------------------------------------

    def say(self, request: str, status: int, body: Any = None, *, text: str | None = None, **more: Any) -> None:
        """From now on the requests that match `request` ("METHOD path", a regular expression) get this answer."""
        content = text.encode() if text is not None else json.dumps(body or {}).encode()
        kind = "application/json" if text is None else "text/html"
        headers = {"Content-Type": kind, **more.pop("headers", {})}
        self._switches[re.compile(request)] = Answer(status, content, headers, **more)

    def hang(self, request: str) -> None:
        """From now on the requests that match are not answered."""
        self._switches[re.compile(request)] = Answer(0, hangs=True)

    def keep(self, dashboard: Json, folder_uid: str = "", folder_title: str = "General", **meta: Any) -> None:
        """Put a dashboard there as a person or a file did."""
        kept = {"id": len(self.dashboards) + 1, "version": 1, **dashboard}
        about = {"folderUid": folder_uid, "folderTitle": folder_title, "provisioned": False, **meta}
        self.dashboards[dashboard["uid"]] = {"dashboard": kept, "meta": about}

    @property
    def writes(self) -> int:
        """How many requests changed something, or tried to."""
        changing = {name: n for name, n in self.requests.items() if not name.startswith("GET ")}
        return sum(n for name, n in changing.items() if not name.endswith("/api/ds/query"))

    # -- serving -------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve(self) -> None:
        """Until the process ends."""
        self._server.serve_forever()

    def answer(self, method: str, target: str, authorization: str, body: Json) -> Answer | None:
        """The answer to one request; None: none at all."""
        path = urlsplit(target).path.removeprefix(self.base_path)
        with self._lock:
            self.requests[f"{method} {path}"] += 1
            switched = self._switched(f"{method} {path}")
        if switched is not None:
            switched.before()
            return None if switched.hangs and self._gone.wait() else switched
        if self.base_path and not urlsplit(target).path.startswith(f"{self.base_path}/"):
            return _redirect(self.base_path + path)
        if path != "/api/health" and authorization not in self._accepted():
            return _error(401, "Unauthorized", statusCode=401, messageId="auth.unauthorized")
        with self._lock:
            return self._route(method, path, parse_qs(urlsplit(target).query), body)

    def _switched(self, request: str) -> Answer | None:
        for pattern, answer in self._switches.items():
            if pattern.fullmatch(request) and answer.times > 0:
                answer.times -= 1
                return answer
        return None

    def _accepted(self) -> tuple[str, ...]:
        basic = base64.b64encode(self._login.encode()).decode()
        return f"Bearer {self.token}", f"Basic {basic}"

    def _route(self, method: str, path: str, query: Mapping[str, list[str]], body: Json) -> Answer:
        for pattern, handle in _ROUTES.items():
            if match := re.fullmatch(pattern, f"{method} {path}"):
                return handle(self, *match.groups(), query, body)
        return _error(404, "Not found")

    # -- the documented pages ------------------------------------------------------------------------

    def health(self, _: Mapping[str, list[str]], __: Json) -> Answer:
        return _json({"commit": "0000000", "database": "ok", "version": VERSION})

    def get_folder(self, uid: str, _: Mapping[str, list[str]], __: Json) -> Answer:
        if uid not in self.folders:
            return _error(404, "folder not found", status="not-found")
        return _json(self.folders[uid])

    def post_folder(self, _: Mapping[str, list[str]], body: Json) -> Answer:
        if body["uid"] in self.folders:
            return _error(409, "a folder with the same uid already exists")
        self.folders[body["uid"]] = {"id": len(self.folders) + 1, "version": 1, **body}
        return _json(self.folders[body["uid"]])

    def put_folder(self, uid: str, _: Mapping[str, list[str]], body: Json) -> Answer:
        folder = self.folders[uid]
        if not body.get("overwrite") and body.get("version") != folder["version"]:
            return _error(412, "The folder has been changed by someone else", status="version-mismatch")
        self.folders[uid] = {**folder, "title": body["title"], "version": folder["version"] + 1}
        return _json(self.folders[uid])

    def get_datasource(self, uid: str, _: Mapping[str, list[str]], __: Json) -> Answer:
        return _json(self.datasources[uid]) if uid in self.datasources else _error(404, "Data source not found")

    def post_datasource(self, _: Mapping[str, list[str]], body: Json) -> Answer:
        if any(each["name"] == body["name"] or each["uid"] == body["uid"] for each in self.datasources.values()):
            return _error(409, "data source with the same name already exists")
        made = {"id": len(self.datasources) + 1, "version": 1, "readOnly": False, "isDefault": False, **body}
        self.datasources[body["uid"]] = {**made, "secureJsonFields": {}}
        return _json({"datasource": made, "id": made["id"], "message": "Datasource added", "name": made["name"]})

    def put_datasource(self, uid: str, _: Mapping[str, list[str]], body: Json) -> Answer:
        if self.datasources[uid]["readOnly"]:
            return _error(403, "Cannot update read-only data source")
        version = self.datasources[uid]["version"]
        self.datasources[uid] = {**self.datasources[uid], **body, "version": version + 1}
        return _json({"datasource": self.datasources[uid], "message": "Datasource updated"})

    def datasource_health(self, uid: str, _: Mapping[str, list[str]], __: Json) -> Answer:
        if uid not in self.datasources:
            return _error(404, "Data source not found")
        probe = {"expr": "1+1", "format": "time_series", "intervalMs": 1000, "datasource": {"uid": uid}}
        try:
            self._frames(probe, "0", "1000")
        except ValueError as error:
            return _json({"message": str(error), "status": "ERROR"}, 400)
        return _json({"message": "Successfully queried the Prometheus API.", "status": "OK"})

    def get_dashboard(self, uid: str, _: Mapping[str, list[str]], __: Json) -> Answer:
        return _json(self.dashboards[uid]) if uid in self.dashboards else _error(404, "Dashboard not found")

    def post_dashboard(self, _: Mapping[str, list[str]], body: Json) -> Answer:
        sent, there = body["dashboard"], self.dashboards.get(body["dashboard"]["uid"])
        if there and there["meta"]["provisioned"]:
            return _error(400, "Cannot save provisioned dashboard")
        if there and not body["overwrite"] and sent.get("id") is None:
            return _error(412, "A dashboard with the same uid already exists", status="name-exists")
        if there and not body["overwrite"] and sent.get("version") != there["dashboard"]["version"]:
            return _error(412, "The dashboard has been changed by someone else", status="version-mismatch")
        version = there["dashboard"]["version"] + 1 if there else 1
        folder = self.folders.get(body["folderUid"], {"title": "General"})
        self.keep({**sent, "id": len(self.dashboards) + 1, "version": version}, body["folderUid"], folder["title"])
        return _json({"uid": sent["uid"], "status": "success", "version": version, "url": f"/d/{sent['uid']}"})

    def get_annotations(self, query: Mapping[str, list[str]], _: Json) -> Answer:
        start, end = int(query["from"][0]), int(query["to"][0])
        of = [each for each in self.annotations if each["dashboardUID"] == query["dashboardUID"][0]]
        return _json([each for each in of if each["time"] <= end and each["timeEnd"] >= start])

    def post_annotation(self, _: Mapping[str, list[str]], body: Json) -> Answer:
        if not body.get("text"):
            return _error(400, "Failed to save annotation")
        self.annotations.append({"id": len(self.annotations) + 1, **body})
        return _json({"message": "Annotation added", "id": len(self.annotations)})

    def query(self, _: Mapping[str, list[str]], body: Json) -> Answer:
        results: dict[str, Json] = {}
        for each in body["queries"]:
            if each["datasource"]["uid"] not in self.datasources:
                return _error(404, "data source not found")
            self.asked.append(each)
            try:
                results[each["refId"]] = {"status": 200, "frames": self._frames(each, body["from"], body["to"])}
            except ValueError as error:
                results[each["refId"]] = {"status": 400, "error": str(error), "errorSource": "downstream"}
        failed = any("error" in each for each in results.values())
        return _json({"results": results}, 400 if failed else 200)

    def _from_prometheus(self, query: Json, start: str, end: str) -> list[Json]:
        """The answer of the Prometheus that the data source names."""
        url = self.datasources[query["datasource"]["uid"]]["url"]
        asked = {"query": query["expr"], "start": int(start) / 1000, "end": int(end) / 1000}
        form = urlencode({**asked, "step": query["intervalMs"] / 1000}).encode()
        try:
            with _DIRECT.open(f"{url}/api/v1/query_range", form, timeout=30) as response:
                content = response.read()
        except urllib.error.HTTPError as refused:
            content = refused.read()
        except OSError as error:
            raise ValueError(f'Post "{url}/api/v1/query_range": {error}') from error
        answer = json.loads(content)
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return [frame for each in answer["data"]["result"] for frame in _frames_of(each)]


def line_frame(labels: Mapping[str, str], times_ms: list[int], values: list[float | None]) -> Json:
    """A series as the Prometheus data source gives it."""
    fields = [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number", "labels": dict(labels)}]
    return {"schema": {"refId": "A", "fields": fields}, "data": {"values": [times_ms, values]}}


def cells_frame(cells: list[tuple[int, float, float, float]]) -> Json:
    """A native histogram: (time in ms, lower bound, upper bound, count) a cell."""
    names = {"xMax": "time", "yMin": "number", "yMax": "number", "count": "number"}
    fields = [{"name": name, "type": kind} for name, kind in names.items()]
    columns = [list(column) for column in zip(*cells, strict=True)] or [[], [], [], []]
    return {"schema": {"meta": {"type": "heatmap-cells"}, "fields": fields}, "data": {"values": columns}}


def filled(query: Json, start: str, end: str) -> list[Json]:
    """Data for any query: cells for a native histogram, else a line that rises."""
    if query["format"] == "heatmap":
        return [cells_frame([(int(start), 0.1, 0.2, 5.0)])]
    return [line_frame({"service": "blog-service"}, [int(start), int(end)], [1.0, 2.0])]


def _frames_of(series: Json) -> Iterator[Json]:
    if points := series.get("values"):
        yield line_frame(series["metric"], [round(at * 1000) for at, _ in points], [_number(v) for _, v in points])
    if histograms := series.get("histograms"):
        yield cells_frame(
            [
                (round(at * 1000), float(low), float(high), float(count))
                for at, histogram in histograms
                for _, low, high, count in histogram.get("buckets", ())
            ]
        )


def _number(text: str) -> float | None:
    """NaN and infinities are null in Grafana's JSON."""
    return None if text in ("NaN", "+Inf", "-Inf") else float(text)


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _error(code: int, message: str, **more: Any) -> Answer:
    return _json({"message": message, **more}, code)


def _redirect(location: str) -> Answer:
    return Answer(302, b"", {"Location": location})


_ROUTES: Mapping[str, Callable[..., Answer]] = {
    r"GET /api/health": StandIn.health,
    r"GET /api/folders/([\w-]+)": StandIn.get_folder,
    r"POST /api/folders": StandIn.post_folder,
    r"PUT /api/folders/([\w-]+)": StandIn.put_folder,
    r"GET /api/datasources/uid/([\w-]+)": StandIn.get_datasource,
    r"POST /api/datasources": StandIn.post_datasource,
    r"PUT /api/datasources/uid/([\w-]+)": StandIn.put_datasource,
    r"GET /api/datasources/uid/([\w-]+)/health": StandIn.datasource_health,
    r"GET /api/dashboards/uid/([\w-]+)": StandIn.get_dashboard,
    r"POST /api/dashboards/db": StandIn.post_dashboard,
    r"GET /api/annotations": StandIn.get_annotations,
    r"POST /api/annotations": StandIn.post_annotation,
    r"POST /api/ds/query": StandIn.query,
}


class _Server(ThreadingHTTPServer):
    """One thread a connection; a client that went away is no error."""

    def __init__(self, address: tuple[str, int], stand_in: StandIn) -> None:
        self.stand_in = stand_in
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        answer = self.server.stand_in.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
        if answer is None:
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = handle_one

    def log_message(self, format: str, *args: Any) -> None:
        return


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.grafana_stand_in", description="A stand-in of Grafana.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--token", default=TOKEN)
    asked = parser.parse_args()
    user, password = (os.environ.get(f"GF_SECURITY_ADMIN_{key}") for key in ("USER", "PASSWORD"))
    login = f"{user or USER}:{password or PASSWORD}"
    grafana = StandIn(token=asked.token, address=(asked.host, asked.port), login=login)
    print(f"{VERSION} at {grafana.url}", flush=True)
    grafana.serve()


if __name__ == "__main__":
    main()
