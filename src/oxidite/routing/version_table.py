"""The routes of an application that has versions, ready to answer.

Where the version is in the path, its routes are routes like others and one table has them all. Where
something else says it, there is a table for each version.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from oxidite.errors import RouteError
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Middleware
from oxidite.routing.layers import RenderError
from oxidite.routing.route import Route
from oxidite.routing.table import RouteTable, TrailingSlash
from oxidite.routing.version_errors import NotInVersionError
from oxidite.routing.versioning import Versioning

__all__ = ["VersionedTable", "versioned_table"]


def versioned_table(
    routes: Sequence[Route],
    *,
    trailing_slash: TrailingSlash,
    render: RenderError,
    middleware: Sequence[Middleware] = (),
) -> RouteTable | VersionedTable:
    """Make the table of routes of which some have a version.

    Raises:
        RouteError: there are two sets of versions among which something beside the path chooses.
    """
    choosing = {id(each.versioning): each for each in routes if each.selected}
    if len(choosing) > 1:
        raise RouteError(
            f"{' and '.join(each.where for each in choosing.values())} have versions of different "
            "Versioning, and both choose by a header field, the query or Accept. Choose by the path, or "
            "mount one as an application of its own."
        )
    make = partial(RouteTable, trailing_slash=trailing_slash, render=render, middleware=middleware)
    for route in choosing.values():
        if route.versioning is not None:
            return VersionedTable(routes, route.versioning, make)
    return make(routes, missing=_InPaths(routes).unknown)


class _InPaths:
    """The places in the paths where a version stands."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._places = {
            (route.versioning, route.version_at)
            for route in routes
            if route.versioning is not None and route.version_at is not None
        }

    def unknown(self, request: Request) -> Exception | None:
        """Return the error of a path that has a version that there is not."""
        for versioning, before in self._places:
            if request.path.startswith(before):
                error = versioning.unknown_in(request.path[len(before) :])
                if error is not None:
                    return error
        return None


class VersionedTable:
    """Answers requests with the table of the version that they ask for.

    Each table has the routes of one version and those of none, so which route is found, what the
    middleware sees and which methods a path has is all of that version. One more table has the routes
    of no version only, for requests that say none, or one that there is not.
    """

    def __init__(
        self, routes: Sequence[Route], versioning: Versioning, make: Callable[..., RouteTable]
    ) -> None:
        self.routes: tuple[Route, ...] = tuple(routes)
        self._versioning = versioning
        self._in_paths = _InPaths(routes)
        self._tables: dict[str | None, RouteTable] = {
            name: make(
                [each for each in routes if not each.selected or _name(each) == name],
                missing=self._missing,
            )
            for name in (None, *versioning.names)
        }

    def dispatch(self, request: Request) -> Awaitable[Response]:
        """Answer a request."""
        return self._tables[self._select(request)].dispatch(request)

    def handshake(self, request: Request) -> Awaitable[Response]:
        """Answer the handshake of a WebSocket."""
        return self._tables[self._select(request)].handshake(request)

    def methods(self, request: Request) -> frozenset[str]:
        """Return the methods that the path of a request has in its version."""
        return self._tables[self._select(request)].methods(request)

    def _select(self, request: Request) -> str | None:
        try:
            name = self._versioning.select(request)
        except Exception:  # noqa: BLE001 - a query that is malformed: `_missing` raises it again
            return None
        chosen = name if name in self._tables else None
        if request.method == "OPTIONS" and not self._tables[chosen].methods(request):
            # A browser that asks before it sends (CORS) does not say the version yet.
            return next((n for n, t in self._tables.items() if t.methods(request)), chosen)
        return chosen

    def _missing(self, request: Request) -> Exception | None:
        """Return what to say of a path that the table of the request's version does not have."""
        unknown = self._in_paths.unknown(request)
        if unknown is not None:
            return unknown
        name = self._versioning.select(request)
        having = [other for other, table in self._tables.items() if other and table.has(request)]
        if not having:
            return None
        if name is None or name not in self._tables:
            return self._versioning.refusal(request)
        return NotInVersionError(name, having, vary=self._versioning.vary)


def _name(route: Route) -> str | None:
    return None if route.version is None else route.version.name
