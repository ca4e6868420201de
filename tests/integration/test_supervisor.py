"""The supervisor with real processes: leases, deaths, ports, leftovers. Small programs stand in for the services."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from core.errors import SetupError
from core.settings import ROOT, process_environment
from infra.embedded import procfs
from infra.embedded.cgroups import Cgroups, cgroup_root, hierarchies_here
from infra.embedded.lease import Lease, SupervisorClient
from infra.embedded.process import drop_root_prefix
from infra.embedded.reaper import Record, Records
from infra.embedded.spec import Probe, ServiceSpec
from infra.embedded.statedir import StateDir
from infra.embedded.supervisor import IDLE_S

PYTHON = sys.executable
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


def eventually(claim: str, holds: Callable[[], object], within_s: float = 10.0) -> None:
    """Poll until the claim holds; fails with the claim's words."""
    poll = retry(
        retry=retry_if_result(lambda held: not held),
        stop=stop_after_delay(within_s),
        wait=wait_fixed(0.02),
        retry_error_callback=lambda _: pytest.fail(f"not within {within_s:g} s: {claim}"),
    )
    poll(holds)()


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def alive(pid: int) -> bool:
    return procfs.read_stat(pid) is not None


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    """A state directory whose path has spaces and is longer than a socket's name may be."""
    state = StateDir(tmp_path / "a folder with spaces" / ("long-" * 24))
    try:
        yield state
    finally:
        end_supervisor(state)


def supervisor_pid(state: StateDir) -> int:
    return int(SupervisorClient(state).ask("hello")["pid"])


def end_supervisor(state: StateDir) -> None:
    """Also where a test has killed it: one that starts ends what that one left."""
    SupervisorClient(state).ensure_running()
    pid = supervisor_pid(state)
    os.kill(pid, signal.SIGTERM)
    eventually("the supervisor ends", lambda: not alive(pid))


@pytest.fixture
def make(state: StateDir) -> Callable[..., ServiceSpec]:
    """Build a service out of a few lines of Python; `{port}` in them is its port."""

    def build(name: str, code: str = SERVER, **fields: Any) -> ServiceSpec:
        port = fields.pop("port", None) or free_port()
        values: dict[str, Any] = {
            "argv": (PYTHON, "-c", textwrap.dedent(code).replace("{port}", str(port))),
            "cwd": str(state.data / name),
            "data_dir": str(state.data / name),
            "log_file": str(state.logs / f"{name}.log"),
            "ready": Probe("tcp", url=f"127.0.0.1:{port}"),
            "ready_timeout_s": 10.0,
            "stop_timeout_s": 5.0,
            "ports": (port,),
        }
        return ServiceSpec(name=name, **{**values, **fields})

    return build


SERVER = """
    import http.server
    http.server.HTTPServer(("127.0.0.1", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DIES = """
    print("cannot open the frobnicator")
    raise SystemExit(7)
"""
DEAF = """
    import signal, socket
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", {port})) as listener:
        while True:
            listener.accept()[0].close()
"""
WITH_GRANDCHILD = """
    import pathlib, socket, subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    pathlib.Path("grandchild").write_text(str(child.pid))
    with socket.create_server(("127.0.0.1", {port})) as listener:
        while True:
            listener.accept()[0].close()
"""
WITH_TIDY_WORKER = """
    import socket, subprocess, sys
    worker = '''
    import pathlib, signal, sys, time
    def tidy(*_):
        time.sleep(0.5)
        pathlib.Path("tidy").touch()
        sys.exit()
    signal.signal(signal.SIGTERM, tidy)
    pathlib.Path("listening").touch()
    signal.pause()
    '''
    import pathlib, textwrap, time
    subprocess.Popen([sys.executable, "-c", textwrap.dedent(worker)])
    while not pathlib.Path("listening").exists():
        time.sleep(0.01)
    with socket.create_server(("127.0.0.1", {port})) as listener:
        while True:
            listener.accept()[0].close()
