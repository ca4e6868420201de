"""What tests of every ring share: one Docker engine. A fixture in two places would be two, and wait for itself."""

from __future__ import annotations

from tests.standins.session import docker_engine

__all__ = ["docker_engine"]
