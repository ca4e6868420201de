"""Grafana's HTTP API, as far as the dashboards need it.

After Grafana's documentation, "HTTP API": Health, Folder, Data source ("Check data source health", "Query a data
source"), Dashboard and Annotations. The paths are those of Grafana 9 and newer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from pydantic import SecretStr

from core.errors import VerificationError
from core.http import http_client

TIMEOUT_S = 10.0
QUOTED = 200
"""Characters of Grafana's own sentence that are passed on."""
ANNOTATIONS = 1000
"""More than a run's annotations; Grafana's own limit is 100."""

Json = dict[str, Any]
WRITE_IT = "Set SUITE_PROVISION_GRAFANA=yes, or give Grafana the files of dashboards/provisioning."

_ADDRESS = "Give the address at which Grafana itself answers, with its base path, in SUITE_GRAFANA_URL."
_CREDENTIALS = "Give a token of a service account, or user:password, in SUITE_GRAFANA_CREDENTIALS."
_RIGHTS = (
    "Give the account the role Editor, and Admin where it has to make the data source; to look only, Viewer is enough."
)
_ANSWERS: Mapping[int, tuple[str, str]] = {
    400: ("Grafana refuses what was sent", "See its log."),
    401: ("Grafana does not accept the credentials", _CREDENTIALS),
    403: ("Grafana does not give the account this right", _RIGHTS),
    404: ("Grafana knows nothing at this path", f"Grafana 9 or newer is needed. {_ADDRESS}"),
    409: ("Grafana has something else by this name", "Rename or remove that."),
    412: ("somebody else changes it at the same time, or it is not free", "See what it is in Grafana, then run again."),
}


class Refusal(VerificationError):
    """Grafana answered with an error. status: HTTP's; said: its sentence; reason: its word (version-mismatch)."""

    def __init__(self, what: str, status: int, said: str, reason: str, *, where: str, cure: str) -> None:
        super().__init__(what, where=where, cure=cure)
        self.status = status
        self.said = said
        self.reason = reason


@dataclass(frozen=True)
class Stored:
    """A dashboard as Grafana keeps it, and what it says about it (folder, provisioned from a file)."""

    dashboard: Json
    meta: Json


