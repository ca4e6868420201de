"""The real programs of the embedded stack: where each comes from, fetched or built once and then used offline.

    python -m infra.embedded.programs            # fetch and build what is missing
    python -m infra.embedded.programs --check    # only say what is there; exit 2 when something is missing

Everything lands in `<cache>/programs/`. What stands in for what is said by `versions` (programs.md).
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from core.errors import SetupError, SuiteError
from core.settings import Settings
from infra.embedded.debian import debian_unit, library_path
from infra.embedded.golang import go_unit
from infra.embedded.maven import maven_unit
from infra.embedded.tools import ask, require_java, search_path
from infra.embedded.workshop import Progress, Unit, Workshop

log = logging.getLogger("infra")

NEEDED_BYTES = 6 * 1024**3
"""Free disk before anything is fetched: caches of Go and Maven included (programs.md)."""
LOCK_POLL_S = 0.5
LOCK_NEWS_S = 10.0


class ProgramId(StrEnum):
    """Every program that comes from a package source, besides our own Python."""

    K6 = "k6"
    PROMETHEUS = "prometheus"
    MARIADB = "mariadb"
    REDIS = "redis"
    REDIS_EXPORTER = "redis_exporter"
    MYSQLD_EXPORTER = "mysqld_exporter"
    CADVISOR = "cadvisor"
    KAFKA = "kafka"
    ELASTICSEARCH = "elasticsearch"
    ZIPKIN = "zipkin"
    DOCKER_COMPOSE = "docker_compose"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class GoSource:
    """Built from the module `go/<program id>`."""

    package: str


@dataclass(frozen=True)
class MavenSource:
    """Fetched by the pom `maven/<program id>`; `path` is what the program needs below the unit's folder."""

    path: str


@dataclass(frozen=True)
class DebianSource:
    """A Debian package; `command` is looked for on the system first. `minimum`: older ones lack what we need.

    `folder`: where below /usr the package keeps its programs, as a pattern, if that is not on a PATH.
    """

    package: str
    command: str
    version_question: tuple[str, ...] = ("--version",)
    minimum: tuple[int, int] = (0, 0)
    folder: str = ""


@dataclass(frozen=True)
class Program:
    """One row of the table. `version` is empty where the system's release decides it (Debian).

    `optional`: fetched when it is asked for by name, in a folder of its own.
    """

    id: ProgramId
    product: str
    source: GoSource | MavenSource | DebianSource
    version: str = ""
    stands_in_for: str = ""
    optional: bool = False


PROGRAMS: Mapping[ProgramId, Program] = {
    program.id: program
    for program in (
        Program(ProgramId.K6, "k6", GoSource("go.k6.io/k6"), "1.8.1"),
        Program(
            ProgramId.DOCKER_COMPOSE,
            "docker compose",
            GoSource("github.com/docker/compose/v2/cmd"),
            "2.40.3",
            optional=True,
        ),
        Program(
            ProgramId.MYSQLD_EXPORTER,
            "mysqld_exporter",
            GoSource("github.com/prometheus/mysqld_exporter"),
            "0.16.0",
        ),
        Program(
            ProgramId.CADVISOR,
            "a main of ours around the cAdvisor library",
            GoSource("."),
            "0.49.1",
            "gcr.io/cadvisor/cadvisor:v0.49.1",
        ),
        Program(ProgramId.KAFKA, "Kafka", MavenSource("lib"), "4.1.1"),
        Program(
            ProgramId.ELASTICSEARCH,
            "Elasticsearch",
            MavenSource("elasticsearch-8.7.1"),
            "8.7.1",
            "elasticsearch 8.18",
        ),
        Program(ProgramId.ZIPKIN, "Zipkin", MavenSource("zipkin-server.jar"), "3.4.2"),
        Program(
            ProgramId.PROMETHEUS,
            "Prometheus",
            DebianSource("prometheus", "prometheus", minimum=(2, 40)),  # native histograms
            stands_in_for="prom/prometheus:v2.53.5",
        ),
        Program(
            ProgramId.MARIADB,
            "MariaDB",
            DebianSource("mariadb-server-core", "mariadbd", ("--no-defaults", "--version")),
            stands_in_for="mysql:8.0",
        ),
        Program(
            ProgramId.REDIS,
            "Redis",
            DebianSource("redis-server", "redis-server"),
            stands_in_for="redis:7.4-alpine",
        ),
        Program(
            ProgramId.REDIS_EXPORTER,
            "redis_exporter",
            DebianSource("prometheus-redis-exporter", "prometheus-redis-exporter"),
            stands_in_for="oliver006/redis_exporter:v1.66.0",
        ),
        Program(
            ProgramId.POSTGRESQL,
            "PostgreSQL",
            DebianSource("postgresql", "postgres", folder="lib/postgresql/*/bin"),
            stands_in_for="postgres:18-alpine",
            optional=True,
        ),
    )
}

