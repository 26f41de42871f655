"""Where handlers are registered: routes, groups of routes, controllers and mounted applications."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, Unpack

from oxidite.errors import RouteError
from oxidite.extract.base import location
from oxidite.extract.hints import UnresolvedHintError
from oxidite.extract.params import UnknownPathParameterError
from oxidite.http.response import ASGIApp
from oxidite.http.types import Middleware
from oxidite.http.websocket import WebSocketOptions
from oxidite.routing.definition import (
    Definition,
    RouteOptions,
    check_options,
    define,
    define_websocket,
)
from oxidite.routing.pattern import Pattern
from oxidite.routing.versioning import Versioning, VersionSpec

__all__ = [
    "Controller",
    "Entry",
    "Included",
    "Inherited",
    "Mount",
    "Router",
    "based_on",
]

H = TypeVar("H", bound=Callable[..., object])

_NOWHERE = Pattern(())


class Controller:
    """Handlers that are methods of one class.

    ::

        class Posts(Controller):
            routes = Router("/posts")

            def __init__(self, store: Store) -> None:
                self.store = store

            @routes.get("/{id:int}")
            async def show(self, id: int) -> Post: ...

        app.include(Posts)

    One is made for each request; what its constructor takes is made like a handler's arguments.
    """

    routes: Router


@dataclass(frozen=True)
class Mount:
    """Another ASGI application under a prefix; it runs its own lifespan."""

    pattern: Pattern
    app: ASGIApp
    state: dict[str, object] = field(default_factory=dict)
    """What the application's own lifespan left for its requests."""


@dataclass(frozen=True)
class Included:
    """A router inside another, under a prefix, and the controller its handlers belong to."""

    prefix: Pattern
    router: Router
    controller: type[Controller] | None


@dataclass(frozen=True)
class Inherited:
    """The routes of another router, but those that are replaced and those of the handlers in ``without``."""

    router: Router
    without: tuple[Callable[..., object], ...]


Entry: TypeAlias = Definition | Included | Mount | Inherited
"""What a router holds."""


