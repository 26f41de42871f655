"""The two shapes that carry everything between a server and a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = ["Handler", "Middleware", "complete"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers a request: the rest of the application, as a middleware sees it."""

M = TypeVar("M", bound=Callable[..., object])

Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
"""Does something around the rest of the application; returns a response, its own or that one."""


def complete(middleware: M) -> M:
    """Promise that a middleware returns what ``call_next`` gave, or something complete of its own.

    An application in which everything promises complete bodies can be served over a faster interface
    (RSGI). A stream that comes all the same is answered with an error there.
    """
    middleware.complete = True  # type: ignore[attr-defined]  # functions take attributes
    return middleware
