"""``oxidite serve --access-log``: the same lines on every server, for any ASGI application.

The logs of the server libraries differ by library, and none is of one form for people and programs; so
they are off, and the application's own access log is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxidite.app import Oxidite
from oxidite.clock import perf, timestamp
from oxidite.http.middleware import middleware_name
from oxidite.http.response import ASGIApp
from oxidite.protocols.asgi import Message, Receive, Send
from oxidite.servers.base import AccessLog

if TYPE_CHECKING:
    from oxidite.middleware.access.entry import AccessEntry, Outcome
    from oxidite.middleware.access.writer import LineWriter

__all__ = ["write_access"]


def write_access(app: ASGIApp, form: AccessLog) -> ASGIApp:
    """Return ``app`` with a line on standard output for each request.

    An Oxidite application that has an access log of its own keeps that one and gets no second.
    """
    from oxidite.middleware.access import access_log

    if not isinstance(app, Oxidite):
        return _Logged(app, form)
    names = [middleware_name(each) for each in app.middleware]
    if "access_log" not in names:
        # Inside of what gives requests their ids, outside of everything else.
        place = names.index("request_id") + 1 if "request_id" in names else 0
        app.middleware.insert(place, access_log(form))
    return app


class _Logged:
    """An application of which nothing is known, and a line for each of its requests."""

    def __init__(self, app: ASGIApp, form: AccessLog) -> None:
        from oxidite.middleware.access.log import writer_of

        self._app = app
        self._writer: LineWriter[AccessEntry] = writer_of(form, None, frozenset(), 10_000)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf()
        status: int | None = None
        size = 0
        outcome: Outcome = "cancelled"

        async def counted(message: Message) -> None:
            nonlocal status, size, outcome
            await send(message)
            if message["type"] == "http.response.start":
                status, outcome = message["status"], "cut"
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    outcome = "complete"

        try:
            await self._app(scope, receive, counted)
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._writer.put(_entry(scope, started, status, size, outcome))


def _entry(
    scope: Message, started: float, status: int | None, size: int, outcome: Outcome
) -> AccessEntry:
    from oxidite.middleware.access.entry import AccessEntry

    client = scope.get("client")
    return AccessEntry(
        when=timestamp(),
        duration=perf() - started,
        client=client[0] if client else "",
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        http_version=scope["http_version"],
        status=status,
        size=size,
        outcome=outcome,
        route=None,
        params=(),
        error=None,
        request_id=None,
        trace_id=None,
        headers=None,
    )
