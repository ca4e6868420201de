"""The supervisor: one process a state directory that starts, watches and stops services for whoever asks.

    python -m infra.embedded.supervisor --state DIR

A process of its own, detached from every terminal, single-threaded (process.py says why). Clients reach it over a Unix
socket in the state directory (wire.py). A lease is an open connection: when it closes, however the client ended, what
was started under it is stopped. With no services and no leases it ends by itself after IDLE_S.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from core.errors import SetupError, SuiteError
from infra.embedded import logfiles, portcheck, wire
from infra.embedded.cgroups import Cgroups, cgroup_root, hierarchies_here
from infra.embedded.process import ChildWatcher
from infra.embedded.reaper import Records, reap
from infra.embedded.service import GONE, Host, Service
from infra.embedded.spec import ServiceSpec
from infra.embedded.statedir import StateDir

log = logging.getLogger("infra")

IDLE_S = 5.0
TICK_S = 0.25
EXIT_ALREADY_RUNNING = 75  # EX_TEMPFAIL of sysexits.h: somebody else is doing it

Send = Callable[[dict[str, Any]], Awaitable[None]]
Events = asyncio.Queue[dict[str, Any] | None]
"""What happens to services; None is the end."""


class Supervisor:
    """The table of services, the leases, and the answers to requests."""

    def __init__(self, state: StateDir, cgroups: Cgroups) -> None:
        self._state = state
        self._host = Host(state, cgroups, Records(state.children), ChildWatcher(asyncio.get_running_loop()))
        self._services: dict[str, Service] = {}  # in order of start
        self._leases: set[str] = set()
        self._listeners: set[Events] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()

    async def run(self, on_listening: Callable[[], None]) -> None:
        """Serve until a signal, or until nobody needs this any more; then stop everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._end.set)
        server = await asyncio.start_unix_server(
            self._connected, sock=self._state.listen(), limit=wire.LINE_LIMIT_BYTES
        )
        on_listening()
        await self._until_unneeded()
        server.close()
        self._state.socket_path.unlink(missing_ok=True)
        for connection in self._connections:
            connection.cancel()
        await self._stop_services(self._services.values())
        self._host.cgroups.remove()
        log.info("supervisor ends")

    async def _until_unneeded(self) -> None:
        """Also after this process stood still for long (a suspended machine, one short of memory)."""
        clock = asyncio.get_running_loop().time
        needed = clock()
        while not self._end.is_set():
            if self._services or self._leases:
                needed = clock()
            elif clock() - needed >= IDLE_S:
                return
            if not self._state.socket_path.exists():
                log.error("%s was taken away: nobody can reach this supervisor any more", self._state.socket_path)
                return
            await _wait_at_most(self._end.wait(), TICK_S)

    # --- connections

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError) as end:
            log.debug("a client went away: %r", end)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(message: dict[str, Any]) -> None:
            writer.write(wire.encode(message))
            await writer.drain()

        line = await reader.readline()
        if not line:
            return
        try:
            request = wire.decode(line)
            if request == {"do": "hello", "lease": True}:
                await self._hold_lease(reader, send)
            else:
                await send({"result": await self._answer(request, send)})
        except SuiteError as error:
            await send(wire.error_message(error))
        except (ValueError, TypeError, KeyError) as error:
            log.exception("a request could not be answered")
            await send(wire.error_message(_not_understood(repr(error))))

    async def _hold_lease(self, reader: asyncio.StreamReader, send: Send) -> None:
        """A lease that lasts until the client's end of the connection closes."""
        lease = secrets.token_hex(4)
        self._leases.add(lease)
        log.info("lease %s begins", lease)
        try:
            await send({"result": {**self._hello(), "lease": lease}})
            await reader.read()
        finally:
            self._leases.discard(lease)
            log.info("lease %s ends", lease)
            await asyncio.shield(self._stop_services(self._owned_by(lease)))

    async def _answer(self, request: dict[str, Any], send: Send) -> Any:
        match request:
            case {"do": "hello"}:
                return self._hello()
            case {"do": "status"}:
                return [service.status() for service in self._services.values()]
            case {"do": "start", "specs": specs, "lease": lease}:
                return await self._start([ServiceSpec.from_json(text) for text in specs], lease)
            case {"do": "wait", "names": names}:
                return await self._wait([self._service(name) for name in names], send)
            case {"do": "restart", "name": name}:
                return await self._restart(self._service(name))
            case {"do": "stop", **chosen}:
                return await self._stop_services(self._chosen(chosen))
            case {"do": "keep", "lease": lease}:
                return self._keep(lease)
            case _:
                raise _not_understood(str(request))

    # --- requests

    def _hello(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "lease": None, "cgroups": self._host.cgroups.why_none or "ok"}

    async def _start(self, specs: Sequence[ServiceSpec], lease: str | None) -> dict[str, list[str]]:
        """Start what does not run yet, in the background; what runs is used as it is."""
        await self._clear_away({spec.name for spec in specs})
        self._require_lease(lease)
        new = [spec for spec in _in_order_of_need(specs) if not self._in_use(spec.name)]
        self._require_dependencies(new)
        portcheck.require_free({spec.name: spec.ports for spec in new})
        for spec in new:
            self._begin(spec, lease)
        started = [spec.name for spec in new]
        return {"started": started, "attached": [spec.name for spec in specs if spec.name not in started]}

    async def _wait(self, services: Sequence[Service], send: Send) -> None:
        """Return when all are ready, telling their progress meanwhile; the first failure ends it."""
        names = {service.name for service in services}
        events: Events = asyncio.Queue()
        ready = asyncio.create_task(_all_ready(services))
        ready.add_done_callback(lambda _: events.put_nowait(None))
        self._listeners.add(events)
        try:
            while (event := await events.get()) is not None:
                if event["service"] in names:
                    await send({"event": event})
            await ready
        finally:
            self._listeners.discard(events)
            ready.cancel()

    async def _restart(self, service: Service) -> None:
        if (error := await service.restart()) is not None:
            raise error

    def _chosen(self, chosen: dict[str, Any]) -> list[Service]:
        """The services of a lease, the named ones, or all."""
        if (lease := chosen.get("lease")) is not None:
            return self._owned_by(lease)
        if (names := chosen.get("names")) is not None:
            return [self._service(name) for name in names]
        return list(self._services.values())

    def _keep(self, lease: str) -> list[str]:
        """What a lease started stays when the lease ends."""
        self._require_lease(lease)
        kept = self._owned_by(lease)
        for service in kept:
            service.lease = None
        return [service.name for service in kept]

    # --- the table

    def _begin(self, spec: ServiceSpec, lease: str | None) -> None:
        self._services.pop(spec.name, None)
        service = Service(spec, lease, self._host, self._announce)
        self._services[spec.name] = service
        service.begin([self._services[name] for name in spec.depends_on])

    def _in_use(self, name: str) -> bool:
        return name in self._services and self._services[name].state not in GONE

    def _service(self, name: str) -> Service:
        if name not in self._services:
            raise SetupError(f"{name} is not running", where="stack", cure="Start it with `make stack-up`.")
        return self._services[name]

    def _require_lease(self, lease: str | None) -> None:
        if lease is not None and lease not in self._leases:
            raise SetupError("the lease has ended", where="supervisor", cure="Start the run again.")

    def _owned_by(self, lease: str | None) -> list[Service]:
        return [service for service in self._services.values() if service.lease == lease]

    def _require_dependencies(self, specs: Sequence[ServiceSpec]) -> None:
        coming = {spec.name for spec in specs}
        for spec in specs:
            for needed in spec.depends_on:
                if needed not in coming and not self._in_use(needed):
                    raise SetupError(
                        f"{spec.name} needs {needed}, which neither runs nor is to be started",
                        where=spec.name,
                        cure=f"Start {needed} too.",
                    )

    async def _clear_away(self, names: Collection[str]) -> None:
        """What is ending, or has ended with processes of its own left, makes room for a new start."""
        known = [self._services[name] for name in names if name in self._services]
        await self._stop_services([service for service in known if service.retired or service.state in GONE])

    async def _stop_services(self, services: Iterable[Service]) -> list[str]:
        """Stop in reverse order of start, each after those that depend on it; answers the names in that order."""
        chosen = set(services)
        order = [service for service in reversed(self._services.values()) if service in chosen]
        stops: dict[str, asyncio.Task[None]] = {}
        for service in order:
            users = [stop for name, stop in stops.items() if service.name in self._services[name].spec.depends_on]
            stops[service.name] = asyncio.create_task(self._stop_after(users, service), name=f"stop {service.name}")
        if stops:
            await asyncio.gather(*stops.values())
        return list(stops)

    async def _stop_after(self, users: Collection[asyncio.Task[None]], service: Service) -> None:
        if users:
            await asyncio.wait(users)
        await service.stop()
        if self._services.get(service.name) is service:
            del self._services[service.name]

    def _announce(self, event: dict[str, Any]) -> None:
        for events in self._listeners:
            events.put_nowait(event)


