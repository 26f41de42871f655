"""The access log: a line for each request, with nothing secret in it and nothing forged.

The line is made and written off the path of the request. That of a stream is written when it has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Literal, TextIO, TypeAlias

from oxidite.clock import perf, timestamp
from oxidite.errors import ConfigError
from oxidite.http.body import ClientDisconnectError
from oxidite.http.middleware import complete, ordered
from oxidite.http.request import Request
from oxidite.http.response import Response, StreamingResponse
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.access.entry import AccessEntry, Outcome
from oxidite.middleware.access.line import json_line, lost_json, lost_text, one_line, text_line
from oxidite.middleware.access.writer import LineWriter
from oxidite.middleware.contents import PassedContent
from oxidite.middleware.identity import current_identity
from oxidite.middleware.paths import Paths

__all__ = ["AccessFormat", "access_log", "writer_of"]

AccessFormat: TypeAlias = Literal["text", "json"] | Callable[[AccessEntry], str]
"""How a line looks; a function is called in the thread that writes."""

_NO_BODY = frozenset((204, 205, 304))
_random = Random()


def access_log(
    format: AccessFormat = "text",
    *,
    to: Path | TextIO | None = None,
    exclude: Iterable[str] = (),
    sample: float = 1.0,
    headers: Collection[str] = (),
    redact: Collection[str] = (),
    queue: int = 10_000,
) -> Middleware:
    """Write a line for each request to ``to``, standard output unless said.

    ``exclude`` are paths, maybe with ``*`` at the end. ``sample`` is the share of requests that is
    logged; those that failed, with 400 or more, always are. Of the request's fields those in
    ``headers`` are logged. The values of query parameters and fields whose names speak of a secret are
    masked, and those in ``redact``. Not more than ``queue`` lines wait to be written: what does not fit
    is dropped, and how much that was is said.

    Raises:
        ConfigError: a path is not one, or ``sample`` is not a share.
    """
    if not 0 <= sample <= 1:
        raise ConfigError(f"access_log: sample={sample} is not a share, from 0 to 1.")
    excluded = Paths(exclude)
    log = _Log(writer_of(format, to, frozenset(map(str.lower, redact)), queue), sample, headers)
    lifespans = log.writer.lifespans

    @complete
    @ordered(outside=["compression", "timeout"], inside=["request_id"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        path, method = request.path, request.method
        if path in excluded:
            return await call_next(request)
        if request.resources not in lifespans:
            await log.writer.run_while_open(request.resources)
        started = perf()
        try:
            response = await call_next(request)
        except BaseException:
            # The client went away, or the server stops: there is no answer.
            log.record(request, method, path, started, None, 0, "cancelled")
            raise
        if not response.complete:
            _Stream(log, request, method, path, started, response).follow()
        else:
            empty = method == "HEAD" or response.status in _NO_BODY
            size = 0 if empty else len(response.body)
            log.record(request, method, path, started, response, size, "complete")
        return response

    return middleware


def writer_of(
    form: AccessFormat, to: Path | TextIO | None, redact: frozenset[str], queue: int
) -> LineWriter[AccessEntry]:
    """Return what writes lines of that form."""
    if form == "json":
        return LineWriter(to, lambda entry: json_line(entry, redact), lost_json, size=queue)
    if form == "text":
        return LineWriter(to, lambda entry: text_line(entry, redact), lost_text, size=queue)
    if not callable(form):
        raise ConfigError(f"access_log: format={form!r} is neither 'text', 'json' nor a function.")
    return LineWriter(to, lambda entry: one_line(form(entry)), lost_text, size=queue)


class _Log:
    """Takes down what is needed for a line, and no more: a request must not be kept for it."""

    def __init__(
        self, writer: LineWriter[AccessEntry], sample: float, headers: Collection[str]
    ) -> None:
        self.writer = writer
        self._sample = sample
        self._headers = tuple(map(str.lower, headers))

    def record(
        self,
        request: Request,
        method: str,
        path: str,
        started: float,
        response: Response | None,
        size: int | None,
        outcome: Outcome,
    ) -> None:
        status = None if response is None else response.status
        failed = status is None or status >= 400 or outcome != "complete"
        if self._sample < 1 and not failed and _random.random() >= self._sample:
            return
        client, route, identity = request.client, request.route, current_identity()
        error = None if response is None else response.error
        self.writer.put(
            AccessEntry(
                timestamp(),
                perf() - started,
                "" if client is None else client.host,
                method,
                path,
                request.query_string,
                request.http_version,
                status,
                size,
                outcome,
                None if route is None else route.path,
                tuple(request.params) if request.params else (),
                None if error is None else type(error).__name__,
                None if identity is None else identity.request_id,
                None if identity is None else identity.trace.trace_id,
                self._fields(request) if self._headers else None,
            )
        )

    def _fields(self, request: Request) -> Mapping[str, str]:
        fields = request.headers
        return {name: fields[name] for name in self._headers if name in fields}


class _Stream:
    """A response that is made while it is sent."""

    def __init__(
        self,
        log: _Log,
        request: Request,
        method: str,
        path: str,
        started: float,
        response: Response,
    ) -> None:
        self._log = log
        self._request = request
        self._what = (method, path, started)
        self._response = response
        self._counted: _Counted | None = None

    def follow(self) -> None:
        if isinstance(self._response, StreamingResponse):
            self._counted = self._response.content = _Counted(self._response.content)
        # Run after the last byte, or after what came instead of it.
        self._request.scopes.stream.push(self._ended)

    def _ended(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        outcome: Outcome = "complete"
        if self._request.gone or isinstance(exc, (ClientDisconnectError, asyncio.CancelledError)):
            outcome = "cut"
        elif exc is not None:
            outcome = "failed"
        size = self._size(is_complete=outcome == "complete")
        self._log.record(self._request, *self._what, self._response, size, outcome)

    def _size(self, *, is_complete: bool) -> int | None:
        counted = self._counted
        if counted is not None and counted.is_begun:
            return counted.size
        # Sent by the server itself, or by a mounted application.
        length = self._response.headers.get("content-length", "") if is_complete else ""
        return int(length) if length.isdigit() else None


class _Counted(PassedContent):
    """The content of a stream, and how many bytes of it the server has taken."""

    def __init__(self, content: AsyncIterable[bytes | str]) -> None:
        super().__init__(content)
        self.size = 0

    async def __anext__(self) -> bytes:
        part = await super().__anext__()
        data = part.encode() if isinstance(part, str) else part
        self.size += len(data)
        return data