"""
CLIENT = """
import sys
from pathlib import Path
from infra.embedded.lease import Lease, SupervisorClient
from infra.embedded.statedir import StateDir
from infra.embedded.supervisor import IDLE_S
client = SupervisorClient(StateDir(Path(sys.argv[1])))
client.ensure_running()
lease = Lease(client) if sys.argv[2] == "lease" else None
client.ask("start", lease=lease and lease.id, specs=sys.argv[3:])
client.ask("wait", names=[row["name"] for row in client.status()])
print("ready", flush=True)
sys.stdin.read()
"""


def start(client: SupervisorClient, *specs: ServiceSpec, lease: Lease | None = None) -> None:
    client.ensure_running()
    client.ask("start", lease=lease.id if lease else None, specs=[spec.to_json() for spec in specs])
    client.ask("wait", names=[spec.name for spec in specs])


def pids(client: SupervisorClient) -> dict[str, int]:
    return {row["name"]: row["pid"] for row in client.status()}


def run_client(
    state: StateDir, kind: str, *specs: ServiceSpec, python: tuple[str, ...] = (PYTHON,), **popen: Any
) -> subprocess.Popen[str]:
    """Another process that starts the services and then waits; returns when they are ready."""
    process = subprocess.Popen(
        [*python, "-c", CLIENT, str(state.path), kind, *(spec.to_json() for spec in specs)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **popen,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.communicate()
        pytest.fail("the client could not start its services")
    return process


class TestLease:
    def test_its_end_stops_what_was_started_under_it_in_reverse_order(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("upper", depends_on=("lower",)), make("lower"), lease=lease)
            running = pids(client)
            assert all(map(alive, running.values()))
        assert not any(map(alive, running.values()))
        assert client.status() == []
        steps = [line for line in state.supervisor_log.read_text().splitlines() if ": stop" in line]
        assert [step.split("INFO ")[1].split()[0] for step in steps] == ["upper:", "upper:", "lower:", "lower:"]

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_ends_with_its_client_however_that_ends(self, state, make, number):
        with run_client(state, "lease", make("one"), make("two"), stderr=subprocess.DEVNULL) as process:
            running = pids(SupervisorClient(state))
            process.send_signal(number)
        assert len(running) == 2
        eventually("the services end", lambda: not any(map(alive, running.values())))

    def test_is_not_kept_open_by_a_forked_worker_of_its_client(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("one"), lease=lease)
            worker = os.fork()
            if worker == 0:
                signal.pause()
            try:
                service = pids(client)["one"]
                os.kill(worker, 0)
                lease.close()
                assert not alive(service)
            finally:
                os.kill(worker, signal.SIGKILL)
                os.waitpid(worker, 0)

    def test_leaves_alone_what_ran_before_it(self, state, make):
        client = SupervisorClient(state)
        before = make("before")
        start(client, before)
        with Lease(client) as lease:
            answer = client.ask("start", lease=lease.id, specs=[before.to_json(), make("mine").to_json()])
            client.ask("wait", names=["mine"])
        assert answer == {"started": ["mine"], "attached": ["before"]}
        assert list(pids(client)) == ["before"]

    def test_keep_hands_its_services_to_the_stack(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("one"), lease=lease)
            assert client.ask("keep", lease=lease.id) == ["one"]
        assert alive(pids(client)["one"])

    def test_that_ends_during_a_start_leaves_nothing(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            never_ready = make("slow", "import time; time.sleep(600)")
            client.ask(
                "start", lease=lease.id, specs=[never_ready.to_json(), make("after", depends_on=("slow",)).to_json()]
            )
            eventually("slow has a process", lambda: pids(client)["slow"])
            slow = pids(client)["slow"]
        assert not alive(slow)
        assert client.status() == []


class TestStackWithoutLease:
    def test_survives_the_client_that_started_it(self, state, make):
        with run_client(state, "no lease", make("one")) as process:
            process.kill()
        assert alive(pids(SupervisorClient(state))["one"])

    def test_is_out_of_reach_of_a_ctrl_c_in_the_clients_terminal(self, state, make):
        with run_client(state, "no lease", make("one"), start_new_session=True, stderr=subprocess.DEVNULL) as process:
            os.killpg(process.pid, signal.SIGINT)
        assert alive(pids(SupervisorClient(state))["one"])


class TestSupervisor:
    def test_is_the_only_one_of_its_state_directory(self, state):
        with Lease(SupervisorClient(state)):
            first = supervisor_pid(state)
            second = subprocess.run(
                [PYTHON, "-m", "infra.embedded.supervisor", "--state", str(state.path)],
                cwd=ROOT, capture_output=True, text=True, timeout=20, check=False,
            )  # fmt: skip
            assert second.returncode == 75
            assert "already runs" in second.stderr
            assert supervisor_pid(state) == first

    def test_ends_by_itself_when_nobody_needs_it(self, state):
        with Lease(SupervisorClient(state)):
            pid = supervisor_pid(state)
        eventually("the supervisor ends", lambda: not alive(pid), within_s=8)
        assert not state.socket_path.exists()

    def test_that_stood_still_for_long_keeps_what_it_runs(self, state, make):
        """A suspended machine, or one short of memory: longer than it would wait for somebody who needs it."""
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("a"), lease=lease)
            supervisor, service = supervisor_pid(state), pids(client)["a"]
            os.kill(supervisor, signal.SIGSTOP)
            began = time.monotonic()
            eventually("it stood still", lambda: time.monotonic() - began > IDLE_S + 1, within_s=IDLE_S + 5)
            os.kill(supervisor, signal.SIGCONT)
            assert client.status()
            assert (supervisor_pid(state), pids(client)["a"]) == (supervisor, service)

    def test_sigterm_stops_every_service_before_it_ends(self, state, make):
        client = SupervisorClient(state)
        start(client, make("one"), make("two", depends_on=("one",)))
        running, pid = pids(client), supervisor_pid(state)
        os.kill(pid, signal.SIGTERM)
        eventually("the supervisor ends", lambda: not alive(pid))
        assert not any(map(alive, running.values()))
        assert not list(state.children.iterdir())

    def test_sigkill_takes_its_children_along_and_the_next_one_reaps_grandchildren(self, state, make):
        client = SupervisorClient(state)
        start(client, make("parent", WITH_GRANDCHILD))
        child = pids(client)["parent"]
        grandchild = int((state.data / "parent" / "grandchild").read_text())
        os.kill(supervisor_pid(state), signal.SIGKILL)
        eventually("the child dies with the supervisor", lambda: not alive(child))
        assert alive(grandchild)
        client.ensure_running()
        assert not alive(grandchild)

    def test_stops_when_its_folder_is_taken_away(self, state, make):
        client = SupervisorClient(state)
        start(client, make("one"))
        running, pid = pids(client), supervisor_pid(state)
        state.socket_path.unlink()
        eventually("the supervisor ends", lambda: not alive(pid))
        assert not alive(running["one"])

    def test_says_what_it_does_not_understand(self, state):
        client = SupervisorClient(state)
        client.ensure_running()
        with pytest.raises(SetupError, match=r"does not understand.*dance") as caught:
            client.ask("dance")
        assert "make stack-down" in caught.value.cure


class TestStart:
    def test_names_the_holder_of_a_taken_port(self, state, make):
        client = SupervisorClient(state)
        client.ensure_running()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with pytest.raises(SetupError) as caught:
                start(client, make("redis", port=port), make("other"))
        assert f"port {port} of redis is taken by pid {os.getpid()} (" in caught.value.what
        assert "--ports free" in caught.value.cure
        assert client.status() == [], "nothing is started when one port is taken"

    def test_shows_the_log_of_a_process_that_dies(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease, pytest.raises(SetupError) as caught:
            start(client, make("frob", DIES), lease=lease)
        assert "frob died at its start: exit code 7" in caught.value.what
        assert "cannot open the frobnicator" in caught.value.what
        assert caught.value.where == str(state.logs / "frob.log")

    def test_names_the_signal_that_killed_it(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease, pytest.raises(SetupError, match="killed by SIGSEGV"):
            start(client, make("frob", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), lease=lease)

    def test_says_what_was_seen_last_when_it_takes_too_long(self, state, make):
        client = SupervisorClient(state)
        slow = make("slow", ready=Probe("http", url=f"http://127.0.0.1:{free_port()}/"), ready_timeout_s=0.5)
        with (
            Lease(client) as lease,
            pytest.raises(SetupError, match=r"not ready after .* last seen: .*connection") as caught,
        ):
            start(client, slow, lease=lease)
        assert caught.value.where == slow.log_file
        assert client.status() == []

    def test_does_not_start_what_needs_a_failed_service(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease, pytest.raises(SetupError, match="base died"):
            start(client, make("top", depends_on=("base",)), make("base", DIES), lease=lease)
        assert not (state.logs / "top.log").exists()

    def test_refuses_a_need_that_nobody_meets(self, state, make):
        client = SupervisorClient(state)
        client.ensure_running()
        with pytest.raises(SetupError, match="top needs base") as caught:
            start(client, make("top", depends_on=("base",)))
        assert caught.value.cure == "Start base too."

    def test_names_a_missing_program(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease, pytest.raises(SetupError, match="No such file") as caught:
            start(client, make("ghost", argv=("/nowhere/ghost",)), lease=lease)
        assert caught.value.where == "/nowhere/ghost"
        assert "infra.embedded.programs" in caught.value.cure

    def test_initialises_once_and_again_when_that_was_cut_short(self, state, make):
        client = SupervisorClient(state)
        count = "open('inits', 'a').write('x'); open('fail') if {fails} else None"
        for fails, marks in ((True, "x"), (False, "x"), (False, "x")):
            spec = make("db", init=((PYTHON, "-c", count.format(fails=fails)),))
            with Lease(client) as lease:
                if fails:
                    with pytest.raises(SetupError, match="could not be initialised"):
                        start(client, spec, lease=lease)
                else:
                    start(client, spec, lease=lease)
            assert (state.data / "db" / "inits").read_text() == marks

    def test_asks_by_command_where_the_probe_is_one(self, state, make):
        client = SupervisorClient(state)
        marker = state.data / "one" / "looked"
        look = f"import pathlib; p = pathlib.Path({str(marker)!r}); print('yes' if p.exists() else 'no'); p.touch()"
        with Lease(client) as lease:
            start(client, make("one", ready=Probe("exec", argv=(PYTHON, "-c", look), expect="yes")), lease=lease)
            assert client.status()[0]["state"] == "running"

    def test_writes_configuration_for_its_owner_only(self, state, make):
        client = SupervisorClient(state)
        path = state.data / "one" / "conf" / "secret.cnf"
        with Lease(client) as lease:
            start(client, make("one", files={str(path): "password=x\n"}), lease=lease)
        assert path.read_text() == "password=x\n"
        assert path.stat().st_mode & 0o777 == 0o600

    def test_says_that_the_disk_is_full(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease, pytest.raises(SetupError, match="No space left on device") as caught:
            start(client, make("one", files={"/dev/full": "x"}), lease=lease)
        assert "Free some disk space" in caught.value.cure

    def test_sets_the_log_of_the_start_before_aside(self, state, make):
        client = SupervisorClient(state)
        for _ in range(2):
            with Lease(client) as lease, pytest.raises(SetupError):
                start(client, make("frob", DIES), lease=lease)
        for name in ("frob.log", "frob.log.1"):
            assert (state.logs / name).read_text().count("frobnicator") == 1


class TestService:
    def test_that_ends_by_itself_is_reported_and_not_started_again(self, state, make):
        client = SupervisorClient(state)
        start(client, make("one"))
        pid = pids(client)["one"]
        os.kill(pid, signal.SIGKILL)
        eventually("the death is known", lambda: client.status()[0]["state"] == "exited")
        row = client.status()[0]
        with pytest.raises(SetupError, match=r"was ready and has ended by itself \(killed by SIGKILL\)"):
            client.ask("wait", names=["one"])
        assert row["detail"] == "killed by SIGKILL"
        assert row["pid"] == pid
        assert "one ended by itself (killed by SIGKILL)" in state.supervisor_log.read_text()

    def test_restarts_on_request_as_a_new_process_with_the_same_owner(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("one"), lease=lease)
            before = client.status()[0]
            client.ask("restart", name="one")
            after = client.status()[0]
        assert after["state"] == "running"
        assert after["pid"] != before["pid"]
        assert after["start_time"] > before["start_time"]
        assert not alive(after["pid"])

    def test_that_two_restart_at_once_runs_once_in_the_end(self, state, make):
        client = SupervisorClient(state)
        start(client, make("one"))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: client.ask("restart", name="one"), range(2)))
        client.ask("wait", names=["one"])
        assert procfs.marked(f"{state.key}/one\0") == {pids(client)["one"]}

    def test_that_ignores_its_stop_signal_is_killed_in_the_end(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("deaf", DEAF, stop_timeout_s=0.3), lease=lease)
            pid = pids(client)["deaf"]
        assert not alive(pid)
        assert "deaf did not end within 0.3 s: killed" in state.supervisor_log.read_text()

    def test_gives_its_workers_the_time_that_it_has_itself(self, state, make):
        """The leader ends at once; its worker tidies up and needs half a second for that."""
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("parent", WITH_TIDY_WORKER), lease=lease)
        assert (state.data / "parent" / "tidy").exists()
        assert "killed" not in state.supervisor_log.read_text().partition("begins")[2]

    def test_leaves_no_worker_behind_when_it_dies(self, state, make):
        client = SupervisorClient(state)
        start(client, make("parent", WITH_GRANDCHILD))
        grandchild = int((state.data / "parent" / "grandchild").read_text())
        os.kill(pids(client)["parent"], signal.SIGKILL)
        eventually("its worker ends", lambda: not alive(grandchild))
        client.ask("restart", name="parent")
        assert client.status()[0]["state"] == "running"

    def test_takes_its_grandchildren_along(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("parent", WITH_GRANDCHILD), lease=lease)
            grandchild = int((state.data / "parent" / "grandchild").read_text())
            assert alive(grandchild)
        assert not alive(grandchild)

    def test_runs_in_a_session_and_a_control_group_of_its_own(self, state, make):
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("one"), lease=lease)
            pid = pids(client)["one"]
            stat = procfs.read_stat(pid)
            assert stat is not None
            assert stat.session == pid
            if client.ask("hello")["cgroups"] != "ok":
                pytest.skip(f"cgroups: {client.ask('hello')['cgroups']}")
            assert Cgroups.existing(cgroup_root(state.path), hierarchies_here()).members("one") == {pid}
        eventually("its group is gone", lambda: not groups_of(state, "one"))

    def test_gets_no_environment_but_its_own(self, state, make, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
        client = SupervisorClient(state)
        with Lease(client) as lease:
            start(client, make("one", env={"MINE": "1"}), lease=lease)
            environment = Path(f"/proc/{pids(client)['one']}/environ").read_bytes().split(b"\0")
        names = {entry.partition(b"=")[0].decode() for entry in environment if entry}
        assert names - {"LC_CTYPE"} == {"MINE", procfs.MARKER}


def groups_of(state: StateDir, service: str) -> list[Path]:
    tops = [hierarchy.mount / cgroup_root(state.path).lstrip("/") for hierarchy in hierarchies_here()]
    return [top / service for top in tops if (top / service).exists()]


class TestReaper:
    """A process on record that runs outside of any control group, as after a supervisor's death."""

    @pytest.fixture
    def sleeper(self) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(["sleep", "600"]) as process:
            yield process
            process.kill()

    def record(self, state: StateDir, pid: int, *, ticks_off: int = 0, boot: str | None = None) -> None:
        state.create()
        stat = procfs.read_stat(pid)
        assert stat is not None
        Records(state.children).write(Record("one", pid, stat.start_ticks + ticks_off, boot or procfs.boot_id()))

    def test_ends_a_leftover_whose_pid_start_time_and_boot_match(self, state, sleeper):
        self.record(state, sleeper.pid)
        SupervisorClient(state).ensure_running()
        assert sleeper.wait(timeout=5) == -signal.SIGKILL
        assert not list(state.children.iterdir())

    @pytest.mark.parametrize("other", [{"ticks_off": 1}, {"boot": "another-boot"}])
    def test_leaves_a_process_alone_that_only_has_the_same_pid(self, state, sleeper, other):
        self.record(state, sleeper.pid, **other)
        SupervisorClient(state).ensure_running()
        assert sleeper.poll() is None
        assert not list(state.children.iterdir())

    def test_takes_a_record_away_that_a_crash_cut_short(self, state):
        state.create()
        (state.children / "one.json").write_text('{"name": "one", "pi')
        SupervisorClient(state).ensure_running()
        assert not list(state.children.iterdir())


