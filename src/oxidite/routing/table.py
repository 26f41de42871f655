"""The routes of an application, ready to answer: by host, path and method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote

from oxidite.errors import (
    HTTPError,
    MethodNotAllowedError,
    NotFoundError,
    RouteError,
    UpgradeRequiredError,
)
from oxidite.http.request import Request
from oxidite.http.response import RedirectResponse, Response
from oxidite.http.types import Handler, Middleware
from oxidite.http.websocket import WEBSOCKET
from oxidite.routing.layers import RenderError, fold
from oxidite.routing.route import Route
from oxidite.routing.tree import ANY_METHOD, Match, Tree

__all__ = ["RouteTable", "TrailingSlash"]

TrailingSlash: TypeAlias = Literal["strict", "ignore", "redirect"]
"""What ``/posts/`` means where only ``/posts`` is registered, and the other way round: nothing, the
same, or a permanent redirect (308, by a relative reference, so it holds behind any proxy)."""

_NO_METHOD = ""  # that of no route


class RouteTable:
    """Answers requests with the route of their host, path and method.

    Routes of a host are asked before those of any host. ``middleware`` runs around all of it, the first
    one outermost, and sees which route was found. ``missing`` may say more of a path that has no route
    than that it is not found. The table does not change once made.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        trailing_slash: TrailingSlash,
        render: RenderError,
        middleware: Sequence[Middleware] = (),
        missing: Callable[[Request], Exception | None] | None = None,
    ) -> None:
        self.routes: tuple[Route, ...] = tuple(routes)
        self._trailing_slash = trailing_slash
        self._render = render
        self._missing = missing
        self._tree: Tree[Route] = Tree()
        self._by_host: dict[str, Tree[Route]] = {}
        # Host names are matched like paths, label by label.
        self._hosts: Tree[Tree[Route]] = Tree()
        for route in self.routes:
            route.fold(render)
            self._add(route)
        for route in self.routes:
            if route.definition.placed is not None:
                route.definition.placed(route, self.routes)
        # What can be told by the path alone; by nothing, where hosts matter too.
        straight = Tree[Route]() if self._by_host else self._tree
        self._statics = straight.statics
        self._walk = straight.walk
        # Around whatever answers.
        self._around = fold(self._inside, middleware, render) if middleware else None

    def _add(self, route: Route) -> None:
        hidden_by = self._tree_of(route).add(route.pattern, route.methods, route)
        if hidden_by is not None:
            raise RouteError(
                f"{' '.join(route.methods)} {route.path} is registered twice, so one of them can "
                f"never answer: {hidden_by.where} and {route.where}."
            )

    def _tree_of(self, route: Route) -> Tree[Route]:
        host = route.host
        if host is None:
            return self._tree
        if str(host) not in self._by_host:
            tree = Tree[Route]()
            other = self._hosts.add(host, (ANY_METHOD,), tree)
            if other is not None:
                raise RouteError(
                    f"{route.where} and {next(iter(other)).where} are for the same hosts, but their "
                    "parameters have different names. Write host= the same in both."
                )
            self._by_host[str(host)] = tree
        return self._by_host[str(host)]

    def dispatch(self, request: Request) -> Awaitable[Response]:
        """Answer a request; whatever goes wrong below is a response already."""
        # PERF: no call and no coroutine of our own where the way is straight; benchmarks `json`, `users`.
        around = self._around
        path, method = request.path, request.method
        routes = self._statics.get(path)
        if routes is not None:
            found = routes.get(method)
            route = None if found is None else found[0]
        else:
            way = self._walk(path, method)
            if way is None:
                route = None
            else:
                route, request.params = way
        if route is None:
            return self._dispatch(request) if around is None else self._around_any(request, around)
        if around is not None:
            request.found = (route, path, method, request.max_body)
        request.route = route
        if route.max_body is not None:
            request.max_body = route.max_body
        return (around or route.handle)(request)

    def handshake(self, request: Request) -> Awaitable[Response]:
        """Answer the handshake of a WebSocket; the same middleware runs around it."""
        return self._around_any(request, self._around or self._inside)

    def has(self, request: Request) -> bool:
        """Tell whether there is a route for the path of a request, whatever its method."""
        match = self._match(request, request.path, _asked(request))
        return match.route is not None or bool(match.allowed)

    def _around_any(self, request: Request, around: Handler) -> Awaitable[Response]:
        limit = request.max_body
        request.found = (self._find(request), request.path, request.method, limit)
        return around(request)

    def _inside(self, request: Request) -> Awaitable[Response]:
        """Answer a request within the middleware, which may have made another one of it."""
        route: Route | None
        route, path, method, limit = request.found or (None, "", "", request.max_body)
        if path is not request.path or method is not request.method:
            route = request.route = None
            request.max_body = limit
        return self._dispatch(request) if route is None else route.handle(request)

    def _find(self, request: Request) -> Route | None:
        """Find the route on any way but a redirect; what is wrong, ``dispatch`` will answer."""
        try:
            match = self._match(request, request.path, _asked(request))
            if match.route is None and self._trailing_slash == "ignore":
                match = self._other_slash(request, match, _asked(request))
        except Exception:  # noqa: BLE001 - a path that is not text, a host that is none
            return None
        if match.route is not None:
            request.params = match.params
            _take(request, match.route)
        return match.route

    async def _dispatch(self, request: Request) -> Response:
        try:
            match = self._match(request, request.path, _asked(request))
            if match.route is None:
                match = self._other_slash(request, match, _asked(request))
            route = match.route
            if route is None:
                if request.path == "*" and request.method == "OPTIONS":
                    return Response(status=204)  # of the server itself (RFC 9110 section 9.3.7)
                if self._missing is not None and not match.allowed:
                    raise self._missing(request) or NotFoundError()
                return await self._without_route(request, match.allowed)
        except _Redirect as redirect:
            return RedirectResponse(redirect.url, 308)
        except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
            return await self._render(request, exc)
        request.params = match.params
        _take(request, route)
        return await route.handle(request)

    def methods(self, request: Request) -> frozenset[str]:
        """Return the methods that the path of a request has; none if it leads nowhere.

        ``*`` stands for every method: another application answers there. HEAD and OPTIONS come by
        themselves and are not among them unless they were registered.
        """
        match = self._match(request, request.path, _NO_METHOD)
        if match.route is None and self._trailing_slash == "ignore":
            match = self._other_slash(request, match, _NO_METHOD)
        return frozenset(match.allowed if match.route is None else (ANY_METHOD,))

    async def _without_route(self, request: Request, allowed: set[str]) -> Response:
        if request.method != "OPTIONS" or not allowed:
            raise _refusal(request, allowed)
        route = self._asked_before(request, allowed)
        if route is None:
            return _options(allowed)
        # CORS of a group or a route has to see the question about a request that it will surround.
        request.route = route

        async def answer(_: Request) -> Response:
            return _options(allowed)

        return await fold(answer, route.middleware, self._render)(request)

    def _asked_before(self, request: Request, allowed: set[str]) -> Route | None:
        """Return the route that a browser asks about before it sends the request itself."""
        method = request.headers.get("access-control-request-method")
        if method is None or method not in allowed:
            return None
        match = self._match(request, request.path, method)
        if match.route is None:
            match = self._other_slash(request, match, method)
        return match.route

    def _match(self, request: Request, path: str, method: str) -> Match[Route]:
        """Find the route on the request's host, else on any."""
        allowed: set[str] = set()
        for tree, host_params in self._trees(request):
            match = tree.find(path, method)
            if match.route is not None:
                match.params.update(host_params)
                return match
            allowed |= match.allowed
        return Match(None, {}, allowed)

    def _trees(self, request: Request) -> Iterator[tuple[Tree[Route], Mapping[str, object]]]:
        if self._by_host:
            host = request.headers.get("host", "").partition(":")[0].lower()
            found = self._hosts.find("/" + host.replace(".", "/"), ANY_METHOD)
            if found.route is not None:
                yield found.route, found.params
        yield self._tree, {}

    def _other_slash(self, request: Request, match: Match[Route], method: str) -> Match[Route]:
        """Try the path with a slash more or less, if the application wants that."""
        path = request.path
        if match.allowed or self._trailing_slash == "strict" or path == "/":
            return match
        if path.endswith("//"):
            return match  # an empty segment is not a slash too many
        other = path[:-1] if path.endswith("/") else path + "/"
        match = self._match(request, other, method)
        if match.route is None or self._trailing_slash == "ignore":
            return match
        # Relative to where the client is, so neither scheme, host nor a proxy's prefix can be wrong.
        last = quote(other.rstrip("/").rpartition("/")[2])
        url = f"./{last}/" if other.endswith("/") else f"../{last}"
        raise _Redirect(url + (f"?{request.query_string}" if request.query_string else ""))


def _take(request: Request, route: Route) -> None:
    request.route = route
    if route.max_body is not None:
        request.max_body = route.max_body


class _Redirect(Exception):  # noqa: N818 - not an error
    def __init__(self, url: str) -> None:
        self.url = url


def _asked(request: Request) -> str:
    """Return what a request asks of its path."""
    return WEBSOCKET if request.is_websocket else request.method


def _refusal(request: Request, allowed: set[str]) -> HTTPError:
    if not allowed or request.is_websocket:
        return NotFoundError()
    if allowed == {WEBSOCKET} and request.method in ("GET", "HEAD"):
        return UpgradeRequiredError()
    return MethodNotAllowedError(request.method, _with_implied(allowed))


def _options(allowed: set[str]) -> Response:
    return Response(status=204, headers={"allow": ", ".join(sorted(_with_implied(allowed)))})


def _with_implied(allowed: set[str]) -> set[str]:
    if WEBSOCKET in allowed:
        # It begins with a GET, where nothing else has one.
        allowed = (allowed - {WEBSOCKET}) or {"GET"}
    return {*allowed, "OPTIONS", *({"HEAD"} if "GET" in allowed else ())}
