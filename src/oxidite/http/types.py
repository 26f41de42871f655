"""The two shapes that carry everything between a server and a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = ["Handler", "Middleware"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers a request: the rest of the application, as a middleware sees it."""

Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
"""Does something around the rest of the application; returns a response, its own or that one."""
