"""How a conversation ends, and what it may cost until then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

import pytest

from oxidite import ConflictError, ForbiddenError, HTTPError, Oxidite, Request, Response
from oxidite.clock import TravelClock, use
from oxidite.http import Handler
from oxidite.protocols import inflight
from oxidite.testing import Client, WebSocketSession
from oxidite.websocket import (
    ClosedError,
    RateExceededError,
    SlowClientError,
    WebSocket,
    WebSocketError,
)

BOUND = 3.0


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)


async def settled(event: asyncio.Event) -> None:
    async with asyncio.timeout(BOUND):
        await event.wait()


async def closing_of(socket: WebSocketSession) -> tuple[int, str]:
    async with asyncio.timeout(BOUND):
        async for _ in socket:
            pass
    assert socket.closing is not None
    return socket.closing.code, socket.closing.reason


class Wire:
    """A server whose client reads when it is told to, and that forgets to tell of its leaving."""

    def __init__(self, path: str = "/talk") -> None:
        self.scope: MutableMapping[str, Any] = {
            "type": "websocket",
            "path": path,
            "headers": [],
            "query_string": b"",
            "extensions": {},
        }
        self.to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.to_app.put_nowait({"type": "websocket.connect"})
        self.sent: list[MutableMapping[str, Any]] = []
        self.taken = 0
        self.is_broken = False
        self.reads = asyncio.Event()
        self.reads.set()

    def text(self, text: str) -> None:
        self.to_app.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self, code: int = 1001) -> None:
        self.to_app.put_nowait({"type": "websocket.disconnect", "code": code})

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self.to_app.get()
        self.taken += 1
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await self.reads.wait()
        if self.is_broken:
            raise OSError("gone")
        self.sent.append(message)

    async def run(self, app: Oxidite) -> None:
        async with asyncio.timeout(BOUND):
            await app(self.scope, self.receive, self.send)


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "code", "reason"),
        [
            (LookupError("hidden"), 1011, ""),
            (WebSocketError("own", 4004), 4004, "own"),
            (ForbiddenError("Not you."), 1008, "Not you."),
            (HTTPError("hidden"), 1011, ""),
            (ExceptionGroup("x", [ClosedError(1001), WebSocketError("own", 4004)]), 4004, "own"),
            (ExceptionGroup("x", [ExceptionGroup("y", [ClosedError(1001)])]), 1000, ""),
            (ExceptionGroup("x", [ClosedError(1001), LookupError("hidden")]), 1011, ""),
        ],
    )
    async def test_each_has_its_code(self, error: Exception, code: int, reason: str) -> None:
        app = Oxidite(debug=False)

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.receive()
            raise error

        async with (
            Client(app, raise_errors=False) as client,
            client.websocket("/talk") as socket,
        ):
            await socket.send("x")
            assert await closing_of(socket) == (code, reason)

    async def test_one_that_nobody_expected_is_logged_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[Response] = []

        async def keep(request: Request, call_next: Handler) -> Response:
            seen.append(await call_next(request))
            return seen[0]

        app = Oxidite(debug=False, middleware=[keep])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.receive()
            raise LookupError("it")

        async with (
            Client(app, raise_errors=False) as client,
            client.websocket("/talk") as socket,
        ):
            await socket.send("x")
            await closing_of(socket)
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "LookupError: it" in caplog.text
        assert isinstance(seen[0].error, LookupError)

    async def test_an_error_handler_decides_whether_it_was_expected(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def answer(request: Request, error: Exception) -> Response:
            return Response("conflict", ConflictError.status)

        app = Oxidite(error_handlers={LookupError: answer})

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.receive()
            raise LookupError

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send("x")
            assert await closing_of(socket) == (1008, "")
        assert caplog.records == []

    async def test_a_task_that_was_cancelled_inside_is_one(self) -> None:
        app = Oxidite(debug=False)

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.receive()
            task = asyncio.create_task(asyncio.Event().wait())
            task.cancel()
            await task

        async with (
            Client(app, raise_errors=False) as client,
            client.websocket("/talk") as socket,
        ):
            await socket.send("x")
            assert (await closing_of(socket))[0] == 1011


class TestClientLeaves:
    async def test_the_loop_ends_and_sends_raise(self) -> None:
        app, log = Oxidite(), list[object]()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            async for message in socket:
                log.append(message)
            log.append(socket.closing)
            await asyncio.sleep(0)  # nobody cancels it
            for call in (socket.receive(), socket.send("x")):
                with pytest.raises(ClosedError) as caught:
                    await call
                log.append(caught.value.close_code)

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send("last")
            await socket.close(4001, "bye")
        assert log == ["last", (4001, "bye"), 4001, 4001]

    async def test_a_send_that_fails_is_the_end(self) -> None:
        app, log, wire = Oxidite(), list[object](), Wire()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.is_broken = True
            for _ in range(2):
                with pytest.raises(ClosedError) as caught:
                    await socket.send("x")
                log.append(caught.value.close_code)

        async with app.running():
            await wire.run(app)
        assert log == [1006, 1006]

    async def test_a_handler_that_waits_for_something_else_is_cancelled(self) -> None:
        app, log, wire = Oxidite(), list[str](), Wire()

        @app.websocket("/talk", grace=0.01)
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.leave()
            try:
                await asyncio.Event().wait()
            finally:
                log.append("cancelled")

        async with app.running():
            await wire.run(app)
            assert len(app.in_flight) == 0
        assert log == ["cancelled"]
        assert [message["type"] for message in wire.sent] == ["websocket.accept"]

    async def test_a_handler_may_be_left_alone(self) -> None:
        app, log, wire = Oxidite(), list[str](), Wire()

        @app.websocket("/talk", grace=float("inf"))
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.leave()
            async for _ in socket:
                pass
            await asyncio.sleep(0.02)
            log.append("done all the same")

        async with app.running():
            await wire.run(app)
        assert log == ["done all the same"]

    async def test_what_it_said_before_can_still_be_received(self) -> None:
        app, log, wire = Oxidite(), list[object](), Wire()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            for number in range(3):
                wire.text(str(number))
            wire.leave(4000)
            while wire.taken < 5:  # noqa: ASYNC110 - somebody else reads
                await asyncio.sleep(0)
            with pytest.raises(ClosedError):
                await socket.send("x")
            log.extend([message async for message in socket])
            log.append(socket.closing)

        async with app.running():
            await wire.run(app)
        assert log == ["0", "1", "2", (4000, "")]

    async def test_who_receives_late_gets_what_comes_then(self) -> None:
        app, log, wire = Oxidite(), list[object](), Wire()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.text("0")
            while wire.taken < 2:  # noqa: ASYNC110 - somebody else reads
                await asyncio.sleep(0)
            log.append(await socket.receive())
            asyncio.get_running_loop().call_later(0.01, wire.text, "1")
            log.append(await socket.receive())
            asyncio.get_running_loop().call_later(0.01, wire.leave)
            log.extend([message async for message in socket])

        async with app.running():
            await wire.run(app)
        assert log == ["0", "1"]

    async def test_a_handler_that_closed_itself_goes_on(self) -> None:
        app, log, wire = Oxidite(), list[str](), Wire()

        @app.websocket("/talk", grace=0.01)
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.text("x")
            while wire.taken < 2:  # noqa: ASYNC110 - somebody else reads
                await asyncio.sleep(0)
            await socket.close()
            wire.leave()
            await asyncio.sleep(0.05)
            log.append("done")

        async with app.running():
            await wire.run(app)
        assert log == ["done"]

    @pytest.mark.parametrize(("size", "kept"), [(1, 32), (40_000, 2)])
    async def test_what_nobody_receives_is_bounded(self, size: int, kept: int) -> None:
        app, wire = Oxidite(), Wire()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            for _ in range(100):
                wire.text("x" * size)
            while wire.taken < 1 + kept:  # noqa: ASYNC110 - somebody else reads
                await asyncio.sleep(0)
            for _ in range(50):
                await asyncio.sleep(0)
            assert wire.taken == 1 + kept
            for _ in range(100):
                await socket.receive()

        async with app.running():
            await wire.run(app)
        assert wire.taken == 101


class TestServerStops:
    async def test_the_loop_ends_and_the_socket_closes_with_1012(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            async for message in socket:
                await socket.send(message)
            async for message in socket:
                raise AssertionError(message)
            with pytest.raises(ClosedError, match="1012"):
                await socket.receive()
            await socket.send("goodbye")

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send("x")
            assert await socket.receive() == "x"
            app.in_flight.stopping.set()
            assert await socket.receive() == "goodbye"
            assert await closing_of(socket) == (1012, "The server restarts.")

    async def test_a_handler_that_goes_on_is_cancelled(self) -> None:
        app, log = Oxidite(), list[str]()

        @app.websocket("/talk", grace=0.01)
        async def talk(socket: WebSocket) -> None:
            await socket.send("x")
            try:
                await asyncio.Event().wait()
            finally:
                log.append("cancelled")

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.receive()
            app.in_flight.stopping.set()
            assert (await closing_of(socket))[0] == 1012
        assert log == ["cancelled"]

    async def test_a_server_that_cancels_cancels_the_handler(self) -> None:
        app, log, begun = Oxidite(), list[str](), asyncio.Event()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            begun.set()
            try:
                async for _ in socket:
                    pass
            finally:
                log.append("cancelled")

        async with app.running():
            server = asyncio.create_task(Wire().run(app))
            await settled(begun)
            server.cancel()
            with pytest.raises(asyncio.CancelledError):
                await server
            assert len(app.in_flight) == 0
        assert log == ["cancelled"]

    async def test_it_does_not_wait_for_ever_for_one_that_resists(self) -> None:
        app, begun, end = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.websocket("/talk", grace=0.01)
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            begun.set()
            while not end.is_set():
                try:
                    await end.wait()
                except asyncio.CancelledError:
                    continue

        async with app.running():
            server = asyncio.create_task(Wire().run(app))
            await settled(begun)
            server.cancel()
            with pytest.raises(asyncio.CancelledError):
                await server
            end.set()


class TestLimits:
    async def test_silence(self) -> None:
        app = Oxidite()

        @app.websocket("/talk", idle=0.05)
        async def talk(socket: WebSocket) -> None:
            async for message in socket:
                await socket.send(message)

        async with Client(app) as client, client.websocket("/talk") as socket:
            for _ in range(4):
                await asyncio.sleep(0.02)
                await socket.send("x")
                assert await socket.receive() == "x"
            assert await closing_of(socket) == (1001, "No message for 0.05 seconds.")

    async def test_a_handler_that_sends_is_not_silent(self) -> None:
        app = Oxidite()

        @app.websocket("/talk", idle=0.05)
        async def talk(socket: WebSocket) -> None:
            for _ in range(5):
                await asyncio.sleep(0.02)
                await socket.send("x")
            async for _ in socket:
                pass

        async with Client(app) as client, client.websocket("/talk") as socket:
            assert [await socket.receive() for _ in range(5)] == ["x"] * 5
            assert (await closing_of(socket))[0] == 1001

    async def test_too_many_messages(self) -> None:
        app = Oxidite()

        @app.websocket("/talk", rate=2, burst=3)
        async def talk(socket: WebSocket) -> None:
            async for message in socket:
                await socket.send(message)

        with use(TravelClock()) as clock:
            async with Client(app) as client, client.websocket("/talk") as socket:
                for seconds, count in ((0, 3), (0.5, 1), (10, 3)):
                    clock.jump(seconds)
                    for _ in range(count):
                        await socket.send("x")
                        assert await socket.receive() == "x"
                await socket.send("x")
                assert await closing_of(socket) == (1008, "More than 2 messages a second.")

    async def test_a_handler_may_overlook_it(self) -> None:
        app = Oxidite()

        @app.websocket("/talk", rate=1)
        async def talk(socket: WebSocket) -> None:
            await socket.receive()
            with pytest.raises(RateExceededError):
                await socket.receive()
            await socket.send("slower")

        with use(TravelClock()):
            async with Client(app) as client, client.websocket("/talk") as socket:
                await socket.send("x")
                await socket.send("x")
                assert await socket.receive() == "slower"

    @pytest.mark.parametrize(
        ("message", "fits"),
        [("x" * 10, True), (b"x" * 10, True), ("ü" * 5, True), ("ü" * 6, False), ("x" * 11, False)],
    )
    async def test_the_size_is_in_bytes(self, message: str | bytes, *, fits: bool) -> None:
        app = Oxidite()

        @app.websocket("/talk", max_message=10)
        async def talk(socket: WebSocket) -> None:
            async for message in socket:
                await socket.send(message)

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send(message)
            if fits:
                assert await socket.receive() == message
            else:
                assert (await closing_of(socket))[0] == 1009

    async def test_a_client_that_does_not_read(self) -> None:
        app, log, wire = Oxidite(), list[object](), Wire()

        @app.websocket("/talk", send_timeout=0.02, grace=0.01)
        async def talk(socket: WebSocket) -> None:
            await socket.send("read")
            wire.reads.clear()

            async def send() -> None:
                with pytest.raises(SlowClientError):
                    await socket.send("not read")
                log.append("too slow")

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                tasks.create_task(send())
                log.extend([message async for message in socket])
            log.append(socket.closing)
            wire.reads.set()

        async with app.running():
            await wire.run(app)
        assert log == ["too slow", "too slow", (1013, "The client reads too slowly.")]
        assert wire.sent[-1] == {
            "type": "websocket.close",
            "code": 1013,
            "reason": "The client reads too slowly.",
        }

    async def test_one_that_reads_in_time_is_not_bothered(self) -> None:
        app, wire = Oxidite(), Wire()

        @app.websocket("/talk", send_timeout=0.05)
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            for _ in range(3):
                wire.reads.clear()
                asyncio.get_running_loop().call_later(0.03, wire.reads.set)
                await socket.send("x")

        async with app.running():
            await wire.run(app)
        assert [message["type"] for message in wire.sent[1:]] == [
            *["websocket.send"] * 3,
            "websocket.close",
        ]

    async def test_a_close_frame_is_not_waited_for_for_ever(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("oxidite.websocket.connection._LAST_WORD", 0.01)
        app, wire = Oxidite(), Wire()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.reads.clear()

        async with app.running():
            await wire.run(app)
        assert [message["type"] for message in wire.sent] == ["websocket.accept"]

    async def test_a_send_that_is_cancelled_is_cancelled(self) -> None:
        app, wire = Oxidite(), Wire()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept()
            wire.reads.clear()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await socket.send("x")
            wire.reads.set()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await socket.receive()
            wire.text("later")
            await socket.send(await socket.receive())

        async with app.running():
            await wire.run(app)
        assert wire.sent[1]["text"] == "later"