@as_root
class TestRights:
    def test_what_refuses_root_runs_as_nobody_and_still_dies_with_the_supervisor(self, state, make):
        client = SupervisorClient(state)
        start(client, make("es", refuses_root=True))
        pid = pids(client)["es"]
        assert os.stat(f"/proc/{pid}").st_uid == NOBODY
        assert (state.data / "es").stat().st_uid == NOBODY
        os.kill(supervisor_pid(state), signal.SIGKILL)
        eventually("it dies with the supervisor", lambda: not alive(pid))

    def test_an_ordinary_user_gets_everything_but_control_groups(self, state, make, tmp_path):
        state.path.parent.mkdir(parents=True)
        os.chown(state.path.parent, NOBODY, NOBODY)
        for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
            folder.chmod(0o755)
        python = system_python()
        service = make("parent", WITH_GRANDCHILD)
        service = dataclasses.replace(service, argv=(python, *service.argv[1:]))
        become_nobody = (*drop_root_prefix(), python)  # it may pass through the private folder that a checkout is in
        packages = process_environment(PYTHONPATH=sysconfig.get_path("purelib"), HOME=str(tmp_path))
        with run_client(state, "lease", service, python=become_nobody, env=packages) as process:
            client = SupervisorClient(state)
            assert "Permission denied" in client.ask("hello")["cgroups"]
            child = pids(client)["parent"]
            grandchild = int((state.data / "parent" / "grandchild").read_text())
            assert os.stat(f"/proc/{child}").st_uid == NOBODY
            process.kill()
        eventually("the lease's services end", lambda: not alive(child) and not alive(grandchild))
        assert state.supervisor_log.read_text().count("cgroups: none (") == 1


def system_python() -> str:
    """An interpreter of our version that every user may run; a root's own one lies in a private folder."""
    python = shutil.which(f"python3.{sys.version_info.minor}", path=os.defpath)
    if python is None:
        pytest.skip("the system has no python3 of this version")
    return python


def test_the_protocol_is_json_lines(state):
    SupervisorClient(state).ensure_running()
    with state.connect() as connection:
        connection.sendall(b"not json\n")
        answer = json.loads(connection.makefile().readline())
    assert "does not understand" in answer["error"]["what"]
