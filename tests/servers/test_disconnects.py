"""What becomes of a request whose client goes away."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

import httpx2
import pytest

streams = pytest.mark.parametrize(
    "server", ["uvicorn-h11", "uvicorn-httptools", "granian-asgi", "hypercorn"], indirect=True
)
"""Over RSGI nothing is streamed; test_rsgi.py says what is answered instead."""


class Running(Protocol):
    """What the fixture ``server`` is."""

    def connect(self) -> socket.socket: ...


class Eventually(Protocol):
    """What the fixture ``eventually`` is."""

    def __call__(self, condition: Callable[[], bool]) -> None: ...


class Journal(Protocol):
    """What the fixture ``journal`` is."""

    def __call__(self) -> list[str]: ...


@pytest.fixture
def journal(client: httpx2.Client) -> Journal:
    """What the application wrote since the test began."""
    before = len(client.get("/journal").json())

    def read() -> list[str]:
        lines: list[str] = client.get("/journal").json()
        return lines[before:]

    return read


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"{line} HTTP/1.1", "host: x", *headers, "", "")).encode()


@streams
def test_a_stream_ends_with_its_reader(
    server: Running, journal: Journal, eventually: Eventually
) -> None:
    with server.connect() as sock:
        sock.sendall(request("GET /endless"))
        assert sock.recv(1000)

    eventually(lambda: journal() == ["stream ended"])


@streams
def test_a_stream_that_never_waits_ends_with_its_reader(
    server: Running, journal: Journal, eventually: Eventually
) -> None:
    # Before anybody watches it: what is sent from then on is dropped, and sending waits for nothing.
    with server.connect() as sock:
        sock.sendall(request("GET /torrent"))
        assert sock.recv(1000)

    eventually(lambda: journal() == ["torrent ended"])


@streams
@pytest.mark.parametrize("size", [5, 50_000, 500_000])
def test_a_body_that_nobody_reads_hides_no_disconnect(
    server: Running, journal: Journal, eventually: Eventually, size: int
) -> None:
    with server.connect() as sock:
        sock.sendall(request("GET /endless", f"content-length: {size}") + b"x" * size)
        assert sock.recv(1000)

    eventually(lambda: journal() == ["stream ended"])


def test_a_handler_of_get_is_cancelled(
    server: Running, journal: Journal, eventually: Eventually
) -> None:
    with server.connect() as sock:
        sock.sendall(request("GET /wait"))
        eventually(lambda: journal() == ["waiting"])

    eventually(lambda: journal() == ["waiting", "cancelled"])


def test_a_handler_of_post_is_not(
    server: Running, journal: Journal, eventually: Eventually
) -> None:
    with server.connect() as sock:
        sock.sendall(request("POST /wait", "content-length: 0"))
        eventually(lambda: journal() == ["begun"])

    eventually(lambda: journal() == ["begun", "done all the same"])


def test_a_body_that_breaks_off_harms_nobody(server: Running, client: httpx2.Client) -> None:
    with server.connect() as sock:
        sock.sendall(request("POST /size", "content-length: 10") + b"abc")

    assert client.get("/").text == "hello"


def test_a_client_that_resets_the_connection_harms_nobody(
    server: Running, client: httpx2.Client
) -> None:
    with server.connect() as sock:
        sock.sendall(request("GET /endless"))
        sock.recv(10)
        # Closing sends a reset instead of an end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert client.get("/").text == "hello"
