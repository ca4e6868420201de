"""The parts behind the shopping service's faults: switches, the leak, the relay. No store; the network is loopback."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import Response

from infra.portal.app import Route
from infra.portal.faults import CPU_BURN, MEMORY_LEAK, SHOPPING_FAULTS, SLOW_REDIS, WRONG_STATUS, Faults
from infra.portal.http import ApiError, json_response
from infra.portal.ills import Leak, with_ills
from infra.portal.relay import CHUNK_BYTES, CHUNKS_HELD, Relay, relayed
from infra.portal.stores import redis_pool

MIB = 1 << 20
REDIS_URL = "redis://somebody:hidden@127.0.0.1:6390/3"


@pytest.fixture
def faults() -> Faults:
    return Faults(SHOPPING_FAULTS)


class TestSwitches:
    def test_tell_the_part_each_time_and_after_the_strength_is_set(self, faults: Faults) -> None:
        seen: list[float] = []
        faults.on_switch(CPU_BURN, lambda: seen.append(faults.strength(CPU_BURN)))
        faults.switch_on(CPU_BURN, 7)
        faults.switch_on(CPU_BURN, 9)
        faults.switch_on(MEMORY_LEAK)
        faults.switch_off(CPU_BURN)
        assert seen == [7, 9, 0]

    def test_of_another_service_are_never_used(self, faults: Faults) -> None:
        faults.on_switch("weather", lambda: pytest.fail("switched"))
        with pytest.raises(KeyError):
            faults.switch_on("weather")


class TestLeak:
    def test_keeps_as_much_as_the_fault_says_up_to_the_limit(self, faults: Faults) -> None:
        leak = Leak(faults, limit_bytes=5 * MIB)
        faults.switch_on(MEMORY_LEAK, 2)
        for _ in range(4):
            leak.take_work_space()
        assert leak.kept_bytes == 4 * MIB

    def test_lets_go_when_it_is_mended_and_not_when_it_is_made_stronger(self, faults: Faults) -> None:
        leak = Leak(faults)
        faults.switch_on(MEMORY_LEAK, 1)
        leak.take_work_space()
        faults.switch_on(MEMORY_LEAK, 2)
        assert leak.kept_bytes == MIB
        faults.switch_off(MEMORY_LEAK)
        assert leak.kept_bytes == 0

    def test_keeps_nothing_while_healthy(self, faults: Faults) -> None:
        leak = Leak(faults)
        leak.take_work_space()
        assert leak.kept_bytes == 0


async def refused(_request: Request) -> Response:
    raise ApiError(409, "S602", "Coupon exhausted")


async def broken(_request: Request) -> Response:
    raise ApiError(503, "C005", "MySQL does not answer")


async def fingerprinted(request: Request) -> Response:
    return json_response(hasattr(request.state, "fingerprint"))


async def answer(handler: Callable[[Request], Awaitable[Response]], faults: Faults) -> Response:
    (route,) = with_ills([Route("GET", "/things", handler)], faults)
    return await route.handler(Request({"type": "http", "raw_path": b"/things", "query_string": b"", "headers": []}))


class TestIlls:
    async def test_a_refusal_is_an_error_of_its_own_while_healthy(self, faults: Faults) -> None:
        with pytest.raises(ApiError) as caught:
            await answer(refused, faults)
        assert caught.value.status == 409

    async def test_a_refusal_says_200_with_the_same_body(self, faults: Faults) -> None:
        faults.switch_on(WRONG_STATUS)
        response = await answer(refused, faults)
        assert response.status_code == 200
        assert b'"success":false' in response.body
        assert b"S602" in response.body

    async def test_a_failure_stays_a_failure(self, faults: Faults) -> None:
        faults.switch_on(WRONG_STATUS)
        with pytest.raises(ApiError):
            await answer(broken, faults)

    async def test_only_an_ill_service_fingerprints_its_requests(self, faults: Faults) -> None:
        assert (await answer(fingerprinted, faults)).body == b"false"
        faults.switch_on(CPU_BURN, 10)
        assert (await answer(fingerprinted, faults)).body == b"true"


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """Answers each chunk with itself until its client has said all."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def through_a_relay(delay_s: float) -> AsyncIterator[Peer]:
    async with echo_server() as port, Relay("127.0.0.1", port, lambda: delay_s).listening() as relay_port:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay_port)
        try:
            yield reader, writer
        finally:
            writer.close()


