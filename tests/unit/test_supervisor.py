"""The parts of the supervisor that need no processes: names, /proc, control groups, ports, logs, records."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import ConfigError, SetupError
from core.processes import free_ports
from infra.embedded import logfiles, portcheck, procfs, wire
from infra.embedded.backend import _with_dependencies
from infra.embedded.cgroups import Cgroups, Hierarchy, cgroup_root, mounted_hierarchies
from infra.embedded.process import describe_end
from infra.embedded.readiness import look
from infra.embedded.reaper import Record, Records
from infra.embedded.spec import Probe, ServiceSpec
from infra.embedded.statedir import StateDir
from infra.embedded.supervisor import _in_order_of_need

LONG = "long-" * 24


def spec(name: str, *depends_on: str) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        argv=("true",),
        cwd="/tmp",
        data_dir="/tmp",
        log_file="/tmp/log",
        ready=Probe("tcp", url="127.0.0.1:1"),
        ready_timeout_s=1,
        stop_timeout_s=1,
        depends_on=depends_on,
    )


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "with spaces" / LONG)
    state.create()
    return state


class TestStateDir:
    def test_is_the_same_by_every_path_that_leads_to_it(self, state, tmp_path):
        link = tmp_path / "link"
        link.symlink_to(state.path)
        assert StateDir(link) == state
        assert cgroup_root(link) == cgroup_root(state.path) == f"/perf-suite-{state.key}"

    def test_is_private(self, state):
        assert state.path.stat().st_mode & 0o777 == 0o700

    def test_connects_where_the_socket_path_is_longer_than_a_socket_may_be_named(self, state):
        assert len(str(state.socket_path)) > 108
        with state.listen() as listener, state.connect() as client:
            client.sendall(b"hello")
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(5) == b"hello"
        assert state.socket_path.stat().st_mode & 0o777 == 0o600

    def test_replaces_the_socket_of_a_supervisor_that_was_killed(self, state):
        state.listen().close()
        with pytest.raises(ConnectionRefusedError):
            state.connect()
        with state.listen(), state.connect():
            pass

    def test_says_why_it_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SetupError, match="Not a directory") as caught:
            StateDir(tmp_path / "file" / "state").create()
        assert "SUITE_STACK_DIR" in caught.value.cure


class TestProcfs:
    def test_identifies_this_process(self):
        stat = procfs.read_stat(os.getpid())
        assert stat is not None
        assert stat.session == os.getsid(0)
        assert procfs.is_alive(os.getpid(), stat.start_ticks)
        assert not procfs.is_alive(os.getpid(), stat.start_ticks + 1)

    def test_knows_when_it_was_started(self):
        stat = procfs.read_stat(os.getpid())
        assert stat is not None
        age_s = (datetime.now(UTC) - procfs.started_at(stat.start_ticks)).total_seconds()
        assert 0 < age_s < 3600

    def test_knows_no_process_that_is_gone(self):
        assert procfs.read_stat(2**22 + 1) is None
        assert procfs.rss_bytes(2**22 + 1) == 0

    def test_reads_a_command_name_with_brackets_and_spaces(self, tmp_path, monkeypatch):
        """Fields counted from the last bracket: state, ppid, pgrp, session, … and start time as the 20th."""
        fields = "S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0"
        (tmp_path / "7").mkdir()
        (tmp_path / "7" / "stat").write_text(f"7 (a ) 9 (b)) {fields}\n")
        monkeypatch.setattr(procfs, "PROC", tmp_path)
        assert procfs.read_stat(7) == procfs.Stat(7, "S", session=7, start_ticks=4242)

    def test_finds_marked_processes_by_whole_names(self, tmp_path, monkeypatch):
        for pid, marker in ((7, "key/redis"), (8, "key/redis-exporter"), (9, "other/redis")):
            (tmp_path / str(pid)).mkdir()
            (tmp_path / str(pid) / "stat").write_text(f"{pid} (x) S 1 1 1 " + "0 " * 20)
            (tmp_path / str(pid) / "environ").write_bytes(f"A=1\0{procfs.MARKER}={marker}\0B=2".encode())
        monkeypatch.setattr(procfs, "PROC", tmp_path)
        assert procfs.marked("key/redis\0") == {7}
        assert procfs.marked("key/") == {7, 8}


class TestHierarchies:
    @pytest.mark.parametrize(
        ("machine", "mountinfo", "expected"),
        [
            ("unified", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", [("/sys/fs/cgroup", 2)]),
            (
                "v1, controllers together",
                "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct",
                [("/sys/fs/cgroup/cpu,cpuacct", 1)],
            ),
            (
                "hybrid: names without a controller that we read are left out",
                "31 24 0:27 / /c/memory rw - cgroup cgroup rw,memory\n"
                "32 24 0:28 / /c/systemd rw - cgroup cgroup rw,name=systemd\n"
                "33 24 0:29 / /c/freezer rw - cgroup cgroup rw,freezer\n"
                "34 24 0:30 / /c/unified rw - cgroup2 cgroup2 rw",
                [("/c/memory", 1), ("/c/unified", 2)],
            ),
            ("a mount point with a space", r"30 24 0:26 / /my\040groups rw - cgroup2 none rw", [("/my groups", 2)]),
            ("none", "22 1 0:20 / /proc rw - proc proc rw", []),
        ],
    )
    def test_are_read_from_mountinfo(self, machine, mountinfo, expected):
        assert mounted_hierarchies(mountinfo) == [Hierarchy(Path(mount), version) for mount, version in expected]


class TestCgroups:
    """On folders that look like hierarchies."""

    def v2(self, folder: Path, controllers: str = "cpu memory hugetlb") -> Hierarchy:
        folder.mkdir()
        for group in (folder, folder / "suite"):
            group.mkdir(exist_ok=True)
            (group / "cgroup.controllers").write_text(controllers)
            (group / "cgroup.subtree_control").write_text("")
        return Hierarchy(folder, 2)

    def test_switch_on_what_the_services_groups_need(self, tmp_path):
        hierarchy = self.v2(tmp_path / "v2", controllers="memory hugetlb")
        Cgroups.prepare("/suite", [hierarchy])
        assert (tmp_path / "v2" / "cgroup.subtree_control").read_text() == "+memory"
        assert (tmp_path / "v2" / "suite" / "cgroup.subtree_control").read_text() == "+memory"

    def test_use_what_may_be_written_and_skip_the_rest(self, tmp_path):
        (tmp_path / "memory").mkdir()
        groups = Cgroups.prepare("/suite", [Hierarchy(tmp_path / "missing", 1), Hierarchy(tmp_path / "memory", 1)])
        assert groups.why_none == ""
        assert (tmp_path / "memory" / "suite").is_dir()

    def test_say_once_why_there_are_none(self, tmp_path, caplog):
        groups = Cgroups.prepare("/suite", [Hierarchy(tmp_path / "missing", 1)])
        assert "missing/suite: No such file or directory" in groups.why_none
        assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["cgroups: none"]
        assert groups.create("redis") == []
        assert groups.members() == set()

    def test_know_their_members(self, tmp_path):
        for service, members in (("redis", "7\n8\n"), ("kafka", "9\n")):
            group = tmp_path / "suite" / service
            group.mkdir(parents=True)
            (group / "cgroup.procs").write_text(members)
        groups = Cgroups.existing("/suite", [Hierarchy(tmp_path, 1)])
        assert groups.members("redis") == {7, 8}
        assert groups.members() == {7, 8, 9}

    def test_are_removed_when_empty(self, tmp_path):
        groups = Cgroups.prepare("/suite", [Hierarchy(tmp_path, 1)])
        for service in ("redis", "kafka"):
            (tmp_path / "suite" / service).mkdir()
        groups.remove("redis")
        assert [group.name for group in (tmp_path / "suite").iterdir()] == ["kafka"]
        groups.remove()
        assert not (tmp_path / "suite").exists()


class TestPorts:
    def test_that_are_free_differ_and_can_be_listened_on(self):
        ports = free_ports(["a", "b", "c"])
        assert len(set(ports.values())) == 3
        portcheck.require_free({name: [port] for name, port in ports.items()})

    @pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
    def test_that_are_taken_are_all_named_with_their_holder(self, family, address):
        with socket.create_server((address, 0), family=family) as one, socket.create_server(("127.0.0.1", 0)) as two:
            first, second = one.getsockname()[1], two.getsockname()[1]
            with pytest.raises(SetupError) as caught:
                portcheck.require_free({"redis": [first], "kafka": [second]})
        assert f"port {first} of redis is taken by pid {os.getpid()} (" in caught.value.what
        assert f"port {second} of kafka is taken by pid {os.getpid()} (" in caught.value.what
        assert "make stack-down" in caught.value.cure
        assert "--ports free" in caught.value.cure

    def test_are_free_again_while_closed_connections_linger(self):
        """The side that closes first keeps the port in TIME_WAIT; a server may listen on it all the same."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = listener.accept()
                accepted.close()
                assert client.recv(1) == b""
        assert not portcheck.is_taken(port)


