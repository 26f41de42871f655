"""``oxidite.cli.dev.stand_in``: an answer while nothing works."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from oxidite.cli.dev.stand_in import StandIn

TIMEOUT = 10.0


@pytest.fixture
async def stand_in() -> AsyncIterator[tuple[StandIn, socket.socket]]:
    """A stand-in and the socket it answers on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        found = StandIn(sock)
        await found.show("LookupError: <script>")
        yield found, sock
        found.close()


async def ask(sock: socket.socket, request: bytes) -> bytes:
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


StandInFixture = tuple[StandIn, socket.socket]


async def test_a_browser_gets_a_page(stand_in: StandInFixture) -> None:
    answer = await ask(stand_in[1], b"GET /any HTTP/1.1\r\nhost: x\r\nAccept: text/html\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"\r\ncontent-type: text/html; charset=utf-8\r\n" in head
    assert b"\r\ncontent-length: %d\r\n" % len(body) in head
    assert b"\r\ncache-control: no-store\r\n" in head
    assert b"\r\nx-oxidite-reload: failed" in head
    assert b"LookupError: &lt;script&gt;" in body
    assert b"<script>" not in body


async def test_a_program_gets_text(stand_in: StandInFixture) -> None:
    answer = await ask(stand_in[1], b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")

    assert b"content-type: text/plain; charset=utf-8" in answer
    assert answer.endswith(b"LookupError: <script>\n")


async def test_head_gets_no_body(stand_in: StandInFixture) -> None:
    answer = await ask(stand_in[1], b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")

    assert answer.endswith(b"\r\n\r\n")


async def test_a_client_that_sends_a_body_gets_the_answer_too(stand_in: StandInFixture) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n"
    answer = await ask(stand_in[1], head + b"x" * 300_000)

    assert answer.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("junk", [b"x" * 200_000, b"\r\n" * 3])
async def test_junk_is_answered_or_dropped(stand_in: StandInFixture, junk: bytes) -> None:
    try:
        answer = await ask(stand_in[1], junk)
    except ConnectionError:
        answer = b""

    assert answer == b"" or answer.startswith(b"HTTP/1.1 500")


async def test_the_newest_failure_is_shown(stand_in: StandInFixture) -> None:
    found, sock = stand_in
    await found.show("ValueError: another")

    assert b"another" in await ask(sock, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")


async def test_after_closing_connections_wait_for_whoever_comes_next(
    stand_in: StandInFixture,
) -> None:
    found, sock = stand_in
    found.close()
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await found.show("back again")
    async with asyncio.timeout(TIMEOUT):
        answer = await reader.read()
    writer.close()

    assert b"back again" in answer
