"""Errors sorted by who can mend them; only the command line turns them into text and exit codes.

SuiteError
├── SetupError          your machine: a missing tool, a taken port, a full disk
├── ConfigError         what was asked for: an unknown target, a wrong key in a profile
│   └── TargetRefused   the target may not be put under load
├── TargetError         the system under test: it does not answer, or answers something else
├── LoadError           k6 or the bot could not run
└── VerificationError   a claim could not be read back
"""

from __future__ import annotations

import logging

log = logging.getLogger("suite")


class SuiteError(Exception):
    """One failure as a person needs it: what happened, where, and what to do."""

    def __init__(self, what: str, *, where: str = "", cure: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cure = cure

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        cure = f" {self.cure}" if self.cure else ""
        return f"{self.what}{place}.{cure}"

    def as_row(self) -> dict[str, str]:
        """The row of report.json's `errors`."""
        return {"where": self.where, "what": self.what, "cure": self.cure}


class SetupError(SuiteError):
    """Your machine: a tool, a port, a disk, a build."""


class ConfigError(SuiteError):
    """What was asked for does not exist or does not fit."""


class TargetRefused(ConfigError):
    """The target is not one that may be put under load."""


class TargetError(SuiteError):
    """The system under test does not answer, or answers something else."""


class LoadError(SuiteError):
    """k6 or the bot could not do its work."""


class VerificationError(SuiteError):
    """Something that was written could not be read back."""


def known_error(error: Exception, where: str) -> SuiteError:
    """The error itself when it is ours; else one sentence, with the trace-back in the log file only."""
    if isinstance(error, SuiteError):
        return error
    log.debug("unexpected error in %s", where, exc_info=error)
    return SuiteError(
        f"unexpected {type(error).__name__}: {error}",
        where=where,
        cure="The trace-back is in logs/suite.log of the run directory; please report it.",
    )
