"""Calls a WSGI application and passes on what it answers (PEP 3333, "Specification Details").

Everything here runs in the application's thread and knows no event loop: messages leave by a
function that returns when they were sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TypeAlias
from wsgiref.types import WSGIApplication

from oxidite.http.headers import MutableHeaders
from oxidite.protocols.asgi import Message
from oxidite.protocols.wsgi.environ import Environ

__all__ = ["Answer"]

Transmit: TypeAlias = Callable[[Sequence[Message]], None]
_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)

_STATUS = re.compile(r"([2-9]\d\d)(?: .*)?")
_WITHOUT_BODY = frozenset((204, 205, 304))
_RESET = 205  # the one without a body whose length clients look at (RFC 9110 section 15.3.6)
# About the connection, which is the server's (PEP 3333, "Other HTTP Features").
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade")
)


class Answer:
    """The answer to one request.

    Nothing is sent before the first bytes of the body are there, so until then an exception leaves
    the outer application free to answer; after that, it can only cut the connection.
    """

    def __init__(self, environ: Environ, transmit: Transmit) -> None:
        self._environ = environ
        self._transmit = transmit
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._status: int | None = None
        self._headers = MutableHeaders()
        self._left: int | None = None  # bytes that the announced length still allows
        self._started = False
        self._ended = False

    def run(self, app: WSGIApplication) -> None:
        """Call ``app``, send what it returns, close what it returns."""
        try:
            self._run(app)
        except BaseException as exc:
            if isinstance(exc, Exception) and not isinstance(exc, StopIteration):
                raise
            # In a process of its own SystemExit would end that; here it would end everybody's. And
            # no future carries StopIteration.
            raise RuntimeError(f"the WSGI application raised {type(exc).__name__}") from exc

    def _run(self, app: WSGIApplication) -> None:
        result = app(self._environ, self._start_response)
        try:
            self._send(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _send(self, result: Iterable[bytes]) -> None:
        is_whole = isinstance(result, list | tuple) and len(result) == 1
        for chunk in result:
            if chunk:
                self._body(chunk, last=is_whole)
            if self._ended:
                return
        self._body(b"", last=True)

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: _ExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        if exc_info:
            try:
                if self._started and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # the traceback holds this frame
        elif self._status is not None:
            raise RuntimeError("start_response was called twice, the second time without exc_info")
        self._status = _status(status)
        self._headers = MutableHeaders(
            (name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP
        )
        length = self._headers.get("content-length")
        self._left = int(length) if length is not None and self._has_body() else None
        return self._write

    def _write(self, data: bytes) -> None:
        self._body(data, last=False)

    def _has_body(self) -> bool:
        return not self._is_head and self._status not in _WITHOUT_BODY

    def _body(self, data: bytes, *, last: bool) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"a WSGI application sends bytes, not {type(data).__name__}")
        if self._ended:  # an answer that must not have a body is over at its first byte
            return
        messages: list[Message] = []
        if not self._started:
            messages.append(self._start(len(data) if last else None))
        if not self._has_body():
            data, last = b"", True
        self._count(len(data), last=last)
        self._started = True
        self._ended = last
        messages.append({"type": "http.response.body", "body": data, "more_body": not last})
        self._transmit(messages)

    def _start(self, size: int | None) -> Message:
        if self._status is None:
            raise RuntimeError("the WSGI application answered without calling start_response")
        headers = self._headers
        # An empty body says nothing of the length in an answer that must not have one.
        if size is not None and self._status not in _WITHOUT_BODY and (size or not self._is_head):
            headers.setdefault("content-length", str(size))
        if self._status == _RESET:
            headers["content-length"] = "0"
        return {
            "type": "http.response.start",
            "status": self._status,
            "headers": [
                (name.encode("ascii"), value.encode("latin-1"))
                for name, value in headers.multi_items()
            ],
        }

    def _count(self, size: int, *, last: bool) -> None:
        """Hold the application to the length it announced: more would be taken for an answer."""
        if self._left is None:
            return
        self._left -= size
        if self._left < 0 or (last and self._left):
            raise RuntimeError(
                f"the WSGI application sent {'more' if self._left < 0 else 'fewer'} bytes than its "
                f"Content-Length {self._headers['content-length']} announced"
            )


def _status(status: str) -> int:
    found = _STATUS.fullmatch(status)
    if found is None:
        raise ValueError(f"{status!r} is not a status such as '200 OK'")
    return int(found[1])
