"""What a type checker knows of a WebSocket; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any, assert_type

from msgspec import Struct

from oxidite import Oxidite
from oxidite.testing import Client
from oxidite.websocket import WebSocket

app = Oxidite(websocket={"origins": ["https://app.example.com"], "idle": 60})


class Ask(Struct):
    text: str


class Answer(Struct):
    text: str


@app.websocket("/typed", subprotocols={"v1": "json"}, rate=5, burst=10)
async def typed(socket: WebSocket[Ask, Answer]) -> None:
    async for message in socket:
        assert_type(message, Ask)
        await socket.send(Answer(message.text))
        await socket.send(message)  # type: ignore[arg-type]  # it sends answers
    assert_type(await socket.receive(), Ask)


@app.websocket("/plain")
async def plain(socket: WebSocket) -> None:
    async for message in socket:
        assert_type(message, str | bytes)
        await socket.send(message)
    assert_type(await socket.receive_text(), str)
    assert_type(await socket.receive_bytes(), bytes)
    assert_type(await socket.receive_json(), Any)
    assert_type(await socket.receive_json(Ask), Ask)


async def other_end(client: Client) -> None:
    async with client.websocket("/typed", subprotocols=["v1"]) as socket:
        assert_type(await socket.receive_json(Answer), Answer)
        async for message in socket:
            assert_type(message, str | bytes)