class Grafana:
    """One Grafana at `url`, base path included. A method that reads answers None for what is not there.

    Every method raises VerificationError when Grafana does not answer, Refusal when it answers with an error; no text
    holds the credentials.
    """

    def __init__(self, url: str, credentials: SecretStr | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._client = http_client(timeout_s)
        self._secrets = _sign_in(self._client, credentials.get_secret_value() if credentials else "")

    def close(self) -> None:
        self._client.close()

    def version(self) -> str:
        """Its version, from its health."""
        path = "/api/health"
        health = self._object("GET", path)
        if "database" not in health:
            raise VerificationError("what answers is not Grafana", where=self.url + path, cure=_ADDRESS)
        if health["database"] != "ok":
            raise VerificationError("Grafana's own database is failing", where=self.url + path, cure="See its log.")
        return str(health.get("version") or "version not told")

    def folder(self, uid: str) -> Json | None:
        return self._found(f"/api/folders/{uid}")

    def make_folder(self, uid: str, title: str) -> None:
        self._object("POST", "/api/folders", {"uid": uid, "title": title})

    def rename_folder(self, uid: str, title: str) -> None:
        self._object("PUT", f"/api/folders/{uid}", {"title": title, "overwrite": True})

    def datasource(self, uid: str) -> Json | None:
        return self._found(f"/api/datasources/uid/{uid}")

    def make_datasource(self, source: Json) -> None:
        self._object("POST", "/api/datasources", source)

    def change_datasource(self, source: Json) -> None:
        self._object("PUT", f"/api/datasources/uid/{source['uid']}", source)

    def require_healthy_datasource(self, uid: str) -> None:
        """VerificationError unless the data source is there and Grafana reaches what it names."""
        path = f"/api/datasources/uid/{uid}/health"
        response = self._send("GET", path)
        health = _content(response)
        if response.status_code == 404:
            what = f"the data source '{uid}' is not there"
            raise VerificationError(what, where=self.url + path, cure=WRITE_IT)
        if not isinstance(health, dict) or "status" not in health or response.status_code not in (200, 400):
            raise self._not_grafanas(path, "without status") if response.is_success else self._refusal(path, response)
        if health["status"] != "OK":
            said = self._said(health) or "Grafana does not say why"
            cure = "Name a Prometheus that Grafana reaches in SUITE_GRAFANA_PROMETHEUS_URL."
            raise VerificationError(f"the data source does not work: {said}", where=self.url + path, cure=cure)

    def dashboard(self, uid: str) -> Stored | None:
        path = f"/api/dashboards/uid/{uid}"
        answer = self._found(path)
        if answer is None:
            return None
        if not isinstance(answer.get("dashboard"), dict) or not isinstance(answer.get("meta"), dict):
            raise self._not_grafanas(path, "without dashboard and meta")
        return Stored(answer["dashboard"], answer["meta"])

    def save_dashboard(self, dashboard: Json, folder_uid: str, message: str) -> None:
        """Refusal 412 unless `dashboard["version"]` is the one that Grafana has, or the uid is free."""
        body = {"dashboard": dashboard, "folderUid": folder_uid, "message": message, "overwrite": False}
        self._object("POST", "/api/dashboards/db", body)

    def query(self, queries: Sequence[Json], start: float, end: float) -> dict[str, Json]:
        """refId -> {frames, error} over `start` … `end` (unix seconds); a query that fails does not fail the others."""
        path = "/api/ds/query"
        body = {"queries": list(queries), "from": str(round(start * 1000)), "to": str(round(end * 1000))}
        response = self._send("POST", path, body)
        answer = _content(response)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, dict) or not all(isinstance(each, dict) for each in results.values()):
            raise self._not_grafanas(path, "without results") if response.is_success else self._refusal(path, response)
        return {ref: {**each, "error": self._masked(str(each.get("error") or ""))} for ref, each in results.items()}

    def annotations(self, dashboard_uid: str, start: float, end: float) -> list[Json]:
        """What people and programs noted on the dashboard between `start` and `end` (unix seconds)."""
        path = "/api/annotations"
        window = {"from": str(round(start * 1000)), "to": str(round(end * 1000))}
        asked = {"dashboardUID": dashboard_uid, "type": "annotation", "limit": str(ANNOTATIONS), **window}
        answer = self._ask("GET", path, query=asked)
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise self._not_grafanas(path, "which is not a list")
        return answer

    def annotations_tagged(self, *tags: str) -> list[Json]:
        """Those that carry all of the tags."""
        answer = self._ask("GET", f"/api/annotations?{urlencode([('tags', tag) for tag in tags])}&limit={ANNOTATIONS}")
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise self._not_grafanas("/api/annotations", "which is not a list")
        return answer

    def remove_annotation(self, id: int) -> None:
        self._object("DELETE", f"/api/annotations/{id}")

    def annotate(self, annotation: Json) -> None:
        self._object("POST", "/api/annotations", annotation)

    def _found(self, path: str) -> Json | None:
        try:
            return self._object("GET", path)
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise

    def _object(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self._ask(method, path, body)
        if not isinstance(answer, dict):
            raise self._not_grafanas(path, "which is not an object")
        return answer

    def _ask(self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None) -> Any:
        response = self._send(method, path, body, query)
        if not response.is_success:
            raise self._refusal(path, response)
        answer = _content(response)
        if answer is None:
            raise self._not_grafanas(path, "without JSON")
        return answer

    def _send(
        self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        where = f"{method} {self.url}{path}"
        try:
            return self._client.request(method, self.url + path, json=body, params=query)
        except httpx.TimeoutException as error:
            what = f"Grafana did not answer within {self._timeout_s:g} s"
            raise VerificationError(what, where=where, cure="See its log; is it overloaded?") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = f"Grafana does not answer: {error or type(error).__name__}"
            raise VerificationError(what, where=where, cure=f"Is it running? {_ADDRESS}") from error

    def _refusal(self, path: str, response: httpx.Response) -> Refusal:
        answer = _content(response)
        status, said = response.status_code, self._said(answer)
        what, cure = _ANSWERS.get(status, (f"Grafana answered {status}", "See its log."))
        if response.has_redirect_location:
            what, cure = f"Grafana sends on to {self._masked(response.headers['location'])}", _ADDRESS
        if status == 401 and not self._secrets:
            what = "Grafana asks for credentials"
        reason = str(answer.get("status", "")) if isinstance(answer, dict) else ""
        where = f"{response.request.method} {self.url}{path}"
        return Refusal(f"{what}: {said}" if said else what, status, said, reason, where=where, cure=cure)

    def _not_grafanas(self, path: str, lacking: str) -> VerificationError:
        what = f"what answers is not Grafana: an answer {lacking}"
        cure = f"A proxy's page may stand in the way. {_ADDRESS}"
        return VerificationError(what, where=self.url + path, cure=cure)

    def _said(self, answer: Any) -> str:
        """Grafana's own sentence; a page of HTML is not quoted."""
        said = answer.get("message") if isinstance(answer, dict) else None
        return self._masked(said).rstrip(".") if isinstance(said, str) else ""

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text if len(text) <= QUOTED else text[:QUOTED] + "…"


def _sign_in(client: httpx.Client, credentials: str) -> tuple[str, ...]:
    """Have `client` send the credentials; returns every form of them that no text may hold, the longest first."""
    if not credentials:
        return ()
    user, colon, password = credentials.partition(":")
    if not colon:
        client.headers["Authorization"] = f"Bearer {credentials}"
        return (credentials,)
    client.auth = httpx.BasicAuth(user, password)
    encoded = base64.b64encode(credentials.encode()).decode()
    return tuple(filter(None, (encoded, credentials, password)))


def _content(response: httpx.Response) -> Any:
    """The body as plain values; None for what is not JSON."""
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
