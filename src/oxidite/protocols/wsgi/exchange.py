"""One request between the event loop and the thread that answers it.

The thread never touches the loop's objects: it posts an errand (send this, read more) and waits
until the exchange's own task has run it. So receive and send are called by the task that the server
started, one at a time, and the slowest side sets the pace. A second task, begun once it cannot take
anything from the reader, waits for the client to go away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import BinaryIO, TypeAlias, cast
from wsgiref.types import WSGIApplication

from oxidite.concurrency import ThreadPool
from oxidite.protocols.asgi import Message, Receive, Send
from oxidite.protocols.wsgi.answer import Answer
from oxidite.protocols.wsgi.body import open_body
from oxidite.protocols.wsgi.environ import environ_of

__all__ = ["Exchange", "GoneError"]


class GoneError(ConnectionAbortedError):
    """The client has gone, or the server stops: there is nobody to read from or to write to."""


_Errand: TypeAlias = tuple[Callable[[], Awaitable[bytes]], "Future[bytes]"]


class Exchange:
    """Runs a WSGI application for one request."""

    def __init__(self, app: WSGIApplication, scope: Message, receive: Receive, send: Send) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._errands: asyncio.Queue[_Errand | None] = asyncio.Queue()
        self._running: Future[bytes] | None = None
        self._messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)
        self._listener: asyncio.Task[None] | None = None
        self._gone = False
        self._body_ended = False

    async def run(self, pool: ThreadPool) -> None:
        """Answer the request in a thread of ``pool``; return when the application is done with it.

        Cancelled, it returns at once, and the thread ends at its next read or write.
        """
        work = self._loop.create_task(pool.run(self._answer))
        work.add_done_callback(lambda _: self._errands.put_nowait(None))
        try:
            while (errand := await self._errands.get()) is not None:
                await self._do(errand)
            await work
        except GoneError:
            pass  # raised by us, and nobody is left to be told
        finally:
            self.abandon()
            await self._end(work)

    def abandon(self) -> None:
        """Let the thread end: its reads and writes fail, from the one it waits for now."""
        self._gone = True
        if self._running is not None:
            _fail(self._running)
        for _ in range(self._errands.qsize()):
            errand = self._errands.get_nowait()
            if errand is None:
                self._errands.put_nowait(None)
            else:
                _fail(errand[1])
        # Our own task may wait for a message on behalf of the thread.
        while not self._messages.empty():
            self._messages.get_nowait()
        self._messages.put_nowait({"type": "http.disconnect"})

    async def _end(self, work: asyncio.Task[None]) -> None:
        tasks: list[asyncio.Task[None]] = [work]
        if self._listener is not None:
            tasks.append(self._listener)
        for task in tasks:
            task.cancel()
        # Looked at, so that nobody complains about an exception that was never retrieved.
        await asyncio.gather(*tasks, return_exceptions=True)

    # In the thread.

    def _answer(self) -> None:
        body = cast("BinaryIO", open_body(lambda: self._ask(self._next_chunk)))
        Answer(environ_of(self._scope, body), self._transmit).run(self._app)

    def _transmit(self, messages: Sequence[Message]) -> None:
        self._ask(lambda: self._pass_on(messages))

    def _ask(self, make: Callable[[], Awaitable[bytes]]) -> bytes:
        answer: Future[bytes] = Future()
        try:
            self._loop.call_soon_threadsafe(self._post, (make, answer))
        except RuntimeError as exc:  # the loop was closed: the server is gone as well
            raise GoneError from exc
        return answer.result()

    # In the loop.

    def _post(self, errand: _Errand) -> None:
        if self._gone:
            errand[1].set_exception(GoneError())
        else:
            self._errands.put_nowait(errand)

    async def _do(self, errand: _Errand) -> None:
        make, answer = errand
        self._running = answer
        try:
            result = await make()
        except asyncio.CancelledError:
            _fail(answer)
            raise
        except Exception as exc:  # noqa: BLE001 - the thread raises it, out of the application
            if not answer.done():
                answer.set_exception(exc)
        else:
            if not answer.done():
                answer.set_result(result)
        finally:
            self._running = None

    async def _pass_on(self, messages: Sequence[Message]) -> bytes:
        try:
            for message in messages:
                await self._send(message)
        except OSError as exc:  # the ASGI way to say that the client has gone
            self._gone = True
            raise GoneError from exc
        # Not earlier: to receive is to ask the client for its body (100-continue), which an
        # application may refuse without having read it.
        if messages[-1]["more_body"]:
            self._listen()
        return b""

    async def _next_chunk(self) -> bytes:
        self._listen()
        while not self._body_ended:
            message = await self._messages.get()
            if message["type"] == "http.disconnect":
                raise GoneError
            self._body_ended = not message.get("more_body", False)
            chunk = cast("bytes", message.get("body", b""))
            if chunk:
                return chunk
        return b""

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = self._loop.create_task(self._listen_until_gone())

    async def _listen_until_gone(self) -> None:
        """Receive, one message ahead of the reader, until the client is gone."""
        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                await self._messages.put(message)
        finally:
            self.abandon()


def _fail(answer: Future[bytes]) -> None:
    if not answer.done():
        answer.set_exception(GoneError())
