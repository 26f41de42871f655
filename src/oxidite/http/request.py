"""A request, whichever protocol it came over.

``Request`` holds one in memory. The protocols subclass it to look things up in the server's own
structures only when somebody asks: most requests need their method, their path and little else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast, overload

from msgspec import Struct

from oxidite.encoding import DecodeError, codec_for
from oxidite.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from oxidite.http.body import content_length, limited, read_all
from oxidite.http.cookies import parse_cookies
from oxidite.http.form import FormData, parse_multipart, parse_urlencoded
from oxidite.http.headers import Headers
from oxidite.http.limits import FileRule, FormLimits
from oxidite.http.multipart import Parts
from oxidite.http.negotiation import parse_content_type
from oxidite.http.url import URL, QueryParams, single_values
from oxidite.http.version import Version
from oxidite.lifespan import Lifespan

__all__ = ["Address", "InvalidJSONError", "MatchedRoute", "Request", "Scopes"]

P = ParamSpec("P")
T = TypeVar("T")

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

DEFAULT_MAX_BODY = 1024 * 1024
"""Bytes of a request body that are accepted unless the application or the route says otherwise."""


class InvalidJSONError(BadRequestError):
    """The request body is not valid JSON."""

    code = "invalid_json"


class Address(NamedTuple):
    """Where a connection comes from. ``host`` is empty and ``port`` 0 on a Unix socket."""

    host: str
    port: int


class MatchedRoute(Protocol):
    """What a request knows of the route that answers it, for middleware, policies and labels."""

    @property
    def path(self) -> str:
        """The pattern, such as ``/posts/{id:int}``."""
        ...

    @property
    def name(self) -> str:
        """The name that ``url`` knows it by."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """What the route was tagged with."""
        ...

    @property
    def meta(self) -> Mapping[str, object]:
        """Whatever the application said of the route."""
        ...

    @property
    def cancel(self) -> bool:
        """Whether the handler is cancelled when the client goes away."""
        ...

    @property
    def version(self) -> Version | None:
        """The version of the API that it belongs to; ``None`` for all of them."""
        ...

    @property
    def form_limits(self) -> FormLimits:
        """What a form may have."""
        ...

    @property
    def files(self) -> Mapping[str, FileRule]:
        """The rules for the files of a form, by the names of their fields."""
        ...


class Scopes:
    """What dependencies made for one request, and how to end it.

    ``handler`` is closed when the handler has returned, ``request`` when the response is ready (for
    a stream: when it ended), ``stream`` after the last byte; each in reverse order of opening.
    """

    __slots__ = ("handler", "request", "stream", "values")

    def __init__(self) -> None:
        self.values: dict[object, object] = {}
        self.handler: AsyncExitStack[bool | None] = AsyncExitStack()
        self.request: AsyncExitStack[bool | None] = AsyncExitStack()
        self.stream: AsyncExitStack[bool | None] = AsyncExitStack()


_NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


class Request(Struct, eq=False, weakref=True):
    """A request.

    ``params`` are the values of the path, by name; ``path`` is decoded, ``raw_path`` is what came
    over the wire where the server tells. ``resources`` finds the application's resources by type.
    To make one in a test, see ``Request.of``.
    """

    # PERF: a Struct, because making one costs a third of what a Python constructor does. Fields
    # with an underscore are the protocol's, or filled when somebody asks. Benchmark `json`.
    method: str
    path: str
    resources: Lifespan
    max_body: int = DEFAULT_MAX_BODY
    root_path: str = ""
    task: asyncio.Task[object] | None = None
    """What answers it, to be cancelled if the client goes away."""
    _scope: Any = None  # the protocol's own structure
    _source: Any = None  # where the protocol gets the body from
    gone: bool = False
    """Whether the client went away before it had its answer."""
    interrupted: bool = False
    """For the protocols: whether ``task`` was cancelled because of that."""
    too_slow: bool = False
    """For the protocols: whether it was because the body came too slowly."""
    params: Mapping[str, Any] = _NO_PARAMS  # converted by the pattern: str, int, UUID, …
    route: MatchedRoute | None = None
    found: tuple[Any, str, str, int] | None = None
    """For the router: the route found before the middleware ran, for which path and method, and the
    limit of the body without it."""
    opened: Scopes | None = None
    """What dependencies made for this request; ``None`` until one needs to be remembered."""
    after: list[Callable[[], Awaitable[object] | object]] | None = None
    """What ``after_response`` was given."""
    single_values: dict[str, str] | None = None
    """For extractors: the query parameters that are there once; ``None`` until ``load_values``."""
    repeated: frozenset[str] = frozenset()
    """And the names of the others."""
    _consumed: bool = False
    _headers: Headers | None = None
    _query: QueryParams | None = None
    _cookies: dict[str, str] | None = None
    _body: bytes | None = None
    _form: FormData | None = None
    _state: dict[str, object] | None = None
    _streamed: bool = False

    @staticmethod
    def of(
        method: str,
        target: str = "/",
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        resources: Lifespan | None = None,
    ) -> Request:
        """Make a request in memory; ``target`` is a path, already decoded, and maybe a query."""
        path, _, query = target.partition("?")
        pairs = (
            cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
        )
        return Request(
            method,
            path,
            resources or Lifespan(),
            _scope=query,
            _headers=Headers((name.lower(), value) for name, value in pairs),
            _body=body,
        )

    # What a protocol looks up in its own structures.

    @property
    def headers(self) -> Headers:
        """The header fields."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers()
        return headers

    @property
    def query_string(self) -> str:
        """The part of the target after ``?``, still encoded."""
        return str(self._scope or "")

    @property
    def raw_path(self) -> bytes | None:
        """The path before decoding; ``None`` where the server does not tell (RSGI)."""
        return None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "http"

    @property
    def client(self) -> Address | None:
        """Who is on the other end of the connection, if the server knows."""
        return None

    @property
    def host(self) -> str:
        """The name, and the port if it is not the usual one, by which the client asks; maybe empty.

        As it came, so anything: ``request.url.host`` is checked.
        """
        return self.headers.get("host") or ""

    @property
    def proxies(self) -> tuple[Address, ...]:
        """The trusted proxies that it came through, the nearest first."""
        return ()

    @property
    def http_version(self) -> str:
        """``1.0``, ``1.1``, ``2`` or ``3``."""
        return "1.1"

    @property
    def is_websocket(self) -> bool:
        """Whether it is the handshake of a WebSocket, over HTTP/2 too; its method is GET."""
        return False

    def forward(
        self, client: Address, scheme: str | None, host: str | None, proxies: tuple[Address, ...]
    ) -> None:
        """Be the request that ``client`` sent to ``proxies``, which told its scheme and host.

        Does nothing here: what is in memory came from nobody else.
        """

    async def _receive(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; called once at most."""
        if self._body:
            yield self._body

    # What every request can do.

    @property
    def query(self) -> QueryParams:
        """The parameters after ``?``, decoded."""
        query = self._query
        if query is None:
            query = self._query = QueryParams(self.query_string)
        return query

    def load_values(self) -> dict[str, str]:
        """Fill ``single_values`` and ``repeated``, and return the former."""
        # PERF: one dictionary for all scalars of a signature; benchmark `users`.
        self.single_values, self.repeated = single_values(self.query_string)
        return self.single_values

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies the client sent."""
        if self._cookies is None:
            # HTTP/2 may split the field (RFC 9113 section 8.2.3).
            self._cookies = parse_cookies("; ".join(self.headers.get_all("cookie")))
        return self._cookies

    @property
    def url(self) -> URL:
        """The whole URL as the client sees it, by the Host field; ``localhost`` without one.

        Raises:
            InvalidHostError: the Host field is not an authority.
        """
        host = self.headers.get("host") or "localhost"
        return URL.from_parts(self.scheme, host, self.root_path + self.path, self.query_string)

    @property
    def content_type(self) -> str | None:
        """The media type of the body, lower case and without parameters; ``None`` without one."""
        value = self.headers.get("content-type")
        return None if value is None else parse_content_type(value)[0]

    @property
    def version(self) -> Version | None:
        """The version of the API that answers; ``None`` if the route belongs to none."""
        return None if self.route is None else self.route.version

    @property
    def state(self) -> dict[str, object]:
        """What middleware leaves for those that come after it."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def scopes(self) -> Scopes:
        """What dependencies made for this request."""
        if self.opened is None:
            self.opened = Scopes()
        return self.opened

    def after_response(
        self, function: Callable[P, Awaitable[object] | object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Call ``function`` once the response was sent.

        It runs to its end even if the client goes away, in the order of these calls, and its
        failure is logged. Work that must survive the process belongs in a queue.
        """
        if self.after is None:
            self.after = []
        self.after.append(lambda: function(*args, **kwargs))

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, at most ``max_body`` bytes of it.

        Once: nothing keeps what was read, so a second reader would be told of an empty body.

        Raises:
            PayloadTooLargeError: at once if the Content-Length says so, else when it is passed.
            ClientDisconnectError: the client went away half-way.
            RuntimeError: it was streamed before.
        """
        if self._body is not None:
            if len(self._body) > self.max_body:
                raise PayloadTooLargeError(self.max_body)
            yield self._body
            return
        if self._streamed:
            raise RuntimeError(
                "The body of this request was streamed already, and what is streamed is not kept. "
                "Where it is needed twice, the first reader takes it with `await request.body()`."
            )
        announced = content_length(self.headers.get("content-length"))
        if announced is not None and announced > self.max_body:
            raise PayloadTooLargeError(self.max_body)
        self._streamed = True
        async for chunk in limited(self._receive(), self.max_body):
            yield chunk

    async def body(self) -> bytes:
        """Return the whole body; it is kept, so ask as often as you like."""
        if self._body is None:
            self._body = await read_all(self.stream())
        return self._body

    def replace_body(self, body: bytes, *, without: Collection[str] = ()) -> None:
        """Have whoever reads the body after this read ``body``; for middleware that has read it.

        ``without`` are header fields, in lower case, that were about the body as it came.
        """
        self._body = body
        self._headers = Headers(
            item for item in self.headers.multi_items() if item[0] not in without
        )

    @overload
    async def json(self) -> Any: ...  # whatever the client sent
    @overload
    async def json(self, type_: type[T]) -> T: ...
    async def json(self, type_: object = Any) -> Any:
        """Return the body, decoded from JSON as ``type_``.

        Raises:
            InvalidJSONError: it is not JSON.
            MismatchError: it is not a ``type_``. In a handler, ``Json[T]`` answers this with 422.
        """
        data = await self.body()
        try:
            return codec_for(type_, finite=True).decode_json(data)
        except DecodeError as exc:
            raise InvalidJSONError(f"The request body is not valid JSON. {exc.message}") from None

    async def form(self, limits: FormLimits | None = None) -> FormData:
        """Return the fields and files of a form, URL-encoded or multipart.

        ``limits`` are those of the route or the application unless given. Files are closed when the
        request ends.

        Raises:
            UnsupportedMediaTypeError: it is no form.
            InvalidFormError: it is a malformed one.
            FormLimitError: it goes over one of ``limits``, or what the route's files may have.
            UnsupportedFileError: a file is not what the route accepts.
        """
        if self._form is None:
            limits = limits or self._form_limits()
            header = self.headers.get("content-type", "")
            kind = parse_content_type(header)[0]
            if kind == "multipart/form-data":
                files = self.route.files if self.route else None
                form = await parse_multipart(header, self.stream(), limits, files=files)
                self.scopes.stream.push_async_callback(form.aclose)
            elif kind == "application/x-www-form-urlencoded":
                form = parse_urlencoded(await self.body(), limits)
            else:
                raise UnsupportedMediaTypeError(header or None, FORM_TYPES)
            self._form = form
        return self._form

    def parts(self, limits: FormLimits | None = None) -> Parts:
        """Return the parts of a multipart form, as they arrive; nothing of them is kept.

        ``limits`` are those of the route or the application unless given.

        Raises:
            UnsupportedMediaTypeError: it is no multipart form.
            InvalidFormError: it has no usable boundary; later: it is malformed.
        """
        header = self.headers.get("content-type", "")
        return Parts(header, self.stream(), limits or self._form_limits())

    def _form_limits(self) -> FormLimits:
        return FormLimits() if self.route is None else self.route.form_limits

    def __repr__(self) -> str:
        # Without the query string: it may carry tokens, and a repr ends in logs.
        return f"<{type(self).__name__} {self.method} {self.path}>"
