"""A handler that talks to a client: from the handshake to its last clean-up, in a task of its own.

The handler runs until it wants to speak. Up to then it is like any other: what it raises is a response,
which all middleware sees. Then middleware gets the ``WebSocketResponse``, and the handler waits until the
protocol has written that. So it must be able to wait while others go on, and is a task; its
dependencies are opened and closed in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import ClassVar, Self, TypeAlias, cast

from oxidite.errors import HTTPError, ValidationError
from oxidite.extract.plan import Plan
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.websocket.codes import CloseCode, Closing
from oxidite.websocket.connection import Connection
from oxidite.websocket.errors import ClosedError, WebSocketError
from oxidite.websocket.wire import Wire

__all__ = ["Conversation", "Render", "WebSocketResponse", "conclude", "conversation_of"]

Render: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
"""Makes the response of an exception, and logs it if nobody expected it."""


class Conversation:
    """One handler and the connection it talks over."""

    def __init__(
        self, plan: Plan, request: Request, connection: Connection, render: Render
    ) -> None:
        self.connection = connection
        self._plan = plan
        self._request = request
        self._render = render
        self._task: asyncio.Task[object] | None = None

    async def begin(self) -> Response:
        """Run the handler until it wants to speak; return the answer to the handshake."""
        task = self._task = asyncio.get_running_loop().create_task(self._run())
        connection = self.connection
        connection.handler = task
        task.add_done_callback(lambda _: connection.wanted.set())
        try:
            await connection.wanted.wait()
        except asyncio.CancelledError:
            await self._cancel(task)
            raise
        if task.done():
            error = _error_of(task)
            if error is not None:
                return await self._render(self._request, error)
            if isinstance(answer := task.result(), Response):
                return answer
        return WebSocketResponse._of(self)  # noqa: SLF001 - this file's own

    async def go_on(self, wire: Wire, stopping: asyncio.Event) -> Response | None:
        """Let the handler speak, and close when it has ended; return the response of its failure.

        ``stopping`` tells that the server is about to stop.
        """
        task, connection = self._task, self.connection
        assert task is not None  # noqa: S101 - it began
        connection.opened(wire)
        stop = asyncio.get_running_loop().create_task(_set(stopping))
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                if stopping.is_set():
                    connection.end(CloseCode.RESTART, "The server restarts.")
                await asyncio.wait((task,))
        except asyncio.CancelledError:
            await self._cancel(task)
            raise
        finally:
            stop.cancel()
        closing, failure = await self._outcome(task)
        await connection.close(*closing)
        connection.release()
        return failure

    async def abandon(self) -> None:
        """End a handler whose handshake was answered with something else."""
        task = self._task
        if task is None or task.done():
            return
        self.connection.refused()
        await asyncio.wait((task,))
        await self._outcome(task)
        self.connection.release()

    async def _run(self) -> object:
        request, plan = self._request, self._plan
        scopes = request.scopes
        error: BaseException | None = None
        async with scopes.stream, scopes.request, scopes.handler:
            try:
                try:
                    called = plan.call(request)
                except ValidationError as exc:
                    raise await plan.with_others(exc, request) from None
                return await called
            except BaseException as exc:
                error = exc
                raise
        # A clean-up has swallowed it, and it happened all the same.
        raise cast("BaseException", error)

    async def _cancel(self, task: asyncio.Task[object]) -> None:
        """Cancel the handler as this task was, and wait for it, but not for ever."""
        task.cancel()
        await asyncio.wait((task,), timeout=self.connection.settings.grace)
        self.connection.release()
        if task.done() and not task.cancelled():
            await self._outcome(task)

    async def _outcome(self, task: asyncio.Task[object]) -> tuple[Closing, Response | None]:
        """Return how to close, and the response of a failure, which is logged then."""
        ended = self.connection.ended
        if task.cancelled() and ended is not None:
            return ended, None  # its grace was over
        error = _error_of(task)
        if error is None or isinstance(error, ClosedError):
            return ended or Closing(CloseCode.NORMAL), None
        if isinstance(error, WebSocketError):
            return Closing(error.close_code, error.message), None
        response = await self._render(self._request, error)
        response.error = error
        if response.status >= 500:
            return Closing(CloseCode.INTERNAL_ERROR), response
        reason = error.message if isinstance(error, HTTPError) else ""
        return Closing(CloseCode.POLICY, reason), response


class WebSocketResponse(Response):
    """The answer to a handshake that succeeded: status 101, and the conversation that follows it.

    Header fields set on it go into the handshake. If something else is returned in its place, the handler
    is told that the WebSocket is closed.
    """

    __slots__ = ("_conversation",)

    complete: ClassVar[bool] = False

    _conversation: Conversation

    @classmethod
    def _of(cls, conversation: Conversation) -> Self:
        """Make the answer that this conversation follows."""
        self = cls(headers=conversation.connection.headers)
        self.status = 101
        self._conversation = conversation
        return self


def conversation_of(response: WebSocketResponse) -> Conversation:
    """Return what follows the answer."""
    return response._conversation  # noqa: SLF001 - this file's own


async def _set(event: asyncio.Event) -> None:
    # An application may be open in one loop and be asked in another: the tests of a live server.
    with contextlib.suppress(RuntimeError):
        await event.wait()


def _error_of(task: asyncio.Task[object]) -> Exception | None:
    """Return what came out of a handler; a group of what closes a socket is the first of it."""
    if task.cancelled():
        # Nobody cancelled it: it awaited something that somebody else had cancelled.
        return RuntimeError("the handler awaited a task or a future that was cancelled")
    error = task.exception()
    if isinstance(error, ExceptionGroup):
        closing, other = error.split(WebSocketError)
        if other is None and closing is not None:
            return _first(closing)
    if error is None or isinstance(error, Exception):
        return error
    raise error


def _first(group: ExceptionGroup[WebSocketError]) -> WebSocketError:
    """Return what says the most: that the socket is closed follows from the others."""
    leaves: list[WebSocketError] = []
    pending: list[WebSocketError | ExceptionGroup[WebSocketError]] = [group]
    while pending:
        each = pending.pop(0)
        if isinstance(each, ExceptionGroup):
            pending.extend(each.exceptions)
        else:
            leaves.append(each)
    return next((each for each in leaves if not isinstance(each, ClosedError)), leaves[0])


async def conclude(request: Request) -> None:
    """End what a handshake began and nobody went on with."""
    if request.opened is not None:
        conversation = request.opened.values.pop(Conversation, None)
        if isinstance(conversation, Conversation):
            await conversation.abandon()
