"""`make ui` is found by runs on this machine while it lives, and only then; there is one of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_HOME, temporary_settings

from flows.site import FILE, AlreadyRunning, Site, announced, running_site

SITE = Site("http://127.0.0.1:4200/api", "http://127.0.0.1:4200", "http://127.0.0.1:4201", 42)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with temporary_settings(updates={PREFECT_HOME: tmp_path / "home"}):
        yield tmp_path / "home"


class TestSite:
    def test_is_found_while_it_runs_and_not_before_or_after(self) -> None:
        assert running_site() is None
        with announced(SITE):
            assert running_site() == SITE
        assert running_site() is None

    def test_is_not_found_where_one_has_died_and_left_its_file(self, home: Path) -> None:
        with announced(SITE):
            left = (home / FILE).read_text()
        (home / FILE).write_text(left)
        assert running_site() is None

    def test_a_second_one_says_where_the_first_one_is(self) -> None:
        with announced(SITE), pytest.raises(AlreadyRunning) as raised, announced(SITE):
            pass
        assert raised.value.site == SITE
        assert "http://127.0.0.1:4200" in str(raised.value)

    def test_takes_the_place_of_one_that_has_ended(self) -> None:
        other = Site("http://127.0.0.1:4300/api", "http://127.0.0.1:4300", "http://127.0.0.1:4301", 43)
        with announced(SITE):
            pass
        with announced(other):
            assert running_site() == other
