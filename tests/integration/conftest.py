"""The reference portal with everything behind it, once for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from core.ports import PORTAL, STORES, ServiceId
from infra.embedded.catalogue import open_backend


@dataclass(frozen=True)
class PortalUrls:
    """Base URL of each process, and of Zipkin."""

    gateway: str
    auth: str
    blog: str
    shopping: str
    notification: str
    zipkin: str


@pytest.fixture(scope="session")
def portal_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalUrls]:
    """A portal on free ports; every request is traced, as the tests read the traces back."""
    state_dir = tmp_path_factory.mktemp("portal") / "stack"
    services = (*STORES, *PORTAL, ServiceId.ZIPKIN)
    with open_backend(any_ports=True, state_dir=state_dir) as backend:
        backend.start(services)
        backend.wait_ready(services)
        yield PortalUrls(
            gateway=f"http://{backend.endpoint(ServiceId.GATEWAY)}",
            auth=f"http://{backend.endpoint(ServiceId.AUTH)}",
            blog=f"http://{backend.endpoint(ServiceId.BLOG)}",
            shopping=f"http://{backend.endpoint(ServiceId.SHOPPING)}",
            notification=f"http://{backend.endpoint(ServiceId.NOTIFICATION)}",
            zipkin=f"http://{backend.endpoint(ServiceId.ZIPKIN)}",
        )
