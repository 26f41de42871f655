"""``WSGI``: a WSGI application as an ASGI one."""

from __future__ import annotations

from wsgiref.types import WSGIApplication

from oxidite.concurrency import ThreadPool
from oxidite.errors import ConfigError
from oxidite.protocols.asgi import Message, Receive, Send
from oxidite.protocols.wsgi.exchange import Exchange

__all__ = ["WSGI"]


class WSGI:
    """Answers with a WSGI application, in threads of its own.

    At most ``threads`` requests are answered at once; more wait for their turn. A request keeps its
    thread until its response was sent, slow clients included. Bodies pass through in both
    directions at the pace of the slower side and are never held whole, so no limit of the outer
    application applies to them: set the WSGI framework's own.

    An exception before the first byte is raised to the server, or to what is mounted around; after
    that it cuts the connection. When the client goes away, the application is stopped at its next
    read or write, and ``close()`` of what it returned is called, as it always is.

    It runs with and without the lifespan protocol; with it, its threads end at shutdown.
    """

    def __init__(self, app: WSGIApplication, *, threads: int = 10) -> None:
        if not callable(app):
            raise ConfigError(f"{app!r} is not a WSGI application: it cannot be called.")
        if threads < 1:
            raise ConfigError(
                f"A WSGI application needs a thread to run in, not threads={threads}."
            )
        self.app = app
        self.threads = threads
        self._pool = ThreadPool(threads)
        self._exchanges: set[Exchange] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Speak ASGI 3."""
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
            case kind:
                raise ValueError(f"A WSGI application cannot answer a connection of type {kind!r}.")

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        exchange = Exchange(self.app, scope, receive, send)
        self._exchanges.add(exchange)
        try:
            await exchange.run(self._pool)
        finally:
            self._exchanges.discard(exchange)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._pool:
            await send({"type": "lifespan.startup.complete"})
            await receive()
            # The server has waited for those that would end; the others would be waited for below.
            for exchange in self._exchanges:
                exchange.abandon()
        await send({"type": "lifespan.shutdown.complete"})
