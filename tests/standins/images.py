"""Stand-in images under the public tags, built once a recipe and kept in the engine's data (README.md)."""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import yaml
from docker.errors import ImageNotFound

from core.settings import ROOT
from infra.docker.engine import STAND_IN_LABEL
from infra.docker.site import PLATFORM
from infra.docker.variables import portal_image
from infra.embedded.programs import PROGRAMS, Installed, ProgramId, ensure

log = logging.getLogger("tests")

HERE = Path(__file__).parent
PORTAL = ROOT / "infra" / "portal"
RECIPE_LABEL = "perf-suite.recipe"
PACKAGES = (
    "ca-certificates",
    "curl",
    "wget",
    "python3",
    "python3-pip",
    "mariadb-server-core",
    "mariadb-client",
    "redis-server",
    "prometheus",
    "prometheus-redis-exporter",
    "openjdk-17-jre-headless",
)
"""What the base holds: Debian's programs, and what the others run on."""
STAND_IN = ROOT / "tests" / "grafana_stand_in.py"
LOG4J = "log4j2.properties"
BASE = "perf-suite-test/base"
KAFKA_EXPORTERS_PACKAGES = ("kafka-python-ng", "crc32c", "prometheus-client")
IMAGES = {
    "mysql": "mysql",
    "redis": "redis",
    "kafka": "kafka",
    "elasticsearch": "elasticsearch",
    "zipkin": "zipkin",
    "prometheus": "prometheus",
    "cadvisor": "cadvisor",
    "mysql-exporter": "mysqld-exporter",
    "redis-exporter": "redis-exporter",
    "kafka-exporter": "kafka-exporter",
    "grafana": "grafana",
}
"""Service of the compose file -> folder of its stand-in."""


def ensure_images(client: docker.DockerClient) -> None:
    """Every image of compose.platform.yml; seconds when they are there already."""
    stand_ins = _stand_ins(ensure())
    base = _ensure_base(client)
    _ensure(client, "python:3.11-slim", HERE / "python", {"BASE": base}, "Debian's Python 3", {})
    with _wheels() as find_links:
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": find_links}
        for service, folder in IMAGES.items():
            tag = yaml.safe_load(PLATFORM.read_text())["services"][service]["image"]
            arguments = pip if folder == "kafka-exporter" else {"BASE": base}
            _ensure(client, tag, HERE / folder, arguments, *stand_ins[folder])
        _ensure(client, portal_image(), PORTAL, pip, "", {})


def _stand_ins(programs: Mapping[ProgramId, Installed]) -> dict[str, tuple[str, dict[str, Path]]]:
    """Folder -> what the image stands in with, and the files that its context needs besides the folder."""
    infra = ROOT / "infra"

    def named(program: ProgramId) -> str:
        return f"{PROGRAMS[program].product} {programs[program].version}"

    def path(program: ProgramId) -> Path:
        return programs[program].path

    exporter = ("__init__.py", "kafka_ready.py", "embedded/__init__.py", "embedded/kafka_exporter.py")
    return {
        "grafana": ("A server of the tests' own after Grafana's documented API", {STAND_IN.name: STAND_IN}),
        "mysql": ("MariaDB of Debian", {}),
        "redis": ("Redis of Debian", {}),
        "prometheus": ("Prometheus of Debian", {}),
        "redis-exporter": ("redis_exporter of Debian", {}),
        "kafka": (
            named(ProgramId.KAFKA),
            {"lib": path(ProgramId.KAFKA), LOG4J: infra / "kafka" / LOG4J},
        ),
        "elasticsearch": (
            named(ProgramId.ELASTICSEARCH),
            {"dist": path(ProgramId.ELASTICSEARCH), LOG4J: infra / "elasticsearch" / LOG4J},
        ),
        "zipkin": (named(ProgramId.ZIPKIN), {"zipkin-server.jar": path(ProgramId.ZIPKIN)}),
        "cadvisor": (named(ProgramId.CADVISOR), {"cadvisor": path(ProgramId.CADVISOR)}),
        "mysqld-exporter": (named(ProgramId.MYSQLD_EXPORTER), {"mysqld_exporter": path(ProgramId.MYSQLD_EXPORTER)}),
        "kafka-exporter": (
            "Python of ours",
            {
                **{f"infra/{name}": infra / name for name in (*exporter, "embedded/kafka_cluster.py")},
                "requirements.txt": _locked(KAFKA_EXPORTERS_PACKAGES),
            },
        ),
    }


