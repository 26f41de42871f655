"""What a server protocol needs to know of the application, whichever protocol it is."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from oxidite.concurrency import BackgroundTasks, call
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.lifespan import Lifespan
from oxidite.protocols.inflight import InFlight

logger = logging.getLogger("oxidite")

__all__ = ["Application", "close_request", "finish", "run_after"]


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

    def render_error(self, request: Request, error: Exception) -> Awaitable[Response]:
        """Make the response of an exception."""
        ...


async def close_request(app: Application, request: Request, response: Response) -> Response:
    """End the request's scope; what its clean-up raises becomes the response."""
    error = response.error
    try:
        if error is None:
            await request.scopes.request.aclose()
        else:
            await request.scopes.request.__aexit__(type(error), error, error.__traceback__)
    except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
        if exc is not error:
            return await app.render_error(request, exc)
    return response


async def finish(app: Application, request: Request) -> None:
    """Do what comes after the last byte: close what is left, start the work for later."""
    if request.opened is not None:
        await request.opened.request.aclose()
        await request.opened.stream.aclose()
    if request.after is not None:
        app.background.spawn(run_after(request))


async def run_after(request: Request) -> None:
    """Run what was left for after the response, in order; one failure does not stop the rest."""
    for function in request.after or ():
        try:
            await call(function)
        except Exception:
            logger.exception("work after the response failed")