EMBEDDED = tuple(program for program in ProgramId if not PROGRAMS[program].optional)
"""What the embedded stack needs, whatever it is to play."""

OWN_PROGRAMS = {"kafka_exporter": "Python of ours, standing in for danielqsj/kafka-exporter:v1.8.0"}
"""What stands in for a program and comes with the suite itself."""


@dataclass(frozen=True)
class Installed:
    """A program that can be run.

    `path`: the binary (Go, Debian), the folder of jars (Kafka) or of the distribution (Elasticsearch), or the jar.
    `home`: the folder that holds it: `/usr` or the unpacked `…/usr` for Debian's, else the unit's own.
    `env`: variables that the program needs, such as LD_LIBRARY_PATH.
    """

    id: ProgramId
    version: str
    home: Path
    path: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def stands_in_for(self) -> str:
        return PROGRAMS[self.id].stands_in_for


def ensure(programs: Iterable[ProgramId] = EMBEDDED, progress: Progress = log.info) -> dict[ProgramId, Installed]:
    """Fetch and build what is missing of `programs` and say where each is; offline once everything is there.

    SetupError names the missing tool, the full disk, or the last lines of the client that failed.
    """
    wanted = tuple(programs)
    if any(program in wanted for program in (ProgramId.KAFKA, ProgramId.ELASTICSEARCH, ProgramId.ZIPKIN)):
        require_java()
    programs_dir = _programs_dir()
    if missing := _missing(wanted, programs_dir):
        for unit in missing:
            unit.require()
        _make_folder(programs_dir)
        with _alone(programs_dir / ".lock", progress):
            _make(_missing(wanted, programs_dir), programs_dir, Workshop(progress))
    return {program: _installed(PROGRAMS[program], programs_dir) for program in wanted}


def missing_units() -> tuple[str, ...]:
    """Names of what would have to be fetched or built."""
    return tuple(unit.name for unit in _missing(EMBEDDED, _programs_dir()))


def versions(installed: Mapping[ProgramId, Installed]) -> dict[str, str]:
    """For the report: program -> product, version, and what it stands in for; with a broker of ours, its exporter."""
    own = OWN_PROGRAMS if ProgramId.KAFKA in installed else {}
    return {**{str(program): _version_text(found) for program, found in installed.items()}, **own}


def _version_text(found: Installed) -> str:
    text = f"{PROGRAMS[found.id].product} {found.version}"
    return f"{text}, standing in for {found.stands_in_for}" if found.stands_in_for else text


def _programs_dir() -> Path:
    return Settings().cache_dir.absolute() / "programs"


def _missing(wanted: tuple[ProgramId, ...], programs_dir: Path) -> list[Unit]:
    return [unit for unit in _units(wanted) if not unit.is_made(programs_dir)]


def _units(wanted: tuple[ProgramId, ...]) -> tuple[Unit, ...]:
    """What `wanted` is made from; the Debian packages that the system lacks are always unpacked together."""
    units = [_unit(PROGRAMS[program]) for program in wanted]
    return tuple({unit.name: unit for unit in units if unit is not None}.values())


def _unit(program: Program) -> Unit | None:
    """None: the program is installed on the system."""
    match program.source:
        case GoSource(package):
            return go_unit(program.id, program.version, package)
        case MavenSource():
            return maven_unit(program.id, program.version)
        case DebianSource() as source:
            return None if _on_system(source) else _debian_unit(program)


def _debian_unit(program: Program) -> Unit:
    """The folder that `program` is unpacked into: that of all the others, or its own."""
    if program.optional and isinstance(program.source, DebianSource):
        return debian_unit((program.source.package,))
    sources = (PROGRAMS[each].source for each in EMBEDDED)
    return debian_unit(
        tuple(source.package for source in sources if isinstance(source, DebianSource) and not _on_system(source))
    )


def _on_system(source: DebianSource) -> Path | None:
    found = shutil.which(source.command, path=search_path())
    return Path(found) if found else _in_folder(source, Path("/usr"))


def _in_folder(source: DebianSource, usr: Path) -> Path | None:
    """The command in the newest of the package's folders below `usr`."""
    folders = sorted(usr.glob(source.folder), key=lambda folder: folder.parent.name) if source.folder else []
    found = [folder / source.command for folder in folders if (folder / source.command).exists()]
    return found[-1] if found else None


