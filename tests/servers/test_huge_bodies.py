"""A gigabyte of JSON is refused at the limit, and costs no more than that."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

GIGABYTE = 10**9
PIECE = b"[" * 65_536
BOUND = 16 * 2**20
SOON = 64 * 2**20
"""Bytes after which the client must have been told; the system's buffers are among them."""


class Running(Protocol):
    """What the fixture ``server`` is."""

    def connect(self) -> socket.socket: ...


def announced() -> Iterator[bytes]:
    yield b"content-length: %d\r\n\r\n" % GIGABYTE
    for _ in range(GIGABYTE // len(PIECE)):
        yield PIECE


def chunked() -> Iterator[bytes]:
    yield b"transfer-encoding: chunked\r\n\r\n"
    for _ in range(GIGABYTE // len(PIECE)):
        yield b"%x\r\n%s\r\n" % (len(PIECE), PIECE)


def peak_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


@pytest.mark.parametrize("body", [announced, chunked])
def test_a_gigabyte_of_json_costs_no_more_than_the_limit(
    server: Running, client: httpx2.Client, body: Callable[[], Iterator[bytes]]
) -> None:
    pid = client.get("/producer").json()["pid"]
    before = peak_of(pid)
    sent, answer = 0, b""
    with server.connect() as sock:
        sock.sendall(b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        # It may close the connection while there is something to send.
        with contextlib.suppress(ConnectionError):
            for piece in body():
                sock.sendall(piece)
                sent += len(piece)
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    answer += sock.recv(65_536)
                sock.settimeout(5.0)
                if answer:
                    break

    assert sent < SOON
    assert answer.startswith(b"HTTP/1.1 413") or not answer
    assert peak_of(pid) - before < BOUND
    assert client.get("/producer").status_code == 200