class Router:
    """A group of routes with what they share.

    ``prefix`` may have parameters, ``host`` too (``{tenant}.example.com``); ``middleware`` runs around
    the group's routes, inside that of the application; ``name`` is put before the routes' names
    with a dot. ``versioning`` lists the versions of what is in it, which come after its prefix in the
    path; ``versions`` are those that its routes are in.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        host: str | None = None,
        middleware: Sequence[Middleware] = (),
        tags: Sequence[str] = (),
        name: str = "",
        versioning: Versioning | None = None,
        versions: VersionSpec | None = None,
    ) -> None:
        self.prefix: Pattern = Pattern.parse(prefix)
        self.host: Pattern | None = None if host is None else _host_pattern(host)
        self.middleware: list[Middleware] = list(middleware)
        self.tags: tuple[str, ...] = tuple(tags)
        self.name = name
        self.versioning: Versioning | None = versioning
        self.versions: VersionSpec | None = versions
        self.entries: list[Entry] = []

    # Registering.

    def route(
        self, path: str, methods: Iterable[str], **options: Unpack[RouteOptions]
    ) -> Callable[[H], H]:
        """Register a handler for several methods; the handler itself stays what it was."""
        localns = _callers_locals(path)
        return lambda handler: self._register(path, methods, handler, options, localns)

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register a handler for GET; HEAD is answered by it too, without the body."""
        localns = _callers_locals(path)
        return lambda handler: self._register(path, ("GET",), handler, options, localns)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register a handler for POST."""
        localns = _callers_locals(path)
        return lambda handler: self._register(path, ("POST",), handler, options, localns)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register a handler for PUT."""
        localns = _callers_locals(path)
        return lambda handler: self._register(path, ("PUT",), handler, options, localns)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register a handler for PATCH."""
        localns = _callers_locals(path)
        return lambda handler: self._register(path, ("PATCH",), handler, options, localns)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register a handler for DELETE."""
        localns = _callers_locals(path)
        return lambda handler: self._register(path, ("DELETE",), handler, options, localns)

    def websocket(self, path: str, **options: Unpack[WebSocketOptions]) -> Callable[[H], H]:
        """Register a handler for WebSockets; a route for GET may have the same path."""
        localns = _callers_locals(path)
        return lambda handler: self._register_websocket(path, handler, options, localns)

    def group(
        self,
        prefix: str = "",
        *,
        host: str | None = None,
        middleware: Sequence[Middleware] = (),
        tags: Sequence[str] = (),
        name: str = "",
        versions: VersionSpec | None = None,
    ) -> Router:
        """Return a new router that is part of this one."""
        router = Router(
            prefix, host=host, middleware=middleware, tags=tags, name=name, versions=versions
        )
        self.include(router)
        return router

    def include(self, routes: Router | type[Controller], prefix: str = "") -> None:
        """Add the routes of a router or a controller, under ``prefix`` before their own."""
        if isinstance(routes, Router):
            if routes is self or self in routes.routers():
                raise RouteError("A router cannot be part of itself.")
            self._add(Included(Pattern.parse(prefix), routes, None))
            return
        router = getattr(routes, "routes", None)
        if not isinstance(router, Router) or not isinstance(routes, type):
            raise RouteError(
                f"{getattr(routes, '__qualname__', routes)!r} is neither a Router nor a Controller with "
                "`routes = Router(...)` in its body. A controller is given as its class: one is made for each request."
            )
        self._add(Included(Pattern.parse(prefix), router, routes))

    def mount(self, prefix: str, app: ASGIApp) -> None:
        """Let another ASGI application answer everything under ``prefix``.

        It runs its own lifespan inside this application's. For a WSGI application mount
        ``oxidite.protocols.wsgi.WSGI(app)``.
        """
        pattern = Pattern.parse(prefix)
        if not callable(app):
            raise RouteError(
                f"{app!r} cannot be mounted at {prefix!r}: it is not an ASGI application."
            )
        self._add(Mount(pattern, app))

    def static(
        self,
        prefix: str,
        directory: str | os.PathLike[str],
        *,
        index: str | None = "index.html",
        spa: bool | str = False,
        immutable: bool = False,
        cache_control: str | None = None,
        precompressed: bool = True,
        name: str = "",
        middleware: Sequence[Middleware] = (),
    ) -> None:
        """Serve the files of a directory, which may be ``Assets``, under ``prefix``.

        It must be there when the application starts. ``index`` is the page of a directory. With ``spa``, that page (or another, by its path below the
        directory) answers a browser that goes where there is no file and no other route. ``immutable``
        promises that a file never changes under its name. ``precompressed`` sends ``app.js.br``, ``.zst``
        or ``.gz`` for ``app.js`` to who accepts it.
        """
        # An application without files needs none of it.
        from oxidite.routing.static.site import Site

        site = Site(
            directory,
            index=index,
            spa=spa,
            immutable=immutable,
            cache_control=cache_control,
            precompressed=precompressed,
        )
        for each in site.definitions(prefix, name=name, middleware=middleware):
            self._add(each)

    def _register(
        self,
        path: str,
        methods: Iterable[str],
        handler: H,
        options: RouteOptions,
        localns: Mapping[str, object],
    ) -> H:
        if not callable(handler):
            raise RouteError(f"{handler!r} cannot answer {path!r}: it is not callable.")
        definition = define(path, methods, handler, options, localns)
        status: object = options.get("status", 200)
        if not (isinstance(status, int) and 200 <= status <= 999):
            raise RouteError(
                f"{location(handler)}: status={status!r} is not the status of a response. Use a "
                "number from 200 to 999."
            )
        if not definition.is_method:
            # What depends on the outside (a prefix, a name defined further down) is left for the
            # start of the application; every other mistake is told here, where it was made.
            with contextlib.suppress(UnresolvedHintError, UnknownPathParameterError):
                definition.plan(self.prefix, self.host, None)
        self._add(definition)
        return handler

    def _register_websocket(
        self, path: str, handler: H, options: WebSocketOptions, localns: Mapping[str, object]
    ) -> H:
        if not callable(handler):
            raise RouteError(f"{handler!r} cannot answer {path!r}: it is not callable.")
        # Imported only now: who has no WebSocket does not pay for it.
        from oxidite.websocket.endpoint import check_plan
        from oxidite.websocket.settings import Settings

        check_options(options, WebSocketOptions, "a WebSocket", location(handler))
        Settings.of(options, location(handler))
        definition = define_websocket(path, handler, options, localns)
        if not definition.is_method:
            with contextlib.suppress(UnresolvedHintError, UnknownPathParameterError):
                check_plan(definition.plan(self.prefix, self.host, None)[1])
        self._add(definition)
        return handler

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)

    # What is inside, at the start of the application.

    def routers(self) -> Iterator[Router]:
        """Yield the routers inside this one, however deep."""
        for entry in self.entries:
            if isinstance(entry, Included | Inherited):
                yield entry.router
                yield from entry.router.routers()

    def mounts(self) -> Iterator[Mount]:
        """Yield the mounted applications, those of included routers too."""
        # Each once: a router may be included under several prefixes.
        seen: set[int] = set()
        for router in (self, *self.routers()):
            for entry in router.entries:
                if isinstance(entry, Mount) and id(entry) not in seen:
                    seen.add(id(entry))
                    yield entry


def based_on(
    router: Router, *, versions: VersionSpec, without: Sequence[Callable[..., object]] = ()
) -> Router:
    """Return a router that has the routes of another one in ``versions``, those added later too.

    What is registered in it replaces the route of the same path and method; ``without`` are handlers whose
    routes it does not have.
    """
    new = Router(
        host=None,
        middleware=router.middleware,
        tags=router.tags,
        name=router.name,
        versions=versions,
    )
    new.prefix, new.host = router.prefix, router.host
    new.entries.append(Inherited(router, tuple(without)))
    return new


def _host_pattern(host: str) -> Pattern:
    if "/" in host or ":" in host.partition("{")[0]:
        raise RouteError(
            f"host={host!r} is a name such as 'api.example.com', without scheme or port."
        )
    return Pattern.parse("/" + host.lower().replace(".", "/")).typed({})


def _callers_locals(path: object) -> Mapping[str, object]:
    """Return the local names where a decorator is used: annotations may name them (a test's types).

    Raises:
        RouteError: ``path`` is none, but the handler itself.
    """
    if not isinstance(path, str):
        what = f"{location(path)} stands" if callable(path) else f"{path!r} is given"
        raise RouteError(
            f"{what} where the path belongs. Write it in brackets: @app.get('/posts')."
        )
    frame = sys._getframe(2)  # noqa: SLF001 - `inspect.currentframe` is this
    return {} if frame.f_locals is frame.f_globals else frame.f_locals
