"""What happens before the first message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from oxidite import (
    Cookie,
    Depends,
    FileResponse,
    ForbiddenError,
    Header,
    NotFoundError,
    Oxidite,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    UnauthorizedError,
)
from oxidite.http import Handler
from oxidite.protocols import inflight
from oxidite.testing import Client, WebSocketDeniedError
from oxidite.websocket import ClosedError, OriginError, WebSocket, WebSocketResponse
from oxidite.websocket.origin import check_origin

BOUND = 3.0


async def denied(app: Oxidite, path: str = "/talk", **options: Any) -> WebSocketDeniedError:
    async with Client(app, raise_errors=False) as client:
        with pytest.raises(WebSocketDeniedError) as caught:
            async with client.websocket(path, **options):
                pass
    return caught.value


class TestDenial:
    async def test_an_argument_that_does_not_fit(self) -> None:
        app = Oxidite()

        @app.websocket("/talk/{id:int}")
        async def talk(
            id: int, socket: WebSocket, size: Annotated[int, Meta(ge=1)], x_a: Header[str]
        ) -> None: ...

        response = (await denied(app, "/talk/3?size=0")).response
        assert response.status_code == 422
        assert [each["parameter"] for each in response.json()["errors"]] == ["size", "x-a"]

    async def test_a_dependency_that_refuses(self) -> None:
        app, ran = Oxidite(), list[str]()

        async def user(session: Cookie[str] = "") -> str:
            if session != "ann":
                raise UnauthorizedError
            return session

        @app.websocket("/talk")
        async def talk(socket: WebSocket, user: Annotated[str, Depends(user)]) -> None:
            ran.append(user)

        assert (await denied(app)).response.status_code == 401
        assert ran == []
        async with (
            Client(app, cookies={"session": "ann"}) as client,
            client.websocket("/talk"),
        ):
            pass
        assert ran == ["ann"]

    async def test_an_error_of_the_handler(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            raise NotFoundError("No such room.")

        response = (await denied(app)).response
        assert (response.status_code, response.json()["detail"]) == (404, "No such room.")

    async def test_a_failure_is_500_and_says_nothing_of_itself(self) -> None:
        app = Oxidite(debug=False)

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            raise LookupError("hidden detail")

        response = (await denied(app)).response
        assert response.status_code == 500
        assert "hidden" not in response.text

    async def test_a_failure_is_raised_in_a_test(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            raise LookupError("shown")

        async with Client(app) as client:
            with pytest.raises(LookupError, match="shown"):
                async with client.websocket("/talk"):
                    pass

    async def test_a_response_that_is_returned(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> Response:
            return RedirectResponse("/elsewhere", 307)

        response = (await denied(app)).response
        assert (response.status_code, response.headers["location"]) == (307, "/elsewhere")

    async def test_a_stream_of_a_middleware(self) -> None:
        async def pieces() -> AsyncIterator[str]:
            yield "not "
            yield "now"

        async def busy(request: Request, call_next: Handler) -> Response:
            return StreamingResponse(pieces(), 503)

        app = Oxidite(middleware=[busy])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        response = (await denied(app)).response
        assert (response.status_code, response.text) == (503, "not now")

    @pytest.mark.parametrize("size", [10, 500_000])
    async def test_a_file_of_a_middleware(self, tmp_path: Path, size: int) -> None:
        (tmp_path / "busy.txt").write_bytes(b"x" * size)

        async def busy(request: Request, call_next: Handler) -> Response:
            return FileResponse(tmp_path / "busy.txt", 503)

        app = Oxidite(middleware=[busy])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        response = (await denied(app)).response
        assert (response.status_code, response.text) == (503, "x" * size)

    async def test_something_cancelled_in_the_handler_is_a_failure(self) -> None:
        app = Oxidite(debug=False)

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        assert (await denied(app)).response.status_code == 500

    async def test_a_server_without_denials_is_told_to_close(self) -> None:
        app, sent = Oxidite(), list[MutableMapping[str, Any]]()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            raise ForbiddenError

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/talk", "headers": [], "query_string": b""}
        async with app.running():
            await app(scope, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


class TestAnswer:
    async def test_it_is_given_when_the_handler_wants_to_speak(self) -> None:
        app, go = Oxidite(), asyncio.Event()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await go.wait()
            await socket.send("now")

        async with Client(app) as client:
            socket = client.websocket("/talk")
            opening = asyncio.create_task(socket.__aenter__())
            await asyncio.wait((opening,), timeout=0.05)
            assert not opening.done()
            go.set()
            await opening
            assert await socket.receive_text() == "now"
            await socket.__aexit__(None, None, None)

    async def test_accept_gives_it_with_fields_and_a_sub_protocol(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            assert socket.subprotocols == ("b", "a")
            await socket.accept(subprotocol="a", headers={"x-own": "1"})
            assert socket.subprotocol == "a"
            with pytest.raises(RuntimeError, match="answered already"):
                await socket.accept()

        async with (
            Client(app) as client,
            client.websocket("/talk", subprotocols=["b", "a"]) as socket,
        ):
            assert socket.subprotocol == "a"
            assert socket.headers["x-own"] == "1"

    async def test_a_sub_protocol_that_was_not_offered_is_a_mistake(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.accept(subprotocol="b")

        async with Client(app) as client:
            with pytest.raises(ValueError, match="does not offer"):
                async with client.websocket("/talk", subprotocols=["a"]):
                    pass

    async def test_a_handler_that_says_nothing_is_heard_out(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        async with Client(app) as client, client.websocket("/talk") as socket:
            with pytest.raises(ClosedError) as caught:
                await socket.receive()
        assert caught.value.close_code == 1000

    @pytest.mark.parametrize(
        ("offered", "chosen"), [(["v1", "v2"], "v2"), (["v0", "v1"], "v1"), ([], None)]
    )
    async def test_sub_protocols_are_chosen_by_our_order(
        self, offered: list[str], chosen: str | None
    ) -> None:
        app = Oxidite()

        @app.websocket("/talk", subprotocols=["v2", "v1"])
        async def talk(socket: WebSocket) -> None:
            await socket.send(str(socket.subprotocol))

        async with (
            Client(app) as client,
            client.websocket("/talk", subprotocols=offered) as socket,
        ):
            assert socket.subprotocol == chosen
            assert await socket.receive_text() == str(chosen)

    async def test_none_in_common_is_refused(self) -> None:
        app = Oxidite()

        @app.websocket("/talk", subprotocols=["v2", "v1"])
        async def talk(socket: WebSocket) -> None: ...

        response = (await denied(app, subprotocols=["v3"])).response
        assert (response.status_code, response.json()["code"]) == (400, "invalid_subprotocol")
        assert "v2, v1" in response.json()["detail"]

    @pytest.mark.parametrize("field", ["a b", "a,,b", "a;", ",".join("a" * 101), "a" * 101])
    async def test_a_field_that_is_no_list_of_names_is_refused(self, field: str) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        fields = {"sec-websocket-protocol": field}
        assert (await denied(app, headers=fields)).response.status_code == 400


class TestMiddleware:
    async def test_it_sees_a_get_and_the_answer(self) -> None:
        seen: list[object] = []

        async def note(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            response.headers["x-note"] = "1"
            response.set_cookie("seen", "yes")
            response.headers["connection"] = "close"  # not its to say
            seen.extend([request.method, request.is_websocket, request.route is not None])
            seen.extend([request.scheme, request.url.path, await request.body()])
            seen.extend([response.status, type(response)])
            return response

        app = Oxidite(middleware=[note])

        @app.websocket("/talk", middleware=[note])
        async def talk(socket: WebSocket) -> None:
            seen.append("talks")

        async with (
            Client(app, base_url="https://testserver") as client,
            client.websocket("/talk") as socket,
        ):
            assert socket.headers["x-note"] == "1"
            assert "connection" not in socket.headers
            assert "seen=yes" in socket.headers["set-cookie"]
        sight = ["GET", True, True, "https", "/talk", b"", 101, WebSocketResponse]
        assert seen == ["talks", *sight, *sight]

    async def test_it_sees_what_the_handler_raises_first(self) -> None:
        seen: list[object] = []

        async def note(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            seen.append((response.status, type(response.error)))
            return response

        app = Oxidite(middleware=[note])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            raise ForbiddenError

        await denied(app)
        assert seen == [(403, ForbiddenError)]

    async def test_it_may_refuse_before_and_after(self) -> None:
        told: list[int] = []

        async def refuse(request: Request, call_next: Handler) -> Response:
            if "early" not in request.query:
                assert (await call_next(request)).status == 101
            return Response("no", 403)

        app = Oxidite(middleware=[refuse])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            try:
                await socket.receive()
            except ClosedError as exc:
                told.append(exc.close_code)
                raise

        assert (await denied(app, "/talk?early=1")).response.text == "no"
        assert told == []
        assert (await denied(app)).response.text == "no"
        assert told == [1006]

    async def test_it_may_ask_twice(self) -> None:
        log: list[str] = []

        async def again(request: Request, call_next: Handler) -> Response:
            await call_next(request)
            return await call_next(request)

        app = Oxidite(middleware=[again])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            try:
                await socket.send("hello")
            finally:
                log.append("ended")

        async with Client(app) as client, client.websocket("/talk") as socket:
            assert log == ["ended"]
            assert await socket.receive_text() == "hello"
        assert log == ["ended", "ended"]

    async def test_the_conversation_has_its_context(self) -> None:
        number: ContextVar[int] = ContextVar("number", default=0)

        async def count(request: Request, call_next: Handler) -> Response:
            token = number.set(7)
            try:
                return await call_next(request)
            finally:
                number.reset(token)

        app = Oxidite(middleware=[count])

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            await socket.send("first")
            await socket.send(str(number.get()))

        async with Client(app) as client, client.websocket("/talk") as socket:
            assert await socket.receive_text() == "first"
            assert await socket.receive_text() == "7"

    async def test_a_handler_that_will_not_hear_of_it_is_cancelled(self) -> None:
        log: list[str] = []

        async def refuse(request: Request, call_next: Handler) -> Response:
            await call_next(request)
            return Response("no", 403)

        app = Oxidite(middleware=[refuse])

        @app.websocket("/talk", grace=0.01)
        async def talk(socket: WebSocket) -> None:
            try:
                await socket.accept()
            except ClosedError:
                try:
                    await asyncio.Event().wait()
                finally:
                    log.append("cancelled")

        await denied(app)
        assert log == ["cancelled"]


class TestOrigin:
    def request(
        self, origin: str | None, host: str = "example.com", scheme: str = "http"
    ) -> Request:
        fields = {"host": host}
        if origin is not None:
            fields["origin"] = origin
        found = Request.of("GET", "/", headers=fields)
        assert found.scheme == "http"
        return found if scheme == "http" else Secure.of_plain(found)

    @pytest.mark.parametrize(
        ("origin", "host", "scheme"),
        [
            (None, "example.com", "http"),
            ("http://example.com", "example.com", "http"),
            ("http://EXAMPLE.com", "example.COM", "http"),
            ("http://example.com:80", "example.com", "http"),
            ("http://example.com:8080", "example.com:8080", "http"),
            ("https://example.com", "example.com", "https"),
            ("https://example.com", "example.com", "http"),  # TLS ended before us
            ("https://example.com:8443", "example.com:8443", "http"),
            ("http://[::1]:8000", "[::1]:8000", "http"),
            ("https://app.example.org", "example.com", "http"),  # allowed
        ],
    )
    def test_these_may(self, origin: str | None, host: str, scheme: str) -> None:
        check_origin(
            self.request(origin, host, scheme), ["https://app.example.org"], required=False
        )

    @pytest.mark.parametrize(
        ("origin", "host", "scheme"),
        [
            ("http://evil.example", "example.com", "http"),
            ("http://example.com.evil.example", "example.com", "http"),
            ("http://example.com:8080", "example.com", "http"),
            ("http://example.com", "example.com:8080", "http"),
            ("http://example.com", "example.com", "https"),  # anybody can write that page
            ("https://example.com:8443", "example.com", "http"),
            ("ftp://example.com", "example.com", "http"),
            ("null", "example.com", "http"),
            ("", "example.com", "http"),
            ("http://user@example.com", "example.com", "http"),
            ("http://example.com/path", "example.com", "http"),
            ("http://example.com:x", "example.com", "http"),
            ("http://example.com", "", "http"),
            ("http://example.com, http://evil.example", "example.com", "http"),
        ],
    )
    def test_these_may_not(self, origin: str, host: str, scheme: str) -> None:
        with pytest.raises(OriginError):
            check_origin(
                self.request(origin, host, scheme), ["https://app.example.org"], required=False
            )

    def test_everybody_may_where_that_is_said(self) -> None:
        check_origin(self.request("http://evil.example"), ["*"], required=True)

    def test_nobody_may_without_one_where_that_is_said(self) -> None:
        with pytest.raises(OriginError, match="needs the Origin header"):
            check_origin(self.request(None), [], required=True)

    def test_two_are_one_too_many(self) -> None:
        fields = [("host", "a.b"), ("origin", "http://a.b"), ("origin", "http://a.b")]
        with pytest.raises(OriginError, match="more than one"):
            check_origin(Request.of("GET", "/", headers=fields), [], required=False)

    @given(st.text(), st.text())
    def test_any_text_is_allowed_or_refused(self, origin: str, host: str) -> None:
        fields = [("host", host), ("origin", origin)]
        request = Request.of("GET", "/", headers=fields)
        try:
            check_origin(request, [], required=False)
        except OriginError:
            return
        assert host.casefold() in origin.casefold() or ":" in host

    async def test_the_application_says_it_for_all_routes(self) -> None:
        app = Oxidite(websocket={"origins": ["https://a.example"]})

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        @app.websocket("/other", origins=["https://b.example"])
        async def other(socket: WebSocket) -> None: ...

        fields = {"origin": "https://a.example"}
        async with Client(app) as client, client.websocket("/talk", headers=fields):
            pass
        response = (await denied(app, "/other", headers=fields)).response
        assert (response.status_code, response.json()["code"]) == (403, "origin")


class Secure(Request):
    """A request over HTTPS."""

    @property
    def scheme(self) -> str:
        return "https"

    @classmethod
    def of_plain(cls, request: Request) -> Request:
        return cls("GET", "/", request.resources, _headers=request.headers)


class TestCleanUp:
    async def test_dependencies_are_open_until_the_conversation_has_ended(self) -> None:
        app, log = Oxidite(), list[str]()

        def make(name: str) -> Any:
            async def provider() -> AsyncIterator[str]:
                log.append(f"{name} opens in {asyncio.current_task() is not None}")
                task = asyncio.current_task()
                yield name
                log.append(f"{name} closes in {asyncio.current_task() is task}")

            return provider

        @app.websocket("/talk")
        async def talk(
            socket: WebSocket,
            stream: str = Depends(make("stream"), scope="stream"),
            request: str = Depends(make("request")),
            handler: str = Depends(make("handler"), scope="handler"),
        ) -> None:
            async for message in socket:
                await socket.send(message)
            log.append("handler ends")

        async with Client(app) as client, client.websocket("/talk") as socket:
            await socket.send("x")
            assert await socket.receive() == "x"
            assert len(log) == 3
        assert log[3:] == [
            "handler ends",
            "handler closes in True",
            "request closes in True",
            "stream closes in True",
        ]

    @pytest.mark.parametrize("swallows", [False, True])
    async def test_they_are_told_how_it_ended(self, *, swallows: bool) -> None:
        app, log = Oxidite(debug=False), list[str]()

        async def session() -> AsyncIterator[None]:
            try:
                yield
            except LookupError:
                log.append("rolled back")
                if not swallows:
                    raise

        @app.websocket("/talk")
        async def talk(socket: WebSocket, session: None = Depends(session)) -> None:
            await socket.receive()
            raise LookupError

        async with (
            Client(app, raise_errors=False) as client,
            client.websocket("/talk") as socket,
        ):
            await socket.send("x")
            with pytest.raises(ClosedError) as caught:
                await socket.receive()
        assert caught.value.close_code == 1011
        assert log == ["rolled back"]

    async def test_a_failure_in_it_is_a_failure(self) -> None:
        app = Oxidite(debug=False)

        async def session() -> AsyncIterator[None]:
            yield
            raise LookupError("commit failed")

        @app.websocket("/talk")
        async def talk(socket: WebSocket, session: None = Depends(session)) -> None:
            await socket.send("x")

        async with Client(app) as client:
            socket = await client.websocket("/talk").__aenter__()
            assert await socket.receive() == "x"
            with pytest.raises(ClosedError) as caught:
                await socket.receive()
            with pytest.raises(LookupError, match="commit failed"):
                await socket.__aexit__(None, None, None)
        assert caught.value.close_code == 1011

    async def test_work_for_later_is_done_after_it(self) -> None:
        app, log, done = Oxidite(), list[str](), asyncio.Event()

        @app.websocket("/talk")
        async def talk(socket: WebSocket, request: Request) -> None:
            request.after_response(log.append, "later")
            request.after_response(done.set)
            await socket.send("x")
            log.append("ended")

        async with Client(app) as client:
            async with client.websocket("/talk") as socket:
                await socket.receive()
            async with asyncio.timeout(BOUND):
                await done.wait()
        assert log == ["ended", "later"]

    async def test_a_client_that_leaves_during_the_handshake(self) -> None:
        app, log, begun = Oxidite(), list[str](), asyncio.Event()

        async def slow() -> AsyncIterator[None]:
            begun.set()
            try:
                yield
            finally:
                log.append("closed")

        @app.websocket("/talk")
        async def talk(socket: WebSocket, slow: None = Depends(slow)) -> None:
            await asyncio.Event().wait()

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            raise AssertionError(message)

        scope = {"type": "websocket", "path": "/talk", "headers": [], "query_string": b""}
        async with app.running():
            server = asyncio.create_task(app(scope, receive, send))
            await begun.wait()
            server.cancel()
            with pytest.raises(asyncio.CancelledError):
                await server
        assert log == ["closed"]

    async def test_a_client_that_leaves_before_the_answer_ends_the_handler(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inflight, "SWEEP", 0.001)
        app, log, begun = Oxidite(), list[str](), asyncio.Event()

        async def slow() -> AsyncIterator[None]:
            try:
                yield
            finally:
                log.append("closed")

        @app.websocket("/talk")
        async def talk(socket: WebSocket, slow: None = Depends(slow)) -> None:
            begun.set()
            await asyncio.Event().wait()

        messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        messages.put_nowait({"type": "websocket.connect"})

        async def send(message: MutableMapping[str, Any]) -> None:
            raise AssertionError(message)

        scope = {"type": "websocket", "path": "/talk", "headers": [], "query_string": b""}
        async with app.running(), asyncio.timeout(BOUND):
            server = asyncio.create_task(app(scope, messages.get, send))
            await begun.wait()
            messages.put_nowait({"type": "websocket.disconnect", "code": 1006})
            await server
            assert server.cancelling() == 0
            assert len(app.in_flight) == 0
        assert log == ["closed"]

    async def test_a_client_that_has_left_before_the_answer(self) -> None:
        app, log = Oxidite(), list[int]()

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None:
            try:
                await socket.accept()
            except ClosedError as exc:
                log.append(exc.close_code)

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            raise OSError("gone")

        scope = {"type": "websocket", "path": "/talk", "headers": [], "query_string": b""}
        async with app.running():
            await app(scope, receive, send)
        assert log == [1006]
