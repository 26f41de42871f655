"""``Server-Timing``: where the time of a request went (https://www.w3.org/TR/server-timing/)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar

from oxidite.clock import perf
from oxidite.config import environment
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.instrument import Span, listen

__all__ = ["server_timing"]

_NOT_IN_TOKEN = re.compile(r"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_MOST = 20


def server_timing(*, show: bool | Callable[[Request], bool] | None = None) -> Middleware:
    """Tell how long the request took, and of that each kind of span of ``oxidite.instrument``.

    How long something took may say what was in it, so it is shown in development only, unless said:
    always, or to whom ``show`` says so for.
    """
    shown = environment() == "development" if show is None else show

    @complete
    async def middleware(request: Request, call_next: Handler) -> Response:
        if not (shown(request) if callable(shown) else shown):
            return await call_next(request)
        timings = _Timings()
        token = _current.set(timings)
        started = perf()
        try:
            with listen(timings):
                response = await call_next(request)
        finally:
            _current.reset(token)
        response.headers.add("server-timing", timings.field(perf() - started))
        return response

    return middleware


class _Timings:
    """Hears the spans of one request."""

    def __init__(self) -> None:
        self._started: dict[Span, float] = {}
        self._took: dict[str, float] = {}
        self._times: dict[str, int] = {}

    def span_started(self, span: Span) -> None:
        if _current.get() is self:
            self._started[span] = perf()

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        started = self._started.pop(span, None)
        if started is None or _is_inside_its_like(span):
            return
        self._took[span.name] = self._took.get(span.name, 0.0) + perf() - started
        self._times[span.name] = self._times.get(span.name, 0) + 1

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        pass

    def field(self, total: float) -> str:
        """Return the value of the field; what took longest comes first."""
        longest = sorted(self._took, key=self._took.__getitem__, reverse=True)[:_MOST]
        return ", ".join(
            (
                f"total;dur={total * 1000:.2f}",
                *(_metric(name, self._took[name], self._times[name]) for name in longest),
            )
        )


_current: ContextVar[_Timings | None] = ContextVar("oxidite_timings", default=None)


def _is_inside_its_like(span: Span) -> bool:
    # Its time is part of theirs already.
    outer = span.parent
    while outer is not None and outer.name != span.name:
        outer = outer.parent
    return outer is not None


def _metric(name: str, seconds: float, times: int) -> str:
    more = f';desc="{times} times"' if times > 1 else ""
    return f"{_NOT_IN_TOKEN.sub('_', name)};dur={seconds * 1000:.2f}{more}"
