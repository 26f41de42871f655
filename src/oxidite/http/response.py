"""Responses: what a handler, or the framework for it, answers.

A ``Response`` holds complete bytes; a ``StreamingResponse`` makes them while it is sent; a
``StoredResponse`` has them in a file (``FileResponse``); a ``MountedResponse`` lets another ASGI
application answer. How each is written to the wire is known in ``protocols/`` only. ``to_response``
makes a response of whatever a handler returned.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
)
from contextvars import ContextVar
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

from oxidite.encoding import encode_json
from oxidite.http.cookies import SameSite, format_delete_cookie, format_set_cookie
from oxidite.http.headers import FixedHeaders, MutableHeaders, content_headers, header_value
from oxidite.http.request import Request

__all__ = [
    "FilePart",
    "HTMLResponse",
    "JSONResponse",
    "MountedResponse",
    "RedirectResponse",
    "Response",
    "StoredResponse",
    "StreamingResponse",
    "TextResponse",
    "iterate",
    "stopping",
    "to_response",
]

T = TypeVar("T")

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
BYTES = "application/octet-stream"
EVENTS = "text/event-stream"
LINES = "application/jsonl"
CSV = "text/csv"


class Response:
    """A status, header fields and a complete body.

    ``headers`` is made when it is first asked for: most responses never need it.
    """

    __slots__ = ("bare_type", "body", "error", "fixed", "made_headers", "status")

    complete: ClassVar[bool] = True
    """Whether the whole body is there, so that any protocol can carry it in one piece."""

    body: bytes
    status: int
    error: Exception | None
    """The exception that this response stands for: what a transaction looks at to roll back."""
    bare_type: str | None
    """For the protocols: the content type, where ``made_headers`` is ``None``."""
    fixed: FixedHeaders | None
    """For the protocols: further fields, where ``made_headers`` is ``None``."""
    made_headers: MutableHeaders | None

    def __init__(
        self,
        body: bytes | str = b"",
        status: int = 200,
        *,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(body, str):
            body = body.encode()
            content_type = content_type or TEXT
        if content_type is not None:
            header_value(content_type)  # the protocols write it as it is
        self.body = body
        self.status = _checked(status)
        self.error = None
        self.bare_type = content_type
        self.fixed = None
        self.made_headers = None
        if headers:
            self.headers.update(headers)

    @property
    def headers(self) -> MutableHeaders:
        """The header fields, ``content-type`` included."""
        headers = self.made_headers
        if headers is None:
            headers = self.made_headers = content_headers(self.bare_type)
            if self.fixed is not None:
                headers.add_missing(self.fixed)
                self.fixed = None
        return headers

    def add_fixed(self, fields: FixedHeaders) -> None:
        """Append the fields that are not here by name; cheaper than one by one in ``headers``."""
        # PERF: nothing is made of them where no other field is set; benchmark `mw`.
        if self.made_headers is None and self.fixed is None:
            self.fixed = fields
        elif self.fixed is not fields:
            self.headers.add_missing(fields)

    @property
    def content_type(self) -> str | None:
        """The media type of the body, with its parameters."""
        if self.made_headers is not None:
            return self.made_headers.get("content-type")
        return self.bare_type

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers["content-type"] = value

    async def prepare(self, request: Request) -> Response:
        """Return what answers ``request``: this one, or another in its place.

        Called for what is not complete, once the handler has returned and before any middleware sees
        it. What it raises is answered like an error of the handler.
        """
        return self

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: float | None = None,
        expires: datetime | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = True,
        samesite: SameSite | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Send a cookie; ``max_age`` in seconds, a session cookie without it (RFC 6265)."""
        self.headers.add(
            "set-cookie",
            format_set_cookie(
                name,
                value,
                max_age=max_age,
                expires=expires,
                path=path,
                domain=domain,
                secure=secure,
                httponly=httponly,
                samesite=samesite,
                partitioned=partitioned,
            ),
        )

    def delete_cookie(
        self,
        name: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        samesite: SameSite | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Have the client forget a cookie; all of these as when it was set.

        Else it is another cookie to the browser (``path``, ``domain``, ``partitioned``), or one that
        it does not take from a frame on another site (``samesite``).
        """
        self.headers.add(
            "set-cookie",
            format_delete_cookie(
                name,
                path=path,
                domain=domain,
                secure=secure,
                samesite=samesite,
                partitioned=partitioned,
            ),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.content_type}>"


def _checked(status: int) -> int:
    # What is below 200 announces a response and is none; text would end in the status line.
    if isinstance(status, int) and 200 <= status <= 999:
        return status
    raise ValueError(f"{status!r} is not the status of a response; use a number from 200 to 999")


class JSONResponse(Response):
    """Any value that can be encoded, as JSON."""

    __slots__ = ()

    def __init__(
        self, value: object, status: int = 200, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(encode_json(value), status, content_type=JSON, headers=headers)


class TextResponse(Response):
    """Plain text in UTF-8."""

    __slots__ = ()

    def __init__(
        self, text: str, status: int = 200, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text.encode(), status, content_type=TEXT, headers=headers)


class HTMLResponse(Response):
    """HTML in UTF-8. Nothing is escaped: that is the template's work."""

    __slots__ = ()

    def __init__(
        self, html: str, status: int = 200, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(html.encode(), status, content_type=HTML, headers=headers)


class RedirectResponse(Response):
    """Sends the client elsewhere; 303 unless told otherwise, so that a form is not posted twice."""

    __slots__ = ()

    def __init__(
        self, url: str, status: int = 303, *, headers: Mapping[str, str] | None = None
    ) -> None:
        if not 300 <= status < 400:
            raise ValueError(f"{status} is not a redirect")
        super().__init__(b"", status, headers=headers)
        # What a URL may not hold is encoded; what it may hold, "%" included, stays as it is.
        self.headers["location"] = quote(url, safe="%/:=&?~#+!$,;'@()*[]")


class StreamingResponse(Response):
    """A body made while it is sent; the slowest reader sets the pace.

    ``content`` yields ``bytes`` or ``str``. When the client goes away it is closed: an async
    generator sees ``GeneratorExit`` or ``CancelledError`` and runs its clean-up.
    """

    __slots__ = ("content",)

    complete: ClassVar[bool] = False
    media_type: ClassVar[str | None] = None
    """The media type in which a subclass sends items of one type, if it does."""

    content: AsyncIterable[bytes | str]

    def __init__(
        self,
        content: AsyncIterable[bytes | str] | Iterable[bytes | str],
        status: int = 200,
        *,
        content_type: str = BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(b"", status, content_type=content_type, headers=headers)
        self.content = content if isinstance(content, AsyncIterable) else iterate(content)


stopping: ContextVar[asyncio.Event | None] = ContextVar("stopping", default=None)
"""For the protocols: the event that is set when the server begins to stop.

The content of a stream finds it so, whatever a middleware has wrapped around it.
"""


async def iterate(content: Iterable[T]) -> AsyncIterator[T]:
    """Yield what an iterable yields, in the event loop, and close it."""
    try:
        for chunk in content:
            yield chunk
    finally:
        # A generator or a file that somebody else holds too would stay open.
        close = getattr(content, "close", None)
        if close is not None:
            close()


class FilePart(NamedTuple):
    """Bytes of a file of ``size``, from ``start`` up to and without ``stop``."""

    path: str
    start: int
    stop: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return self.start == 0 and self.stop == self.size


class StoredResponse(Response):
    """A body that is in a file, so that a server may read it by itself as its reader takes it.

    ``content`` is the body in pieces, for servers that do not. Not a ``StreamingResponse``: what makes
    another stream of a stream leaves this alone, because not every interface has streams.
    """

    __slots__ = ("content",)

    complete: ClassVar[bool] = False

    content: AsyncIterable[bytes | str]

    @property
    def file_part(self) -> FilePart | None:
        """For the protocols: the part of a file that is the body, where it is just that."""
        return None

    def whole_file(self) -> FilePart | None:
        """Give up several parts of a file for all of it, which is then the body, and return it.

        For a protocol that cannot send them; ranges may be ignored (RFC 9110 section 14.2).
        """
        return None


ASGIApp: TypeAlias = Callable[
    [
        MutableMapping[str, Any],  # the message formats of ASGI are open dictionaries
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
"""An ASGI 3 application."""


class MountedResponse(Response):
    """Answered by another ASGI application, which gets the rest of the path.

    Header fields set on this response are added to the other application's; its status becomes this
    one's ``status`` when it starts to answer.
    """

    __slots__ = ("app", "path", "root_path", "state")

    complete: ClassVar[bool] = False

    app: ASGIApp
    root_path: str
    path: str
    state: Mapping[str, object]

    def __init__(
        self, app: ASGIApp, root_path: str, path: str, state: Mapping[str, object]
    ) -> None:
        super().__init__(b"")
        self.app = app
        self.root_path = root_path
        self.path = path
        self.state = state


def to_response(value: object, status: int = 200) -> Response:
    """Make a response of what a handler returned.

    A ``Response`` stays what it is, text becomes ``text/plain``, bytes are sent as they are, ``None``
    is 204 without a body (or ``status``, if that is not 200), and everything else becomes JSON. A
    tuple is refused: in other frameworks it is a status and headers, and guessing helps nobody.
    """
    # PERF: one look-up, and half the time of the constructor; benchmark `json`.
    kind = type(value)
    if kind in _json_kinds:
        body, content_type = encode_json(value), JSON
    elif isinstance(value, str) and kind is str:
        body, content_type = value.encode(), TEXT
    else:
        other = _other_response(value, status)
        if other is not None:
            return other
        if len(_json_kinds) < _KINDS_KEPT:
            _json_kinds.add(kind)
        body, content_type = encode_json(value), JSON
    response = _new(Response)
    response.body = body
    response.status = status
    response.bare_type = content_type
    response.fixed = None
    response.made_headers = None
    response.error = None
    return response


_new = object.__new__
_json_kinds: set[type] = set()
"""Classes whose values become JSON, as they were seen."""
_KINDS_KEPT = 1000


def _other_response(value: object, status: int) -> Response | None:
    """Return the response of a value that does not become JSON."""
    if isinstance(value, Response):
        return value
    if value is None:
        return Response(b"", 204 if status == 200 else status)
    if type(value) is bytes:
        return Response(value, status, content_type=BYTES)
    if isinstance(value, tuple):
        raise TypeError(
            "the handler returned a tuple. For a status use status= of the route, or return "
            "JSONResponse(value, status); for a list return a list."
        )
    return None
