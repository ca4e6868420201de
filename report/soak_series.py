"""Series that only a trend needs: when each process started, how long the stores run, and disks."""

from __future__ import annotations

from report.catalogue import SeriesSpec, service_selector
from targets.model import Profile


def soak_series(profile: Profile) -> tuple[SeriesSpec, ...]:
    """To be collected beside the catalogue."""
    label = profile.metrics.service_label
    chosen = service_selector(profile)
    services = chosen.partition("=~")[2]
    memory = f"max by ({label}) ({profile.metrics.memory}{{{chosen}}})"
    container = profile.metrics.container_label
    limited = f"container_spec_memory_limit_bytes{{{container}=~{services}}} > 0"
    own_limit = f'max by ({label}) (label_replace({limited}, "{label}", "$1", "{container}", "(.*)"))'
    return (
        SeriesSpec(
            "service_memory_max",
            "soak",
            "Memory that a service may use",
            "bytes",
            "Its container's limit, from cAdvisor; without one all of the machine's memory.",
            f"{own_limit} or {memory} * 0 + scalar(max(machine_memory_bytes))",
        ),
        SeriesSpec(
            "process_start",
            "soak",
            "Start of the process",
            "s",
            "When each service's process started, in seconds since 1970; another value is a restart.",
            f"max by ({label}) (process_start_time_seconds{{{chosen}}})",
        ),
        SeriesSpec(
            "mysql_uptime",
            "soak",
            "Uptime of the database",
            "s",
            "Seconds since the database started; a fall is a restart.",
            "min(mysql_global_status_uptime)",
        ),
        SeriesSpec(
            "redis_uptime",
            "soak",
            "Uptime of Redis",
            "s",
            "Seconds since Redis started; a fall is a restart.",
            "min(redis_uptime_in_seconds)",
        ),
        SeriesSpec(
            "disk_used",
            "soak",
            "Disk in use",
            "bytes",
            "Bytes in use on each disk of the machine, from cAdvisor.",
            'max by (device) (container_fs_usage_bytes{id="/"})',
        ),
        SeriesSpec(
            "disk_size",
            "soak",
            "Size of the disk",
            "bytes",
            "Size of each disk of the machine, from cAdvisor.",
            'max by (device) (container_fs_limit_bytes{id="/"})',
        ),
    )
