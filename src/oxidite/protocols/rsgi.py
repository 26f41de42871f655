"""RSGI, Granian's own interface: the fast path for complete bodies.

A response stream over RSGI has no back-pressure: a slow reader would have the whole of it in our
memory. So only complete responses are written here; ``oxidite serve`` chooses RSGI only for an
application whose routes all promise that, and one that breaks the promise gets an error.

https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md, version 1.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol, cast

from oxidite.errors import LengthRequiredError, OxiditeError, PayloadTooLargeError
from oxidite.http.body import ClientDisconnectError, content_length
from oxidite.http.headers import Headers
from oxidite.http.negotiation import parse_content_type
from oxidite.http.request import Address, Request
from oxidite.http.response import Response, StoredResponse
from oxidite.protocols.base import (
    Application,
    cancelled_elsewhere,
    end,
    given_up,
    log_failure,
    prepared,
    too_slow_error,
)
from oxidite.protocols.forwarded import ForwardedScope
from oxidite.protocols.inflight import SWEEP, BodyPace, current_task

__all__ = ["HTTPProtocol", "RSGIRequest", "Running", "Scope", "UndeclaredStreamError", "serve_rsgi"]

_NO_BODY = frozenset((204, 205, 304))
_RESET = 205  # the one without a body whose length clients look at (RFC 9110 section 15.3.6)


class UndeclaredStreamError(OxiditeError):
    """A route answered with a stream over an interface that carries complete bodies only."""

    code = "undeclared_stream"


class RSGIHeaders(Protocol):
    """The header fields of a request, as Granian keeps them."""

    def get(self, key: str, default: str | None = None) -> str | None:
        """Return one value."""
        ...

    def get_all(self, key: str) -> list[str]:
        """Return every value."""
        ...

    def items(self) -> list[tuple[str, str]]:
        """Return all fields."""
        ...


class Scope(Protocol):
    """A request, as Granian tells of it."""

    proto: str
    http_version: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None
    """The host, over HTTP/2."""

    @property
    def headers(self) -> RSGIHeaders:
        """The header fields."""
        ...


class HTTPProtocol(Protocol):
    """The two ways of one exchange."""

    def __call__(self) -> Awaitable[bytes]:
        """Read the whole body."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body as it arrives."""
        ...

    def client_disconnect(self) -> Awaitable[None]:
        """Return when the client has gone away."""
        ...

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answer without a body."""
        ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        ...

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str) -> None:
        """Answer with a file."""
        ...

    def response_file_range(
        self, status: int, headers: list[tuple[str, str]], file: str, start: int, end: int
    ) -> None:
        """Answer with a part of a file."""
        ...


_new = object.__new__


class LazyHeaders(Headers):
    """Header fields that stay with Granian until somebody asks for all of them.

    Over HTTP/2 it has the host apart from them (RFC 9113 section 8.3.1).
    """

    __slots__ = ("_fields", "_scope")
    _fields: RSGIHeaders
    _scope: Scope

    def multi_items(self) -> list[tuple[str, str]]:
        """Return all fields as they came, repeated ones included. Not a copy: do not change it."""
        try:
            return self._items
        except AttributeError:
            self._items = self._fields.items()
            if self._fields.get("host") is None and (host := self._authority()) is not None:
                self._items = [("host", host), *self._items]
            return self._items

    def get(self, name: str, default: Any = None, /) -> Any:  # typed by the overloads above it
        """Return the first value of ``name``, or ``default``."""
        # PERF: middleware looks at one field and never at the others; benchmark `mw`.
        value = self._fields.get(name if name.islower() else name.lower())
        if value is None and name.lower() == "host":
            value = self._authority()
        return default if value is None else value

    def _authority(self) -> str | None:
        return self._scope.authority if self._scope.http_version == "2" else None

    def get_all(self, name: str) -> list[str]:
        """Return every value of ``name``, in order; an empty list without one."""
        values = self._fields.get_all(name if name.islower() else name.lower())
        if not values and (host := self.get(name)) is not None:
            return [host]
        return values


class RSGIRequest(Request):
    """A request over RSGI. The decoded path is all it tells of the path."""

    _reading: bool = False  # somebody waits for the next piece of the body
    _received: int = 0  # bytes of it
    _waited: float = 0.0  # seconds

    @property
    def headers(self) -> Headers:
        """The header fields."""
        headers = self._headers
        if headers is None:
            # PERF: without a constructor; benchmark `mw`.
            lazy = _new(LazyHeaders)
            lazy._scope = self._scope  # noqa: SLF001 - made here
            lazy._fields = self._scope.headers
            headers = self._headers = lazy
        return headers

    @property
    def query_string(self) -> str:
        """The part of the target after ``?``, still encoded."""
        scope: Scope = self._scope
        return scope.query_string

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return cast("Scope", self._scope).scheme

    @property
    def client(self) -> Address | None:
        """Who is on the other end of the connection."""
        host, _, port = cast("Scope", self._scope).client.rpartition(":")
        return Address(host.strip("[]"), int(port) if port.isdigit() else 0)

    @property
    def http_version(self) -> str:
        """``1.0``, ``1.1`` or ``2``."""
        return cast("Scope", self._scope).http_version

    @property
    def content_type(self) -> str | None:
        """The media type of the body, lower case and without parameters; ``None`` without one."""
        value: str | None = self._scope.headers.get("content-type")
        if value is None or value == "application/json":
            return value
        return parse_content_type(value)[0]

    @property
    def proxies(self) -> tuple[Address, ...]:
        """The trusted proxies that it came through, the nearest first."""
        return cast("tuple[Address, ...]", getattr(self._scope, "proxies", ()))

    def forward(
        self, client: Address, scheme: str | None, host: str | None, proxies: tuple[Address, ...]
    ) -> None:
        """Be the request that ``client`` sent."""
        self._scope = ForwardedScope(self._scope, client, scheme, host, proxies)
        self._headers = None

    async def body(self) -> bytes:
        """Return the whole body; it is kept, so ask as often as you like."""
        if self._body is not None or self._consumed or self._streamed:
            return await super().body()
        length = self._length()
        if length is None:
            body = await super().body()
            if body[-1:].isdigit():
                # A number is the one JSON text whose beginning is one too.
                raise _length_required()
            return body
        if length > self.max_body:
            raise PayloadTooLargeError(self.max_body)
        # PERF: announced and small enough, so the server may collect it; benchmark `items`.
        # How much of it has come is not known meanwhile: as much as it may have.
        self._streamed = self._reading = True
        self._received = length
        protocol: HTTPProtocol = self._source
        try:
            body = self._body = await protocol()
        except asyncio.CancelledError as exc:
            raise given_up(self, exc) from None
        except RuntimeError as exc:
            # Granian's own error for a connection that broke off derives from it.
            raise ClientDisconnectError from exc
        finally:
            self._reading = False
        return body

    def _length(self) -> int | None:
        return content_length(self._scope.headers.get("content-length"))

    async def _receive(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Granian ends the iteration alike for a body that is over and for one that broke off. So the
        length must have been announced, or the format must show by itself that something is missing.
        """
        if self._consumed:
            return
        length = self._length()
        is_safe = length is not None or _shows_its_end(self.content_type)
        if not is_safe and "transfer-encoding" in self.headers:
            raise _length_required()
        size = 0
        async for chunk in self._chunks():
            if chunk and not is_safe:
                raise _length_required()
            size += len(chunk)
            yield chunk
        self._consumed = True
        if length is not None and size != length:
            raise ClientDisconnectError

    async def _chunks(self) -> AsyncIterator[bytes]:
        source = aiter(cast("HTTPProtocol", self._source))
        while True:
            self._reading = True
            try:
                chunk = await anext(source)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError as exc:
                raise given_up(self, exc) from None
            finally:
                self._reading = False
            self._received += len(chunk)
            yield chunk

    def starves(self, pace: BodyPace) -> bool:
        """Tell whether the body has been waited for too long."""
        if not self._reading:
            return False
        self._waited += SWEEP
        return self._waited > pace.timeout + self._received / pace.rate

    def can_be_watched(self) -> bool:
        """Tell whether its route wants to be cancelled."""
        return self.route is not None and self.route.cancel

    def read_ahead(self) -> None:
        """Do nothing: the server tells of the client apart from the body."""

    async def wait_gone(self) -> None:
        """Return when the client has gone away."""
        await cast("HTTPProtocol", self._source).client_disconnect()


