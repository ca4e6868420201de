"""Inside the namespace: its addresses, its hosts file, and an eye on every packet that leaves for elsewhere.

Elsewhere is real here: the addresses stand on this network's own interface, so that whatever is sent to them is sent.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

ELSEWHERE = (
    "192.0.2.1/32",
    "192.0.2.53/32",  # the resolver
    "192.168.1.1/32",  # 3232235777
    "10.1.2.3/32",
    "169.254.169.254/32",
    "2001:db8::1/128",
)
OTHER_PORT = 9
"""A port of this machine that no profile of these tests allows."""
_OUTGOING = 4
_PACKET_STATISTICS = 6
_BUFFER = 64 * 2**20


def set_up() -> None:
    """The interface with all addresses; a hosts file and a resolver of our own."""
    _ip("link", "set", "lo", "up")
    for address in ELSEWHERE:
        _ip("addr", "add", address, "dev", "lo")
    write_hosts()
    Path("/etc/resolv.conf").write_text("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n", encoding="utf-8")


def write_hosts(*lines: str) -> None:
    """What names stand for from now on; localhost is this machine unless a line says otherwise."""
    own = () if any("localhost" in line for line in lines) else ("127.0.0.1 localhost",)
    Path("/etc/hosts").write_text("\n".join((*own, *lines, "")), encoding="utf-8")


class Eye:
    """Sees what is sent to elsewhere, from when it is opened."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # every protocol
        self._socket.setsockopt(socket.SOL_SOCKET, 33, _BUFFER)  # SO_RCVBUFFORCE
        self._socket.bind(("lo", 0))
        self._socket.setblocking(False)

    def seen(self) -> Sequence[str]:
        """`protocol address:port` of each packet to elsewhere since the last question; AssertionError if it missed any.

        A packet on this interface is in the socket's buffer when the call that sent it returns: no waiting is needed.
        """
        found = [packet for packet in self._packets() if packet]
        _, dropped = struct.unpack("II", self._socket.getsockopt(263, _PACKET_STATISTICS, 8))  # SOL_PACKET
        assert dropped == 0, f"{dropped} packets were not seen"
        return found

    def _packets(self) -> Iterator[str]:
        while True:
            try:
                packet, (_, _, kind, *_) = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            if kind == _OUTGOING:
                yield _to_elsewhere(packet)


def _to_elsewhere(packet: bytes) -> str:
    """Where a packet goes, if that is elsewhere."""
    version = packet[0] >> 4
    if version == 4:
        protocol, address, body = packet[9], ipaddress.ip_address(packet[16:20]), packet[(packet[0] & 15) * 4 :]
        source = ipaddress.ip_address(packet[12:16])
    else:
        protocol, address, body = packet[6], ipaddress.ip_address(packet[24:40]), packet[40:]
        source = ipaddress.ip_address(packet[8:24])
    port = int.from_bytes(body[2:4], "big") if protocol in (6, 17) else 0
    if address.is_loopback and source.is_loopback and port != OTHER_PORT:
        return ""
    return f"{ {6: 'tcp', 17: 'udp'}.get(protocol, protocol) } {address}:{port}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
