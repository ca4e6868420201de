"""Group commit: what is asked for while a call is under way goes out together, as the next call.

A lone request waits for nobody; in a burst one round trip to a store serves as many requests as came meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """`call` takes what is asked, at most `at_most` at a time, and returns an answer or an exception for each."""

    def __init__(
        self, call: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer | BaseException]]], at_most: int
    ) -> None:
        self._call, self._at_most = call, at_most
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._calling: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer to `asked`; raises what `call` returned for it, or raised."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._calling is None:
            self._calling = asyncio.create_task(self._run(), context=Context())  # in no single request's trace
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._at_most], self._waiting[self._at_most :]
                await self._answer(batch)
        finally:
            self._calling = None

    async def _answer(self, batch: Sequence[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        (outcome,) = await asyncio.gather(self._call([asked for asked, _ in batch]), return_exceptions=True)
        answers = [outcome] * len(batch) if isinstance(outcome, BaseException) else outcome
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # who asked has gone
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
