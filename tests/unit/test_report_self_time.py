"""Self-time: whose time each span's own is, and how much of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from report.self_time import SelfTimes, self_times
from report.spans import COLUMNS, no_spans
from report.windows import Span

BEGIN = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = Span(BEGIN, BEGIN + timedelta(hours=1))
Row = tuple[str, str, str, str, str, str, float, float]
"""(trace, id, parent, service, kind, remote, from, to) in milliseconds after BEGIN."""


def of(*rows: Row, within: Span = HOUR) -> SelfTimes:
    spans = pd.DataFrame(
        [
            (
                trace,
                id,
                parent,
                service,
                kind,
                "x",
                remote,
                BEGIN + timedelta(milliseconds=begin),
                (end - begin) / 1000,
                False,
            )
            for trace, id, parent, service, kind, remote, begin, end in rows
        ],
        columns=list(COLUMNS),
    )
    spans["time"] = pd.to_datetime(spans["time"], utc=True)
    return self_times(spans, [within])


GATE: Row = ("t", "1", "", "gate", "SERVER", "", 0, 100)
CALL: Row = ("t", "2", "1", "gate", "CLIENT", "shop", 10, 90)
SHOP: Row = ("t", "3", "2", "shop", "SERVER", "", 30, 80)


class TestSelfTimes:
    def test_of_a_call_that_was_answered_with_a_span_is_the_way_there_and_back(self) -> None:
        assert of(GATE, CALL, SHOP).seconds == pytest.approx({"shop": 0.05, "on the way to shop": 0.03, "gate": 0.02})

    def test_of_a_call_without_an_answer_of_its_own_is_that_of_who_was_called(self) -> None:
        found = of(SHOP, ("t", "4", "3", "shop", "CLIENT", "mysql", 40, 70))
        assert found.seconds == pytest.approx({"mysql": 0.03, "shop": 0.02})
        assert found.share("mysql") == pytest.approx(0.6)

    def test_leave_out_what_children_did_at_the_same_time_once(self) -> None:
        both = [("t", "4", "3", "shop", "CLIENT", "mysql", 35, 60), ("t", "5", "3", "shop", "CLIENT", "redis", 50, 70)]
        assert of(SHOP, *both).seconds["shop"] == pytest.approx(0.05 - 0.035)

    def test_leave_the_time_between_children_to_their_parent(self) -> None:
        both = [("t", "4", "3", "shop", "CLIENT", "mysql", 35, 40), ("t", "5", "3", "shop", "CLIENT", "mysql", 60, 70)]
        assert of(SHOP, *both).seconds["shop"] == pytest.approx(0.05 - 0.015)

    def test_are_never_below_nothing(self) -> None:
        late = ("t", "4", "3", "shop", "CLIENT", "mysql", 30, 95)  # ended after the span that waited for it
        assert of(SHOP, late).seconds["shop"] == 0

    def test_are_means_over_the_traces(self) -> None:
        other: Row = ("u", "1", "", "gate", "SERVER", "", 200, 260)
        found = of(GATE, other)
        assert found.traces == 2
        assert found.seconds["gate"] == pytest.approx(0.08)

    def test_are_of_traces_that_began_in_the_piece_of_time(self) -> None:
        other: Row = ("u", "1", "", "gate", "SERVER", "", 200, 260)
        early = Span(BEGIN, BEGIN + timedelta(milliseconds=150))
        assert of(GATE, other, within=early).seconds["gate"] == pytest.approx(0.1)

    def test_without_spans_are_none(self) -> None:
        found = self_times(no_spans(), [HOUR])
        assert (found.traces, found.share("mysql")) == (0, 0.0)
