"""What the supervisor must know to run one service: plain data that survives JSON.

The supervisor is a process of its own and receives specs over a Unix socket, so a `ServiceSpec` holds nothing
but strings, numbers and tuples of them. `services.py` builds the specs; `supervisor.py` carries them out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ProbeKind = Literal["http", "tcp", "exec"]


@dataclass(frozen=True)
class Probe:
    """How readiness is read back; a probe that answers anything else, or nothing, means "not yet".

    - `http`: GET `url` answers 2xx and the body contains `expect`.
    - `tcp`: `url` is `host:port` and accepts a connection; what it says, after it was sent `send`, contains `expect`.
    - `exec`: `argv` (run with the service's env and cwd) exits 0 and its stdout contains `expect`.
    """

    kind: ProbeKind
    url: str = ""
    expect: str = ""
    argv: tuple[str, ...] = ()
    send: str = ""

    def __post_init__(self) -> None:
        if self.kind == "exec" and not self.argv:
            raise ValueError("an exec probe needs argv")
        if self.kind != "exec" and not self.url:
            raise ValueError(f"a {self.kind} probe needs a url")


@dataclass(frozen=True)
class ServiceSpec:
    """One service: what is run, with which files, when it counts as ready and how it ends.

    - `files`: path -> content, (re)written before every start; parent directories are made.
    - `init`: commands run in order, with `init_env`, before the first start only: until all of them once exited
      0, which the file `init_marker` records. Without it `data_dir` is emptied first: a half-made one is no base.
    - `depends_on`: names of services that must be ready before this one is started.
    - `env`: the whole environment of the process (nothing is inherited).
    - `refuses_root`: under root the service runs as an unprivileged user that owns `data_dir` (and the
      directory of `log_file`); otherwise the flag has no effect.
    - `ports`: TCP ports on 127.0.0.1 that must be free before the start.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    data_dir: str
    log_file: str
    ready: Probe
    ready_timeout_s: float
    stop_timeout_s: float
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    depends_on: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    init: tuple[tuple[str, ...], ...] = ()
    init_env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    refuses_root: bool = False

    @property
    def init_marker(self) -> str:
        """Path of the file that exists once `init` has succeeded."""
        return f"{self.data_dir}/.initialised"

    def to_json(self) -> str:
        """One line of JSON (no newline inside), the form that goes over the supervisor's socket."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ServiceSpec:
        """The inverse of `to_json`; an unknown or missing field is a TypeError."""
        raw: dict[str, Any] = json.loads(text)
        probe: dict[str, Any] = raw.pop("ready")
        return cls(
            **{
                **raw,
                "argv": tuple(raw["argv"]),
                "ports": tuple(raw["ports"]),
                "depends_on": tuple(raw["depends_on"]),
                "init": tuple(tuple(command) for command in raw["init"]),
                "ready": Probe(**{**probe, "argv": tuple(probe["argv"])}),
            }
        )
