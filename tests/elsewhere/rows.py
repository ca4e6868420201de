"""The 25 ways to aim at the wrong host (docs/guard_rows.yaml), each tried for real inside the namespace.

A row returns what refused each of its attempts, in the suite's own words; `Reached` says that nothing refused one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from bots.broker import Broker
from core.errors import ConfigError, SuiteError, TargetRefused
from core.http import http_client
from core.reach import reaching
from core.request import Request
from core.settings import ROOT, Settings
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.load import Load, load_load
from targets.model import FOLDER, Profile, load_profile
from targets.resolve import resolve
from tests.elsewhere.network import OTHER_PORT, write_hosts
from tests.elsewhere.stub import LURE, POSTS, REDIRECTS, Stub, stub
from tests.kafka_broker import running_kafka

Row = Callable[[], Sequence[str]]
ROWS: dict[str, Row] = {}
K6 = K6Program(built_k6(Settings().cache_dir))
SHORT = load_load("smoke").model_copy(
    update={
        "name": "short",
        "b": load_load("smoke").b.model_copy(update={"rate_per_s": 20, "duration_s": 1, "pre_allocated_vus": 2}),
    }
)


class Reached(Exception):
    """An attempt that nothing refused."""


def row(id: str) -> Callable[[Row], Row]:
    """Enter a way in the table."""

    def enter(function: Row) -> Row:
        ROWS[id] = function
        return function

    return enter


def profile_file(**changes: Any) -> str:
    """The reference portal's profile with some keys replaced, as a file; a key that is None is left out."""
    document = yaml.safe_load((FOLDER / "portal.yaml").read_text(encoding="utf-8")) | changes
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False, encoding="utf-8")  # noqa: SIM115
    with file:
        yaml.safe_dump({key: value for key, value in document.items() if value is not None}, file)
    return file.name


def entry_at(url: str, **changes: Any) -> str:
    """A profile whose load goes to `url`."""
    addresses = {"api-gateway": url, "prometheus": "http://127.0.0.1:9090", "kafka": "tcp://127.0.0.1:9092"}
    return profile_file(addresses=addresses, **changes)


def said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def try_target(file: str) -> str:
    """What a run does with a profile: it reads it, asks the guard, and would then send its first request."""
    try:
        profile, _ = resolve(Request(target=file))
    except ConfigError as error:
        return said(error)
    with reaching(profile.reach), http_client(timeout_s=2) as client:
        client.get(profile.base_url)
    raise Reached(profile.base_url)


def try_targets(*urls: str, **changes: Any) -> Sequence[str]:
    return [try_target(entry_at(url, **changes)) for url in urls]


def refusal_of(action: Callable[[], object]) -> str:
    """The refusal that `action` ends with."""
    try:
        action()
    except TargetRefused as error:
        return said(error)
    raise Reached(repr(action))


def scenario_b(
    profile: Profile, load: Load = SHORT, remote_write_url: str | None = None, gate: Any = None
) -> ScenarioResult:
    """Scenario B on `profile`, by the real k6."""
    with tempfile.TemporaryDirectory() as folder:
        request = ScenarioRequest(
            scenario="b", profile=profile, load=load, run_id="r", run_mark="r", coupon_id="1", product_id="1",
            k6=K6, out_dir=Path(folder), remote_write_url=remote_write_url,
        )  # fmt: skip
        return run_scenario(request, lambda _: None, threading.Event(), gate)


def loaded(told: Stub, result: ScenarioResult) -> str:
    """That k6 did put its load on the stub: a k6 that did nothing would have sent nothing elsewhere either."""
    details = sum(told.asked[f"/api/v1/blog/posts/{post}"] for post in POSTS)
    assert result.requests >= 10, result
    return f"k6 sent {result.requests} requests to its target ({details} details), exit {result.exit_code}"


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """These variables, as if the user had set them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@row("other-name")
def other_name() -> Sequence[str]:
    write_hosts("192.0.2.1 another.example", "127.0.0.1 alias.example")
    return try_targets("http://another.example:8080", "http://alias.example:8080")


@row("other-ipv4")
def other_ipv4() -> Sequence[str]:
    return try_targets("http://192.0.2.1:8080")


@row("other-ipv6")
def other_ipv6() -> Sequence[str]:
    return try_targets("http://[2001:db8::1]:8080")


@row("one-of-two-addresses")
def one_of_two_addresses() -> Sequence[str]:
    write_hosts("127.0.0.1 both.example", "192.0.2.1 both.example")
    return try_targets("http://both.example:8080", allow=["both.example", "127.0.0.1"])


class _Rebinding:
    """A gate at which k6, checked and ready, waits until the name has moved."""

    opens_within_s = 30.0

    def ready(self) -> None:
        write_hosts("192.0.2.1 moving.example")

    def is_open(self) -> bool:
        return True


@row("answer-changes")
def answer_changes() -> Sequence[str]:
    """Between the run's check and its load; and between the load's own check and k6's first connection."""
    write_hosts("127.0.0.1 moving.example")
    allow = ["moving.example:8080", "127.0.0.1"]
    profile, _ = resolve(Request(target=entry_at("http://moving.example:8080", allow=allow)))
    with stub() as told:
        in_mid_run = loaded(told, scenario_b(profile, gate=_Rebinding()))
    with reaching(profile.reach), http_client(timeout_s=2) as client:
        by_suite = refusal_of(lambda: client.get(profile.base_url))
    return [in_mid_run, by_suite, refusal_of(lambda: scenario_b(profile))]


