"""The compose files as `docker compose` itself reads them; that needs no engine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ConfigError
from core.ports import DEFAULT_PORTS, WHOLE_STACK, ServiceId
from infra.docker.__main__ import main
from infra.docker.compose import Project
from infra.docker.joined import Joined, join
from infra.docker.site import Theirs
from tests.compose_program import compose_on_path

MODEL = Path(__file__).parents[1] / "platform_model"
PLATFORM = Path(__file__).parents[2] / "infra" / "docker" / "compose.platform.yml"
VARIABLES = {"SUITE_EXPORTER_PASSWORD": "made-up", "SUITE_GRAFANA_PASSWORD": "made-up"}
Document = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, compose_on_path(tmp_path_factory.mktemp("bin"), patch):
        yield


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the platform's project that a test may change."""
    return Path(shutil.copytree(MODEL, tmp_path / "portal-universe"))


def joined(folder: Path, file: str = "docker-compose.yml") -> Joined:
    return join([folder / file], folder.parent / "state", VARIABLES, {})


def edit(file: Path, change: Callable[[Document], object]) -> None:
    document = yaml.safe_load(file.read_text())
    change(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def as_the_design_found_it(document: Document) -> None:
    """Before the design: no exporter, Zipkin in memory, Prometheus without the receiver, MySQL called mysql."""
    services = document["services"]
    for name in ("cadvisor", "mysql-exporter", "redis-exporter", "kafka-exporter"):
        del services[name]
    services["zipkin"] = {**services["zipkin"], "image": "openzipkin/zipkin:3.4.2", "environment": ["STORAGE_TYPE=mem"]}
    del services["zipkin"]["depends_on"]
    services["prometheus"]["command"].remove("--web.enable-remote-write-receiver")
    services["mysql"] = {**services.pop("mysql-db"), "container_name": "mysql"}


def paths(difference: list[str]) -> set[str]:
    return {line.partition(": ")[0] for line in difference}


class TestOverlayOnThePlatformsProject:
    """Only the listed keys change; whatever else `docker compose config` says of the platform stays as it was."""

    @pytest.mark.parametrize(
        ("file", "further"),
        [
            ("docker-compose.yml", {"services.prometheus.extra_hosts"}),  # apps in compose
            ("docker-compose-local.yml", set()),  # apps on the host: it has the line already
        ],
    )
    def test_changes_only_the_listed_keys(self, model: Path, file: str, further: set[str]) -> None:
        assert paths(joined(model, file).difference()) == {
            "services.prometheus.command",
            "services.prometheus.volumes",
            "services.grafana.volumes",
            *further,
        }

    def test_keeps_every_flag_and_adds_the_missing_one(self, model: Path) -> None:
        both = joined(model)
        before = both.before["services"]["prometheus"]["command"]
        after = both.both.config()["services"]["prometheus"]["command"]
        assert after == [*before, "--enable-feature=native-histograms"]

    def test_mounts_merged_copies_where_the_platforms_files_were(self, model: Path) -> None:
        both = joined(model)
        after = both.both.config()["services"]
        for name in ("prometheus", "grafana"):
            targets = [volume["target"] for volume in both.before["services"][name]["volumes"]]
            assert sorted(volume["target"] for volume in after[name]["volumes"]) == sorted(targets)
        sources = {volume["source"] for name in ("prometheus", "grafana") for volume in after[name]["volumes"]}
        assert {str(both.state / "prometheus.yml"), str(both.state / "grafana")} <= sources

    def test_writes_nothing_into_the_platforms_folder(self, model: Path) -> None:
        before = {file: file.read_bytes() for file in model.rglob("*") if file.is_file()}
        joined(model).difference()
        assert {file: file.read_bytes() for file in model.rglob("*") if file.is_file()} == before

    def test_adds_the_bots_job_and_leaves_the_platforms_own_jobs(self, model: Path) -> None:
        both = joined(model)
        theirs = yaml.safe_load((model / "monitoring/prometheus/prometheus.yml").read_text())
        merged = yaml.safe_load((both.state / "prometheus.yml").read_text())
        jobs = {job["job_name"]: job for job in merged["scrape_configs"]}
        assert set(jobs) - {job["job_name"] for job in theirs["scrape_configs"]} == {"kafka-bot"}
        assert jobs["kafka-bot"]["static_configs"] == [{"targets": ["host.docker.internal:8000"]}]
        for job in theirs["scrape_configs"]:
            assert {key: jobs[job["job_name"]][key] for key in job} == job
        assert {key: merged[key] for key in theirs if key != "scrape_configs"} == {
            key: theirs[key] for key in theirs if key != "scrape_configs"
        }

    def test_gives_grafana_our_data_source_and_dashboards_beside_the_platforms(self, model: Path) -> None:
        own = model / "monitoring/grafana/provisioning/dashboards/json/load-test-overview.json"
        own.write_text('{"uid": "load-test-overview", "title": "the platform\'s older one"}')
        both = joined(model)
        files = {str(file.relative_to(both.state / "grafana")) for file in (both.state / "grafana").rglob("*.*")}
        assert files == {
            "datasources/datasources.yml",
            "datasources/perf-suite.yml",
            "dashboards/dashboards.yml",
            "dashboards/perf-suite.yml",
            "dashboards/json/service-overview.json",
            "perf-suite/load-test-overview.json",
            "perf-suite/bottleneck-detection.json",
        }
        assert any("load-test-overview" in note for note in both.fitted.notes)


class TestPlatformAsASite:
    """What the backend reads out of the platform's files."""

    def test_finds_every_part_at_the_port_that_the_files_publish(self, model: Path) -> None:
        endpoints = Theirs(joined(model), {}, "ours").endpoints
        assert endpoints[ServiceId.MYSQL] == "127.0.0.1:3307"
        assert endpoints[ServiceId.KAFKA] == "127.0.0.1:9092"
        assert endpoints[ServiceId.CADVISOR] == "127.0.0.1:8888"
        assert endpoints[ServiceId.GATEWAY] == "127.0.0.1:8080"

    def test_applications_on_the_host_are_where_the_profile_says(self, model: Path) -> None:
        site = Theirs(joined(model, "docker-compose-local.yml"), {ServiceId.GATEWAY: "127.0.0.1:18080"}, "ours")
        assert ServiceId.GATEWAY not in site.names
        assert site.endpoints[ServiceId.GATEWAY] == "127.0.0.1:18080"

    def test_an_exporter_of_the_platforms_keeps_its_password(self, model: Path) -> None:
        account = Theirs(joined(model), {}, "ours").account("127.0.0.1:3307")
        assert account is not None
        assert (account.user, account.password, account.admin_password) == ("exporter", "exporter", "model-root")

    def test_an_exporter_of_ours_has_the_generated_one(self, model: Path) -> None:
        edit(model / "docker-compose.yml", as_the_design_found_it)
        account = Theirs(joined(model), {}, "ours").account("127.0.0.1:3307")
        assert account is not None
        assert account.password == "ours"

    def test_without_the_administrators_password_the_account_is_not_touched(self, model: Path) -> None:
        file = model / ".env.docker"
        file.write_text("\n".join(line for line in file.read_text().splitlines() if "ROOT_PASSWORD" not in line))
        assert Theirs(joined(model), {}, "ours").account("127.0.0.1:3307") is None


class TestOverlayOnTheDesignsPlatform:
    def test_adds_what_the_design_asks_for_and_alters_only_the_listed_keys(self, model: Path) -> None:
        edit(model / "docker-compose.yml", as_the_design_found_it)
        both = joined(model)
        assert both.fitted.added == {"cadvisor", "mysql-exporter", "redis-exporter", "kafka-exporter"}
        assert paths(both.difference()) == {
            "services.cadvisor",
            "services.mysql-exporter",
            "services.redis-exporter",
            "services.kafka-exporter",
            "services.prometheus.command",
            "services.prometheus.extra_hosts",
            "services.prometheus.volumes",
            "services.zipkin.environment.STORAGE_TYPE",
            "services.zipkin.environment.ES_HOSTS",
            "services.zipkin.environment.ES_INDEX",
            "services.zipkin.environment.ES_INDEX_REPLICAS",
            "services.zipkin.environment.ES_INDEX_SHARDS",
            "services.zipkin.depends_on",
            "services.grafana.volumes",
        }

    def test_the_file_alone_merges_with_the_designs_project(self, model: Path) -> None:
        """`docker compose -f docker-compose.yml -f compose.perf.yml`, as its first lines say."""
        edit(model / "docker-compose.yml", as_the_design_found_it)
        overlay = PLATFORM.with_name("compose.perf.yml")
        files = (model / "docker-compose.yml", overlay)
        both = Project(None, files, model, {**VARIABLES, "SUITE_OVERLAY_STATE": str(model)}).config()
        assert both["services"]["zipkin"]["environment"]["STORAGE_TYPE"] == "elasticsearch"
        assert set(both["services"]) >= {"cadvisor", "mysql-exporter", "redis-exporter", "kafka-exporter"}

    def test_the_exporters_use_the_names_of_the_project(self, model: Path) -> None:
        def renamed(document: Document) -> None:
            as_the_design_found_it(document)
            document["services"]["cache"] = document["services"].pop("redis")
            for service in document["services"].values():
                service.get("depends_on", {}).pop("redis", None)

        edit(model / "docker-compose.yml", renamed)
        services = joined(model).both.config()["services"]
        assert services["redis-exporter"]["environment"]["REDIS_ADDR"] == "redis://cache:6379"
        assert list(services["redis-exporter"]["depends_on"]) == ["cache"]
        assert list(services["redis-exporter"]["networks"]) == ["portal-universe-net"]

    def test_an_exporter_without_its_store_is_left_out_and_said(self, model: Path) -> None:
        def without_mysql(document: Document) -> None:
            as_the_design_found_it(document)
            del document["services"]["mysql"]

        edit(model / "docker-compose.yml", without_mysql)
        both = joined(model)
        assert "mysql-exporter" not in both.both.config()["services"]
        assert any("mysql-exporter: left out" in note for note in both.fitted.notes)


class TestBrokenProjects:
    def test_a_file_that_is_no_yaml(self, model: Path) -> None:
        (model / "docker-compose.yml").write_text("services: [")
        with pytest.raises(ConfigError, match="broken") as caught:
            joined(model)
        assert "docker compose config" in caught.value.cure

    def test_a_key_that_compose_does_not_know(self, model: Path) -> None:
        edit(model / "docker-compose.yml", lambda document: document["services"]["redis"].update(imagee="redis"))
        with pytest.raises(ConfigError, match="imagee"):
            joined(model)

    def test_a_file_that_is_not_there(self, model: Path) -> None:
        with pytest.raises(ConfigError, match=re.escape("nowhere.yml")) as caught:
            joined(model, "nowhere.yml")
        assert "SUITE_COMPOSE_FILES" in caught.value.cure

    def test_an_env_file_that_is_not_there(self, model: Path) -> None:
        (model / ".env.docker").unlink()
        with pytest.raises(ConfigError, match=re.escape(".env.docker")):
            joined(model)

    def test_a_network_that_is_not_defined(self, model: Path) -> None:
        edit(model / "docker-compose.yml", lambda document: document.pop("networks"))
        with pytest.raises(ConfigError, match="portal-universe-net"):
            joined(model)

    def test_stores_that_share_no_network(self, model: Path) -> None:
        def apart(document: Document) -> None:
            document["networks"]["other"] = None
            document["services"]["kafka"]["networks"] = ["other"]

        edit(model / "docker-compose.yml", apart)
        with pytest.raises(ConfigError, match="no network is common"):
            joined(model)


@pytest.fixture(scope="module")
def config(compose: None, tmp_path_factory: pytest.TempPathFactory) -> Document:
    names = re.findall(r"\$\{(\w+):\?", PLATFORM.read_text())
    variables = {**dict.fromkeys(names, "made-up"), "SUITE_DOCKER_STATE": str(tmp_path_factory.mktemp("state"))}
    return Project("perf-suite-test", (PLATFORM,), PLATFORM.parent, variables).config()


class TestWholePlatform:
    def test_has_every_service_at_the_designs_port_on_loopback_only(self, config: Document) -> None:
        published = {
            name: [(port["host_ip"], int(port["published"])) for port in service["ports"]]
            for name, service in config["services"].items()
        }
        wanted = {*WHOLE_STACK, ServiceId.GRAFANA}
        assert published == {service: [("127.0.0.1", DEFAULT_PORTS[service])] for service in wanted}

    def test_limits_memory_to_the_whole_stacks_share(self, config: Document) -> None:
        limits = [int(service["mem_limit"]) for service in config["services"].values()]
        assert len(limits) == len(config["services"])
        assert sum(limits) <= 9 * 1024**3  # limits, not use: what the stack takes is measured at 4 GiB at most

    def test_asks_the_health_of_all_but_the_image_that_cannot(self, config: Document) -> None:
        without = {name for name, service in config["services"].items() if "healthcheck" not in service}
        assert without == {"redis-exporter"}

    def test_has_the_designs_image_tags(self, config: Document) -> None:
        tags = {name: service["image"] for name, service in config["services"].items()}
        assert (
            tags
            | {
                "cadvisor": "gcr.io/cadvisor/cadvisor:v0.49.1",
                "mysql-exporter": "prom/mysqld-exporter:v0.16.0",
                "redis-exporter": "oliver006/redis_exporter:v1.66.0",
                "kafka-exporter": "danielqsj/kafka-exporter:v1.8.0",
                "zipkin": "openzipkin/zipkin:3.4.2",
                "grafana": "grafana/grafana-oss:11.4.0",
                "prometheus": "prom/prometheus:v2.53.5",
                "mysql": "mysql:8.0",
                "redis": "redis:7.4-alpine",
                "kafka": "apache/kafka:4.1.1",
            }
            == tags
        )

    def test_tells_kafkas_clients_two_addresses(self, config: Document) -> None:
        advertised = config["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        assert advertised == "PLAINTEXT://kafka:29092,PLAINTEXT_HOST://127.0.0.1:9092"

    def test_restarts_nothing_behind_the_runs_back(self, config: Document) -> None:
        assert {service["restart"] for service in config["services"].values()} == {"no"}


class TestDryRun:
    def test_prints_decisions_and_changes_without_a_password(
        self, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        edit(model / "docker-compose.yml", as_the_design_found_it)
        monkeypatch.setenv("SUITE_STACK_DIR", str(model.parent / "stack"))
        monkeypatch.setattr("sys.argv", ["infra.docker", "diff", str(model / "docker-compose.yml")])
        assert main() == 0
        shown = capsys.readouterr().out
        assert "cadvisor: added" in shown
        assert "services.prometheus.command: + --web.enable-remote-write-receiver" in shown
        assert "'MYSQLD_EXPORTER_PASSWORD': '***'" in shown

    def test_says_which_file_it_needs(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["infra.docker", "diff"])
        monkeypatch.delenv("SUITE_COMPOSE_FILES", raising=False)
        assert main() == 2
        assert "SUITE_COMPOSE_FILES" in capsys.readouterr().out
