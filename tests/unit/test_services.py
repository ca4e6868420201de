"""The embedded services as data: what the supervisor is told about each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from core.errors import SetupError
from core.ports import DEFAULT_PORTS, EXPORTERS, PORTAL, STORES, ServiceId, loopback_endpoints
from infra.embedded.programs import Installed, ProgramId
from infra.embedded.services import BUILDERS, StackPlan, service_specs
from infra.embedded.spec import Probe, ServiceSpec
from infra.prometheus.scrape import CONTAINER_NAME_RULES, ScrapeJob, scrape_config, scrape_jobs
from infra.secrets import Secrets, load_secrets

NOT_EMBEDDED = {ServiceId.GRAFANA, ServiceId.KAFKA_BOT, ServiceId.POSTGRESQL}
PORTS = {service: 20000 + number for number, service in enumerate(ServiceId)}
SECRETS = Secrets("root-secret", "portal-secret", "exporter-secret", "jwt-secret")


def plan(data: Path = Path("/a stack/data")) -> StackPlan:
    home = Path("/cache/unit")
    return StackPlan(
        ports=PORTS,
        data_root=data,
        log_root=Path("/a stack/logs"),
        installed={
            each: Installed(each, "1.0", home, home / each, {"LD_LIBRARY_PATH": "/cache/lib"}) for each in ProgramId
        },
        secrets=SECRETS,
        cgroup_root="/perf-suite-0123abcd",
        kafka_controller_port=20099,
        portal_env={"PORTAL_RATE_LIMIT": "true"},
    )


@pytest.fixture(scope="module")
def specs() -> dict[ServiceId, ServiceSpec]:
    return {ServiceId(spec.name): spec for spec in service_specs(plan())}


class TestSpecs:
    def test_cover_every_service_but_grafana_and_the_bot(self, specs):
        assert set(specs) == set(ServiceId) - NOT_EMBEDDED
        assert {*STORES, *EXPORTERS, *PORTAL} <= set(specs)

    def test_survive_json(self, specs):
        for spec in specs.values():
            assert ServiceSpec.from_json(spec.to_json()) == spec
            assert "\n" not in spec.to_json()

    def test_come_after_what_they_depend_on(self):
        seen: set[str] = set()
        for spec in service_specs(plan()):
            assert set(spec.depends_on) <= seen
            seen.add(spec.name)

    def test_of_a_part_of_the_stack_depend_on_that_part_only(self):
        chosen = [ServiceId.REDIS, ServiceId.GATEWAY]
        assert [(spec.name, spec.depends_on) for spec in service_specs(plan(), chosen)] == [
            ("redis", ()),
            ("api-gateway", ("redis",)),
        ]

    def test_listen_at_the_ports_of_the_plan(self, specs):
        for service, spec in specs.items():
            assert spec.ports[0] == PORTS[service]
        assert specs[ServiceId.KAFKA].ports == (PORTS[ServiceId.KAFKA], 20099)

    def test_listen_on_loopback_only(self, specs):
        texts = [" ".join([*spec.argv, *spec.env.values(), *spec.files.values()]) for spec in specs.values()]
        addresses = {address for text in texts for address in re.findall(r"\d+\.\d+\.\d+\.\d+", text)}
        assert addresses == {"127.0.0.1"}
        for text in texts:
            assert not re.search(r"listen-address=:\d", text)

    def test_keep_every_file_inside_their_own_folder(self, specs):
        for spec in specs.values():
            assert spec.data_dir == f"/a stack/data/{spec.name}"
            assert spec.log_file == f"/a stack/logs/{spec.name}.log"
            assert all(path.startswith(f"{spec.data_dir}/") for path in spec.files)

    def test_inherit_nothing_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
        assert all("HTTP_PROXY" not in spec.env for spec in service_specs(plan()))

    def test_show_no_password_in_a_command_line(self, specs):
        for spec in specs.values():
            assert "-secret" not in " ".join([*spec.argv, *(part for command in spec.init for part in command)])

    def test_leave_no_placeholder_in_a_file(self, specs):
        for spec in specs.values():
            for content in spec.files.values():
                assert set(re.findall(r"\$\{?\w+", content)) <= {"${ES_TMPDIR"}

    def test_know_which_service_refuses_root(self, specs):
        assert [spec.name for spec in specs.values() if spec.refuses_root] == ["elasticsearch"]


class TestMysql:
    def test_accounts_are_set_at_every_start(self, specs):
        spec = specs[ServiceId.MYSQL]
        accounts = next(content for path, content in spec.files.items() if path.endswith("accounts.sql"))
        assert "ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY 'root-secret'" in accounts
        assert "ALTER USER 'portal'@'127.0.0.1' IDENTIFIED BY 'portal-secret'" in accounts
        assert f"--init-file={spec.data_dir}/config/accounts.sql" in spec.argv

    def test_the_portal_may_create_databases_but_no_users(self, specs):
        accounts = next(text for path, text in specs[ServiceId.MYSQL].files.items() if path.endswith("accounts.sql"))
        (grant,) = re.findall(r"GRANT (.*) ON \*\.\* TO 'portal'", accounts)
        assert "CREATE" in grant.split(", ")
        assert not {"ALL", "CREATE USER", "SUPER", "GRANT OPTION"} & set(grant.split(", "))

    def test_the_exporter_account_is_left_to_phase_1(self, specs):
        assert "'exporter'" not in "".join(specs[ServiceId.MYSQL].files.values())

    def test_paths_with_spaces_survive_the_shell_of_the_set_up(self, specs):
        (_, (shell, option, script)) = specs[ServiceId.MYSQL].init
        assert (shell, option) == ("sh", "-c")
        assert "'/a stack/data/mysql/config/bootstrap.sql'" in script


class TestCorrections:
    """Where the design's version does not work (corrections.md)."""

    def test_2_prometheus_takes_native_histograms(self, specs):
        assert {"--enable-feature=native-histograms", "--web.enable-remote-write-receiver"} <= set(
            specs[ServiceId.PROMETHEUS].argv
        )

    def test_3_mysqld_exporter_gets_flags_and_a_password_variable(self, specs):
        spec = specs[ServiceId.MYSQL_EXPORTER]
        assert "DATA_SOURCE_NAME" not in spec.env
        assert spec.env["MYSQLD_EXPORTER_PASSWORD"] == "exporter-secret"
        assert f"--mysqld.address=127.0.0.1:{PORTS[ServiceId.MYSQL]}" in spec.argv

    def test_14_elasticsearch_does_not_compress(self, specs):
        files = specs[ServiceId.ELASTICSEARCH].files
        config = yaml.safe_load(next(text for path, text in files.items() if path.endswith("elasticsearch.yml")))
        assert config["http.compression"] is False
        assert config["path.data"] == "/a stack/data/elasticsearch/data"

    def test_design_3_1_zipkin_stores_in_elasticsearch(self, specs):
        env = specs[ServiceId.ZIPKIN].env
        assert env["STORAGE_TYPE"] == "elasticsearch"
        assert env["ES_HOSTS"] == f"http://127.0.0.1:{PORTS[ServiceId.ELASTICSEARCH]}"
        assert (env["ES_INDEX"], env["ES_INDEX_REPLICAS"], env["ES_INDEX_SHARDS"]) == ("zipkin", "0", "1")


