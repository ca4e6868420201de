"""The overlay's decisions, on documents as `docker compose config` writes them; no program is needed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from core.errors import ConfigError
from core.ports import EXPORTERS, STORES, ServiceId
from infra.docker.joined import INSIDE, OVERLAY
from infra.docker.merged import merged_scrape_config
from infra.docker.overlay import ADDRESSES, EXTEND, WATCHES, address, changes, common_network, detect, fit, repository
from infra.mysql.account import STATEMENTS
from infra.prometheus.scrape import ScrapeJob

OURS = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
NET = {"networks": {"net": None}}
STORES_ONLY: dict[str, Any] = {
    "services": {
        "mysql": {"image": "mysql:8.0", "healthcheck": {"test": ["CMD", "true"]}, **NET},
        "redis": {"image": "redis:7.4-alpine", **NET},
        "kafka": {"image": "apache/kafka:4.1.1", **NET},
        "elasticsearch": {"image": "elasticsearch:8.18.5", **NET},
    }
}


def project(**services: dict[str, Any]) -> dict[str, Any]:
    return {"services": {**STORES_ONLY["services"], **services}}


class TestDetection:
    @pytest.mark.parametrize(
        ("image", "name"),
        [
            ("mysql:8.0", "mysql"),
            ("docker.io/prom/prometheus:v2.53.5", "prom/prometheus"),
            ("gcr.io/cadvisor/cadvisor:v0.49.1@sha256:abc", "cadvisor/cadvisor"),
            ("localhost:5000/redis", "redis"),
            ("apache/kafka", "apache/kafka"),
        ],
    )
    def test_knows_an_image_whatever_its_registry_and_tag(self, image: str, name: str) -> None:
        assert repository(image) == name

    def test_finds_a_service_by_its_image_where_it_has_another_name(self) -> None:
        assert detect({"services": {"mysql-db": {"image": "mysql:8.0"}}}, {}) == {ServiceId.MYSQL: "mysql-db"}

    def test_a_name_goes_before_an_image(self) -> None:
        services = {"redis": {"build": "."}, "redis-sessions": {"image": "redis:7"}}
        assert detect({"services": services}, {})[ServiceId.REDIS] == "redis"

    def test_asks_where_two_fit(self) -> None:
        services = {"cache": {"image": "redis:7"}, "sessions": {"image": "redis:7"}}
        with pytest.raises(ConfigError, match="cache, sessions") as caught:
            detect({"services": services}, {})
        assert "SUITE_COMPOSE_SERVICES=redis=<name>" in caught.value.cure
        assert detect({"services": services}, {ServiceId.REDIS: "cache"})[ServiceId.REDIS] == "cache"

    def test_refuses_a_name_that_does_not_exist(self) -> None:
        with pytest.raises(ConfigError, match="no service 'cahce'"):
            detect({"services": {"cache": {}}}, {ServiceId.REDIS: "cahce"})

    def test_takes_the_listener_that_kafka_advertises_inside(self) -> None:
        listeners = "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092"
        theirs = {"services": {"broker": {"environment": {"KAFKA_ADVERTISED_LISTENERS": listeners}}}}
        assert address(theirs, {ServiceId.KAFKA: "broker"}, ServiceId.KAFKA) == "broker:19092"


class TestFit:
    def test_never_alters_a_store_or_a_service_of_the_platform(self) -> None:
        fitted = fit(project(**{"api-gateway": {"image": "theirs", **NET}}), OURS, {})
        assert fitted.altered == frozenset()
        assert not {*map(str, STORES), "api-gateway"} & set(fitted.document["services"])

    def test_leaves_an_exporter_of_the_platforms_as_it_is(self) -> None:
        fitted = fit(project(**{"mysql-exporter": {"image": "prom/mysqld-exporter:v0.15.0", **NET}}), OURS, {})
        assert "mysql-exporter" not in fitted.document["services"]

    def test_waits_for_health_only_where_the_platform_asks_it(self) -> None:
        services = fit(STORES_ONLY, OURS, {}).document["services"]
        assert services["mysql-exporter"]["depends_on"] == {"mysql": {"condition": "service_healthy"}}
        assert services["redis-exporter"]["depends_on"] == {"redis": {"condition": "service_started"}}

    def test_adds_a_feature_to_a_prometheus_that_has_others(self) -> None:
        own = ["--config.file=/etc/prometheus/prometheus.yml", "--enable-feature=exemplar-storage,native-histograms"]
        service = {"image": "prom/prometheus", "command": own, **NET}
        command = fit(project(prometheus=service), OURS, {}).document["services"]["prometheus"]["command"]
        assert command == [*own, "--web.enable-lifecycle", "--web.enable-remote-write-receiver"]

    def test_leaves_a_zipkin_on_elasticsearch_alone(self) -> None:
        zipkin = {"environment": {"STORAGE_TYPE": "elasticsearch", "ES_HOSTS": "http://other:9200"}, **NET}
        assert "zipkin" not in fit(project(zipkin=zipkin), OURS, {}).document["services"]

    def test_prefers_the_network_that_all_stores_share(self) -> None:
        theirs = project(kafka={"image": "apache/kafka", "networks": {"net": None, "edge": None}})
        assert common_network(theirs, detect(theirs, {})) == "net"


class TestOverlayFile:
    def test_extends_only_keys_that_can_be_extended(self) -> None:
        asked = {key for service in OURS["services"].values() for key in service.get("x-extend", ())}
        assert asked <= {*EXTEND, "depends_on"}

    def test_publishes_on_loopback_only(self) -> None:
        ports = [port for service in OURS["services"].values() for port in service["ports"]]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_covers_every_exporter_and_names_their_stores_as_the_code_does(self) -> None:
        assert set(EXPORTERS) <= set(OURS["services"])
        assert set(INSIDE) == set(EXPORTERS)
        for service, store in WATCHES.items():
            assert ADDRESSES[store] in str(OURS["services"][service]), service

    def test_has_the_images_and_commands_of_the_whole_platform(self) -> None:
        platform = yaml.safe_load(OVERLAY.with_name("compose.platform.yml").read_text())["services"]
        for name, service in OURS["services"].items():
            assert service["image"] == platform[name]["image"], name
        for exporter in EXPORTERS:
            assert OURS["services"][exporter].get("command") == platform[exporter].get("command"), exporter


class TestMergedScrapeConfig:
    THEIRS = """
        scrape_configs:
          - job_name: redis
            static_configs: [{targets: ['redis-exporter:9121']}]
          - job_name: containers
            static_configs: [{targets: ['cadvisor:8080']}]
    """
    JOBS = (
        ScrapeJob(ServiceId.REDIS_EXPORTER, "redis-exporter:9121", "redis"),
        ScrapeJob(ServiceId.KAFKA_EXPORTER, "kafka-exporter:9308", "kafka"),
    )

    def merged(self) -> dict[str, Any]:
        text = merged_scrape_config(self.THEIRS, self.JOBS, {"abc123": "shopping-service"})
        return {job["job_name"]: job for job in yaml.safe_load(text)["scrape_configs"]}

    def test_adds_only_what_is_scraped_by_nobody(self) -> None:
        assert list(self.merged()) == ["redis", "containers", "kafka-exporter"]

    def test_names_containers_that_the_engines_cadvisor_cannot_name(self) -> None:
        rules = self.merged()["containers"]["metric_relabel_configs"]
        assert {
            "source_labels": ["id"],
            "regex": ".*abc123.*",
            "target_label": "name",
            "replacement": "shopping-service",
        } in rules


class TestChanges:
    def test_name_the_path_of_what_differs_and_nothing_else(self) -> None:
        before = {"a": {"b": [1, 3], "c": 1}, "d": 1}
        assert changes(before, {"a": {"b": [1, 2], "c": 1}, "e": 2}) == [
            "a.b: - 3",
            "a.b: + 2",
            "d: 1 -> (absent)",
            "e: (absent) -> 2",
        ]

    def test_are_none_for_the_same(self) -> None:
        assert changes({"a": [1]}, {"a": [1]}) == []


class TestInitSql:
    def test_gives_the_exporter_the_rights_that_phase_1_gives(self) -> None:
        text = (OVERLAY.parents[1] / "mysql" / "init.sql").read_text()
        grant = next(statement for statement, _ in STATEMENTS if statement.startswith("GRANT"))
        assert grant.replace("%s", "'exporter'").replace("%%", "%") + ";" in text
