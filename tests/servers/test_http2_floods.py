"""Clients of HTTP/2 that send frames and read nothing: each kind costs little, and nobody else is hurt."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Protocol

import httpx2
import pytest
from hpack import Encoder

BOUND = 16 * 2**20
MOST = 32 * 2**20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PRIORITY, HEADERS, RESET, SETTINGS, PING, CONTINUATION = 2, 1, 3, 4, 6, 9
END_OF_ALL = 5


class Running(Protocol):
    """What the fixture ``server`` is."""

    log: Path

    def connect(self) -> socket.socket: ...


pytestmark = pytest.mark.parametrize(
    "server", ["granian-asgi", "granian-rsgi", "hypercorn"], indirect=True, scope="module"
)


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def request(encoder: Encoder, stream: int, path: str = "/page") -> bytes:
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", path)]
    return frame(HEADERS, stream, encoder.encode(fields), END_OF_ALL)


def pings() -> Iterator[bytes]:
    while True:
        yield frame(PING, 0, b"12345678")


def settings() -> Iterator[bytes]:
    while True:
        yield frame(SETTINGS, 0)


def resets() -> Iterator[bytes]:
    encoder = Encoder()
    for stream in count(1, 2):
        yield request(encoder, stream) + frame(RESET, stream, b"\0\0\0\x08")


def requests() -> Iterator[bytes]:
    encoder = Encoder()
    for stream in count(1, 2):
        yield request(encoder, stream)


def priorities() -> Iterator[bytes]:
    for stream in count(1, 2):
        yield frame(PRIORITY, stream % 2**31, b"\0\0\0\0\x10")


def endless_head() -> Iterator[bytes]:
    yield frame(HEADERS, 1, b"\x82")
    while True:
        yield frame(CONTINUATION, 1, b"\x00\x01a\x01b" * 200)


def empty_pieces_of_a_head() -> Iterator[bytes]:
    yield frame(HEADERS, 1, b"\x82")
    while True:
        yield frame(CONTINUATION, 1)


def blown_up_head() -> Iterator[bytes]:
    """One field of 4 kB in the table, named by a byte each time."""
    field = b"\x40\x01a\x7f" + b"\xa1\x1e" + b"x" * 4000
    yield frame(HEADERS, 1, b"\x82\x86\x84" + field + b"\xbe" * 12_000, END_OF_ALL)


def memory_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


@pytest.mark.parametrize(
    "flood",
    [
        pings,
        settings,
        resets,
        requests,
        priorities,
        endless_head,
        empty_pieces_of_a_head,
        blown_up_head,
    ],
)
def test_a_flood_costs_little_and_hurts_nobody(
    server: Running, client: httpx2.Client, flood: Callable[[], Iterator[bytes]]
) -> None:
    pid, said = client.get("/producer").json()["pid"], server.log.read_text()
    before = memory_of(pid)
    with server.connect() as sock:
        sock.settimeout(1.0)
        sent, block = 0, [PREFACE, frame(SETTINGS, 0)]
        # It is held up, or the connection ends.
        with contextlib.suppress(OSError):
            for each in flood():
                block.append(each)
                if len(block) == 500:
                    sock.sendall(b"".join(block))
                    sent += len(b"".join(block))
                    block.clear()
                    if sent > MOST:
                        break
            sock.sendall(b"".join(block))
        assert client.get("/page").status_code == 200

    assert memory_of(pid) - before < BOUND
    assert server.log.read_text() == said