@row("other-port")
def other_port() -> Sequence[str]:
    return try_targets(
        f"http://localhost:{OTHER_PORT}", f"http://127.0.0.1:{OTHER_PORT}",
        allow=["localhost:8080", "127.0.0.1:8080", "127.0.0.1:9090", "127.0.0.1:9092"],
    )  # fmt: skip


@row("redirect")
def redirect() -> Sequence[str]:
    """k6's requests of the load, and the suite's own, are answered 301, 302, 307 and 308."""
    profile = load_profile("portal")
    with stub() as told:
        told.redirect = lambda number: (REDIRECTS[number % len(REDIRECTS)], LURE)
        by_k6 = loaded(told, scenario_b(profile))
        with http_client() as client:
            statuses = [client.get(f"{profile.base_url}/moved").status_code for _ in REDIRECTS]
    assert sorted(statuses) == sorted(REDIRECTS), statuses
    return [by_k6, f"the suite's client read {statuses} and went nowhere"]


@row("redirect-chain")
def redirect_chain() -> Sequence[str]:
    profile = load_profile("portal")
    with stub() as told:
        told.redirect = lambda number: (302, "/hop") if number % 2 == 0 else (302, LURE)
        by_k6 = loaded(told, scenario_b(profile))
        with http_client() as client:
            assert client.get(f"{profile.base_url}/moved").status_code == 302
    assert told.asked["/hop"] == 0, "the chain's first link was followed"
    return [by_k6, "neither k6 nor the suite's client took the chain's first step"]


@row("ipv4-in-ipv6")
def ipv4_in_ipv6() -> Sequence[str]:
    return try_targets("http://[::ffff:192.0.2.1]:8080", "http://[::ffff:c000:201]:8080")


@row("link-local")
def link_local() -> Sequence[str]:
    addresses = ("169.254.169.254", "169.254.0.0/16")
    allowed = [try_target(entry_at("http://169.254.169.254", allow=[line, "127.0.0.1"])) for line in addresses]
    return [*try_targets("http://169.254.169.254"), *allowed]


@row("unspecified")
def unspecified() -> Sequence[str]:
    return try_targets(f"http://0.0.0.0:{OTHER_PORT}", f"http://[::]:{OTHER_PORT}")


@row("private-range")
def private_range() -> Sequence[str]:
    return [
        *try_targets("http://10.1.2.3:8080"),
        *try_targets("http://10.1.2.3:8080", allow=["10.2.0.0/16", "127.0.0.1"]),
    ]


@row("hosts-file")
def hosts_file() -> Sequence[str]:
    write_hosts("192.0.2.1 localhost")
    aliases = Path(tempfile.mkdtemp(), "aliases")
    aliases.write_text("localhost another.example\n", encoding="utf-8")
    with environment(HOSTALIASES=str(aliases)):
        return try_targets("http://localhost:8080")


@row("integer")
def integer() -> Sequence[str]:
    return try_targets("http://3232235777:8080", "http://0xc0a80101:8080")


@row("octal-and-short")
def octal_and_short() -> Sequence[str]:
    return try_targets("http://0177.0.0.1:8080", "http://127.1:8080", "http://0300.0.2.1:8080", "http://192.0.513:8080")


@row("userinfo")
def userinfo() -> Sequence[str]:
    write_hosts("192.0.2.1 other.example")
    return try_targets("http://localhost@other.example/", "http://127.0.0.1:8080@192.0.2.1:8080")


@row("backslash-and-whitespace")
def backslash_and_whitespace() -> Sequence[str]:
    return try_targets(
        "http://127.0.0.1:8080\\@192.0.2.1:8080", "http://127.0.0.1 .example:8080", "http://192.0.2.1\t:8080",
        "http://127.0.0.1:8080\n@192.0.2.1", " http://192.0.2.1:8080",
    )  # fmt: skip


@row("look-alike")
def look_alike() -> Sequence[str]:
    write_hosts("192.0.2.1 LOCALHOST localhost. xn--loclhost-xfh.example xn--lcalhost-0fg")
    return try_targets(
        "http://localhost.:8080", "http://LocalHost:8080", "http://xn--lcalhost-0fg:8080", "http://l\u043ecalhost:8080",
    )  # fmt: skip


@row("absolute-route")
def absolute_route() -> Sequence[str]:
    paths = ("http://192.0.2.1:8080/posts", "//192.0.2.1:8080/posts", "192.0.2.1/posts", "@192.0.2.1:8080/posts")
    routes = yaml.safe_load((FOLDER / "portal.yaml").read_text(encoding="utf-8"))["routes"]
    return [try_target(profile_file(routes=routes | {"post_list": {"method": "GET", "path": path}})) for path in paths]


