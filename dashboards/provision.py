"""Folder, data source, dashboards and annotations in a Grafana: written where asked for, read back in any case.

Ours is the folder and the data source under our uids, and a dashboard under our uid that lies in our folder or has
our tag. Nothing else is changed. What Grafana took from files (`provisioning/`) stays as it is; reading back decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from core.errors import VerificationError
from dashboards.generate import datasource, provider
from dashboards.grafana import WRITE_IT, Grafana, Json, Refusal, Stored
from dashboards.grafana_json import DATASOURCE_UID, TAG, ZIPKIN_URL, grafana_json
from dashboards.pages import all_panels, dashboards
from dashboards.through_grafana import Seen, ask
from dashboards.variables import choose, step_s, variables
from targets.model import Metrics

FOLDER_UID: str = provider()["providers"][0]["folderUid"]
FOLDER_TITLE: str = provider()["providers"][0]["folder"]
TRIES = 3
"""How often a dashboard is read and saved again when somebody else saves it at the same moment."""
GRAFANAS_OWN = ("id", "version", "iteration", "schemaVersion")
"""Keys of a dashboard that Grafana sets itself."""
SHOWN = 3
RENEW_IT = "Set SUITE_PROVISION_GRAFANA=yes, or give Grafana what `python -m dashboards.generate --target ...` writes."
CREATED, UPDATED, UNCHANGED, FROM_FILES = "created", "updated", "unchanged", "from Grafana's own files"


@dataclass(frozen=True)
class Window:
    """A stretch of the load, in unix seconds; `tag` tells it from the run's other windows."""

    tag: str
    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Wanted:
    """What a run wants of a Grafana. windows: the whole load first, then each scenario; empty without load."""

    metrics: Metrics
    run_id: str
    prometheus_url: str  # as Grafana reaches it
    write: bool
    windows: tuple[Window, ...] = ()
    zipkin_url: str = ZIPKIN_URL


@dataclass
class Provisioned:
    """What was found and done. version: empty when Grafana did not answer; problems: whole sentences."""

    url: str
    version: str = ""
    wrote: bool = False
    done: dict[str, str] = field(default_factory=dict)  # folder, data source, uid of a dashboard -> what was done
    links: dict[str, str] = field(default_factory=dict)  # uid of a dashboard -> page, with the load's window
    annotations: int = 0
    panels: tuple[Seen, ...] = ()
    problems: list[str] = field(default_factory=list)


def provision(grafana: Grafana, wanted: Wanted) -> Provisioned:
    """Write (where `wanted.write`), read back, ask every panel, annotate; the first refusal ends it as a problem."""
    found = Provisioned(grafana.url, wrote=wanted.write)
    pages = [json.loads(text) for text in _texts(wanted)]
    try:
        found.version = grafana.version()
        found.links = {page["uid"]: link(grafana.url, page["uid"], wanted) for page in pages}
        if wanted.write:
            _write(grafana, pages, wanted.prometheus_url, found.done)
        found.problems += [problem for page in pages for problem in _read_back(grafana, page)]
        grafana.require_healthy_datasource(DATASOURCE_UID)
        if wanted.windows:
            found.panels = tuple(_ask_panels(grafana, wanted))
        if wanted.write:
            found.annotations = sum(annotate(grafana, page["uid"], wanted.run_id, wanted.windows) for page in pages)
    except VerificationError as error:
        found.problems.append(str(error))
    return found


def ensure_folder(grafana: Grafana) -> str:
    """Our folder under our uid and title."""
    folder = grafana.folder(FOLDER_UID)
    if folder is None:
        grafana.make_folder(FOLDER_UID, FOLDER_TITLE)
        return CREATED
    if folder.get("title") == FOLDER_TITLE:
        return UNCHANGED
    grafana.rename_folder(FOLDER_UID, FOLDER_TITLE)
    return UPDATED


def ensure_datasource(grafana: Grafana, prometheus_url: str) -> str:
    """Our data source under our uid; what a person set besides (headers, certificates) is kept."""
    source = datasource(prometheus_url)["datasources"][0]
    want = {key: value for key, value in source.items() if key not in ("editable", "isDefault")}
    seen = grafana.datasource(DATASOURCE_UID)
    if seen is None:
        grafana.make_datasource(want)
        return CREATED
    if seen.get("type") != want["type"]:
        what = f"the data source '{DATASOURCE_UID}' is of type {seen.get('type')}, so it is not the suite's"
        raise VerificationError(what, where=grafana.url, cure="Give it another uid. It was not changed.")
    if seen.get("readOnly"):
        return FROM_FILES
    if not list(differences(want, seen)):
        return UNCHANGED
    grafana.change_datasource({**seen, **want, "jsonData": {**(seen.get("jsonData") or {}), **want["jsonData"]}})
    return UPDATED


def ensure_dashboard(grafana: Grafana, page: Json) -> str:
    """`page` under its uid in our folder; VerificationError when the uid is somebody else's."""
    for attempt in range(1, TRIES + 1):
        seen = grafana.dashboard(page["uid"])
        if seen is not None:
            require_ours(grafana, seen)
        if seen is not None and seen.meta.get("provisioned"):
            return FROM_FILES
        if seen is not None and seen.meta.get("folderUid") == FOLDER_UID and not _differs(page, seen):
            return UNCHANGED
        try:
            grafana.save_dashboard(_over(page, seen), FOLDER_UID, "saved by the performance tests")
        except Refusal as refusal:
            if refusal.status == 400 and "provisioned dashboard" in refusal.said:
                return FROM_FILES
            if refusal.status != 412 or refusal.reason == "plugin-dashboard" or attempt == TRIES:
                raise
        else:
            return CREATED if seen is None else UPDATED
    raise AssertionError("the last attempt returns or raises")