class TestRelay:
    async def test_holds_what_it_passes_on_each_way(self) -> None:
        async with through_a_relay(delay_s=0.05) as (reader, writer):
            began = time.perf_counter()
            writer.write(b"PING")
            assert await reader.readexactly(4) == b"PING"
            assert time.perf_counter() - began >= 0.1

    async def test_goes_on_reading_while_it_holds(self) -> None:
        """A hundred words that are 5 ms apart: one after the other they would take 100 x 2 x 0.05 s = 10 s."""
        async with through_a_relay(delay_s=0.05) as (reader, writer):
            began = time.perf_counter()
            for number in range(100):
                writer.write(b"%03d" % number)
                await asyncio.sleep(0.005)
            answered = await reader.readexactly(300)
            assert time.perf_counter() - began < 5
        assert answered == b"".join(b"%03d" % number for number in range(100))

    async def test_passes_on_more_than_it_may_hold(self) -> None:
        sent = bytes(range(256)) * (2 * CHUNKS_HELD * CHUNK_BYTES // 256)
        async with through_a_relay(delay_s=0) as (reader, writer):
            writing = asyncio.create_task(self.write(writer, sent))
            assert await reader.readexactly(len(sent)) == sent
            await writing

    async def test_passes_on_the_end(self) -> None:
        async with through_a_relay(delay_s=0.01) as (reader, writer):
            writer.write(b"QUIT")
            writer.write_eof()
            assert await reader.read(4) == b"QUIT"
            assert await reader.read() == b""

    async def test_closes_who_cannot_be_passed_on(self) -> None:
        async with echo_server() as port:
            pass
        async with Relay("127.0.0.1", port, lambda: 0).listening() as relay_port:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay_port)
            assert await reader.read() == b""
            writer.close()

    async def test_takes_its_connections_along_when_it_ends(self) -> None:
        async with echo_server() as port:
            async with Relay("127.0.0.1", port, lambda: 0).listening() as relay_port:
                reader, writer = await asyncio.open_connection("127.0.0.1", relay_port)
                writer.write(b"PING")
                assert await reader.readexactly(4) == b"PING"
            assert await reader.read() == b""
            writer.close()

    @staticmethod
    async def write(writer: asyncio.StreamWriter, sent: bytes) -> None:
        writer.write(sent)
        await writer.drain()


class TestSlowRedis:
    async def test_sends_the_client_through_the_relay_and_back(self, faults: Faults) -> None:
        redis = Redis.from_pool(redis_pool(REDIS_URL))
        direct = redis.connection_pool
        async with relayed(redis, REDIS_URL, faults):
            assert redis.connection_pool is direct
            faults.switch_on(SLOW_REDIS)
            detour = redis.connection_pool.connection_kwargs
            faults.switch_off(SLOW_REDIS)
            assert redis.connection_pool is direct
        assert detour["port"] != direct.connection_kwargs["port"]
        same = ("username", "password", "db", "socket_timeout")
        assert [detour[name] for name in same] == [direct.connection_kwargs[name] for name in same]

    async def test_leaves_the_client_as_it_was_when_the_service_ends_ill(self, faults: Faults) -> None:
        redis = Redis.from_pool(redis_pool(REDIS_URL))
        direct = redis.connection_pool
        async with relayed(redis, REDIS_URL, faults):
            faults.switch_on(SLOW_REDIS)
        assert redis.connection_pool is direct
