"""core.words: verdicts, their rank and the exit codes."""

from __future__ import annotations

import itertools

import pytest

from core.words import EXIT_CODES, EXIT_SIGINT, EXIT_SIGTERM, Phase, Verdict, worst, worst_of_phase

WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INVALID, Verdict.NO_DATA, Verdict.PASS)


class TestWorst:
    @pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(WORST_FIRST, 2)))
    def test_follows_the_rank_of_the_architecture_in_either_order(self, worse: Verdict, better: Verdict) -> None:
        assert worst([better, worse]) is worse
        assert worst([worse, better]) is worse

    @pytest.mark.parametrize("verdict", WORST_FIRST)
    def test_ignores_skipped_beside_anything_else(self, verdict: Verdict) -> None:
        assert worst([Verdict.SKIPPED, verdict, Verdict.SKIPPED]) is verdict

    @pytest.mark.parametrize("nothing", [[], [Verdict.SKIPPED], [Verdict.SKIPPED] * 3])
    def test_is_no_data_when_nothing_was_looked_at(self, nothing: list[Verdict]) -> None:
        assert worst(nothing) is Verdict.NO_DATA

    def test_takes_a_generator(self) -> None:
        assert worst(verdict for verdict in (Verdict.PASS, Verdict.FAIL)) is Verdict.FAIL


class TestExitCodes:
    @pytest.mark.parametrize(
        ("verdict", "code"),
        [
            (Verdict.PASS, 0),
            (Verdict.FAIL, 1),
            (Verdict.ERROR, 2),
            (Verdict.INVALID, 3),
            (Verdict.NO_DATA, 3),
        ],
    )
    def test_are_those_of_the_architecture(self, verdict: Verdict, code: int) -> None:
        assert EXIT_CODES[verdict] == code

    def test_exist_for_every_verdict_and_only_pass_is_0(self) -> None:
        assert set(EXIT_CODES) == set(Verdict)
        assert [verdict for verdict, code in EXIT_CODES.items() if code == 0] == [Verdict.PASS]

    def test_of_signals_are_128_and_the_signal(self) -> None:
        assert (EXIT_SIGINT, EXIT_SIGTERM) == (128 + 2, 128 + 15)


class TestPhase:
    def test_lists_the_five_phases_in_the_order_of_the_design(self) -> None:
        assert [phase.value for phase in Phase] == ["exporters", "tracing", "load", "dashboards", "kafka_bot"]

    def test_is_skipped_only_where_all_of_it_was(self) -> None:
        assert worst_of_phase([Verdict.SKIPPED, Verdict.SKIPPED]) is Verdict.SKIPPED
        assert worst_of_phase([Verdict.SKIPPED, Verdict.PASS]) is Verdict.PASS
        assert worst_of_phase([]) is Verdict.NO_DATA
