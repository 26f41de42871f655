"""Who is who among requests: an id for each, and its place in a trace over several services.

Both are known wherever the request is worked on, by a context variable: in handlers, in their
threads, in logs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from random import Random
from typing import Annotated

from msgspec import Struct

from oxidite.carried import carry
from oxidite.clock import timestamp
from oxidite.errors import ConfigError
from oxidite.extract.base import Description
from oxidite.http.headers import header_name
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.trace import TraceContext, parse_traceparent, parse_tracestate
from oxidite.http.types import Handler, Middleware
from oxidite.instrument import is_listening, span

__all__ = ["Identity", "IdentityFilter", "RequestID", "Trace", "current_identity", "request_id"]

_ACCEPTABLE = re.compile(r"[A-Za-z0-9_.:+/=@-]{1,128}")
_LOW = (1 << 62) - 1
_SPAN = (1 << 64) - 1
# A digit in front, which is cut off again, keeps the zeros that a number begins with.
_MARKS = 1 << 128 | 0x7 << 76 | 0x2 << 62
_AHEAD = 1 << 64

# Ids tell requests apart; they are no secrets, and a generator of secrets takes five times as long.
_random = Random()
# A copied process would go on with the same numbers as the one it is a copy of.
os.register_at_fork(after_in_child=_random.seed)


class Identity(Struct, frozen=True, gc=False):
    """The id of a request, and its place in a trace."""

    request_id: str
    trace: TraceContext

    def headers(self) -> dict[str, str]:
        """Return the fields for a call to another service: the id and the trace."""
        return {"x-request-id": self.request_id, **self.trace.headers()}


_current: ContextVar[Identity | None] = ContextVar("oxidite_identity", default=None)


def current_identity() -> Identity | None:
    """Return that of the request that is being answered here; ``None`` outside of any."""
    return _current.get()


def _captured() -> str | None:
    identity = _current.get()
    if identity is None:
        return None
    trace = identity.trace
    return f"{identity.request_id}\n{trace.traceparent}\n{trace.state}"


@contextlib.contextmanager
def _restored(text: str) -> Iterator[None]:
    """Be in the request and the trace that a job was pushed from, as a span of its own."""
    own_id, _, rest = text.partition("\n")
    traceparent, _, state = rest.partition("\n")
    before = _current.get()
    parent = parse_traceparent([traceparent])
    # Whoever wrote that is no reason for a job to fail.
    if parent is not None and _ACCEPTABLE.fullmatch(own_id):
        trace_id, parent_id, sampled = parent
        span_id = hex(_random.getrandbits(138) & _SPAN | _AHEAD)[3:]
        trace = TraceContext(trace_id, span_id, parent_id, sampled, parse_tracestate([state]))
        _current.set(Identity(own_id, trace))
    try:
        yield
    finally:
        _current.set(before)


carry("request", _captured, _restored)


def request_id(
    header: str = "x-request-id",
    *,
    accept: bool | None = None,
    continue_trace: bool = True,
    sampled: bool = True,
) -> Middleware:
    """Give each request an id, a UUID of version 7 in 32 digits, and answer with it in ``header``.

    An id that came with the request is kept if it is one (128 letters, digits and ``_.:+/=@-`` at
    most) and if ``accept``; unless said, if a trusted proxy sent it. ``traceparent`` is continued
    from anybody unless ``continue_trace`` is false; a trace that begins here has the id of the
    request, and is ``sampled`` or not.
    """
    name = header_name(header)

    @complete
    async def middleware(request: Request, call_next: Handler) -> Response:
        headers = request.headers
        # PERF: three numbers in one, and text of it by `hex`; benchmark `micro`.
        bits = _random.getrandbits(138)
        # RFC 9562 section 5.7: the time in ms, the version, 12 bits, the variant, 62 bits.
        number = int(timestamp() * 1000) << 80 | bits >> 126 << 64 | bits >> 64 & _LOW
        own_id = new_id = hex(number | _MARKS)[3:]
        span_id = hex(bits & _SPAN | _AHEAD)[3:]
        given = headers.get(name)
        if (
            given is not None
            and (request.proxies if accept is None else accept)
            and _ACCEPTABLE.fullmatch(given)
        ):
            own_id = given
        trace = None
        if continue_trace and headers.get("traceparent") is not None:
            trace = _continued(request, span_id)
        if trace is None:
            trace = TraceContext(new_id, span_id, "", sampled)
        # Left as it is at the end: what streams, or runs after the response, belongs to it too.
        _current.set(Identity(own_id, trace))
        if is_listening():
            response = await _spanned(request, call_next, own_id, trace)
        else:
            response = await call_next(request)
        response.headers[name] = own_id
        return response

    return middleware


def _continued(request: Request, span_id: str) -> TraceContext | None:
    parent = parse_traceparent(request.headers.get_all("traceparent"))
    if parent is None:
        return None
    trace_id, parent_id, sampled = parent
    state = parse_tracestate(request.headers.get_all("tracestate"))
    return TraceContext(trace_id, span_id, parent_id, sampled, state)


async def _spanned(
    request: Request, call_next: Handler, own_id: str, trace: TraceContext
) -> Response:
    route = request.route
    with span(
        "http.request",
        method=request.method,
        route=None if route is None else route.path,
        request_id=own_id,
        trace_id=trace.trace_id,
        span_id=trace.span_id,
        parent_id=trace.parent_id,
        sampled=trace.sampled,
    ) as work:
        response = await call_next(request)
        work.set("status", response.status)
        return response


class IdentityFilter(logging.Filter):
    """Gives log records ``request_id``, ``trace_id`` and ``span_id``, which are ``-`` outside of requests.

    Add it to a handler, so that the records of every logger pass it: ``handler.addFilter(...)``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        identity = _current.get()
        record.request_id = "-" if identity is None else identity.request_id
        record.trace_id = "-" if identity is None else identity.trace.trace_id
        record.span_id = "-" if identity is None else identity.trace.span_id
        return True


def _needed(what: str) -> Identity:
    identity = _current.get()
    if identity is None:
        raise ConfigError(f"{what} is made by a middleware: Oxidite(middleware=[request_id()]).")
    return identity


class _RequestID:
    def extract(self, request: Request) -> str:
        return _needed("RequestID").request_id

    def describe(self) -> Description:
        return Description("request", str)


class _Trace:
    def extract(self, request: Request) -> TraceContext:
        return _needed("Trace").trace

    def describe(self) -> Description:
        return Description("request", TraceContext)


RequestID = Annotated[str, _RequestID()]
"""The id of the request, as an argument: ``id: RequestID``."""

Trace = Annotated[TraceContext, _Trace()]
"""The request's place in a trace, as an argument: ``trace: Trace``."""
