"""targets.load: how hard, and that `design` is the design document's own numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigError
from targets.load import (
    BlogRead,
    CacheThundering,
    CouponSpike,
    Load,
    SearchLoad,
    ShoppingFlow,
    load_load,
)
from targets.model import FOLDER, load_profile
from targets.shape import BotStep

KNOWN = ("design", "smoke", "soak")


def k6_seconds(load: Load, cache_ttl_s: float) -> float:
    """Planned k6 time of all scenarios; C and E end by themselves within a second or two of their start."""
    a, d = load.a, load.d
    shopping = a.ramp_up_s + a.steady_s + a.ramp_down_s
    search = d.ramp_up_s + d.steady_s + d.ramp_down_s
    return shopping + load.b.duration_s + search + cache_ttl_s


def with_bot(folder: Path, bot: str) -> Path:
    """The smoke load with another bot, as a file."""
    text = (FOLDER / "loads" / "smoke.yaml").read_text(encoding="utf-8")
    mine = folder / "mine.yaml"
    mine.write_text(f"{text.split('bot:')[0]}{bot}\n", encoding="utf-8")
    return mine


def line_of(start: str, file: Path) -> int:
    """Number of the line that begins so."""
    return next(n for n, row in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if row.startswith(start))


class TestDesign:
    """Sections 4.3 and 6.3, in seconds."""

    load = load_load("design")

    def test_a_ramps_to_100_users_for_2_10_and_2_minutes(self) -> None:
        assert self.load.a == ShoppingFlow(vus=100, ramp_up_s=120, steady_s=600, ramp_down_s=120)

    def test_b_sends_500_a_second_for_10_minutes(self) -> None:
        assert self.load.b == BlogRead(rate_per_s=500, duration_s=600, pre_allocated_vus=200, max_vus=500)

    def test_c_is_500_users_at_once_within_30_seconds(self) -> None:
        assert self.load.c == CouponSpike(users=500, max_duration_s=30)

    def test_d_ramps_from_50_to_200_a_second_for_3_10_and_2_minutes(self) -> None:
        assert self.load.d == SearchLoad(
            start_rate_per_s=50,
            rate_per_s=200,
            ramp_up_s=180,
            steady_s=600,
            ramp_down_s=120,
            pre_allocated_vus=100,
            max_vus=300,
        )

    def test_e_is_a_herd_of_200_within_10_seconds(self) -> None:
        assert self.load.e == CacheThundering(herd_vus=200, max_duration_s=10)

    def test_the_bot_sends_100_a_second_for_5_minutes_then_1000_for_one(self) -> None:
        assert self.load.bot == (BotStep(rate_per_s=100, duration_s=300), BotStep(rate_per_s=1000, duration_s=60))


class TestSmoke:
    load = load_load("smoke")

    def test_takes_k6_at_most_90_seconds_in_all(self) -> None:
        cache = load_profile("portal").cache
        assert cache is not None
        assert k6_seconds(self.load, cache.ttl_s) <= 90

    def test_asks_the_bot_for_100_a_second_for_30_seconds(self) -> None:
        assert self.load.bot == (BotStep(rate_per_s=100, duration_s=30),)  # section 10, row Kafka Bot

    def test_keeps_the_bursts_of_the_design(self) -> None:
        design = load_load("design")
        assert (self.load.c, self.load.e) == (design.c, design.e)


class TestEveryLoad:
    @pytest.mark.parametrize("name", KNOWN)
    def test_can_be_read_by_its_name(self, name: str) -> None:
        assert load_load(name).name == name

    @pytest.mark.parametrize("name", KNOWN)
    def test_has_users_enough_for_its_spike(self, name: str) -> None:
        assert load_load(name).c.users <= load_profile("portal").users.pool.count

    @pytest.mark.parametrize("name", KNOWN)
    def test_may_start_as_many_users_as_it_prepares(self, name: str) -> None:
        load = load_load(name)
        assert load.b.pre_allocated_vus <= load.b.max_vus
        assert load.d.pre_allocated_vus <= load.d.max_vus


class TestBotAsText:
    """`bot` takes steps, or a shape (targets/shape.py) as text."""

    STEPS = (
        BotStep(rate_per_s=100, duration_s=300),
        BotStep(rate_per_s=100, to_rate_per_s=1000, duration_s=30),
    )

    @pytest.mark.parametrize(
        "bot",
        [
            pytest.param("bot: 100 for 5m, 100 to 1000 for 30s", id="one line"),
            pytest.param("bot: |\n  100 for 5m  # steady\n  100 to 1000 for 30s", id="lines with a note"),
            pytest.param(
                "bot:\n- {rate_per_s: 100, duration_s: 300}\n- {rate_per_s: 100, to_rate_per_s: 1000, duration_s: 30}",
                id="steps",
            ),
        ],
    )
    def test_is_the_same_steps(self, tmp_path: Path, bot: str) -> None:
        assert load_load(str(with_bot(tmp_path, bot))).bot == self.STEPS

    def test_names_its_engine(self, tmp_path: Path) -> None:
        assert load_load("smoke").bot_engine == "kafka-python"
        load = load_load(str(with_bot(tmp_path, "bot: 100 for 5m\nbot_engine: confluent")))
        assert load.bot_engine == "confluent"


class TestMistakes:
    def test_unknown_load_lists_the_known_ones(self) -> None:
        with pytest.raises(ConfigError, match="unknown load 'heavy'") as caught:
            load_load("heavy")
        assert ", ".join(KNOWN) in caught.value.cure

    @pytest.mark.parametrize(
        ("right", "wrong", "key"),
        [
            ("users: 500", "users: 0", "c.users"),
            ("rate_per_s: 500", "rate_per_s: -1", "b.rate_per_s"),
            ("steady_s: 600, ramp_down_s: 120}\nb", "steady_s: long, ramp_down_s: 120}\nb", "a.steady_s"),
            ("herd_vus: 200", "herd: 200", "e.herd_vus"),
        ],
    )
    def test_wrong_number_names_file_line_and_key(self, tmp_path: Path, right: str, wrong: str, key: str) -> None:
        text = (FOLDER / "loads" / "design.yaml").read_text(encoding="utf-8")
        assert right in text
        mine = tmp_path / "mine.yaml"
        mine.write_text(text.replace(right, wrong), encoding="utf-8")
        line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith(f"{key[0]}:"))
        with pytest.raises(ConfigError) as caught:
            load_load(str(mine))
        assert f"'{key}'" in caught.value.what
        assert caught.value.where == f"{mine}:{line}"

    def test_a_line_that_is_no_step_of_the_bot_is_told_with_file_and_line(self, tmp_path: Path) -> None:
        mine = with_bot(tmp_path, "bot: 100 for 5m, fast for 1m")
        with pytest.raises(ConfigError) as caught:
            load_load(str(mine))
        assert caught.value.what.startswith("'bot': 'fast for 1m' is no step; write steps as `100 for 5m")
        assert caught.value.where == f"{mine}:{line_of('bot:', mine)}"

    @pytest.mark.parametrize(
        ("bot", "told"),
        [
            pytest.param("bot: 100", "'bot'", id="a number"),
            pytest.param("bot: [{rate_per_s: 0, duration_s: 5}]", "'bot.0.rate_per_s'", id="no rate"),
            pytest.param("bot: [{rate_per_s: 5}]", "missing key 'bot.0.duration_s'", id="no duration"),
            pytest.param("bot: 5 for 5s\nbot_engine: quick", "'bot_engine'", id="unknown engine"),
        ],
    )
    def test_other_wrong_bots_name_their_key(self, tmp_path: Path, bot: str, told: str) -> None:
        with pytest.raises(ConfigError) as caught:
            load_load(str(with_bot(tmp_path, bot)))
        assert told in caught.value.what

    def test_bot_without_a_step(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="'bot'"):
            load_load(str(with_bot(tmp_path, "bot: []")))
