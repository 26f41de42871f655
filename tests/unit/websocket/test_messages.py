"""What is received and sent."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from oxidite import Depends, Oxidite
from oxidite.testing import Client
from oxidite.websocket import CloseCode, ClosedError, InvalidMessageError, WebSocket
from oxidite.websocket.codes import cut_reason, is_sendable


class Say(Struct, tag="say"):
    text: Annotated[str, Meta(max_length=5)]


class Count(Struct, tag="count"):
    to: int


class Said(Struct):
    text: str


class Model(pydantic.BaseModel):
    text: str


async def closing(app: Oxidite, *messages: str | bytes, path: str = "/talk") -> tuple[int, str]:
    """Send, and return how the application closes."""
    async with Client(app) as client, client.websocket(path) as socket:
        for message in messages:
            await socket.send(message)
        async for _ in socket:
            pass
        assert socket.closing is not None
        return socket.closing.code, socket.closing.reason


def typed() -> Oxidite:
    app = Oxidite()

    @app.websocket("/talk")
    async def talk(socket: WebSocket[Say | Count, Said]) -> None:
        async for message in socket:
            text = message.text if isinstance(message, Say) else "x" * message.to
            await socket.send(Said(text))

    @app.websocket("/packed", format="msgpack")
    async def packed(socket: WebSocket[Say | Count, Said]) -> None:
        await talk(socket)

    return app


class TestTyped:
    async def test_json_is_text(self) -> None:
        async with Client(typed()) as client, client.websocket("/talk") as socket:
            await socket.send_json(Say("hi"))
            assert await socket.receive() == '{"text":"hi"}'
            await socket.send_bytes(b'{"type":"count","to":2}')  # JSON all the same
            assert await socket.receive_json(Said) == Said("xx")

    async def test_message_pack_is_bytes(self) -> None:
        async with Client(typed()) as client, client.websocket("/packed") as socket:
            await socket.send(msgspec.msgpack.encode(Say("hi")))
            assert msgspec.msgpack.decode(await socket.receive_bytes()) == {"text": "hi"}

    @pytest.mark.parametrize(
        ("path", "message", "code", "reason"),
        [
            (
                "/talk",
                '{"type":"say","text":"longer"}',
                1007,
                "/text: Expected `str` of length <= 5.",
            ),
            ("/talk", '{"type":"say"}', 1007, "/text: "),
            ("/talk", '{"type":"other"}', 1007, ""),
            ("/talk", "{", 1007, ""),
            ("/talk", "", 1007, ""),
            ("/talk", b"\xff", 1007, ""),
            ("/talk", "[" * 100_000, 1007, ""),
            ("/packed", b"\xc1", 1007, ""),
            ("/packed", b"", 1007, ""),
            ("/packed", "text", 1003, "Bytes are wanted here, not text."),
        ],
    )
    async def test_what_does_not_fit_closes(
        self, path: str, message: str | bytes, code: int, reason: str
    ) -> None:
        found = await closing(typed(), message, path=path)
        assert found[0] == code
        assert found[1].startswith(reason)
        assert len(found[1].encode()) <= 123

    async def test_a_handler_may_go_on_after_it(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket[Say, str]) -> None:
            with pytest.raises(InvalidMessageError, match="/text"):
                await socket.receive()
            await socket.send((await socket.receive()).text)

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send_json({"type": "say", "text": 3})
            await socket.send_json({"type": "say", "text": "hi"})
            assert await socket.receive() == "hi"

    async def test_text_and_bytes_are_themselves(self) -> None:
        app = Oxidite()

        @app.websocket("/text")
        async def text(socket: WebSocket[str, str]) -> None:
            async for message in socket:
                await socket.send(message.upper())

        @app.websocket("/bytes")
        async def data(socket: WebSocket[bytes, bytes]) -> None:
            async for message in socket:
                await socket.send(message[::-1])

        async with Client(app) as client:
            async with client.websocket("/text") as socket:
                await socket.send("hi")
                assert await socket.receive() == "HI"
            async with client.websocket("/bytes") as socket:
                await socket.send(b"hi")
                assert await socket.receive() == b"ih"
        assert await closing(app, b"hi", path="/text") == (1003, "Text is wanted here, not bytes.")
        assert (await closing(app, "hi", path="/bytes"))[0] == 1003

    async def test_a_model_is_data_too(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket[Model, Model]) -> None:
            async for message in socket:
                await socket.send(message)

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send('{"text":"hi"}')
            assert await socket.receive() == '{"text":"hi"}'
        assert (await closing(app, '{"text":3}'))[0] == 1007


class TestByHand:
    async def test_everything_passes(self) -> None:
        app, seen = Oxidite(), list[object]()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            seen.append(await socket.receive())
            seen.append(await socket.receive_text())
            seen.append(await socket.receive_bytes())
            seen.append(await socket.receive_json())
            seen.append(await socket.receive_json(Said))
            await socket.send("text")
            await socket.send(bytearray(b"array"))  # type: ignore[arg-type]  # it works all the same
            await socket.send_text("text")
            await socket.send_bytes(b"bytes")
            await socket.send_json({"a": 1})

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send_bytes(b"any")
            await socket.send_text("text")
            await socket.send_bytes(b"bytes")
            await socket.send_text("[1]")
            await socket.send_json(Said("x"))
            answers = [message async for message in socket]
        assert seen == [b"any", "text", b"bytes", [1], Said("x")]
        assert answers == ["text", b"array", "text", b"bytes", '{"a":1}']

    @pytest.mark.parametrize(
        ("what", "code"), [("text", 1003), ("bytes", 1003), ("json", 1007), ("said", 1007)]
    )
    async def test_another_kind_closes(self, what: str, code: int) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            match what:
                case "text":
                    await socket.receive_text()
                case "bytes":
                    await socket.receive_bytes()
                case "json":
                    await socket.receive_json()
                case "said":
                    await socket.receive_json(Said)

        message = b"{" if what == "text" else "{" if what != "said" else "{}"
        assert (await closing(app, message))[0] == code

    async def test_what_is_neither_text_nor_bytes_is_a_mistake(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            with pytest.raises(TypeError, match="Use send_json"):
                await socket.send({"a": 1})  # type: ignore[arg-type]  # the point
            assert repr(socket) == "<WebSocket /talk>"
            assert socket.request.path == "/talk"

        assert await closing(app) == (1000, "")

    async def test_a_dependency_may_use_it(self) -> None:
        app = Oxidite()

        async def name(socket: WebSocket[str, str]) -> str:
            return await socket.receive()

        @app.websocket("/talk")
        async def talk(socket: WebSocket, name: str = Depends(name)) -> None:
            await socket.send(f"hello {name}")

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send("Ann")
            assert await socket.receive() == "hello Ann"

    async def test_one_task_receives_and_others_send(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            first = asyncio.create_task(socket.receive())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="Two tasks receive"):
                await socket.receive()
            await asyncio.gather(*(socket.send(str(number)) for number in range(10)))
            await socket.send(await first)

        async with Client(app) as client, client.websocket("/talk") as socket:
            assert [await socket.receive() for _ in range(10)] == [str(n) for n in range(10)]
            await socket.send("last")
            assert await socket.receive() == "last"


class TestCodes:
    @given(st.text())
    def test_a_reason_fits_and_is_text(self, reason: str) -> None:
        cut = cut_reason(reason)
        assert len(cut.encode()) <= 123
        if len(reason.encode("utf-8", "replace")) <= 123:
            assert cut == reason.encode("utf-8", "replace").decode()

    def test_a_long_reason_is_cut_between_characters(self) -> None:
        assert cut_reason("ü" * 200) == "ü" * 60 + "…"

    @given(st.integers())
    def test_a_code_can_be_sent_or_not(self, code: int) -> None:
        assert is_sendable(code) == (
            3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006, 1010))
        )

    async def test_a_code_that_cannot_be_sent_is_a_mistake(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            with pytest.raises(ValueError, match="1006 is not a code"):
                await socket.close(1006)
            await socket.close(CloseCode.TRY_LATER, "later")
            await socket.close(4000)  # does nothing

        assert await closing(app) == (1013, "later")

    def test_an_error_says_how_it_ended(self) -> None:
        error = ClosedError(4000, "enough")
        assert (error.close_code, error.reason) == (4000, "enough")
        assert str(error) == "The WebSocket is closed (4000 enough)."