@row("link-in-answer")
def link_in_answer() -> Sequence[str]:
    """Every answer of the stub names elsewhere, in its headers (Link, Content-Location, Refresh) and in its body."""
    with stub() as told:
        return [loaded(told, scenario_b(load_profile("portal")))]


@row("proxy")
def proxy() -> Sequence[str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    profile = load_profile("portal")
    with stub() as told, environment(**dict.fromkeys(names, "http://192.0.2.1:3128")):
        by_k6 = loaded(told, scenario_b(profile))
        with http_client() as client:
            assert client.get(f"{profile.base_url}/api/v1/blog/posts/1").status_code == 200
    return [by_k6, "the suite's client was answered by its target"]


@row("k6-variables")
def k6_variables() -> Sequence[str]:
    home = Path(tempfile.mkdtemp())
    config = home / "config.json"
    config.write_text('{"hosts": {"127.0.0.1": "192.0.2.1"}, "collectors": {}}', encoding="utf-8")
    variables = {
        "K6_OUT": "experimental-prometheus-rw",
        "K6_PROMETHEUS_RW_SERVER_URL": "http://192.0.2.1:9090/api/v1/write",
        "K6_HTTP_DEBUG": "full",
        "K6_CONFIG": str(config),
        "K6_DNS": "ttl=0,select=first,policy=any",
        "K6_CLOUD_HOST": "http://192.0.2.1",
        "K6_LOG_OUTPUT": "loki=http://192.0.2.1:3100/loki/api/v1/push",
        "K6_TRACES_OUTPUT": "otel=http://192.0.2.1:4318",
        "K6_MAX_REDIRECTS": "10",
    }
    with stub() as told, environment(**variables, XDG_CONFIG_HOME=str(home)):
        told.redirect = lambda _: (302, LURE)
        by_k6 = loaded(told, scenario_b(load_profile("portal")))
    to_elsewhere = _by_hand("b", "portal", "http://192.0.2.1:9090/api/v1/write")
    return [by_k6, to_elsewhere, _by_hand("b", "portal", "--out=json"), _by_hand("b", "portal", "-e", "BASE=x")]


def _by_hand(*arguments: str) -> str:
    """What `python -m k6.runner` says, which must be exit code 2."""
    command = [sys.executable, "-m", "k6.runner", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, (arguments, done)
    return done.stderr.strip().splitlines()[-1]


@row("environment")
def environment_row() -> Sequence[str]:
    url = "http://192.0.2.1:8080"
    changes: Sequence[Mapping[str, Any]] = (
        {"environment": "production", "budget": {"requests": 1000, "minutes": 1}},
        {"environment": "production"},
        {"environment": None},
        {"environment": "Test"},
        {"environment": "prod"},
    )
    return [try_target(entry_at(url, allow=["192.0.2.1", "127.0.0.1"], **change)) for change in changes]


@row("advertised-listener")
def advertised_listener() -> Sequence[str]:
    write_hosts(f"127.0.0.1 {socket.gethostname()}")  # Kafka itself asks for its machine's name
    with tempfile.TemporaryDirectory() as folder, running_kafka(Path(folder)) as kafka:
        return [refusal_of(lambda: Broker(f"127.0.0.1:{kafka.elsewhere}").close())]


@row("remote-write-and-grafana")
def remote_write_and_grafana() -> Sequence[str]:
    from tasks.opening import open_run  # here: it brings in all of the suite, which no other row needs

    url = "http://192.0.2.1:9090/api/v1/write"
    by_k6 = refusal_of(lambda: scenario_b(load_profile("portal"), remote_write_url=url))
    prometheus = {"api-gateway": "http://127.0.0.1:8080", "prometheus": "http://192.0.2.1:9090"}
    with environment(SUITE_GRAFANA_URL="http://192.0.2.1:3000"), tempfile.TemporaryDirectory() as folder:
        by_opening = refusal_of(lambda: open_run(Request(run_dir=Path(folder))))
    return [by_k6, by_opening, try_target(profile_file(addresses=prometheus))]


def control() -> Sequence[str]:
    """What the eye must see: the same places, asked by clients that nobody guards."""
    for url in ("http://192.0.2.1:8080", "http://[2001:db8::1]:8080", f"http://127.0.0.1:{OTHER_PORT}"):
        try:
            httpx.get(url, trust_env=False)
        except httpx.HTTPError:
            continue
        raise AssertionError(url)
    script = Path(tempfile.mkdtemp(), "bare.js")
    script.write_text(f"import http from 'k6/http'; export default () => http.get('{LURE}');", encoding="utf-8")
    arguments = [str(K6.path), "run", "--quiet", "--no-usage-report", "--address=127.0.0.1:0", str(script)]
    subprocess.run(arguments, capture_output=True, check=False)
    return ["asked"]


def carry_out(id: str) -> Sequence[str]:
    """Try a row, or the control; SuiteErrors that are no refusal are a failure like any other."""
    write_hosts()
    try:
        return control() if id == "control" else ROWS[id]()
    except SuiteError as error:
        raise AssertionError(f"no refusal: {said(error)}") from error