async def _all_ready(services: Sequence[Service]) -> None:
    """Return when all are ready; raise the first failure as soon as it is known."""
    for outcome in asyncio.as_completed([service.ready() for service in services]):
        error = await outcome
        if error is not None:
            raise error


def _in_order_of_need(specs: Sequence[ServiceSpec]) -> list[ServiceSpec]:
    """Each after those that it depends on, otherwise as they came; SetupError for a circle."""
    ordered: list[ServiceSpec] = []
    rest = list(specs)
    while rest:
        waiting_for = {spec.name for spec in rest}
        spec = next((spec for spec in rest if not waiting_for & set(spec.depends_on)), None)
        if spec is None:
            raise SetupError(
                f"these services depend on each other in a circle: {', '.join(sorted(waiting_for))}",
                where="depends_on",
                cure="Take one of the dependencies away.",
            )
        rest.remove(spec)
        ordered.append(spec)
    return ordered


def _not_understood(why: str) -> SetupError:
    return SetupError(
        f"the running supervisor does not understand the request: {why}",
        where="supervisor",
        cure="It may be of another version: run `make stack-down`, then try again.",
    )


async def _wait_at_most(work: Awaitable[Any], timeout_s: float) -> None:
    try:
        await asyncio.wait_for(work, timeout_s)
    except TimeoutError:
        return


