"""What fills the compose files' `${…}`: folder, ports, generated passwords, and where the engine keeps its things."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from core.ports import ServiceId
from core.settings import NAME, ROOT, Settings
from infra.secrets import load_secrets


def state_folder(settings: Settings) -> Path:
    """Where this checkout's docker backend keeps passwords and generated configuration; this user's only."""
    folder = (settings.state_dir / "docker").absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def project_name(state: Path) -> str:
    """`perf-suite-<8 hex>`: two checkouts never meet in one project."""
    return f"{NAME}-{hashlib.sha256(str(state).encode()).hexdigest()[:8]}"


def secret_variables(state: Path) -> dict[str, str]:
    """The generated passwords, made on first use and kept beside the data that knows them."""
    secrets = load_secrets(state)
    return {
        "SUITE_MYSQL_ROOT_PASSWORD": secrets.mysql_root_password,
        "SUITE_PORTAL_PASSWORD": secrets.portal_password,
        "SUITE_EXPORTER_PASSWORD": secrets.exporter_password,
        "SUITE_JWT_SECRET": secrets.jwt_secret,
        "SUITE_GRAFANA_PASSWORD": hmac.digest(secrets.jwt_secret.encode(), b"grafana", "sha256").hex(),
    }


def port_variables(ports: Mapping[ServiceId, int]) -> dict[str, str]:
    """SUITE_PORT_<SERVICE> of each."""
    return {f"SUITE_PORT_{service.upper().replace('-', '_')}": str(port) for service, port in ports.items()}


def portal_image() -> str:
    """The tag of the portal's image: another portal is another image, so an old one is never taken for it."""
    files = sorted(file for file in (ROOT / "infra" / "portal").rglob("*") if file.is_file() and _matters(file))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{NAME}/portal:{digest.hexdigest()[:12]}"


def _matters(file: Path) -> bool:
    return "__pycache__" not in file.parts
