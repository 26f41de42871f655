"""Which methods the path of a request has: asked by middleware, known by the router."""

from __future__ import annotations

from collections.abc import Callable

from oxidite.http.request import Request

__all__ = ["PathMethods"]


class PathMethods:
    """Tells the methods of a request's path; a resource of every application.

    None for a path that leads nowhere, ``*`` where another application answers every method. HEAD
    and OPTIONS come by themselves and are only named if they were registered.
    """

    def __init__(self, find: Callable[[Request], frozenset[str]]) -> None:
        self._find = find

    def __call__(self, request: Request) -> frozenset[str]:
        """Return the methods.

        Raises:
            InvalidPathError: the path is not text.
        """
        return self._find(request)
