"""The fault `slow-redis`: a relay between a service and its Redis that holds back what it passes on.

The relay is a piece of slow network and nothing else: it holds each chunk for the same time, keeps their order, and
goes on reading meanwhile. Server, client and commands are the same as without it. While the fault is off nobody is
connected to it but by idle connections.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from redis.asyncio import Redis

from infra.portal.faults import SLOW_REDIS, Faults
from infra.portal.stores import redis_pool

CHUNK_BYTES = 64 * 1024
CHUNKS_HELD = 64
"""A direction in which so much is on its way is not read until some of it has arrived."""
REDIS_PORT = 6379
_HOST = "127.0.0.1"


class Relay:
    """Passes TCP connections on to host and port; `delay_s` says how long each chunk is held, each way."""

    def __init__(self, host: str, port: int, delay_s: Callable[[], float]) -> None:
        self._host, self._port, self._delay_s = host, port, delay_s
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Relay connections to the yielded port of this machine; closed with all of them at the end."""
        server = await asyncio.start_server(self._accept, _HOST, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both directions until both have ended; a server that cannot be reached is an end as well."""
        try:
            onward_reader, onward_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(
                self._pass_on(reader, onward_writer), self._pass_on(onward_reader, writer), return_exceptions=True
            )
        finally:
            writer.close()
            onward_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction until it ends or breaks; the other side is told, and then ends its own."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_HELD)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read(reader, held))
                both.create_task(_write(held, writer))
        finally:
            writer.write_eof()

    async def _read(self, reader: asyncio.StreamReader, held: asyncio.Queue[tuple[float, bytes]]) -> None:
        chunk = b"to begin with"
        while chunk:
            chunk = await reader.read(CHUNK_BYTES)
            await held.put((asyncio.get_running_loop().time() + self._delay_s(), chunk))


async def _write(held: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    """What is held, each chunk when its time has come; the empty one is the end."""
    while True:
        due, chunk = await held.get()
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        if not chunk:
            return
        writer.write(chunk)
        await writer.drain()


@asynccontextmanager
async def relayed(redis: Redis, url: str, faults: Faults) -> AsyncIterator[None]:
    """Within, the client takes its connections from a pool that leads through a relay whenever the fault is on.

    A command under way keeps the connection it has; the next one takes its own from the other pool. `url` is the
    client's.
    """
    server = urlsplit(url)
    relay = Relay(server.hostname or _HOST, server.port or REDIS_PORT, lambda: faults.strength(SLOW_REDIS) / 1000)
    async with relay.listening() as port:
        user, at, _ = server.netloc.rpartition("@")
        direct, detour = redis.connection_pool, redis_pool(server._replace(netloc=f"{user}{at}{_HOST}:{port}").geturl())

        def choose() -> None:
            redis.connection_pool = detour if faults.strength(SLOW_REDIS) else direct

        faults.on_switch(SLOW_REDIS, choose)
        try:
            yield
        finally:
            redis.connection_pool = direct
            await detour.disconnect()
