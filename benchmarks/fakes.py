"""Servers without sockets: they call an application as uvicorn or Granian would."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import unquote

from benchmarks.contract import Exchange

# Applications of many frameworks come through here, each with its own idea of these types.
Application = Any
Message = dict[str, Any]


def _headers(exchange: Exchange) -> list[tuple[str, str]]:
    headers = [("host", "127.0.0.1:8000"), *((n.lower(), v) for n, v in exchange.headers)]
    if exchange.body is not None:
        headers.append(("content-length", str(len(exchange.body))))
    return headers


class AsgiServer:
    """Sends one request over ASGI, again and again."""

    def __init__(self, application: Application, exchange: Exchange) -> None:
        path, _, query = exchange.path.partition("?")
        self._application = application
        self._body = exchange.body or b""
        self._scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": exchange.method,
            "root_path": "",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode()) for n, v in _headers(exchange)],
            "state": {},
        }

    async def once(self) -> None:
        await self._application(self._scope.copy(), self._receive, self._forget)

    async def collected(self) -> tuple[int, bytes]:
        """One request; its status and body."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self._application(self._scope.copy(), self._receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _forget(self, message: Message) -> None:
        pass


class RsgiServer:
    """Sends one request over RSGI, again and again."""

    def __init__(self, application: Application, exchange: Exchange) -> None:
        self._call: Application = getattr(application, "__rsgi__", application)
        if self._call is application and not inspect.isfunction(application):
            raise TypeError(f"{type(application).__name__} has no __rsgi__")
        self._scope = _RsgiScope(exchange)
        self._body = exchange.body or b""

    async def once(self) -> None:
        await self._call(self._scope, _RsgiProtocol(self._body))

    async def collected(self) -> tuple[int, bytes]:
        """One request; its status and body."""
        protocol = _RsgiProtocol(self._body)
        await self._call(self._scope, protocol)
        return protocol.status, protocol.reply


async def first_reply(server: AsgiServer | RsgiServer) -> tuple[int, bytes]:
    """The status and body of one request."""
    return await server.collected()


class _RsgiHeaders:
    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self._headers = headers
        self._first = dict(reversed(headers))

    def get(self, name: str, default: str | None = None) -> str | None:
        return self._first.get(name, default)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self._headers if key == name]

    def items(self) -> list[tuple[str, str]]:
        return list(self._headers)

    def keys(self) -> list[str]:
        return list(self._first)

    def values(self) -> list[str]:
        return list(self._first.values())

    def __getitem__(self, name: str) -> str:
        return self._first[name]

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)


class _RsgiScope:
    def __init__(self, exchange: Exchange) -> None:
        path, _, query = exchange.path.partition("?")
        self.proto = "http"
        self.http_version = "1.1"
        self.rsgi_version = "1.6"
        self.server = "127.0.0.1:8000"
        self.client = "127.0.0.1:50000"
        self.scheme = "http"
        self.method = exchange.method
        self.path = unquote(path)
        self.query_string = query
        self.authority = None
        self.headers = _RsgiHeaders(_headers(exchange))


class _RsgiProtocol:
    __slots__ = ("_body", "reply", "status")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status = 0
        self.reply = b""

    async def __call__(self) -> bytes:
        return self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    def client_disconnect(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status = status

    def response_str(self, status: int, headers: list[tuple[str, str]], body: str) -> None:
        self.status, self.reply = status, body.encode()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.reply = status, body


async def lifespan(application: Application) -> Callable[[], Awaitable[None]]:
    """Start an ASGI application as a server does; returns what stops it again."""
    started = asyncio.Event()
    stop = asyncio.Event()
    asked = iter(("startup", "shutdown"))
    failures: list[Message] = []

    async def receive() -> Message:
        kind = next(asked)
        if kind == "shutdown":
            await stop.wait()
        return {"type": f"lifespan.{kind}"}

    async def send(message: Message) -> None:
        if message["type"].endswith(".failed"):
            failures.append(message)
        started.set()

    async def run() -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await application(scope, receive, send)
        finally:
            # Without a lifespan it returns or raises; a server goes on all the same.
            started.set()

    task = asyncio.ensure_future(run())
    await started.wait()
    if failures:
        raise RuntimeError(f"did not start: {failures[0].get('message')}")

    async def end() -> None:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)

    return end
