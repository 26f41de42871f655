"""A client that talks to an application in process, through the same door as a server.

It is an ``httpx2.AsyncClient``: cookies, redirects, JSON, forms, files and streams work as its
documentation says. Only the transport is ours: it runs the application in a task of its own and
hands the body over as it is made, so that streams, disconnects and background work are real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import httpx2

from oxidite.app import Oxidite
from oxidite.encoding import codec_for
from oxidite.extract.lines import LINES_TYPES
from oxidite.testing.events import Received, ReceivedEvent, read_events, read_lines
from oxidite.testing.recorded import current_exchange, record
from oxidite.testing.websocket import WebSocketSession

T = TypeVar("T")

__all__ = ["Client"]


class Client(httpx2.AsyncClient):
    """Sends requests to ``app``; opens its resources in ``async with`` and closes them after.

    An exception that no handler expected is raised here, in the test, where its traceback helps;
    with ``raise_errors=False`` it is answered as in production. ``resources`` and ``dependencies``
    stand in for the application's own: by type, and by the provider that ``Depends`` names.
    """

    def __init__(
        self,
        app: Oxidite,
        *,
        base_url: str = "http://testserver",
        raise_errors: bool = True,
        resources: Mapping[type[object], object] | None = None,
        dependencies: Mapping[Callable[..., object], Callable[..., object]] | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        follow_redirects: bool = False,
        client: tuple[str, int] = ("127.0.0.1", 50000),
    ) -> None:
        self.app = app
        self._resources = dict(resources or {})
        self._dependencies = dict(dependencies or {})
        self._running = AsyncExitStack()
        self._address = client
        self._raise_errors = raise_errors
        super().__init__(
            transport=_Transport(app, client, raise_errors=raise_errors),
            base_url=base_url,
            headers=dict(headers or {}),
            cookies=dict(cookies or {}),
            follow_redirects=follow_redirects,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        for type_, value in self._resources.items():
            self.app.lifespan.override(type_, value)
        for provider, replacement in self._dependencies.items():
            self.app.lifespan.replace(provider, replacement)
        self.app.render_error.observers.append(record)
        try:
            if not self.app.lifespan.is_open:
                await self._running.enter_async_context(self.app.running())
        except BaseException:
            self._restore()
            raise
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            await super().__aexit__(exc_type, exc_value, traceback)
            await self._running.aclose()
        finally:
            self._restore()

    def websocket(  # type: ignore[override]  # httpx2 upgrades a socket, and in process there is none
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> WebSocketSession:
        """Return a WebSocket to open: ``async with client.websocket("/chat") as socket``.

        Raises, when it is opened:
            WebSocketDeniedError: the handshake was answered with something else.
        """
        request = self.build_request("GET", url, headers=dict(headers or {}))
        if subprotocols:
            request.headers["sec-websocket-protocol"] = ", ".join(subprotocols)
        request.headers.update({"connection": "Upgrade", "upgrade": "websocket"})
        return WebSocketSession(self.app, request, self._address, raise_errors=self._raise_errors)

    def events(
        self,
        method: str,
        url: str,
        **options: Any,  # those of httpx2's `stream`
    ) -> Received[ReceivedEvent]:
        """Ask for server-sent events: ``async for event in client.events("GET", "/feed")``.

        An answer of another kind is an ``AssertionError`` that shows it.
        """
        stream = self.stream(method, url, **_accepting("text/event-stream", options))
        return Received(stream, read_events, ("text/event-stream",))

    @overload
    def lines(self, method: str, url: str, **options: Any) -> Received[Any]: ...
    @overload
    def lines(self, method: str, url: str, type_: type[T], **options: Any) -> Received[T]: ...
    def lines(self, method: str, url: str, type_: object = Any, **options: Any) -> Received[Any]:
        """Ask for JSON Lines, each decoded as ``type_``; otherwise as ``events``."""
        stream = self.stream(method, url, **_accepting(LINES_TYPES[0], options))
        read = partial(read_lines, decode=codec_for(type_).decode_json)
        return Received(stream, read, LINES_TYPES)

    def _restore(self) -> None:
        self.app.render_error.observers.remove(record)
        for type_ in self._resources:
            self.app.lifespan.remove_override(type_)
        for provider in self._dependencies:
            self.app.lifespan.replace(provider, None)


def _accepting(media_type: str, options: dict[str, Any]) -> dict[str, Any]:
    headers = httpx2.Headers(options.get("headers"))
    headers.setdefault("accept", media_type)
    return {**options, "headers": headers}


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, app: Oxidite, client: tuple[str, int], *, raise_errors: bool) -> None:
        self._app = app
        self._client = client
        self._raise_errors = raise_errors

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _Exchange(self._app, request, self._client, raise_errors=self._raise_errors)
        try:
            await exchange.started.wait()
        except asyncio.CancelledError:
            await exchange.aclose()
            raise
        if self._raise_errors and exchange.error is not None:
            await exchange.aclose()
            raise exchange.error
        if exchange.status is None:
            raise exchange.failure or RuntimeError("the application ended without a response")
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=_Stream(exchange))


class _Exchange:
    """One request and its response; the application runs in a task, one chunk ahead of the reader."""

    def __init__(
        self,
        app: Oxidite,
        request: httpx2.Request,
        client: tuple[str, int],
        *,
        raise_errors: bool,
    ) -> None:
        self.started = asyncio.Event()
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.error: Exception | None = None
        """What went wrong and was answered with an error page."""
        self.failure: Exception | None = None
        """What came out of the application: a server would drop the connection."""
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._raise_errors = raise_errors
        self._complete = False
        self._gone = asyncio.Event()
        self._over = asyncio.Event()  # the client has gone, or has everything
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        self._body = request.stream.__aiter__()
        self._body_ended = False
        self._head = request.method == "HEAD"
        self.task = asyncio.get_running_loop().create_task(self._run(app, _scope(request, client)))

    async def _run(self, app: Oxidite, scope: MutableMapping[str, Any]) -> None:
        current_exchange.set(self)
        try:
            await app(scope, self._receive, self._send)
        except Exception as exc:  # noqa: BLE001 - raised where the response is read
            self.failure = exc
        finally:
            self.started.set()
            if not self._gone.is_set():
                await self.chunks.put(None)

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._body_ended:
            try:
                chunk = await anext(self._body)
            except StopAsyncIteration:
                self._body_ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.request", "body": chunk, "more_body": True}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self._gone.is_set():
            raise OSError("the client has gone")
        if self._complete:
            raise RuntimeError(f"{message['type']} came after the end of the response")
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
            return
        if message["type"] == "http.response.body":
            self.started.set()
            body = message.get("body", b"")
            if body and not self._head:
                await self.chunks.put(body)
            if not message.get("more_body", False):
                self._complete = True
                await self.chunks.put(None)
                self._over.set()

    async def ended(self) -> None:
        """Wait for the application after its last byte; raise what the client cannot overlook."""
        await asyncio.wait((self.task,))
        if not self._complete:
            raise self.failure or RuntimeError(
                "the application ended without the end of its response"
            )
        if self.failure is not None and self._raise_errors:
            raise self.failure
        if self.error is not None and self._raise_errors:
            raise self.error

    async def aclose(self) -> None:
        """Be gone, as a client that closes its connection."""
        self._gone.set()
        self._over.set()
        while not self.task.done():
            while not self.chunks.empty():
                self.chunks.get_nowait()
            await asyncio.wait((self.task,), timeout=0.05)


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._exchange.chunks.get()) is not None:
            yield chunk
        await self._exchange.ended()

    async def aclose(self) -> None:
        await self._exchange.aclose()


def _scope(request: httpx2.Request, client: tuple[str, int]) -> MutableMapping[str, Any]:
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": client,
        "server": (request.url.host, request.url.port or 80),
        "extensions": {},
        "state": {},
    }