class TestLogs:
    def test_show_their_last_lines(self, tmp_path):
        path = tmp_path / "a.log"
        path.write_bytes(b"".join(b"line %d\n" % number for number in range(50_000)))
        assert logfiles.tail(path, 2) == ["line 49998", "line 49999"]

    def test_that_do_not_exist_are_empty(self, tmp_path):
        assert logfiles.tail(tmp_path / "none.log") == []

    def test_survive_bytes_that_are_no_text(self, tmp_path):
        (tmp_path / "a.log").write_bytes(b"\xff\xfe ok\n")
        assert logfiles.tail(tmp_path / "a.log")[0].endswith("ok")

    def test_keep_the_start_before_beside_the_new_one(self, tmp_path):
        path = tmp_path / "logs" / "a.log"
        for text in (b"first", b"second"):
            logfiles.rotate(path)
            with logfiles.open_for_append(path) as output:
                output.write(text)
        assert path.read_text() == "second"
        assert logfiles.rotated(path).read_text() == "first"


class TestRecords:
    def test_are_read_back_as_written(self, state):
        records = Records(state.children)
        record = Record("redis", 7, 4242, "boot")
        records.write(record)
        assert records.all() == [record]
        records.remove("redis")
        assert records.all() == []

    def test_are_of_a_living_process_only_with_pid_start_time_and_boot(self):
        stat = procfs.read_stat(os.getpid())
        assert stat is not None
        this = Record("me", os.getpid(), stat.start_ticks, procfs.boot_id())
        assert this.alive
        assert not Record("me", this.pid, this.start_ticks + 1, this.boot_id).alive
        assert not Record("me", this.pid, this.start_ticks, "another boot").alive