def _shows_its_end(content_type: str | None) -> bool:
    return content_type is not None and content_type.endswith(
        ("/json", "+json", "/msgpack", ".msgpack", "/x-msgpack", "multipart/form-data")
    )


def _length_required() -> LengthRequiredError:
    return LengthRequiredError(
        "A body in this format needs a Content-Length here. Send one, or have the application served "
        "with --interface asgi."
    )


async def serve_rsgi(app: Application, scope: Scope, protocol: HTTPProtocol) -> None:
    """Answer one request."""
    in_flight = app.in_flight
    loop = in_flight.loop or in_flight.wake()
    request = RSGIRequest(
        scope.method,
        scope.path,
        app.lifespan,
        app.max_body,
        "",
        current_task(loop),
        scope,
        protocol,
    )
    in_flight.young.add(request)
    response: Response | None
    try:
        response = await app.handle(request)
        if response.complete or (
            (response := await _carried(app, request, response, protocol)) is not None
        ):
            kind, body, status = response.bare_type, response.body, response.status
            if (
                kind
                and body
                and response.made_headers is None
                and status == 200
                and request.method != "HEAD"
            ):
                # PERF: almost every response, without a call; benchmark `json`.
                fields = [("content-type", kind)]
                if response.fixed is not None:
                    fields += response.fixed.items
                protocol.response_bytes(status, fields, body)
            else:
                _write(request, response, protocol)
    except BaseException as exc:  # noqa: BLE001 - raised again unless it is dealt with
        try:
            if not isinstance(exc, asyncio.CancelledError):
                raise
            await _cancelled(app, request, exc, protocol)
        finally:
            await end(app, in_flight, request, exc)
    else:
        # PERF: most requests have left nothing behind; benchmark `json`.
        in_flight.young.discard(request)
        if in_flight.old:
            in_flight.forget(request)
        if request.opened is not None or request.after is not None or request.interrupted:
            await end(app, in_flight, request, None)


