"""One large answer that is made while it is sent: how fast it comes, and what it costs in memory."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contract import STREAM_PIECE
from benchmarks.measure import cpu_seconds
from benchmarks.servers import CLIENT_CORE, Server, ServerFailedError, affinity

_WITHIN = 120.0
_REQUEST = "GET /stream/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Stream:
    """What one download showed."""

    target: str
    size: int
    seconds: float
    cpu: float
    """Seconds of CPU of the server."""
    memory: int
    """Bytes by which the server's processes grew at their largest."""

    @property
    def per_second(self) -> float:
        return self.size / self.seconds


def download(server: Server, size: int) -> Stream:
    """Take an answer of about `size` bytes as fast as it comes.

    Raises:
        ServerFailedError: it did not come whole.
    """
    pieces = -(-size // STREAM_PIECE)
    pids = server.pids()
    before = _memory(pids, "VmRSS")
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is what it is now; proc(5)
    cpu, started = cpu_seconds(pids), time.perf_counter()
    received, end = _received(server.port, _REQUEST.format(pieces).encode())
    seconds, cpu = time.perf_counter() - started, cpu_seconds(pids) - cpu
    peak = _memory(pids, "VmHWM")
    server.check()
    wanted = pieces * STREAM_PIECE
    # The framing of chunks comes on top: some bytes for each.
    if not wanted <= received < wanted * 1.01 or end != _END:
        raise ServerFailedError(f"sent {received:,} bytes of {wanted:,}, the last of them {end!r}")
    return Stream(server.target.label, wanted, seconds, cpu, peak - before)


def _received(port: int, request: bytes) -> tuple[int, bytes]:
    """How many bytes came for a request until the end of the connection, and the last of them."""
    total, end = 0, b""
    with affinity(CLIENT_CORE), socket.create_connection(("127.0.0.1", port), _WITHIN) as sock:
        try:
            sock.sendall(request)
            for piece in _pieces(sock):
                total += len(piece)
                end = (end + bytes(piece[-len(_END) :]))[-len(_END) :]
        except OSError as error:
            raise ServerFailedError(f"broke off after {total:,} bytes: {error}") from None
    return total, end


def _pieces(sock: socket.socket) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(1024 * 1024))
    while count := sock.recv_into(buffer):
        yield buffer[:count]


def _memory(pids: frozenset[int], field: str) -> int:
    """The sum of a field of /proc/<pid>/status, in bytes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                total += int(line.split()[1]) * 1024
    return total
