"""targets.shape: the bot's load as text, what it means, and what is said of text that means nothing."""

from __future__ import annotations

import pytest

from targets.shape import BotStep, parse_shape, steps_of

SYNTAX = "; write steps as `100 for 5m, 100 to 1000 for 30s, 1000 for 1m`"


def step(rate: float, duration_s: float, to: float | None = None) -> BotStep:
    return BotStep(rate_per_s=rate, duration_s=duration_s, to_rate_per_s=to)


class TestRightText:
    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            pytest.param("100 for 5m", [step(100, 300)], id="constant"),
            pytest.param("100 to 1000 for 2m", [step(100, 120, 1000)], id="ramp"),
            pytest.param("1000 -> 100 for 2m", [step(1000, 120, 100)], id="falling ramp, as an arrow"),
            pytest.param("100->1000 for 2m", [step(100, 120, 1000)], id="arrow without blanks"),
            pytest.param("100 for 5m, 1000 for 1m", [step(100, 300), step(1000, 60)], id="spike"),
            pytest.param("100 for 5m\n1000 for 1m\n", [step(100, 300), step(1000, 60)], id="lines"),
            pytest.param("100 for 5m,\n\n1000 for 1m,", [step(100, 300), step(1000, 60)], id="lines and commas"),
            pytest.param("# warm\n100 for 5m  # slow, then\n1000 for 1m", [step(100, 300), step(1000, 60)], id="notes"),
            pytest.param("1_000 for 1_0s", [step(1000, 10)], id="thousands apart"),
            pytest.param("0.5 for 250ms", [step(0.5, 0.25)], id="fractions and milliseconds"),
            pytest.param("100 for 60", [step(100, 60)], id="seconds, unless another unit is named"),
            pytest.param("100 for 1.5 h", [step(100, 5400)], id="hours"),
            pytest.param("100 FOR 5M", [step(100, 300)], id="large letters"),
            pytest.param("1000000 for 24h", [step(1_000_000, 86_400)], id="the most"),
        ],
    )
    def test_is_its_steps(self, text: str, steps: list[BotStep]) -> None:
        assert list(parse_shape(text)) == steps

    @pytest.mark.parametrize("text", ["100 for 5s", "100 to 1000 for 2s", "0.125 for 0.5s", "1000000 for 86400s"])
    def test_stands_in_the_result_as_it_was_asked(self, text: str) -> None:
        assert [str(step) for step in parse_shape(text)] == [text]


class TestWrongText:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            pytest.param("", f"the shape holds no step{SYNTAX}", id="nothing"),
            pytest.param(" , \n # 100 for 5m", f"the shape holds no step{SYNTAX}", id="a note alone"),
            pytest.param("100 for 5m, fast for 5m", f"'fast for 5m' is no step{SYNTAX}", id="a word for a rate"),
            pytest.param("100 for", f"'100 for' is no step{SYNTAX}", id="no duration"),
            pytest.param("100", f"'100' is no step{SYNTAX}", id="a rate alone"),
            pytest.param("100 for 5 days", f"'100 for 5 days' is no step{SYNTAX}", id="unknown unit"),
            pytest.param("100 for 5m 200 for 1m", f"'100 for 5m 200 for 1m' is no step{SYNTAX}", id="no comma"),
            pytest.param("100 to for 5m", f"'100 to for 5m' is no step{SYNTAX}", id="a ramp to nowhere"),
            pytest.param("-100 for 5m", f"'-100 for 5m' is no step{SYNTAX}", id="negative"),
            pytest.param("1e3 for 5m", f"'1e3 for 5m' is no step{SYNTAX}", id="exponent"),
            pytest.param("nan for 5m", f"'nan for 5m' is no step{SYNTAX}", id="not a number"),
            pytest.param(
                "0 for 5m", "a rate must be above 0 and at most 1,000,000, found 0 in '0 for 5m'", id="no rate"
            ),
            pytest.param(
                "100 to 0 for 5m",
                "a rate must be above 0 and at most 1,000,000, found 0 in '100 to 0 for 5m'",
                id="a ramp to 0",
            ),
            pytest.param(
                "100 for 5m, 2000000 for 1s",
                "a rate must be above 0 and at most 1,000,000, found 2000000 in '2000000 for 1s'",
                id="too fast",
            ),
            pytest.param(
                "100 for 0s",
                "a duration in seconds must be above 0 and at most 86,400, found 0 in '100 for 0s'",
                id="no time",
            ),
            pytest.param(
                "100 for 25h",
                "a duration in seconds must be above 0 and at most 86,400, found 90000 in '100 for 25h'",
                id="more than a day",
            ),
        ],
    )
    def test_is_told_in_one_sentence_that_names_the_part(self, text: str, told: str) -> None:
        with pytest.raises(ValueError, match=r"step|must be") as caught:
            parse_shape(text)
        assert str(caught.value) == told


class TestStep:
    @pytest.mark.parametrize(
        ("asked", "last", "mean"),
        [
            pytest.param(step(100, 5), 100, 100, id="constant"),
            pytest.param(step(100, 5, 1000), 1000, 550, id="ramp"),
            pytest.param(step(1000, 5, 100), 100, 550, id="falling ramp"),
        ],
    )
    def test_knows_its_last_and_its_mean_rate(self, asked: BotStep, last: float, mean: float) -> None:
        assert (asked.last_rate_per_s, asked.mean_rate_per_s) == (last, mean)


class TestField:
    def test_takes_text_and_steps_alike(self) -> None:
        steps = [{"rate_per_s": 100, "duration_s": 5}]
        assert steps_of(steps) is steps
        assert steps_of("100 for 5s") == (step(100, 5),)
