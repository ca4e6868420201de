"""What happens, in which order. Prefect's own settings get their defaults here, before it is imported."""

from core.settings import Settings, set_process_defaults

LOGGERS = ("suite", "infra", "k6", "dashboards", "bots", "report", "targets")
"""Loggers of the plain packages; Prefect shows their lines in the terminal and in its UI."""

set_process_defaults(
    {
        "PREFECT_HOME": str(Settings().prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(LOGGERS),
        # The sampler and others log from threads of their own, which belong to no flow run.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # The temporary server needs about ten seconds on a busy two-core machine; Prefect's default bound is 20 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
)
