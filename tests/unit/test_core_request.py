"""core.request: the parameters of a run, the same for command line, flow and form."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.request import Request
from core.words import Phase


class TestRequest:
    def test_asks_by_default_for_everything_on_the_reference_portal(self) -> None:
        request = Request()
        assert (request.target, request.load, request.backend) == ("portal", "smoke", None)
        assert request.phases == tuple(Phase)
        assert not request.keep_stack

    def test_puts_the_phases_in_the_order_of_the_design(self) -> None:
        request = Request(phase=(Phase.KAFKA_BOT, Phase.EXPORTERS, Phase.KAFKA_BOT))
        assert request.phases == (Phase.EXPORTERS, Phase.KAFKA_BOT)

    @pytest.mark.parametrize(
        "wrong", [{"backend": "cloud"}, {"scenario": ("f",)}, {"phase": ("report",)}, {"ports": "mine"}]
    )
    def test_refuses_what_does_not_exist(self, wrong: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Request.model_validate(wrong)

    def test_describes_every_parameter(self) -> None:
        assert all(field.description for field in Request.model_fields.values())
