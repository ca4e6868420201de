"""The platform's own files with our additions: its scrape configuration and its Grafana provisioning.

Theirs are read and never written: the merged copies lie in the suite's folder and are mounted over them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from core.errors import ConfigError
from core.settings import ROOT
from infra.prometheus.scrape import ScrapeJob, container_name_rules, job_config

Document = dict[str, Any]

SCRAPE_FILE = "/etc/prometheus/prometheus.yml"
PROVISIONING = "/etc/grafana/provisioning"
OUR_DASHBOARDS = f"{PROVISIONING}/perf-suite"
"""Beside the platform's own folder: two providers must not read the same files."""


def merged_scrape_config(theirs: str, jobs: Iterable[ScrapeJob], containers: Mapping[str, str]) -> str:
    """Their prometheus.yml with the jobs that it lacks, by name and by target, and with names for containers.

    `containers`: container id -> service, for a cAdvisor that knows no names (macOS).
    """
    document = yaml.safe_load(theirs)
    own = document.setdefault("scrape_configs", []) or []
    known = {job["job_name"] for job in own} | {target for job in own for target in _targets(job)}
    own += [job_config(job) for job in jobs if not {str(job.job), job.target} & known]
    for job in own:
        if any(target.startswith("cadvisor:") for target in _targets(job)):
            _add_rules(job, container_name_rules(containers))
    return yaml.safe_dump({**document, "scrape_configs": own}, sort_keys=False, allow_unicode=True)


def _targets(job: Document) -> list[str]:
    return [target for group in job.get("static_configs") or () for target in group.get("targets") or ()]


def _add_rules(job: Document, rules: Iterable[Document]) -> None:
    own = job.setdefault("metric_relabel_configs", [])
    own += [rule for rule in rules if rule not in own]


def mounted_file(service: Document, target: str) -> Path:
    """The file of the platform that its container sees as `target`; ConfigError where none is mounted there."""
    for volume in service.get("volumes") or ():
        if volume.get("type") == "bind" and (volume["target"] == target or target.startswith(f"{volume['target']}/")):
            path = Path(volume["source"], target[len(volume["target"]) :].lstrip("/"))
            if path.is_file():
                return path
    raise ConfigError(
        f"no file of the project is mounted as {target}",
        where="the platform's compose files",
        cure="Mount the scrape configuration from a file, so that jobs can be added to a copy of it.",
    )


def merge_provisioning(service: Document, folder: Path) -> list[str]:
    """Fill `folder` with the platform's provisioning and ours; returns what was left out, and why."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for volume in service.get("volumes") or ():
        if volume.get("type") == "bind" and f"{volume['target']}/".startswith(f"{PROVISIONING}/"):
            _copy(Path(volume["source"]), folder / volume["target"][len(PROVISIONING) :].lstrip("/"))
    left_out = _drop_same_dashboards(folder)
    _copy(ROOT / "dashboards" / "json", folder / OUR_DASHBOARDS[len(PROVISIONING) :].lstrip("/"))
    _copy(ROOT / "dashboards" / "provisioning" / "datasources", folder / "datasources")
    provider = yaml.safe_load((ROOT / "dashboards" / "provisioning" / "dashboards" / "perf-suite.yml").read_text())
    provider["providers"][0]["options"]["path"] = OUR_DASHBOARDS
    rewrite(folder / "dashboards" / "perf-suite.yml", yaml.safe_dump(provider, sort_keys=False))
    return left_out


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _drop_same_dashboards(folder: Path) -> list[str]:
    """Grafana refuses a uid that two files have: in the copy, the platform's older ones of ours make room."""
    ours = {file.stem for file in (ROOT / "dashboards" / "json").glob("*.json")}  # a file is named like its uid
    dropped = [file for file in folder.rglob("*.json") if _uid(file) in ours]
    for file in dropped:
        file.unlink()
    return [f"dashboard {file.stem}: ours replaces the platform's of the same uid" for file in sorted(dropped)]


def _uid(file: Path) -> str | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document.get("uid") if isinstance(document, dict) else None


def rewrite(file: Path, text: str) -> bool:
    """Write the file in place (a container may have it mounted), for every user; whether it says something new."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)
    return True
