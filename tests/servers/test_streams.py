"""Events and lines over real servers: when they begin, what ends them, both ways at once."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

pytestmark = pytest.mark.parametrize(
    "server", ["uvicorn-h11", "uvicorn-httptools", "granian-asgi", "hypercorn"], indirect=True
)


class Running(Protocol):
    """What the fixture ``server`` is."""

    @property
    def log(self) -> Path: ...
    def connect(self) -> socket.socket: ...


class Eventually(Protocol):
    """What the fixture ``eventually`` is."""

    def __call__(self, condition: Callable[[], bool]) -> None: ...


JSONL = {"content-type": "application/jsonl"}


def test_events_begin_before_there_is_one_and_end_with_their_reader(
    client: httpx2.Client, eventually: Eventually
) -> None:
    # Some servers keep the head back until there is a body, hence the comment.
    with client.stream("GET", "/quiet") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert next(response.iter_bytes()) == b":\n\n"
        assert "events ended" not in client.get("/journal").json()

    eventually(lambda: "events ended" in client.get("/journal").json())


def test_lines_go_in_and_out_in_chunks(client: httpx2.Client) -> None:
    def body() -> Iterator[bytes]:
        for number in range(1000):
            yield b'{"title":"%d"}\n' % number

    response = client.post("/titles", content=body(), headers=JSONL)
    assert response.text.splitlines() == [f'"{number}"' for number in range(1000)]


def test_a_wrong_line_is_an_answer_before_anything_was_sent(client: httpx2.Client) -> None:
    response = client.post("/titles", content=b'{"title":""}\n', headers=JSONL)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "#/0/title"


def test_lines_that_break_off_do_not_look_complete_and_are_logged_once(
    server: Running, client: httpx2.Client, eventually: Eventually
) -> None:
    with pytest.raises(httpx2.HTTPError):
        client.get("/broken-lines")

    eventually(lambda: "hidden detail of lines" in server.log.read_text())
    assert client.get("/").text == "hello"
    assert server.log.read_text().count("RuntimeError: hidden detail of lines") == 1


def test_a_handler_that_does_not_read_holds_the_sender_up(
    server: Running, client: httpx2.Client
) -> None:
    line = b'{"title":"one","tags":["%s"]}\n' % (b"x" * 1000)
    piece = b"%x\r\n%s\r\n" % (len(line) * 64, line * 64)
    head = b"POST /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"
    body = memoryview(piece * 512 + b"0\r\n\r\n")  # 32 MB
    with server.connect() as sock:
        sock.sendall(head + b"content-type: application/jsonl\r\n\r\n")
        sent = fill(sock, body)
        # What was taken is in the buffers of two sockets and of the server, and no more.
        assert 0 < sent < len(body) / 2

        client.post("/go-on")
        sock.settimeout(20)
        sock.sendall(body[sent:])
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert answer.endswith(b"\r\n\r\n%d" % (64 * 512))


def fill(sock: socket.socket, data: memoryview) -> int:
    """Send until nobody has taken anything for half a second; return how much was sent."""
    sock.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < len(data):
            sent += sock.send(data[sent:])
    return sent
