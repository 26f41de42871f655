"""What a server protocol needs to know of the application, whichever protocol it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol

from oxidite.concurrency import BackgroundTasks, call
from oxidite.errors import OxiditeError, RequestTimeoutError
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.lifespan import Lifespan
from oxidite.protocols.inflight import InFlight

_logger = logging.getLogger("oxidite")

__all__ = [
    "Application",
    "cancelled_elsewhere",
    "end",
    "finish",
    "given_up",
    "log_failure",
    "prepared",
    "run_after",
    "too_slow_error",
]


class Application(Protocol):
    """An application as a protocol sees it."""

    lifespan: Lifespan
    in_flight: InFlight
    background: BackgroundTasks
    max_body: int

    def running(self) -> AbstractAsyncContextManager[object, bool | None]:
        """Open the application's resources, its mounts' too, and close them."""
        ...

    def handle(self, request: Request) -> Awaitable[Response]:
        """Answer a request; every failure is a response too."""
        ...

    def handle_websocket(self, request: Request) -> Awaitable[Response]:
        """Answer the handshake of a WebSocket; every failure is a response too."""
        ...

    def serve_websocket(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> Awaitable[None]:
        """Talk over one WebSocket, as ASGI has it."""
        ...

    def render_error(self, request: Request, error: Exception) -> Awaitable[Response]:
        """Make the response of an exception."""
        ...


def cancelled_elsewhere(error: BaseException) -> RuntimeError:
    """Return what to answer when a cancellation came out of a handler that nobody had cancelled."""
    failure = RuntimeError("the handler awaited a task or a future that was cancelled")
    failure.__cause__ = error
    return failure


def given_up(request: Request, error: asyncio.CancelledError) -> BaseException:
    """Return what a cancelled read of the body is: a time-out if it came too slowly, else itself."""
    if not request.too_slow or not request.interrupted or request.task is None:
        return error
    # It has served its purpose; the request goes on, with an error like any other.
    request.interrupted = False
    request.task.uncancel()
    return too_slow_error(request)


def too_slow_error(request: Request) -> RequestTimeoutError:
    """Return the answer to a body that comes too slowly."""
    # What is still to come is not worth waiting for; HTTP/2 ends the stream without a word.
    headers = {"connection": "close"} if request.http_version.startswith("1") else {}
    return RequestTimeoutError("The body of the request came too slowly.", headers=headers)


async def prepared(app: Application, request: Request, response: Response) -> Response:
    """Make a response fit its request that did not come from a handler, but from around one."""
    try:
        return await response.prepare(request)
    except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
        return await app.render_error(request, exc)


async def end(
    app: Application, in_flight: InFlight, request: Request, error: BaseException | None
) -> None:
    """Forget a request, and clean up after it; ``error`` is what kept it from its end."""
    in_flight.forget(request)  # type: ignore[arg-type]  # those of a protocol are watched
    if request.interrupted and request.task is not None:
        # The cancellation was ours; the server's own task goes on.
        request.task.uncancel()
    if request.opened is not None or request.after is not None:
        await finish(app, request, error)


async def finish(app: Application, request: Request, error: BaseException | None = None) -> None:
    """Do what comes after the last byte: close what is left, start the work for later.

    ``error`` is what kept the response from its end: what was begun must not look finished.
    """
    try:
        if request.opened is not None:
            await _close(request.opened.request, error)
            await _close(request.opened.stream, error)
    finally:
        if request.after is not None:
            app.background.spawn(run_after(request))


async def _close(scope: AsyncExitStack, error: BaseException | None) -> None:
    """End a scope when nobody is left to be told; its failure keeps no other from ending."""
    try:
        if error is None:
            await scope.aclose()
        else:
            await scope.__aexit__(type(error), error, error.__traceback__)
    except Exception as exc:
        if exc is not error:
            _logger.exception("clean-up after the response failed")
    except BaseException as exc:
        if exc is not error:
            raise


async def run_after(request: Request) -> None:
    """Run what was left for after the response, in order; one failure does not stop the rest."""
    for function in request.after or ():
        try:
            await call(function)
        except Exception:
            _logger.exception("work after the response failed")


def log_failure(phase: str, error: Exception) -> None:
    """Say why an application does not start or end; what is ours says all of it in its message."""
    if isinstance(error, OxiditeError):
        _logger.error("%s failed: %s", phase, error.message)
        _logger.debug("the traceback", exc_info=error)
    else:
        _logger.error("%s failed", phase, exc_info=error)