def require_ours(grafana: Grafana, seen: Stored) -> None:
    """VerificationError for a dashboard that is neither in our folder nor has our tag."""
    tags = seen.dashboard.get("tags") or ()
    if TAG in tags or seen.meta.get("folderUid") == FOLDER_UID:
        return
    folder = seen.meta.get("folderTitle") or "General"
    raise VerificationError(
        f"the uid '{seen.dashboard.get('uid')}' is taken by another dashboard, "
        f"'{seen.dashboard.get('title')}' in folder '{folder}'",
        where=grafana.url,
        cure=f"Give that dashboard another uid, or the tag {TAG} if it may be replaced. It was not changed.",
    )


def annotate(grafana: Grafana, uid: str, run_id: str, windows: Sequence[Window]) -> int:
    """Every window of the run on the dashboard `uid`, once; returns how many of them are read back."""
    if not windows:
        return 0
    mine = {frozenset((TAG, f"run:{run_id}", window.tag)): window for window in windows}
    present = _tags_present(grafana, uid, windows)
    for tags, window in mine.items():
        if tags not in present:
            start, end = round(window.start * 1000), round(window.end * 1000)
            note = {"dashboardUID": uid, "time": start, "timeEnd": end, "tags": sorted(tags), "text": window.text}
            grafana.annotate(note)
    found = len(mine.keys() & _tags_present(grafana, uid, windows))
    if found < len(mine):
        what = f"{len(mine) - found} of {len(mine)} annotations of '{uid}' are not there when read back"
        raise VerificationError(what, where=grafana.url, cure="See Grafana's log.")
    return found


def remove_annotations(grafana: Grafana, run_id: str) -> None:
    """Those of one run, on every dashboard."""
    for row in grafana.annotations_tagged(TAG, f"run:{run_id}"):
        grafana.remove_annotation(row["id"])


def link(url: str, uid: str, wanted: Wanted) -> str:
    """The dashboard's page with the run chosen, over the load's window where there was a load."""
    whole = wanted.windows[:1]
    window = {key: str(round(at * 1000)) for each in whole for key, at in (("from", each.start), ("to", each.end))}
    return f"{url}/d/{uid}?{urlencode({**window, 'var-run_id': wanted.run_id})}"


def differences(sent: Any, seen: Any, path: str = "") -> Iterator[str]:
    """Paths at which `seen` is not what was sent; what Grafana adds, or leaves out as empty, is no difference."""
    if isinstance(sent, Mapping) and isinstance(seen, Mapping):
        for key, value in sent.items():
            if key in seen or value not in (None, "", [], {}):
                yield from differences(value, seen.get(key), f"{path}.{key}" if path else key)
    elif isinstance(sent, list) and isinstance(seen, list) and len(sent) == len(seen):
        for index, (mine, its) in enumerate(zip(sent, seen, strict=True)):
            yield from differences(mine, its, f"{path}[{index}]")
    elif sent != seen:
        yield path


def _texts(wanted: Wanted) -> Iterator[str]:
    """Both dashboards as JSON."""
    for page in dashboards(wanted.metrics):
        yield grafana_json(page, variables(wanted.metrics), wanted.zipkin_url)


def _write(grafana: Grafana, pages: Sequence[Json], prometheus_url: str, done: dict[str, str]) -> None:
    """Note in `done` what was done, one after the other."""
    done["folder"] = ensure_folder(grafana)
    done["data source"] = ensure_datasource(grafana, prometheus_url)
    for page in pages:
        done[page["uid"]] = ensure_dashboard(grafana, page)


def _read_back(grafana: Grafana, page: Json) -> Iterator[str]:
    seen = grafana.dashboard(page["uid"])
    if seen is None:
        yield f"The dashboard '{page['uid']}' is not there. {WRITE_IT}"
        return
    require_ours(grafana, seen)
    if others := _differs(page, seen):
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        yield f"The dashboard '{page['uid']}' is not as generated at {', '.join(others[:SHOWN])}{more}. {RENEW_IT}"


def _differs(page: Json, seen: Stored) -> list[str]:
    mine = {key: value for key, value in page.items() if key not in GRAFANAS_OWN}
    return list(differences(mine, seen.dashboard))


def _over(page: Json, seen: Stored | None) -> Json:
    """`page` as the next version of what is there, or as a new dashboard."""
    there = seen.dashboard if seen else {}
    return {**page, **{key: there.get(key) for key in ("id", "version") if key in there or key == "id"}}


def _ask_panels(grafana: Grafana, wanted: Wanted) -> Iterator[Seen]:
    whole = wanted.windows[0]
    values = choose(wanted.metrics, run_id=wanted.run_id)
    step = step_s(whole.end - whole.start)
    for panel in all_panels(wanted.metrics):
        yield ask(grafana, panel, values, whole.start, whole.end, step)


def _tags_present(grafana: Grafana, uid: str, windows: Sequence[Window]) -> set[frozenset[str]]:
    start, end = min(window.start for window in windows), max(window.end for window in windows)
    return {frozenset(row.get("tags") or ()) for row in grafana.annotations(uid, start, end)}