# --- the process


def main() -> int:
    """Detach and serve.

    The caller gets 0 once the socket answers, EXIT_ALREADY_RUNNING beside another supervisor, 1 with the reason.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.supervisor", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="state directory of the stack")
    state = StateDir(parser.parse_args().state)
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return _hand_over(reading)
    os.close(reading)
    os.setsid()
    with os.fdopen(writing, "w") as caller:
        return _serve(state, caller)


def _hand_over(reading: int) -> int:
    """The caller's side of the fork: pass on what the supervisor says about its start."""
    with os.fdopen(reading) as answer:
        code, _, text = answer.read().partition(" ")
    if text:
        sys.stderr.write(text)
    return int(code or 1)


def _serve(state: StateDir, caller: Any) -> int:
    def tell(code: int, text: str = "") -> None:
        caller.write(f"{code} {text}")
        caller.close()

    try:
        state.create()
        lock = _take_lock(state)
        if lock is None:
            tell(EXIT_ALREADY_RUNNING, f"a supervisor already runs for {state.path}")
            return 0
        _detach_output(state)
        cgroups = Cgroups.prepare(cgroup_root(state.path), hierarchies_here())
        reap(state, Records(state.children), cgroups)
    except SetupError as error:
        tell(1, str(error))
        return 1
    asyncio.run(_run(state, cgroups, on_listening=lambda: tell(0)))
    os.close(lock)
    return 0


async def _run(state: StateDir, cgroups: Cgroups, on_listening: Callable[[], None]) -> None:
    log.info("supervisor of %s begins, cgroups: %s", state.path, cgroups.why_none or cgroup_root(state.path))
    await Supervisor(state, cgroups).run(on_listening)


def _take_lock(state: StateDir) -> int | None:
    """A descriptor that holds the state directory's lock as long as this process lives; None when another holds it."""
    descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _detach_output(state: StateDir) -> None:
    """No terminal any more: input from nowhere, output and log lines into the supervisor's log."""
    logfiles.rotate(state.supervisor_log)
    with logfiles.open_for_append(state.supervisor_log) as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir("/")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
