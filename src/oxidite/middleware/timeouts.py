"""How long an answer may take. What takes longer is cancelled, and answered with 504."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterable

from oxidite.errors import ConfigError, GatewayTimeoutError, OxiditeError
from oxidite.http.declared import declares
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response, StreamingResponse
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.contents import PassedContent

__all__ = ["StreamTimeoutError", "timeout"]

_logger = logging.getLogger("oxidite")

_KEY = "oxidite.timeout"
_PATIENCE = 1.0
"""Seconds after which a handler is said not to stop."""


class StreamTimeoutError(OxiditeError):
    """The response took longer than it may, so it was broken off."""

    code = "stream_timeout"


def timeout(seconds: float | None, *, total: float | None = None) -> Middleware:
    """Cancel what has not answered after ``seconds``, and answer 504.

    Its clean-up runs, and a handler that goes on all the same is logged. The time of a stream is over
    when it begins, unless there is a ``total``, after which it is broken off. Used twice, the
    innermost decides: ``timeout(60)`` at a route gives it a minute, ``timeout(None)`` all the time it
    wants. It is real time, which does not travel with the clock. A sync handler cannot be stopped; its
    thread is left to itself.

    Raises:
        ConfigError: a time is not a positive number of seconds.
    """
    for each in (seconds, total):
        if each is not None and not 0 < each < math.inf:
            raise ConfigError(f"timeout: {each} is not a positive number of seconds.")

    @complete
    @declares(raises=[GatewayTimeoutError])
    async def middleware(request: Request, call_next: Handler) -> Response:
        outer = request.state.get(_KEY)
        if isinstance(outer, _Limit):
            outer.change(seconds, total)
            return await call_next(request)
        limit = request.state[_KEY] = _Limit(request)
        limit.change(seconds, total)
        return await limit.run(call_next)

    return middleware


class _Limit:
    """The time that one request has."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._seconds: float | None = None
        self._total: float | None = None
        self._is_over = False

    def change(self, seconds: float | None, total: float | None) -> None:
        self._cancel_timer()
        self._seconds, self._total = seconds, total
        if seconds is not None and not self._is_over:
            self._timer = self._loop.call_at(self._started + seconds, self._expire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._is_over = True
        self._timer = self._loop.call_later(_PATIENCE, self._complain)
        if self._task is not None:
            self._task.cancel()

    def _complain(self) -> None:
        self._timer = None
        _logger.error(
            "%s was cancelled after %g s and is still running: it catches CancelledError, or its "
            "clean-up takes long",
            self._where(),
            self._seconds,
        )

    async def run(self, call_next: Handler) -> Response:
        task = self._task
        cancels = 0 if task is None else task.cancelling()
        try:
            response = await call_next(self._request)
        except asyncio.CancelledError:
            # Somebody else may have cancelled it as well: that is not ours to answer.
            if not self._is_over or task is None or task.uncancel() > cancels:
                raise
            raise self._error() from None
        finally:
            self._cancel_timer()
        if self._is_over and task is not None:
            task.uncancel()
            if response.error is None:  # else that is in the log already
                _logger.error(
                    "%s caught the CancelledError at its end of time: it must raise it again",
                    self._where(),
                )
            await _close(response)
            raise self._error()
        if self._total is not None and isinstance(response, StreamingResponse):
            response.content = _Limited(response.content, self._started + self._total, self._total)
        return response

    def _error(self) -> GatewayTimeoutError:
        return GatewayTimeoutError(
            f"The answer took longer than the {self._seconds:g} s it may take."
        )

    def _where(self) -> str:
        route = self._request.route
        return f"the handler of {self._request.method} {'?' if route is None else route.path}"


async def _close(response: Response) -> None:
    close = getattr(getattr(response, "content", None), "aclose", None)
    if close is not None:
        await close()


class _Limited(PassedContent):
    """The content of a stream, until its time is over."""

    def __init__(self, content: AsyncIterable[bytes | str], until: float, total: float) -> None:
        super().__init__(content)
        self._until = until
        self._total = total

    async def __anext__(self) -> bytes | str:
        # A slow reader spends the time as well as a slow content.
        if asyncio.get_running_loop().time() >= self._until:
            raise self._error()
        timer = asyncio.timeout_at(self._until)
        try:
            async with timer:
                return await super().__anext__()
        except TimeoutError:
            if timer.expired():
                raise self._error() from None
            raise

    def _error(self) -> StreamTimeoutError:
        return StreamTimeoutError(
            f"The response took longer than the {self._total:g} s it may take."
        )