def _ensure(
    client: docker.DockerClient, tag: str, folder: Path, arguments: dict[str, str], label: str, files: dict[str, Path]
) -> None:
    recipe = _recipe(folder, label, arguments.get("BASE", ""), files)
    if _has(client, tag, recipe):
        return
    log.info("building the stand-in for %s", tag)
    with tempfile.TemporaryDirectory(prefix="ps-image-") as name:
        context = Path(name) / "context"
        shutil.copytree(folder, context)
        for inside, source in files.items():
            _link(source, context / inside)
        labels = {RECIPE_LABEL: recipe, **({STAND_IN_LABEL: label} if label else {})}
        client.images.build(
            path=str(context), tag=tag, buildargs=arguments, labels=labels, network_mode="host", rm=True, forcerm=True
        )


def _has(client: docker.DockerClient, tag: str, recipe: str) -> bool:
    try:
        return bool(client.images.get(tag).labels.get(RECIPE_LABEL) == recipe)
    except ImageNotFound:
        return False


def _recipe(folder: Path, label: str, base: str, files: Mapping[str, Path]) -> str:
    """A folder among `files` is a program's, whose own folder carries its recipe's stamp."""
    digest = hashlib.sha256(f"{label} {base}".encode())
    own = {str(file.relative_to(folder)): file for file in folder.rglob("*") if "__pycache__" not in file.parts}
    for name, path in sorted({**own, **files}.items()):
        digest.update(name.encode() + b"\0")
        digest.update(path.read_bytes() if path.is_file() else path.parent.name.encode() if name in files else b"")
    return digest.hexdigest()[:12]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy(source, target)


def _ensure_base(client: docker.DockerClient) -> str:
    """The tag of the base: Debian with `PACKAGES`, from the mirror that this machine's apt uses."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    stamp = hashlib.sha256(" ".join((release, *PACKAGES)).encode()).hexdigest()[:12]
    tag = f"{BASE}:{stamp}"
    try:
        client.images.get(tag)
    except ImageNotFound:
        _make_base(client, release, stamp)
    return tag


def _make_base(client: docker.DockerClient, release: str, stamp: str) -> None:
    log.info("making the base image with debootstrap, about a minute")
    mirror = _asked("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()[0]
    with tempfile.TemporaryDirectory(prefix="ps-base-", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "root"
        include = ",".join(PACKAGES)
        _asked("debootstrap", "--variant=minbase", f"--include={include}", release, str(root), mirror)
        left_out = (
            "./var/cache/apt",
            "./var/lib/apt/lists",
            "./usr/share/doc",
            "./usr/share/locale",
            "./proc",
            "./sys",
        )
        command = ["tar", "-C", str(root), "-c", *(f"--exclude={path}/*" for path in left_out), "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
            assert tar.stdout is not None
            client.api.import_image_from_stream(tar.stdout, repository=BASE, tag=stamp)


def _asked(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, f"{command[0]}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout


def _locked(names: tuple[str, ...]) -> Path:
    """A requirements file with these packages' lines of the suite's lock, hashes included."""
    blocks = (ROOT / "requirements.lock").read_text(encoding="utf-8").split("\n\n")[-1]
    entries = [entry for entry in _entries(blocks) if entry.split("==")[0].split("[")[0] in names]
    file = Path(tempfile.gettempdir()) / "ps-kafka-exporter-requirements.txt"
    file.write_text("\n".join(entries) + "\n", encoding="utf-8")
    return file


def _entries(text: str) -> Iterator[str]:
    """Each package of a lock with its hashes, joined to one line."""
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        if "==" in entry:
            yield entry


@contextmanager
def _wheels() -> Iterator[str]:
    """An address on loopback at which a build finds the wheels that both Python images need."""
    with tempfile.TemporaryDirectory(prefix="ps-wheels-") as folder:
        for requirements in (PORTAL / "requirements.txt", _locked(KAFKA_EXPORTERS_PACKAGES)):
            _asked(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
                *("--only-binary=:all:", "--python-version=3.11", "-d", folder, "-r", str(requirements)),
            )
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *_arguments: object) -> None:
        log.debug("%s", format)
