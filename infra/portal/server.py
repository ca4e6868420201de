"""The life of a portal process: wait for the stores, serve, stop within three seconds of SIGTERM."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
import uvloop
from pydantic import ValidationError

from infra.portal.app import App
from infra.portal.faults import Faults
from infra.portal.metrics import Meters
from infra.portal.settings import PortalSettings
from infra.portal.stores import StoreMissing
from infra.portal.tracing import Tracer

Build = Callable[[PortalSettings], AbstractAsyncContextManager[App]]

KEEP_ALIVE_S = 75
"""Longer than any client of ours keeps an idle connection, so that it is never the server who closes first."""
GRACE_S = 1
BACKLOG = 2048
COLLECT_AFTER_OBJECTS = 20_000
"""At Python's own 700 the collector looks for cycles every few requests, which make none."""


def serve(build: Build, default_port: int) -> None:
    """Run the process until SIGTERM or SIGINT; exit code 1 and one line on stderr when a store does not come."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a line for each try; what fails for us we say ourselves
    settings = _settings()
    try:
        uvloop.run(_serve(build, settings, settings.port or default_port))
    except StoreMissing as missing:
        sys.exit(str(missing))
    except KeyboardInterrupt:
        sys.exit(130)


def _settings() -> PortalSettings:
    try:
        return PortalSettings()
    except ValidationError as error:
        sys.exit("; ".join(f"PORTAL_{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))


async def _serve(build: Build, settings: PortalSettings, port: int) -> None:
    async with build(settings) as app:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=port,
            http="httptools",
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises the signal again when it has served: end cleanly
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER_OBJECTS)
        await uvicorn.Server(config).serve()


@asynccontextmanager
async def observed(settings: PortalSettings, application: str, faults: Faults) -> AsyncIterator[tuple[Meters, Tracer]]:
    """Meters and tracer of a process, with the reporter running beside it."""
    meters = Meters(application, settings.environment, settings.histogram)
    tracer = Tracer(meters, settings.zipkin_url, settings.trace_sampling, faults)
    reporter = asyncio.create_task(tracer.run())
    try:
        yield meters, tracer
    finally:
        reporter.cancel()
        await asyncio.gather(reporter, return_exceptions=True)
