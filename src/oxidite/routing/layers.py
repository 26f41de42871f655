"""Middleware, laid around what answers."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from oxidite.errors import ConfigError
from oxidite.extract.base import location
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.routing.passing import passes_on

__all__ = ["RenderError", "check_middleware", "fold"]

RenderError: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
"""Makes the response of an exception; the application passes it in."""


def check_middleware(middleware: Middleware) -> None:
    """Check that a middleware can be called as one.

    Raises:
        ConfigError: it is a class, or takes something else: it makes a middleware, most times.
    """
    name = getattr(middleware, "__name__", type(middleware).__name__)
    if isinstance(middleware, type):
        raise ConfigError(f"The class {name} is no middleware. Give an instance: {name}(...).")
    try:
        inspect.signature(middleware).bind(None, None)
    except ValueError:
        return  # it does not tell its parameters
    except TypeError:
        where = location(middleware) if callable(middleware) else repr(middleware)
        raise ConfigError(
            f"{where} is no middleware: it cannot be called with a request and what comes next. If it "
            f"makes one, call it: {name}(...)."
        ) from None


def fold(handler: Handler, chain: Sequence[Middleware], render: RenderError) -> Handler:
    """Put ``chain`` around ``handler``, the first one outermost.

    What a middleware raises becomes a response around it, so the layers above always get one, with the
    exception in ``response.error``: CORS headers and access logs see failures like anything else.
    """
    # PERF: who only passes on cannot tell a response from an exception, so what is right inside of it
    # needs no layer of its own; benchmark `mw`.
    inside: list[Middleware] = []
    for place in reversed(range(len(chain))):
        inside.append(chain[place])
        if place and passes_on(chain[place - 1]):
            handler = _called(chain[place], handler)
        else:
            handler = _layer(chain[place], handler, render, tuple(inside))
            inside.clear()
    return handler


def _called(middleware: Middleware, handler: Handler) -> Handler:
    return lambda request: middleware(request, handler)


def _layer(
    middleware: Middleware, handler: Handler, render: RenderError, among: Sequence[Middleware]
) -> Handler:
    """Make responses of what ``among`` raise; ``middleware`` is the outermost of them."""

    async def layer(request: Request) -> Response:
        try:
            answer: object = await middleware(request, handler)
        except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
            return await render(request, exc)
        if isinstance(answer, Response):
            return answer
        return await render(request, _no_response(answer, among))

    return layer


def _no_response(answer: object, among: Sequence[Middleware]) -> TypeError:
    where = [location(each) for each in reversed(among)]
    whose = f"the middleware {where[0]}" if len(where) == 1 else f"one of {', '.join(where)}"
    return TypeError(f"{whose} returned a {type(answer).__name__}, not a Response")
