"""The services of the embedded stack as data: what is run with which files, and when it counts as ready.

`depends_on` names what a service is of no use without; it is started first.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from core.ports import LOOPBACK, Endpoints, ServiceId, loopback_endpoints
from core.settings import ROOT
from infra.embedded.plays import ON_POSTGRESQL, Plays
from infra.embedded.programs import Installed, ProgramId
from infra.embedded.spec import Probe, ServiceSpec
from infra.embedded.tools import java
from infra.prometheus.scrape import scrape_config, scrape_jobs
from infra.ready import READ_BACK
from infra.secrets import EXPORTER_USER, Secrets

INFRA = ROOT / "infra"
KAFKA_CONTROLLER_PORT = 9093
KAFKA_CLUSTER_ID = "cGVyZi1zdWl0ZS1rYWZrYQ"  # base64 of "perf-suite-kafka"
KAFKA_READY = str(INFRA / "kafka_ready.py")
RETENTION = "30d"
SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
)
"""What mariadb-install-db feeds to `mariadbd --bootstrap`, in its order (the help tables are left out)."""


@dataclass(frozen=True)
class StackPlan:
    """Everything that the specs are made from.

    `cgroup_root`: the control group below which each service has its own. `portal_env`: further PORTAL_* settings.
    `plays`: the platform whose dialect the portal plays, with its PostgreSQL; None: the reference portal's own.
    """

    ports: Mapping[ServiceId, int]
    data_root: Path
    log_root: Path
    installed: Mapping[ProgramId, Installed]
    secrets: Secrets
    cgroup_root: str
    kafka_controller_port: int = KAFKA_CONTROLLER_PORT
    portal_env: Mapping[str, str] = field(default_factory=dict)
    plays: Plays | None = None

    @property
    def endpoints(self) -> Endpoints:
        return loopback_endpoints(self.ports)

    def data(self, service: ServiceId, *parts: str) -> Path:
        return self.data_root.joinpath(service, *parts)


def service_specs(plan: StackPlan, services: Collection[ServiceId] | None = None) -> list[ServiceSpec]:
    """The specs of `services` (all embedded ones by default), in an order in which dependencies come first.

    A dependency that is not among `services` is taken to run already.
    """
    builders = {**PLAYED, **BUILDERS} if plan.plays else BUILDERS
    chosen = builders.keys() if services is None else services
    specs = [build(plan) for service, build in builders.items() if service in chosen]
    return [
        dataclasses.replace(spec, depends_on=tuple(name for name in spec.depends_on if ServiceId(name) in chosen))
        for spec in specs
    ]


def _spec(plan: StackPlan, service: ServiceId, *, argv: tuple[str, ...], ready: Probe, **details: Any) -> ServiceSpec:
    """A spec with what all share; `details` replace further fields of ServiceSpec."""
    common = ServiceSpec(
        name=str(service),
        argv=argv,
        cwd=str(plan.data(service)),
        data_dir=str(plan.data(service)),
        log_file=str(plan.log_root / f"{service}.log"),
        ports=(plan.ports[service],),
        env=_environment(plan, service),
        ready=ready,
        ready_timeout_s=60.0,
        stop_timeout_s=10.0,
    )
    return dataclasses.replace(common, **details)


def _environment(plan: StackPlan, service: ServiceId, **more: str) -> dict[str, str]:
    base = {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(plan.data(service))}
    return {**base, **more}


def _http(plan: StackPlan, service: ServiceId) -> Probe:
    path, expect = READ_BACK[service]
    return Probe("http", plan.endpoints.url(service, path), expect)


def _template(name: str, **values: object) -> str:
    """The configuration file `infra/<name>` with its `$placeholders` filled in."""
    return Template((INFRA / name).read_text()).substitute(values)


def _mysql(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.MARIADB]
    config, datadir = plan.data(ServiceId.MYSQL, "config"), plan.data(ServiceId.MYSQL, "data")
    share = program.home / "share" / "mysql"
    server = (
        str(program.path),
        "--no-defaults",
        f"--basedir={program.home}",
        f"--datadir={datadir}",
        f"--lc-messages-dir={share}",
        f"--plugin-dir={program.home / 'lib' / 'mysql' / 'plugin'}",
        *(("--user=root",) if os.geteuid() == 0 else ()),
    )
    tables = (str(config / "bootstrap.sql"), *(str(share / name) for name in SYSTEM_TABLES))
    bootstrap = (*server, "--bootstrap", "--max-allowed-packet=8M", "--log-warnings=0")
    environment = _environment(plan, ServiceId.MYSQL, **program.env)
    return _spec(
        plan,
        ServiceId.MYSQL,
        argv=(
            *server,
            f"--bind-address={LOOPBACK}",
            f"--port={plan.ports[ServiceId.MYSQL]}",
            "--socket=mysqld.sock",  # in the data directory; a whole path may be longer than a socket's may be
            "--pid-file=mysqld.pid",
            "--skip-name-resolve",
            "--max-connections=300",
            "--innodb-buffer-pool-size=256M",
            f"--init-file={config / 'accounts.sql'}",
        ),
        env=environment,
        files={
            str(config / "bootstrap.sql"): _template("mysql/bootstrap.sql"),
            str(config / "accounts.sql"): _template(
                "mysql/accounts.sql",
                root_password=plan.secrets.mysql_root_password,
                portal_password=plan.secrets.portal_password,
            )
            + (plan.plays.mysql_account() if plan.plays else ""),
        },
        init=(
            ("mkdir", "-p", str(datadir)),
            ("sh", "-c", f"cat {shlex.join(tables)} | {shlex.join(bootstrap)}"),
        ),
        init_env=environment,
        ready=Probe("tcp", plan.endpoints[ServiceId.MYSQL], expect="mysql_native_password"),  # its greeting
        stop_timeout_s=20.0,
    )


def _postgresql(plan: StackPlan) -> ServiceSpec:
    """Its administrator is the account that the played platform's profile names; it refuses root, and has no socket."""
    assert plan.plays is not None
    program = plan.installed[ProgramId.POSTGRESQL]
    account, datadir = plan.plays.account(ServiceId.POSTGRESQL), plan.data(ServiceId.POSTGRESQL, "data")
    password = plan.data(ServiceId.POSTGRESQL, "password")
    environment = _environment(plan, ServiceId.POSTGRESQL, **program.env)
    programs = program.path.resolve()  # a link on a PATH has not all of them beside it
    initdb, is_ready = (str(programs.with_name(name)) for name in ("initdb", "pg_isready"))
    port = str(plan.ports[ServiceId.POSTGRESQL])
    return _spec(
        plan,
        ServiceId.POSTGRESQL,
        argv=(
            str(program.path),
            *("-D", str(datadir), "-h", LOOPBACK, "-p", port),
            *("-c", "unix_socket_directories=", "-c", "max_connections=100", "-c", "shared_buffers=64MB"),
        ),
        env=environment,
        files={str(password): account.password.get_secret_value()},
        init=(
            (
                initdb,
                *(f"--pgdata={datadir}", f"--username={account.user}", f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
            ),
        ),
        init_env=environment,
        ready=Probe("exec", argv=(is_ready, "-h", LOOPBACK, "-p", port), expect="accepting connections"),
        stop_signal="SIGINT",  # ends sessions that are still open, where SIGTERM waits for them
        refuses_root=True,
    )


def _redis(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.REDIS]
    options = {
        "bind": LOOPBACK,
        "port": plan.ports[ServiceId.REDIS],
        "dir": plan.data(ServiceId.REDIS),
        "save": "",
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "allkeys-lru",
    }
    return _spec(
        plan,
        ServiceId.REDIS,
        argv=(str(program.path), *(part for name, value in options.items() for part in (f"--{name}", str(value)))),
        env=_environment(plan, ServiceId.REDIS, **program.env),
        ready=Probe("tcp", plan.endpoints[ServiceId.REDIS], send="PING\r\n", expect="PONG"),
    )


def _kafka(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.KAFKA]
    config = plan.data(ServiceId.KAFKA, "config")
    properties, logging = str(config / "server.properties"), str(config / "log4j2.properties")
    run = (str(java()), "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{program.path}/*")
    return _spec(
        plan,
        ServiceId.KAFKA,
        argv=(run[0], "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", *run[1:], "kafka.Kafka", properties),
        ports=(plan.ports[ServiceId.KAFKA], plan.kafka_controller_port),
        files={
            properties: _template(
                "kafka/server.properties",
                port=plan.ports[ServiceId.KAFKA],
                controller_port=plan.kafka_controller_port,
                log_dir=plan.data(ServiceId.KAFKA, "log"),
            ),
            logging: _template("kafka/log4j2.properties"),
        },
        init=((*run, "kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER_ID, "-c", properties),),
        init_env=_environment(plan, ServiceId.KAFKA),
        ready=Probe("exec", argv=(sys.executable, "-P", KAFKA_READY, plan.endpoints[ServiceId.KAFKA])),
        stop_timeout_s=20.0,
    )


def _elasticsearch(plan: StackPlan) -> ServiceSpec:
    """Its launcher stays as the parent of the server, which ends by itself when the launcher is gone."""
    program = plan.installed[ProgramId.ELASTICSEARCH]
    config = plan.data(ServiceId.ELASTICSEARCH, "config")
    data, logs, temporary = (plan.data(ServiceId.ELASTICSEARCH, name) for name in ("data", "logs", "tmp"))
    return _spec(
        plan,
        ServiceId.ELASTICSEARCH,
        argv=("bash", str(program.path / "bin" / "elasticsearch")),
        env=_environment(
            plan,
            ServiceId.ELASTICSEARCH,
            ES_JAVA_HOME=str(java().parent.parent),
            ES_PATH_CONF=str(config),
            ES_TMPDIR=str(temporary),
        ),
        files={
            str(config / "elasticsearch.yml"): _template(
                "elasticsearch/elasticsearch.yml",
                port=plan.ports[ServiceId.ELASTICSEARCH],
                data=json.dumps(str(data)),
                logs=json.dumps(str(logs)),
            ),
            str(config / "jvm.options"): (INFRA / "elasticsearch" / "jvm.options").read_text(),
            str(config / "log4j2.properties"): (INFRA / "elasticsearch" / "log4j2.properties").read_text(),
        },
        init=(("mkdir", "-p", str(data), str(logs), str(temporary)),),
        ready=_http(plan, ServiceId.ELASTICSEARCH),
        ready_timeout_s=120.0,
        stop_timeout_s=30.0,
        refuses_root=True,
    )


def _zipkin(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.ZIPKIN]
    listen = {"ip": LOOPBACK, "port": plan.ports[ServiceId.ZIPKIN], "protocols[0]": "http"}
    return _spec(
        plan,
        ServiceId.ZIPKIN,
        argv=(
            str(java()),
            "-Xms64m",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *(f"-Darmeria.ports[0].{name}={value}" for name, value in listen.items()),
            "-jar",
            str(program.path),
        ),
        env=_environment(
            plan,
            ServiceId.ZIPKIN,
            ES_HOSTS=plan.endpoints.url(ServiceId.ELASTICSEARCH),
            **_env_file(INFRA / "zipkin" / "zipkin.env"),
        ),
        depends_on=(ServiceId.ELASTICSEARCH,),
        ready=_http(plan, ServiceId.ZIPKIN),
        ready_timeout_s=120.0,
    )


def _prometheus(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.PROMETHEUS]
    config = plan.data(ServiceId.PROMETHEUS, "config")
    rules = str(config / "rules.yml")
    assets = program.home / "share" / "prometheus" / "web"
    return _spec(
        plan,
        ServiceId.PROMETHEUS,
        argv=(
            str(program.path),
            f"--config.file={config / 'prometheus.yml'}",
            f"--storage.tsdb.path={plan.data(ServiceId.PROMETHEUS, 'data')}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address={plan.endpoints[ServiceId.PROMETHEUS]}",
            "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms",
            "--web.enable-lifecycle",
            "--log.level=warn",
            *((f"--web.local-assets={assets}",) if program.env else ()),  # Debian's option, for an unpacked root
        ),
        env=_environment(plan, ServiceId.PROMETHEUS, **program.env),
        files={
            str(config / "prometheus.yml"): scrape_config(scrape_jobs(plan.endpoints), (rules,)),
            rules: (INFRA / "prometheus" / "rules.yml").read_text(),
        },
        ready=_http(plan, ServiceId.PROMETHEUS),
        stop_timeout_s=20.0,
    )


def _mysql_exporter(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.MYSQLD_EXPORTER]
    return _spec(
        plan,
        ServiceId.MYSQL_EXPORTER,
        argv=(
            str(program.path),
            f"--web.listen-address={plan.endpoints[ServiceId.MYSQL_EXPORTER]}",
            f"--mysqld.address={plan.endpoints[ServiceId.MYSQL]}",
            f"--mysqld.username={EXPORTER_USER}",
            "--no-collect.slave_status",  # on MariaDB it asks for SLAVE MONITOR (mysqld_exporter #640)
            "--log.level=warn",
        ),
        env=_environment(plan, ServiceId.MYSQL_EXPORTER, MYSQLD_EXPORTER_PASSWORD=plan.secrets.exporter_password),
        depends_on=(ServiceId.MYSQL,),
        ready=_http(plan, ServiceId.MYSQL_EXPORTER),
    )


def _redis_exporter(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.REDIS_EXPORTER]
    return _spec(
        plan,
        ServiceId.REDIS_EXPORTER,
        argv=(
            str(program.path),
            f"-web.listen-address={plan.endpoints[ServiceId.REDIS_EXPORTER]}",
            f"-redis.addr=redis://{plan.endpoints[ServiceId.REDIS]}",
        ),
        env=_environment(plan, ServiceId.REDIS_EXPORTER, **program.env),
        depends_on=(ServiceId.REDIS,),
        ready=_http(plan, ServiceId.REDIS_EXPORTER),
    )


def _kafka_exporter(plan: StackPlan) -> ServiceSpec:
    return _spec(
        plan,
        ServiceId.KAFKA_EXPORTER,
        argv=(
            *_python("infra.embedded.kafka_exporter"),
            f"--kafka.server={plan.endpoints[ServiceId.KAFKA]}",
            f"--web.listen-address={plan.endpoints[ServiceId.KAFKA_EXPORTER]}",
            "--topic.filter=.*",
            "--group.filter=.*",
        ),
        cwd=str(ROOT),
        depends_on=(ServiceId.KAFKA,),
        ready=_http(plan, ServiceId.KAFKA_EXPORTER),
    )


def _cadvisor(plan: StackPlan) -> ServiceSpec:
    program = plan.installed[ProgramId.CADVISOR]
    return _spec(
        plan,
        ServiceId.CADVISOR,
        argv=(str(program.path), f"-port={plan.ports[ServiceId.CADVISOR]}", f"-cgroup-prefix={plan.cgroup_root}"),
        ready=_http(plan, ServiceId.CADVISOR),
    )


def _portal(module: str, service: ServiceId, needs: tuple[ServiceId, ...]) -> Callable[[StackPlan], ServiceSpec]:
    """The builder of one process of the reference portal, `python -m infra.portal.<module>`."""

    def build(plan: StackPlan) -> ServiceSpec:
        return _spec(
            plan,
            service,
            argv=_python(f"infra.portal.{module}"),
            cwd=str(ROOT),
            env=_environment(plan, service, **_portal_environment(plan), PORTAL_PORT=str(plan.ports[service])),
            depends_on=(*needs, ServiceId.POSTGRESQL) if plan.plays and module in ON_POSTGRESQL else needs,
            ready=_http(plan, service),
        )

    return build


def _portal_environment(plan: StackPlan) -> dict[str, str]:
    url = plan.endpoints.url
    return {
        "PORTAL_HOST": LOOPBACK,
        "PORTAL_MYSQL_HOST": LOOPBACK,
        "PORTAL_MYSQL_PORT": str(plan.ports[ServiceId.MYSQL]),
        "PORTAL_MYSQL_USER": "portal",
        "PORTAL_MYSQL_PASSWORD": plan.secrets.portal_password,
        "PORTAL_REDIS_URL": f"redis://{plan.endpoints[ServiceId.REDIS]}",
        "PORTAL_KAFKA_BOOTSTRAP": plan.endpoints[ServiceId.KAFKA],
        "PORTAL_ELASTICSEARCH_URL": url(ServiceId.ELASTICSEARCH),
        "PORTAL_ZIPKIN_URL": url(ServiceId.ZIPKIN),
        "PORTAL_AUTH_URL": url(ServiceId.AUTH),
        "PORTAL_BLOG_URL": url(ServiceId.BLOG),
        "PORTAL_SHOPPING_URL": url(ServiceId.SHOPPING),
        "PORTAL_NOTIFICATION_URL": url(ServiceId.NOTIFICATION),
        "PORTAL_JWT_SECRET": plan.secrets.jwt_secret,
        **(plan.plays.environment(plan.ports[ServiceId.POSTGRESQL]) if plan.plays else {}),
        **plan.portal_env,
    }


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


def _env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines, as compose reads them."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


BUILDERS: Mapping[ServiceId, Callable[[StackPlan], ServiceSpec]] = {
    ServiceId.MYSQL: _mysql,
    ServiceId.REDIS: _redis,
    ServiceId.KAFKA: _kafka,
    ServiceId.ELASTICSEARCH: _elasticsearch,
    ServiceId.ZIPKIN: _zipkin,
    ServiceId.PROMETHEUS: _prometheus,
    ServiceId.CADVISOR: _cadvisor,
    ServiceId.MYSQL_EXPORTER: _mysql_exporter,
    ServiceId.REDIS_EXPORTER: _redis_exporter,
    ServiceId.KAFKA_EXPORTER: _kafka_exporter,
    ServiceId.AUTH: _portal("auth", ServiceId.AUTH, (ServiceId.MYSQL, ServiceId.REDIS)),
    ServiceId.BLOG: _portal("blog", ServiceId.BLOG, (ServiceId.MYSQL,)),
    ServiceId.SHOPPING: _portal(
        "shopping",
        ServiceId.SHOPPING,
        (ServiceId.MYSQL, ServiceId.REDIS, ServiceId.KAFKA, ServiceId.ELASTICSEARCH),
    ),
    ServiceId.NOTIFICATION: _portal("notification", ServiceId.NOTIFICATION, (ServiceId.MYSQL, ServiceId.KAFKA)),
    ServiceId.GATEWAY: _portal(
        "gateway",
        ServiceId.GATEWAY,
        (ServiceId.REDIS, ServiceId.AUTH, ServiceId.BLOG, ServiceId.SHOPPING, ServiceId.NOTIFICATION),
    ),
}
"""Every service that the embedded backend can run, dependencies first."""
PLAYED: Mapping[ServiceId, Callable[[StackPlan], ServiceSpec]] = {ServiceId.POSTGRESQL: _postgresql}
"""What is there besides where the portal plays a platform."""
