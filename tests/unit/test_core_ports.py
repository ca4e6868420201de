"""core.ports: the design's host ports and the endpoints that backends hand out."""

from __future__ import annotations

import pytest

from core.ports import DEFAULT_PORTS, EXPORTERS, PORTAL, STORES, Endpoints, ServiceId, loopback_endpoints


class TestDefaultPorts:
    @pytest.mark.parametrize(
        ("service", "port"),
        [
            ("api-gateway", 8080),
            ("cadvisor", 8888),
            ("mysql-exporter", 9104),
            ("redis-exporter", 9121),
            ("kafka-exporter", 9308),
            ("prometheus", 9090),
            ("zipkin", 9411),
            ("elasticsearch", 9200),
            ("kafka", 9092),
            ("grafana", 3000),
            ("kafka-bot", 8000),
        ],
    )
    def test_are_those_of_the_design(self, service: str, port: int) -> None:
        assert DEFAULT_PORTS[ServiceId(service)] == port

    def test_exist_once_for_every_service(self) -> None:
        assert set(DEFAULT_PORTS) == set(ServiceId)
        assert len(set(DEFAULT_PORTS.values())) == len(DEFAULT_PORTS)

    def test_know_the_four_exporters_of_the_design(self) -> None:
        assert {str(service) for service in EXPORTERS} == {
            "cadvisor",
            "mysql-exporter",
            "redis-exporter",
            "kafka-exporter",
        }

    def test_sort_every_service_into_one_group_at_most(self) -> None:
        grouped = [*EXPORTERS, *STORES, *PORTAL]
        assert len(grouped) == len(set(grouped))


class TestEndpoints:
    def test_are_on_loopback(self) -> None:
        endpoints = loopback_endpoints()
        assert set(endpoints) == set(ServiceId)
        assert all(address.startswith("127.0.0.1:") for address in endpoints.values())

    def test_give_url_and_port(self) -> None:
        endpoints = loopback_endpoints({ServiceId.PROMETHEUS: 19090})
        assert endpoints.url(ServiceId.PROMETHEUS, "/api/v1/targets") == "http://127.0.0.1:19090/api/v1/targets"
        assert endpoints.port(ServiceId.PROMETHEUS) == 19090

    def test_give_the_port_of_an_ipv6_address(self) -> None:
        assert Endpoints({ServiceId.REDIS: "[::1]:6379"}).port(ServiceId.REDIS) == 6379