async def _cancelled(
    app: Application, request: RSGIRequest, error: BaseException, protocol: HTTPProtocol
) -> None:
    """Deal with a cancellation that came out of a request, or raise it again."""
    if request.task is None or request.task.cancelling() > request.interrupted:
        raise error  # the server's own
    if request.too_slow:
        # Somebody else reads for the handler.
        _write(request, await app.render_error(request, too_slow_error(request)), protocol)
    elif not request.interrupted:
        # Nobody cancelled us: the handler awaited something that somebody else had cancelled.
        _write(request, await app.render_error(request, cancelled_elsewhere(error)), protocol)


def _write(request: RSGIRequest, response: Response, protocol: HTTPProtocol) -> None:
    made, body, status = response.made_headers, response.body, response.status
    if made is not None:
        fields = made.multi_items()
    else:
        fields = [("content-type", response.bare_type)] if response.bare_type else []
        if response.fixed is not None:
            fields += response.fixed.items
    if body and request.method != "HEAD" and status not in _NO_BODY:
        protocol.response_bytes(status, fields, body)
        return
    # The server knows the length of a body it sends; of one that it does not, it has to be told.
    if request.method == "HEAD" and status not in _NO_BODY and not _has_length(fields):
        fields = [*fields, ("content-length", str(len(body)))]
    if status == _RESET:
        fields = [each for each in fields if each[0] != "content-length"]
    protocol.response_empty(status, fields)


async def _carried(
    app: Application, request: RSGIRequest, response: Response, protocol: HTTPProtocol
) -> Response | None:
    """Have the server send a file, which it reads as its reader takes it; else return an answer."""
    response = await prepared(app, request, response)
    if response.complete:
        return response
    part = None
    if isinstance(response, StoredResponse):
        part = response.file_part or response.whole_file()
    if part is None:
        return await app.render_error(request, _undeclared(request, response))
    fields = response.headers.multi_items()
    if part.is_whole:
        protocol.response_file(response.status, fields, part.path)
    else:
        protocol.response_file_range(response.status, fields, part.path, part.start, part.stop)
    return None


def _has_length(fields: list[tuple[str, str]]) -> bool:
    return any(name == "content-length" for name, _ in fields)


def _undeclared(request: Request, response: Response) -> UndeclaredStreamError:
    route = request.route.path if request.route is not None else request.path
    return UndeclaredStreamError(
        f"{route} answered with a {type(response).__name__}, and this server interface (RSGI) carries "
        "complete bodies only: it would buffer the whole stream. Annotate the handler with what it "
        "returns, so that `oxidite serve` chooses ASGI, or serve with --interface asgi."
    )


class Running:
    """Keeps an application open between the two calls that RSGI has for it."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the application; the loop does not run yet. A mistake in it ends the process."""
        try:
            loop.run_until_complete(self._start(loop))
        except OxiditeError as exc:
            # Granian and what it starts its workers with would only add tracebacks of their own.
            log_failure("startup", exc)
            raise SystemExit(1) from None

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the application; the loop runs no more."""
        if self._task is not None:
            self._stop.set()
            loop.run_until_complete(self._task)

    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        started: asyncio.Future[None] = loop.create_future()
        self._stop = asyncio.Event()
        # One task opens and closes: resources may hold on to the task they were opened in.
        self._task = loop.create_task(self._run(started))
        await asyncio.wait((started, self._task), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task

    async def _run(self, started: asyncio.Future[None]) -> None:
        async with self._app.running():
            started.set_result(None)
            await self._stop.wait()
