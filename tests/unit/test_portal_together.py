"""Group commit: who is served together, and that one's failure is not another's."""

import asyncio
from collections.abc import Sequence

import pytest

from infra.portal.together import Together


class Store:
    """Squares numbers; notes what came together. 13 is refused, 0 breaks the call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def squares(self, numbers: Sequence[int]) -> list[int | BaseException]:
        self.calls.append(list(numbers))
        await asyncio.sleep(0)
        if 0 in numbers:
            raise ConnectionResetError
        return [ValueError("unlucky") if number == 13 else number * number for number in numbers]


class TestTogether:
    async def test_those_who_come_during_a_call_share_the_next_and_each_gets_its_own_answer(self) -> None:
        store = Store()
        together = Together(store.squares, at_most=10)
        first = asyncio.create_task(together.ask(1))
        while not store.calls:
            await asyncio.sleep(0)
        assert await asyncio.gather(*(together.ask(number) for number in (2, 3, 4))) == [4, 9, 16]
        assert await first == 1
        assert store.calls == [[1], [2, 3, 4]]

    async def test_no_call_takes_more_than_its_limit(self) -> None:
        store = Store()
        together = Together(store.squares, at_most=2)
        await asyncio.gather(*(together.ask(number) for number in range(1, 6)))
        assert store.calls == [[1, 2], [3, 4], [5]]

    async def test_a_refusal_is_raised_to_whom_it_concerns(self) -> None:
        together = Together(Store().squares, at_most=10)
        answers = await asyncio.gather(together.ask(2), together.ask(13), return_exceptions=True)
        assert answers[0] == 4
        assert isinstance(answers[1], ValueError)

    async def test_a_call_that_fails_is_raised_to_all_in_it_and_the_next_one_works(self) -> None:
        together = Together(Store().squares, at_most=10)
        failed = await asyncio.gather(together.ask(0), together.ask(2), return_exceptions=True)
        assert [type(error) for error in failed] == [ConnectionResetError, ConnectionResetError]
        assert await together.ask(3) == 9

    async def test_one_who_goes_away_leaves_the_others_served(self) -> None:
        together = Together(Store().squares, at_most=10)
        gone, stays = asyncio.create_task(together.ask(2)), asyncio.create_task(together.ask(3))
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == 9
        with pytest.raises(asyncio.CancelledError):
            await gone
