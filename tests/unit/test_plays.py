"""The stack that plays a platform: PostgreSQL beside it, the adapter's accounts, the portal's settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.errors import ConfigError
from core.ports import ServiceId
from infra.embedded.catalogue import EmbeddedCatalogue
from infra.embedded.plays import Plays
from infra.embedded.programs import EMBEDDED, PROGRAMS, DebianSource, ProgramId, _in_folder
from infra.embedded.services import service_specs
from infra.embedded.spec import ServiceSpec
from infra.portal.metrics import Meters
from infra.portal.settings import PortalSettings
from targets.model import Profile, load_profile
from tests.unit.test_services import plan

PASSWORD = "a'b\\c"


def universe(**stores: Any) -> Profile:
    document = load_profile("portal-universe").model_dump()
    for store in document["stores"].values():
        store["password"] = PASSWORD
    document["stores"] |= stores
    return Profile.model_validate(document)


@pytest.fixture(scope="module")
def specs() -> dict[str, ServiceSpec]:
    return {spec.name: spec for spec in service_specs(replace(plan(), plays=Plays.of(universe())))}


class TestPlays:
    def test_is_for_portal_universe_alone(self) -> None:
        assert Plays.of(load_profile("portal")) is None
        assert Plays.of(universe()) is not None

    def test_without_an_account_says_where_to_name_it(self) -> None:
        bare = universe().model_copy(update={"stores": {}})
        plays = Plays.of(bare)
        assert plays is not None
        with pytest.raises(ConfigError, match="no account for postgresql") as error:
            plays.environment(5432)
        assert error.value.where == "stores.postgresql"


class TestPostgresql:
    def test_is_no_part_of_the_reference_stack(self) -> None:
        assert "postgresql" not in {spec.name for spec in service_specs(plan())}
        assert ServiceId.POSTGRESQL not in EmbeddedCatalogue.services
        assert ProgramId.POSTGRESQL not in EMBEDDED

    def test_runs_as_an_ordinary_user_on_loopback_without_a_socket(self, specs: dict[str, ServiceSpec]) -> None:
        spec = specs["postgresql"]
        assert spec.refuses_root
        assert spec.argv[spec.argv.index("-h") + 1] == "127.0.0.1"
        assert "unix_socket_directories=" in spec.argv

    def test_asks_for_its_password_which_stands_in_a_file(self, specs: dict[str, ServiceSpec]) -> None:
        spec = specs["postgresql"]
        (initdb,) = spec.init
        assert "--auth=scram-sha-256" in initdb
        (pwfile,) = [part.removeprefix("--pwfile=") for part in initdb if part.startswith("--pwfile=")]
        assert spec.files[pwfile] == PASSWORD
        assert PASSWORD not in " ".join([*spec.argv, *initdb])

    def test_is_there_before_who_keeps_data_in_it(self, specs: dict[str, ServiceSpec]) -> None:
        names = list(specs)
        for service in ("auth-service", "shopping-service"):
            assert "postgresql" in specs[service].depends_on
            assert names.index("postgresql") < names.index(service)
        assert "postgresql" not in specs["blog-service"].depends_on


class TestPortal:
    def test_plays_with_its_limiter_on_and_as_its_profile_local(self, specs: dict[str, ServiceSpec]) -> None:
        env = specs["api-gateway"].env
        assert (env["PORTAL_DIALECT"], env["PORTAL_RATE_LIMIT"]) == ("portal-universe", "true")
        assert (env["PORTAL_DESIGN_ROUTES"], env["PORTAL_HISTOGRAM"]) == ("false", "false")
        assert env["PORTAL_POSTGRES_USER"] == "laze"

    def test_keeps_its_own_dialect_unless_told_otherwise(self) -> None:
        assert not PortalSettings().plays_the_platform
        assert PortalSettings(dialect="portal-universe").plays_the_platform

    @pytest.mark.parametrize("histogram", [True, False])
    def test_counts_requests_with_buckets_or_without(self, histogram: bool) -> None:
        meters = Meters("shopping-service", "local", histogram)
        meters.observe_request("GET", "/products", 200, "None", 0.01)
        text = meters.render().decode()
        assert "http_server_requests_seconds_count{" in text
        assert ("http_server_requests_seconds_bucket{" in text) is histogram


class TestAccounts:
    def test_of_mysql_are_quoted_and_may_touch_their_database_alone(self, specs: dict[str, ServiceSpec]) -> None:
        accounts = next(text for path, text in specs["mysql"].files.items() if path.endswith("accounts.sql"))
        assert "ALTER USER 'laze'@'127.0.0.1' IDENTIFIED BY 'a''b\\\\c';" in accounts
        assert "GRANT ALL ON `notification_db`.* TO 'laze'@'127.0.0.1';" in accounts


class TestProgram:
    def test_is_found_in_the_newest_of_debians_folders(self, tmp_path: Any) -> None:
        source = PROGRAMS[ProgramId.POSTGRESQL].source
        assert isinstance(source, DebianSource)
        assert _in_folder(source, tmp_path) is None
        for version in ("13", "15"):
            folder = tmp_path / "lib" / "postgresql" / version / "bin"
            folder.mkdir(parents=True)
            (folder / "postgres").touch()
        assert _in_folder(source, tmp_path) == tmp_path / "lib" / "postgresql" / "15" / "bin" / "postgres"