class TestPortal:
    def test_is_told_where_its_stores_are(self, specs):
        env = specs[ServiceId.SHOPPING].env
        assert env["PORTAL_PORT"] == str(PORTS[ServiceId.SHOPPING])
        assert env["PORTAL_MYSQL_PASSWORD"] == "portal-secret"
        assert env["PORTAL_KAFKA_BOOTSTRAP"] == f"127.0.0.1:{PORTS[ServiceId.KAFKA]}"

    def test_takes_further_settings_from_the_plan(self, specs):
        assert specs[ServiceId.GATEWAY].env["PORTAL_RATE_LIMIT"] == "true"

    def test_gateway_and_auth_share_the_signing_key(self, specs):
        assert specs[ServiceId.GATEWAY].env["PORTAL_JWT_SECRET"] == specs[ServiceId.AUTH].env["PORTAL_JWT_SECRET"]


class TestScrapeConfig:
    """Job names and `service` labels as in design section 2.3 and platform.md 6."""

    EXPECTED = {
        "prometheus": ("prometheus", "/metrics"),
        "cadvisor": ("cadvisor", "/metrics"),
        "mysql-exporter": ("mysql", "/metrics"),
        "redis-exporter": ("redis", "/metrics"),
        "kafka-exporter": ("kafka", "/metrics"),
        "api-gateway": ("api-gateway", "/actuator/prometheus"),
        "auth-service": ("auth-service", "/actuator/prometheus"),
        "blog-service": ("blog-service", "/actuator/prometheus"),
        "shopping-service": ("shopping-service", "/actuator/prometheus"),
        "notification-service": ("notification-service", "/actuator/prometheus"),
        "kafka-bot": ("kafka-bot", "/metrics"),
    }

    def test_has_the_designs_jobs_and_labels(self):
        config = yaml.safe_load(scrape_config(scrape_jobs(loopback_endpoints())))
        seen = {
            job["job_name"]: (job["relabel_configs"][0]["replacement"], job["metrics_path"])
            for job in config["scrape_configs"]
        }
        assert seen == self.EXPECTED

    def test_series_stay_the_same_at_other_ports(self):
        """`instance` would otherwise hold the port, and a sum over two nights' ports would count both."""
        for job in yaml.safe_load(scrape_config(scrape_jobs(loopback_endpoints())))["scrape_configs"]:
            assert {"target_label": "instance", "replacement": job["job_name"]} in job["relabel_configs"]

    def test_a_container_that_is_gone_is_gone_at_the_next_scrape(self):
        jobs = yaml.safe_load(scrape_config(scrape_jobs(loopback_endpoints())))["scrape_configs"]
        assert [job["job_name"] for job in jobs if job.get("honor_timestamps") is False] == ["cadvisor"]

    def test_scrapes_each_service_at_its_port(self):
        jobs = {job.job: job.target for job in scrape_jobs(loopback_endpoints())}
        assert jobs["mysql-exporter"] == f"127.0.0.1:{DEFAULT_PORTS[ServiceId.MYSQL_EXPORTER]}"

    def test_leaves_out_what_a_backend_does_not_have(self):
        jobs = scrape_jobs({ServiceId.CADVISOR: "cadvisor:8080"})
        assert jobs == (ScrapeJob("cadvisor", "cadvisor:8080", "cadvisor"),)

    @pytest.mark.parametrize(
        ("source", "value", "name"),
        [
            ("id", "/perf-suite-0123abcd/mysql", "mysql"),
            ("id", "/perf-suite-0123abcd", None),
            ("id", "/", None),
            ("id", "/docker/0123abcd", None),
            ("container_label_com_docker_compose_service", "api-gateway", "api-gateway"),
            ("container_label_com_docker_compose_service", "", None),
        ],
    )
    def test_11_container_series_get_one_name(self, source, value, name):
        """Prometheus anchors a relabelling regex at both ends and takes the first group."""
        (rule,) = (rule for rule in CONTAINER_NAME_RULES if rule["source_labels"] == [source])
        match = re.fullmatch(rule["regex"], value)
        assert (match and match[1]) == name

    def test_is_what_the_embedded_prometheus_gets(self, specs):
        spec = specs[ServiceId.PROMETHEUS]
        config = yaml.safe_load(spec.files[f"{spec.data_dir}/config/prometheus.yml"])
        assert {job["job_name"] for job in config["scrape_configs"]} == set(self.EXPECTED)
        assert config["rule_files"] == [f"{spec.data_dir}/config/rules.yml"]
        assert "job:http_latency_p95:rate5m" in spec.files[f"{spec.data_dir}/config/rules.yml"]


