"""The application as a child serves it: with the failure of newer code over its pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from oxidite.cli.dev.pages import OVERLAY_STYLE, overlay
from oxidite.cli.dev.policy import admit, before_policy, hash_source
from oxidite.http.response import ASGIApp
from oxidite.servers.startup import Message, StartupRecorder

__all__ = ["DevApp"]

_DROPPED = frozenset((b"content-length", b"etag", b"last-modified", b"cache-control"))
_MARK = (b"x-oxidite-reload", b"failed")
_STYLE = f"<style>{OVERLAY_STYLE}</style>".encode()
_SOURCE = hash_source(OVERLAY_STYLE)


class DevApp(StartupRecorder):
    """An ASGI application around the user's; ``failure`` is what it shows, nothing if empty.

    It calls ``on_closing`` when the server is done and the resources are about to be closed.
    """

    def __init__(self, app: ASGIApp, on_closing: Callable[[], object] = lambda: None) -> None:
        super().__init__(app)
        self.failure = ""
        self._on_closing = on_closing

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """ASGI."""
        if self.failure and scope["type"] == "http":
            send = _Overlaid(send, overlay(self.failure), is_head=scope["method"] == "HEAD")
        if scope["type"] == "lifespan":
            receive = self._watched(receive)
        await super().__call__(scope, receive, send)

    def _watched(
        self, receive: Callable[[], Awaitable[Message]]
    ) -> Callable[[], Awaitable[Message]]:
        async def watched() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self._on_closing()
            return message

        return watched


class _Overlaid:
    """A ``send`` that marks responses, and adds the overlay to complete pages."""

    def __init__(
        self, send: Callable[[Message], Awaitable[None]], extra: bytes, *, is_head: bool
    ) -> None:
        self._send = send
        self._extra = extra
        self._is_head = is_head
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Only the next message tells whether the page is complete.
            headers = [*message.get("headers", ()), _MARK]
            self._start = {**message, "headers": headers}
            return
        start, self._start = self._start, None
        if start is not None:
            if self._is_complete_page(start, message):
                start, message = self._lay_over(start, message)
            await self._send(start)
        await self._send(message)

    def _is_complete_page(self, start: Message, body: Message) -> bool:
        headers = {name.lower(): value for name, value in start["headers"]}
        return (
            body["type"] == "http.response.body"
            and not body.get("more_body", False)
            and not self._is_head
            and start["status"] not in (204, 206, 304)
            and headers.get(b"content-type", b"").startswith(b"text/html")
            and b"content-encoding" not in headers
        )

    def _lay_over(self, start: Message, message: Message) -> tuple[Message, Message]:
        page = cast("bytes", message.get("body", b""))
        place = before_policy(page)
        body = b"".join((page[:place], _STYLE, page[place:], self._extra))
        headers = [each for each in start["headers"] if each[0].lower() not in _DROPPED]
        headers = admit(headers, _SOURCE)
        headers += [(b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
        return {**start, "headers": headers}, {**message, "body": body}