def _make(units: list[Unit], programs_dir: Path, workshop: Workshop) -> None:
    """Builds one after the other, downloads one after the other beside them; the first failure ends both."""
    if units:
        _require_disk(programs_dir)
    lanes = [[unit for unit in units if unit.lane == lane] for lane in ("build", "download")]
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        futures = [pool.submit(_make_lane, lane, programs_dir, workshop) for lane in lanes]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            _raise_first(futures)
        except BaseException:
            workshop.stop()
            raise


def _raise_first(futures: list[Future[None]]) -> None:
    for future in futures:
        if future.done():
            future.result()


def _make_lane(lane: list[Unit], programs_dir: Path, workshop: Workshop) -> None:
    for unit in lane:
        unit.make_in(programs_dir, workshop)


def _make_folder(programs_dir: Path) -> None:
    try:
        programs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the cache cannot be written: {error.strerror}",
            where=str(programs_dir),
            cure="Set XDG_CACHE_HOME or SUITE_CACHE_DIR to a folder that you may write.",
        ) from error


def _require_disk(programs_dir: Path) -> None:
    free = shutil.disk_usage(programs_dir).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"only {free / 1024**3:.1f} GiB of disk are free; fetching and building needs 6 GiB",
            where=str(programs_dir),
            cure="Free some space, or set XDG_CACHE_HOME to a larger disk.",
        )


@contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    """One set-up at a time: a second one waits, says so, and then finds the work done."""
    with lock.open("a") as file:
        started = last_news = time.monotonic() - LOCK_NEWS_S
        while not _locked(file.fileno()):
            if time.monotonic() - last_news >= LOCK_NEWS_S:
                last_news = time.monotonic()
                waited = last_news - started - LOCK_NEWS_S
                progress(f"another set-up holds {lock}: waiting for it … {waited:.0f} s")
            time.sleep(LOCK_POLL_S)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _installed(program: Program, programs_dir: Path) -> Installed:
    match program.source:
        case GoSource():
            folder = _folder(program, programs_dir)
            return Installed(program.id, program.version, folder, folder / program.id)
        case MavenSource(path):
            folder = _folder(program, programs_dir)
            return Installed(program.id, program.version, folder, folder / path)
        case DebianSource() as source:
            return _installed_debian(program, source, programs_dir)


def _folder(program: Program, programs_dir: Path) -> Path:
    unit = _unit(program)
    assert unit is not None
    return unit.folder(programs_dir)


def _installed_debian(program: Program, source: DebianSource, programs_dir: Path) -> Installed:
    if path := _on_system(source):
        home, env = Path("/usr"), dict[str, str]()
    else:
        root = _debian_unit(program).folder(programs_dir)
        home, env = root / "usr", {"LD_LIBRARY_PATH": library_path(root)}
        path = _in_folder(source, home) or next(
            home / folder / source.command for folder in ("sbin", "bin") if (home / folder / source.command).exists()
        )
    version = _ask_version(source, path, env)
    return Installed(program.id, version, home, path, env)


def _ask_version(source: DebianSource, path: Path, env: dict[str, str]) -> str:
    said = re.search(r"(\d+)\.(\d+)(\.\d+)?", ask((str(path), *source.version_question), env))
    if said is None:
        return "of unknown version"
    if (int(said[1]), int(said[2])) < source.minimum:
        wanted = ".".join(map(str, source.minimum))
        raise SetupError(
            f"{source.command} {said[0]} is too old: {wanted} or newer is needed",
            where=str(path),
            cure=f"Install a newer {source.command}, or use `--backend docker`.",
        )
    return said[0]


def _table(programs: Mapping[ProgramId, Installed]) -> Table:
    table = Table("program", "version", "stands in for", "from", title=f"programs in {_programs_dir()}")
    for found in programs.values():
        fetched = found.path.is_relative_to(_programs_dir())
        table.add_row(found.id, found.version, found.stands_in_for, "cache" if fetched else str(found.path))
    return table


def main() -> int:
    """The command line; the exit codes are the suite's own (architecture.md, "Run verdict")."""
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.programs", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fetch nothing, only say what is there")
    wants_check = parser.parse_args().check
    console = Console()
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    try:
        if wants_check and (missing := missing_units()):
            console.print(f"missing: {', '.join(missing)}. Run `make setup`.")
            return 2
        console.print(_table(ensure()))
    except SuiteError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