class TestProbe:
    @pytest.mark.parametrize("kind", ["http", "tcp"])
    def test_over_the_network_needs_an_address(self, kind):
        with pytest.raises(ValueError, match="url"):
            Probe(kind)

    def test_by_a_command_needs_one(self):
        with pytest.raises(ValueError, match="argv"):
            Probe("exec")


class TestSecrets:
    def test_are_made_once_and_readable_by_their_user_only(self, tmp_path):
        first = load_secrets(tmp_path)
        assert load_secrets(tmp_path) == first
        assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]

    def test_differ_between_stacks(self, tmp_path):
        assert load_secrets(tmp_path / "a") != load_secrets(tmp_path / "b")

    def test_are_not_shown(self):
        assert "secret" not in repr(SECRETS).lower().replace("secrets()", "")

    @pytest.mark.parametrize("text", ["", "{", json.dumps({"mysql_root_password": "x"})])
    def test_that_cannot_be_read_name_the_cure(self, tmp_path, text):
        (tmp_path / "secrets.json").write_text(text)
        with pytest.raises(SetupError) as error:
            load_secrets(tmp_path)
        assert "stack-reset" in error.value.cure


def test_every_builder_is_for_the_service_it_stands_under():
    for service, build in BUILDERS.items():
        assert build(plan()).name == service
