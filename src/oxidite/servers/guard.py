"""What a worker does around an application: shed load, count requests, announce HTTP/3.

Only what is asked for is there: an application without limits is served as it is.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from oxidite.app import Oxidite
from oxidite.errors import ServiceUnavailableError
from oxidite.http.request import Request
from oxidite.http.response import ASGIApp, Response
from oxidite.http.types import Handler
from oxidite.protocols.asgi import Message, Receive, Send
from oxidite.protocols.inflight import BodyPace
from oxidite.servers.access import write_access
from oxidite.servers.base import Renewal, Settings

__all__ = ["guard"]

RETRY_AFTER = "1"
"""Seconds that a client is asked to wait when there is too much to do."""

_BUSY = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,'
    b'"detail":"There is too much to do. Try again in a moment.","code":"unavailable"}'
)


def guard(app: ASGIApp, settings: Settings, spent: Callable[[], object] = lambda: None) -> ASGIApp:
    """Return ``app`` with the limits of ``settings``; ``spent`` is called when it should be renewed."""
    if settings.access_log is not None:
        app = write_access(app, settings.access_log)
    if isinstance(app, Oxidite):
        app.body_pace = BodyPace(settings.body_timeout, settings.body_rate)
        handle: Handler = app.handle
        if settings.http3:
            handle = _announcing(handle, alt_svc(settings))
        if settings.max_in_flight is not None:
            handle = _shedding(app, handle, settings.max_in_flight)
        if settings.renewal.requests is not None:
            handle = _counting(handle, _countdown(settings.renewal, spent))
        if handle != app.handle:
            # Every interface passes here, so that none needs a limit of its own.
            app.handle = handle  # type: ignore[method-assign, assignment]  # of this one application
        return app
    if settings.http3:
        app = _foreign_announcing(app, alt_svc(settings).encode())
    if settings.max_in_flight is not None or settings.renewal.requests is not None:
        app = _Foreign(app, settings.max_in_flight, _countdown(settings.renewal, spent))
    return app


def alt_svc(settings: Settings) -> str:
    """Return the field that says where HTTP/3 is spoken; RFC 9114 section 3.1.1."""
    return f'h3=":{settings.port}"; ma=3600'


def _shedding(app: Oxidite, handle: Handler, most: int) -> Handler:
    """Answer with 503 what comes on top of ``most`` requests, before anything is done for it."""

    async def busy(request: Request) -> Response:
        error = ServiceUnavailableError(
            "There is too much to do. Try again in a moment.", headers={"retry-after": RETRY_AFTER}
        )
        return await app.render_error(request, error)

    def shed(request: Request) -> Awaitable[Response]:
        # This one is counted already.
        if len(app.in_flight) > most and request.path not in app.unshed_paths:
            return busy(request)
        return handle(request)

    return shed


def _counting(handle: Handler, count: Callable[[], object]) -> Handler:
    def counted(request: Request) -> Awaitable[Response]:
        count()
        return handle(request)

    return counted


def _announcing(handle: Handler, value: str) -> Handler:
    async def announced(request: Request) -> Response:
        response = await handle(request)
        response.headers.setdefault("alt-svc", value)
        return response

    return announced


def _countdown(renewal: Renewal, spent: Callable[[], object]) -> Callable[[], object]:
    """Return what calls ``spent`` once, when it has been called often enough."""
    if renewal.requests is None:
        return lambda: None
    left = renewal.requests + random.randint(0, renewal.jitter)

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            spent()

    return count


def _foreign_announcing(app: ASGIApp, value: bytes) -> ASGIApp:
    async def announced(scope: Message, receive: Receive, send: Send) -> None:
        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"alt-svc", value)]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, forward if scope["type"] == "http" else send)

    return announced


class _Foreign:
    """The same around an application of which nothing is known."""

    def __init__(self, app: ASGIApp, most: int | None, count: Callable[[], object]) -> None:
        self._app = app
        self._most = most
        self._count = count
        self._in_flight = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._count()
        if self._most is not None and self._in_flight >= self._most:
            await _busy(send)
            return
        self._in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1


async def _busy(send: Send) -> None:
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(_BUSY)),
        (b"retry-after", RETRY_AFTER.encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _BUSY})
