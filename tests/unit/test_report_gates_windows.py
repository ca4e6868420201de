"""The windows of a load: from a scenario's stages and real times, and from the bot's steps."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.words import Verdict
from report.model import ScenarioRow, SeamRow, StageRow
from report.windows import BOT, SCENARIO_PARTS, Part, PartsRun, WindowName, bot_stages, scenario_stages
from targets.load import load_load
from targets.shape import BotStep
from tests.report_samples import STARTED, scenario

DESIGN = load_load("design")  # A 120 + 600 + 120 s, B 600 s, D 180 + 600 + 120 s; the bot 100/s 300 s, 1,000/s 60 s
LETTERS = tuple("abcde")


def at(seconds: float) -> datetime:
    return STARTED + timedelta(seconds=seconds)


def seconds(moment: datetime) -> float:
    return (moment - STARTED).total_seconds()


def stages(*rows: StageRow) -> list[tuple[str, float, float]]:
    return [(row.stage, seconds(row.started), seconds(row.ended)) for row in rows]


def run(*rows: ScenarioRow, asked: tuple[str, ...] = (*LETTERS, BOT), bot: tuple[StageRow, ...] = ()) -> PartsRun:
    return PartsRun(asked, rows, [*(stage for row in rows for stage in scenario_stages(row, DESIGN)), *bot])


def bot() -> tuple[StageRow, ...]:
    """From 5,000 s on, as planned, drained after 20 s."""
    return bot_stages(DESIGN.bot, at(5_000), at(5_360), 20)


NIGHT = run(
    scenario("a", 0, 845),
    scenario("b", 900, 600),
    scenario("c", 1_600, 0.5),
    scenario("d", 1_700, 902),
    scenario("e", 2_700, 0.2),
    bot=bot(),
)


def pieces(run: PartsRun, name: WindowName, *parts: Part) -> list[tuple[float, float]]:
    spans = run.window(name, parts or SCENARIO_PARTS)
    return [(seconds(span.started), seconds(span.ended)) for span in spans]


class TestStages:
    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            pytest.param(
                scenario("a", 0, 845),
                [("warm-up", 0, 120), ("steady", 120, 720), ("drain", 720, 845)],
                id="A, whose last iterations end after the ramp",
            ),
            pytest.param(scenario("b", 0, 601), [("steady", 0, 600)], id="B"),
            pytest.param(scenario("c", 0, 0.5), [("spike", 0, 0.5)], id="C"),
            pytest.param(
                scenario("d", 0, 901), [("warm-up", 0, 180), ("steady", 180, 780), ("drain", 780, 901)], id="D"
            ),
            pytest.param(scenario("e", 0, 0.2), [("spike", 0, 0.2)], id="E"),
            pytest.param(
                scenario("a", 0, 100),
                [("warm-up", 0, 100), ("steady", 100, 100), ("drain", 100, 100)],
                id="A, ended in its warm-up",
            ),
        ],
    )
    def test_are_the_loads_cut_at_the_real_end(
        self, row: ScenarioRow, expected: list[tuple[str, float, float]]
    ) -> None:
        assert stages(*scenario_stages(row, DESIGN)) == expected

    def test_of_a_scenario_that_never_began_are_none(self) -> None:
        assert scenario_stages(scenario("a", 0, 1, started=None, ended=None), DESIGN) == ()

    def test_of_a_load_without_ramps_leave_them_out(self) -> None:
        flat = DESIGN.model_copy(update={"a": DESIGN.a.model_copy(update={"ramp_up_s": 0, "ramp_down_s": 0})})
        assert stages(*scenario_stages(scenario("a", 0, 600), flat)) == [("steady", 0, 600)]

    def test_have_seams_between_the_segments_of_a_long_scenario_which_no_window_but_the_whole_has(self) -> None:
        seams = tuple(SeamRow(started=at(each - 5), ended=at(each + 5), gap_s=0.1) for each in (200, 400))
        row = scenario("b", 0, 600).model_copy(update={"seams": seams})
        assert stages(*scenario_stages(row, DESIGN)) == [
            ("steady", 0, 195),
            ("seam", 195, 205),
            ("steady", 205, 395),
            ("seam", 395, 405),
            ("steady", 405, 600),
        ]
        assert [span.length_s for span in run(row).window("steady", ("b",))] == [195, 190, 195]
        assert [span.length_s for span in run(row).window("whole", ("b",))] == [600]

    def test_of_the_bot_are_its_steps_and_its_drain(self) -> None:
        assert stages(*bot()) == [("steady", 5_000, 5_300), ("spike", 5_300, 5_360), ("drain", 5_360, 5_380)]

    def test_of_a_bot_that_was_stopped_end_there(self) -> None:
        cut = bot_stages(DESIGN.bot, at(0), at(200), None)
        assert stages(*cut) == [("steady", 0, 200), ("spike", 200, 200)]

    def test_of_a_bot_whose_consumers_had_caught_up_at_once_have_a_drain(self) -> None:
        *_, drain = stages(*bot_stages(DESIGN.bot, at(0), at(360), 0))
        assert drain == ("drain", 360, 360.1)

    def test_of_a_bot_that_slows_down_and_speeds_up_know_its_spike_by_the_first_rate(self) -> None:
        steps = [BotStep(rate_per_s=rate, duration_s=10) for rate in (100, 50, 200)]
        assert [stage for stage, *_ in stages(*bot_stages(steps, at(0), at(30), 0))] == [
            "steady",
            "steady",
            "spike",
            "drain",
        ]


class TestWindows:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("whole", [(0, 2_700.2)]),
            ("after-warm-up", [(120, 845), (900, 1_500), (1_600, 1_600.5), (1_880, 2_602), (2_700, 2_700.2)]),
            ("steady", [(120, 720), (900, 1_500), (1_880, 2_480)]),
            ("spike", [(1_600, 1_600.5), (2_700, 2_700.2)]),
            ("drain", [(720, 845), (2_480, 2_602)]),
        ],
    )
    def test_of_all_scenarios(self, name: WindowName, expected: list[tuple[float, float]]) -> None:
        assert pieces(NIGHT, name) == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("whole", [(5_000, 5_380)]),
            ("after-warm-up", [(5_000, 5_380)]),
            ("steady", [(5_000, 5_300)]),
            ("spike", [(5_300, 5_360)]),
            ("drain", [(5_360, 5_380)]),
        ],
    )
    def test_of_the_bot(self, name: WindowName, expected: list[tuple[float, float]]) -> None:
        assert pieces(NIGHT, name, BOT) == expected

    def test_of_one_scenario(self) -> None:
        assert pieces(NIGHT, "whole", "d") == [(1_700, 2_602)]
        assert pieces(NIGHT, "after-warm-up", "d") == [(1_880, 2_602)]

    def test_whole_needs_no_stages(self) -> None:
        assert pieces(PartsRun(LETTERS, NIGHT.scenarios, None), "whole") == [(0, 2_700.2)]


class TestNoWindow:
    @pytest.mark.parametrize(
        ("run", "name", "parts", "verdict", "why"),
        [
            pytest.param(run(asked=()), "whole", LETTERS, Verdict.SKIPPED, "no load was asked for", id="no load"),
            pytest.param(
                run(scenario("a", 0, 840), asked=("a",)),
                "spike",
                ("c", "e"),
                Verdict.SKIPPED,
                "scenarios C, E were not asked for",
                id="not asked for",
            ),
            pytest.param(run(), "whole", LETTERS, Verdict.NO_DATA, "scenarios A to E were not run", id="not run"),
            pytest.param(run(), "drain", (BOT,), Verdict.NO_DATA, "the Kafka bot was not run", id="bot not run"),
            pytest.param(
                run(scenario("b", 0, 600)),
                "spike",
                ("b",),
                Verdict.SKIPPED,
                "this load has no window spike in scenario B",
                id="no such stage",
            ),
            pytest.param(
                run(scenario("a", 0, 60)),
                "steady",
                ("a",),
                Verdict.NO_DATA,
                "scenario A ended before window steady",
                id="ended before it",
            ),
            pytest.param(
                PartsRun(LETTERS, [scenario("a", 0, 60)], None),
                "steady",
                ("a",),
                Verdict.NO_DATA,
                "the report does not say when the stages of its load were",
                id="report of an earlier version",
            ),
        ],
    )
    def test_says_why(
        self, run: PartsRun, name: WindowName, parts: tuple[Part, ...], verdict: Verdict, why: str
    ) -> None:
        assert run.window(name, [part for part in parts if part in run.asked]) == ()
        assert run.why_none(name, parts) == (verdict, why)
