"""Is there room left: on the disk of the run, and on that of the target's Elasticsearch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from core.http import http_client

_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}
_PREFIX = "cluster.routing.allocation.disk."


def disk_problem(folder: Path, least_free_mb: float) -> str:
    """A sentence when the disk of `folder` has less room than that, else ""."""
    free_mb = shutil.disk_usage(folder).free / _UNITS["mb"]
    if free_mb >= least_free_mb:
        return ""
    return f"the disk of the run directory has {free_mb:.0f} MB left, less than {least_free_mb:.0f}"


def elasticsearch_problem(url: str) -> str:
    """A sentence when a node of the Elasticsearch at `url` has passed its high disk watermark, else "".

    "" also when it does not answer: that it must is for other checks to say.
    """
    try:
        with http_client() as client:
            settings = client.get(f"{url}/_cluster/settings?include_defaults=true&flat_settings=true").json()
            nodes = client.get(f"{url}/_nodes/stats/fs").json()["nodes"]
    except (httpx.HTTPError, ValueError, KeyError):
        return ""
    watermark = _Watermark(_merged(settings))
    return next((said for node in nodes.values() if (said := watermark.problem(node))), "")


class _Watermark:
    """The high watermark as Elasticsearch reads it: a share that may be used, or bytes that must be free."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._on = str(settings.get(f"{_PREFIX}threshold_enabled", "true")) == "true"
        self._high = str(settings.get(f"{_PREFIX}watermark.high", "90%"))
        self._headroom = _bytes(str(settings.get(f"{_PREFIX}watermark.high.max_headroom", "")))

    def problem(self, node: Mapping[str, Any]) -> str:
        total, free = node["fs"]["total"]["total_in_bytes"], node["fs"]["total"]["available_in_bytes"]
        if not self._on or free >= self._least_free(total):
            return ""
        return (
            f"Elasticsearch node '{node.get('name', '?')}' has {free / total:.1%} of its disk free, "
            f"beyond its high watermark ({self._high})"
        )

    def _least_free(self, total: int) -> float:
        if (size := _bytes(self._high)) is not None:
            return size
        ratio = float(self._high.rstrip("%")) / (100 if self._high.endswith("%") else 1)
        least = total * (1 - ratio)
        return least if self._headroom is None else min(least, self._headroom)


def _bytes(text: str) -> float | None:
    found = re.fullmatch(r"([0-9.]+)\s*([kmgt]?b)", text.strip().lower())
    return float(found[1]) * _UNITS[found[2]] if found else None


def _merged(settings: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What holds: transient before persistent before default."""
    return {**settings.get("defaults", {}), **settings.get("persistent", {}), **settings.get("transient", {})}