class TestOrder:
    def test_puts_each_service_after_what_it_needs(self):
        ordered = _in_order_of_need([spec("c", "b"), spec("b", "a"), spec("x"), spec("a")])
        assert [each.name for each in ordered] == ["x", "a", "b", "c"]

    def test_needs_nothing_of_what_is_not_to_be_started(self):
        assert [each.name for each in _in_order_of_need([spec("b", "runs-already")])] == ["b"]

    def test_names_a_circle(self):
        with pytest.raises(SetupError, match="circle: a, b "):
            _in_order_of_need([spec("a", "b"), spec("b", "a"), spec("c")])


class TestDependencies:
    specs = {each.name: each for each in (spec("a"), spec("b", "a"), spec("c", "b"), spec("d"))}

    def test_are_added_however_deep(self):
        assert [each.name for each in _with_dependencies(["c"], self.specs)] == ["a", "b", "c"]

    def test_refuse_an_unknown_service(self):
        with pytest.raises(ConfigError, match="has no grafana"):
            _with_dependencies(["grafana"], self.specs)


class TestWire:
    def test_carries_a_message_as_one_line(self):
        message = {"do": "start", "specs": ["line\nbreak", "한국어"]}
        line = wire.encode(message)
        assert line.count(b"\n") == 1
        assert wire.decode(line) == message

    def test_raises_an_error_as_the_supervisor_raised_it(self):
        error = SetupError("port 1 is taken", where="127.0.0.1", cure="Stop it.")
        with pytest.raises(SetupError) as caught:
            wire.raise_error(wire.error_message(error)["error"])
        assert caught.value.as_row() == error.as_row()

    @pytest.mark.parametrize("line", [b"[1]\n", b"not json\n"])
    def test_refuses_what_is_no_message(self, line):
        with pytest.raises(ValueError, match=r"JSON object|Expecting value"):
            wire.decode(line)


class TestEnd:
    @pytest.mark.parametrize(("code", "text"), [(0, "exit code 0"), (7, "exit code 7"), (-9, "killed by SIGKILL")])
    def test_is_described_in_words(self, code, text):
        assert describe_end(code) == text


class TestLook:
    async def run(self, argv):
        return (0, "PONG") if argv == ("ask",) else (1, "no\nway")

    async def test_by_command_reads_its_output(self):
        assert await look(Probe("exec", argv=("ask",), expect="PONG"), self.run) is None
        assert await look(Probe("exec", argv=("ask",), expect="PING"), self.run) == "exit code 0: PONG"
        assert await look(Probe("exec", argv=("beg",)), self.run) == "exit code 1: no way"

    async def test_by_tcp_reads_the_answer(self):
        async def pong(reader, writer):
            await reader.readline()
            writer.write(b"+PONG\r\n")
            writer.close()

        async with await asyncio.start_server(pong, "127.0.0.1", 0) as server:
            url = "{}:{}".format(*server.sockets[0].getsockname())
            assert await look(Probe("tcp", url=url), self.run) is None
            assert await look(Probe("tcp", url=url, send="PING\r\n", expect="+PONG"), self.run) is None
            seen = await look(Probe("tcp", url=url, send="PING\r\n", expect="+OK"), self.run)
        assert seen == r"answered '+PONG\r\n'"
        assert "Connect call failed" in (await look(Probe("tcp", url=url), self.run) or "")

    @pytest.mark.parametrize(
        ("status", "body", "seen"),
        [(200, '{"status":"UP"}', None), (200, "starting", "HTTP 200: starting"), (503, '"UP"', 'HTTP 503: "UP"')],
    )
    async def test_by_http_needs_status_and_body(self, status, body, seen):
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = "http://{}:{}/".format(*server.sockets[0].getsockname())
            assert await look(Probe("http", url=url, expect='"UP"'), self.run) == seen
