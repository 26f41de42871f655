"""The other end of a WebSocket, for tests in process."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import httpx2

from oxidite.app import Oxidite
from oxidite.encoding import codec_for, encode_json
from oxidite.errors import OxiditeError
from oxidite.testing.recorded import current_exchange
from oxidite.websocket import CloseCode, ClosedError, Closing

__all__ = ["WebSocketDeniedError", "WebSocketSession"]

T = TypeVar("T")

_UNREAD = 32
"""Messages that the application may be ahead of the test."""


class WebSocketDeniedError(OxiditeError):
    """The handshake was answered with something else; ``response`` is that."""

    code = "websocket_denied"

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"The handshake was answered with {response.status_code}: {response.text}")
        self.response = response


class WebSocketSession:
    """One WebSocket; entering it is the handshake, leaving it closes.

    An exception that no handler expected is raised on leaving, as ``Client`` raises it.
    """

    def __init__(
        self, app: Oxidite, request: httpx2.Request, client: tuple[str, int], *, raise_errors: bool
    ) -> None:
        self.request = request
        self.subprotocol: str | None = None
        self.headers: httpx2.Headers = httpx2.Headers()
        """Header fields of the answer to the handshake."""
        self.closing: Closing | None = None
        """Code and reason that the application closed with."""
        self.error: Exception | None = None
        self._app = app
        self._client = client
        self._raise_errors = raise_errors
        self._to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[str | bytes | Closing] = asyncio.Queue(_UNREAD)
        self._answered = asyncio.Event()
        self._gone = asyncio.Event()
        self._status: int | None = None
        self._body = b""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            await self._answered.wait()
        except asyncio.CancelledError:
            await self._leave(CloseCode.ABNORMAL, "")
            raise
        if self._status == httpx2.codes.SWITCHING_PROTOCOLS:
            return self
        await self._leave(CloseCode.ABNORMAL, "")
        self._raise_error()
        if self._status is None:
            raise self.error or RuntimeError("the application ended without an answer")
        raise WebSocketDeniedError(self.response)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
        self._raise_error()

    @property
    def response(self) -> httpx2.Response:
        """The answer to the handshake."""
        return httpx2.Response(
            self._status or 500, headers=self.headers, content=self._body, request=self.request
        )

    # Messages.

    async def send(self, message: str | bytes) -> None:
        """Send text or bytes."""
        if self.closing is not None:
            raise ClosedError(*self.closing)
        kind = "text" if isinstance(message, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: message})

    async def send_text(self, text: str) -> None:
        """Send text."""
        await self.send(text)

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes."""
        await self.send(data)

    async def send_json(self, value: object) -> None:
        """Send a value as JSON in a message of text."""
        await self.send(encode_json(value).decode())

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            ClosedError: there is none, and the application has closed.
        """
        if self.closing is not None:
            raise ClosedError(*self.closing)
        message = await self._from_app.get()
        if isinstance(message, Closing):
            self.closing = message
            raise ClosedError(*message)
        return message

    async def receive_text(self) -> str:
        """Return the next message, which has to be text."""
        message = await self.receive()
        assert isinstance(message, str), f"this is not text: {message!r}"
        return message

    async def receive_bytes(self) -> bytes:
        """Return the next message, which has to be bytes."""
        message = await self.receive()
        assert isinstance(message, bytes), f"these are not bytes: {message!r}"
        return message

    @overload
    async def receive_json(self) -> Any: ...  # whatever the application sent
    @overload
    async def receive_json(self, type_: type[T]) -> T: ...
    async def receive_json(self, type_: object = Any) -> Any:
        """Return the next message, decoded from JSON as ``type_``."""
        return codec_for(type_).decode_json(await self.receive())

    def __aiter__(self) -> Self:
        """Receive until the application closes."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except ClosedError:
            raise StopAsyncIteration from None

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Leave, and wait until the application has ended what it did here."""
        await self._leave(code, reason)

    # The application, in a task of its own.

    async def _run(self) -> None:
        current_exchange.set(self)
        try:
            await self._app(self._scope(), self._to_app.get, self._take)
        except Exception as exc:  # noqa: BLE001 - raised where the test waits
            self.error = exc
        finally:
            self._answered.set()
            if not self._gone.is_set():
                await self._put(Closing(CloseCode.ABNORMAL))

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        match message["type"]:
            case "websocket.send":
                text = message.get("text")
                await self._put(message["bytes"] if text is None else text)
            case "websocket.close" if self._answered.is_set():
                await self._put(Closing(message.get("code", 1000), message.get("reason") or ""))
            case "websocket.accept":
                self._answer(httpx2.codes.SWITCHING_PROTOCOLS, message)
                self.subprotocol = message.get("subprotocol")
                self._answered.set()
            case "websocket.http.response.start":
                self._answer(message["status"], message)
            case "websocket.http.response.body":
                self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    self._answered.set()
            case other:
                raise RuntimeError(f"{other} makes no sense here")

    def _answer(self, status: int, message: MutableMapping[str, Any]) -> None:
        self._status = status
        self.headers = httpx2.Headers(list(message.get("headers", ())))

    async def _put(self, message: str | bytes | Closing) -> None:
        if self._gone.is_set():
            raise OSError("the client has gone")
        await self._from_app.put(message)
        if self._gone.is_set():
            raise OSError("the client has gone")

    async def _leave(self, code: int, reason: str) -> None:
        if not self._gone.is_set():
            self._gone.set()
            disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._to_app.put_nowait(disconnect)
        task = self._task
        while task is not None and not task.done():
            while not self._from_app.empty():
                self._drop(self._from_app.get_nowait())
            await asyncio.wait((task,), timeout=0.05)
        while not self._from_app.empty():
            self._drop(self._from_app.get_nowait())

    def _drop(self, message: str | bytes | Closing) -> None:
        if isinstance(message, Closing) and self.closing is None:
            self.closing = message

    def _raise_error(self) -> None:
        if self.error is not None and self._raise_errors:
            raise self.error

    def _scope(self) -> MutableMapping[str, Any]:
        url = self.request.url
        raw_path, _, query = url.raw_path.partition(b"?")
        offered = self.request.headers.get("sec-websocket-protocol", "")
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "wss" if url.scheme in ("https", "wss") else "ws",
            "path": url.path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self.request.headers.raw],
            "client": self._client,
            "server": (url.host, url.port or 80),
            "subprotocols": [name.strip() for name in offered.split(",") if name.strip()],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
