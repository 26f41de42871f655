"""The other end of a WebSocket, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from oxidite import Oxidite, Request
from oxidite.testing import Client, WebSocketDeniedError
from oxidite.websocket import ClosedError, WebSocket

Message = MutableMapping[str, Any]


def mounting(
    application: Callable[
        [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
        Awaitable[None],
    ],
) -> Oxidite:
    app = Oxidite()
    app.mount("/", application)
    return app


def echoing() -> Oxidite:
    app = Oxidite()

    @app.websocket("/echo")
    async def echo(socket: WebSocket, request: Request) -> None:
        await socket.send_json(
            {
                "url": str(request.url),
                "client": request.client,
                "cookies": request.cookies,
                "field": request.headers.get("x-field"),
                "version": request.http_version,
            }
        )
        async for message in socket:
            await socket.send(message)

    return app


async def test_it_asks_as_the_client_does() -> None:
    async with (
        Client(
            echoing(), base_url="https://example.com", cookies={"a": "1"}, client=("10.0.0.1", 5)
        ) as client,
        client.websocket("/echo?q=1", headers={"x-field": "2"}) as socket,
    ):
        assert await socket.receive_json() == {
            "url": "https://example.com/echo?q=1",
            "client": ["10.0.0.1", 5],
            "cookies": {"a": "1"},
            "field": "2",
            "version": "1.1",
        }
        assert socket.response.status_code == 101


async def test_messages_have_to_be_of_the_kind_that_is_asked_for() -> None:
    async with Client(echoing()) as client, client.websocket("/echo") as socket:
        await socket.receive()
        await socket.send("text")
        with pytest.raises(AssertionError, match="not bytes: 'text'"):
            await socket.receive_bytes()
        await socket.send(b"bytes")
        with pytest.raises(AssertionError, match="not text: b'bytes'"):
            await socket.receive_text()


async def test_nothing_is_sent_or_received_after_the_end() -> None:
    app = Oxidite()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.close(4000, "enough")

    async with Client(app) as client, client.websocket("/talk") as socket:
        for _ in range(2):
            with pytest.raises(ClosedError, match="4000 enough"):
                await socket.receive()
        with pytest.raises(ClosedError, match="4000 enough"):
            await socket.send("x")


async def test_leaving_does_not_wait_for_messages_to_be_read() -> None:
    app, log = Oxidite(), list[str]()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        try:
            while True:
                await socket.send("x")
        except ClosedError:
            log.append("ended")

    async with Client(app) as client, client.websocket("/talk") as socket:
        assert await socket.receive() == "x"
    assert log == ["ended"]


async def test_a_test_that_gives_up_leaves_nothing_behind() -> None:
    app, log = Oxidite(), list[str]()

    @app.websocket("/talk", grace=0.01)
    async def talk(socket: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    async with Client(app) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.websocket("/talk").__aenter__()
    assert log == ["ended"]


async def test_an_application_that_says_nothing_is_a_mistake() -> None:
    async def silent(scope: Message, receive: object, send: object) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("not known")

    async with Client(mounting(silent)) as client:
        with pytest.raises(RuntimeError, match="without an answer"):
            await client.websocket("/").__aenter__()


async def test_a_failure_of_a_mounted_application_is_raised() -> None:
    async def failing(scope: Message, receive: object, send: object) -> None:
        raise LookupError("it")

    async with Client(mounting(failing), raise_errors=False) as client:
        with pytest.raises(LookupError, match="it"):
            await client.websocket("/").__aenter__()


async def test_messages_that_make_no_sense_are_a_mistake() -> None:
    async def odd(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("not known")
        await send({"type": "http.response.start", "status": 200})

    async with Client(mounting(odd)) as client:
        with pytest.raises(RuntimeError, match=r"http\.response\.start makes no sense"):
            await client.websocket("/").__aenter__()


async def test_one_that_ends_without_closing_has_broken_the_connection() -> None:
    async def short(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("not known")
        await send({"type": "websocket.accept"})

    async with Client(mounting(short)) as client, client.websocket("/") as socket:
        with pytest.raises(ClosedError, match="1006"):
            await socket.receive()


async def test_the_error_says_what_was_answered() -> None:
    async with Client(Oxidite()) as client:
        with pytest.raises(WebSocketDeniedError, match=r"404.*nothing here") as caught:
            await client.websocket("/").__aenter__()
    assert caught.value.response.json()["status"] == 404
