"""The application: routes, what surrounds them, what they use."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import cast

from oxidite.concurrency import BackgroundTasks, ThreadPool
from oxidite.config import environment
from oxidite.errors import ConfigError
from oxidite.extract.depends import dependencies_of
from oxidite.extract.plan import Plan
from oxidite.http.limits import FormLimits
from oxidite.http.methods import PathMethods
from oxidite.http.middleware import check_order
from oxidite.http.proxies import TrustedProxies
from oxidite.http.request import DEFAULT_MAX_BODY, Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.http.websocket import WebSocketOptions
from oxidite.lifespan import Lifespan, Resource
from oxidite.middleware.errors import ErrorHandler, ErrorRenderer
from oxidite.plugin import Plugin
from oxidite.protocols.asgi import Message, Receive, Send, serve_asgi
from oxidite.protocols.inflight import BodyPace, InFlight
from oxidite.protocols.mounted import MountedLifespan
from oxidite.protocols.rsgi import Running, serve_rsgi
from oxidite.routing.definition import check_options
from oxidite.routing.layers import check_middleware
from oxidite.routing.resolve import resolve
from oxidite.routing.route import Route
from oxidite.routing.router import Entry, Mount, Router
from oxidite.routing.table import RouteTable, TrailingSlash
from oxidite.routing.urls import URLs
from oxidite.routing.version_table import VersionedTable, versioned_table
from oxidite.routing.versioning import Versioning
from oxidite.security.signing import SecretLike, Signer, Signers, development_secret

__all__ = ["Oxidite"]


class Oxidite(Router):
    """An application.

    ``resources`` are opened in order when it starts and closed in reverse when it stops; handlers get
    them by type. ``middleware`` runs around everything, the first one outermost. ``error_handlers``
    answer for an exception class or a status. ``debug`` shows the whole of an error to the client: it
    is on in development and off everywhere else, unless said. ``secret`` signs URLs and cookies;
    ``max_body`` is the largest request body accepted, in bytes; ``form_limits`` what a form may have.
    ``trusted_proxies`` are the networks of those whose word counts on where a request came from: of
    nobody, unless said. ``versioning`` lists the versions of its API. ``websocket`` has options for
    every WebSocket; those of its route come first.
    """

    def __init__(
        self,
        *,
        resources: Iterable[Resource] = (),
        middleware: Sequence[Middleware] = (),
        plugins: Iterable[Plugin[Oxidite]] = (),
        error_handlers: Mapping[type[Exception] | int, ErrorHandler] | None = None,
        debug: bool | None = None,
        secret: SecretLike | Sequence[SecretLike] | None = None,
        trailing_slash: TrailingSlash = "strict",
        max_body: int = DEFAULT_MAX_BODY,
        websocket: WebSocketOptions | None = None,
        trusted_proxies: str | Sequence[str] | TrustedProxies = (),
        form_limits: FormLimits | None = None,
        versioning: Versioning | None = None,
    ) -> None:
        super().__init__(middleware=middleware, versioning=versioning)
        check_options(websocket or {}, WebSocketOptions, "a WebSocket", "Oxidite(websocket=...)")
        self.debug: bool = environment() == "development" if debug is None else debug
        self.trailing_slash: TrailingSlash = trailing_slash
        self.max_body = max_body
        self.websocket_options: WebSocketOptions = websocket or {}
        self._before = _before_proxies(trusted_proxies) if trusted_proxies else None
        self.form_limits: FormLimits = form_limits or FormLimits()
        self.background: BackgroundTasks = BackgroundTasks()
        self.lifespan: Lifespan = Lifespan([ThreadPool(), self.background, *resources])
        self.body_pace: BodyPace = BodyPace()
        """How slowly the body of a request may come; set it before the application starts."""
        self.in_flight: InFlight = InFlight(self.body_pace)
        self.unshed_paths: set[str] = set()
        """Paths that are answered however busy the server is, such as that of a health check."""
        self.url: URLs = URLs(lambda: self.table.routes, lambda: self.signer("signed-url"))
        """Makes URLs: ``app.url(show, id=3)``. A handler may also ask for it: ``url: URLs``."""
        self.lifespan.offer(self)
        self.lifespan.offer(self.url)
        # Asked for each time: the table is made later, and anew.
        self.lifespan.offer(PathMethods(lambda request: self.table.methods(request)))  # noqa: PLW0108
        self.signers: Signers = Signers(self.signer)
        """Make the signer of a purpose once: ``app.signers("unsubscribe")``."""
        self.lifespan.offer(self.signers)
        self.render_error: ErrorRenderer = ErrorRenderer(error_handlers, debug=self.debug)
        self._secret = secret
        self._table: RouteTable | VersionedTable | None = None
        self._handler: Handler = self._first
        self._running: Running | None = None
        for plugin in plugins:
            plugin.install(self)

    def signer(self, salt: str) -> Signer:
        """Return what signs for this application, for the purpose that ``salt`` names.

        Raises:
            ConfigError: there is no secret, and this is not development.
        """
        if self._secret is None:
            if environment() != "development":
                raise ConfigError(
                    "Something is to be signed, and there is no secret. Set one: "
                    'Oxidite(secret=env("SECRET_KEY")).'
                )
            self._secret = development_secret(Path.cwd())
        return Signer(self._secret, salt=salt)

    # Routes.

    @property
    def table(self) -> RouteTable | VersionedTable:
        """The routes, ready to answer.

        Raises:
            RouteError: a route cannot work, or two hide each other.
        """
        if self._table is None:
            routes = tuple(resolve(self))
            for route in routes:
                route.inherit(
                    max_body=self.max_body,
                    form_limits=self.form_limits,
                    websocket=self.websocket_options,
                )
            every = (*self.middleware, *(each for route in routes for each in route.middleware))
            for middleware in {id(each): each for each in every}.values():
                check_middleware(middleware)
            is_plain = all(route.version is None for route in routes)
            self._table = (RouteTable if is_plain else versioned_table)(
                routes,
                trailing_slash=self.trailing_slash,
                render=self.render_error,
                middleware=self.middleware,
            )
        return self._table

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes, those of routers and mounts included, in the order of registration."""
        return self.table.routes

    def _add(self, entry: Entry) -> None:
        super()._add(entry)
        self._unfold()

    def handle(self, request: Request) -> Awaitable[Response]:
        """Answer a request; every failure is a response too. ASGI, RSGI and tests all pass here."""
        return self._handler(request)

    def handle_websocket(self, request: Request) -> Awaitable[Response]:
        """Answer the handshake of a WebSocket, as ``handle`` does any other request."""
        return self._behind_proxies(self.table.handshake)(request)

    async def serve_websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        """Talk over one WebSocket, as ASGI has it."""
        # Imported only now: who has no WebSocket does not pay for it.
        from oxidite.protocols.asgi_websocket import serve_websocket

        await serve_websocket(self, scope, receive, send)

    def _first(self, request: Request) -> Awaitable[Response]:
        self._handler = self._behind_proxies(self.table.dispatch)
        return self._handler(request)

    def _behind_proxies(self, handler: Handler) -> Handler:
        """Return ``handler`` for requests as their clients sent them, if proxies are believed."""
        # Before everything: hosts are routed, and clients are counted, by what proxies say.
        return handler if self._before is None else self._before(handler, self.render_error)

    def _unfold(self) -> None:
        self._table = None
        self._handler = self._first

    # Running.

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the resources, and those of mounted applications, and close them."""
        # Made anew: routers that are part of this one may have got more routes since, and what was
        # in flight belonged to another event loop.
        self._unfold()
        self.in_flight = InFlight(self.body_pace)
        table = self.table
        for resource in self.lifespan.resources:
            use_signers = getattr(resource, "use_signers", None)
            if use_signers is not None:  # it signs something: the cursors of a database
                use_signers(self.signers)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.lifespan)
            self._check_resources(table)
            for route in table.routes:
                check_order((*self.middleware, *route.middleware), route.where)
            opened: dict[int, Mount] = {}
            for mount in self.mounts():
                first = opened.setdefault(id(mount.app), mount)
                if first is mount:
                    await stack.enter_async_context(MountedLifespan(mount.app, mount.state))
                else:  # mounted at two places, it has one lifespan all the same
                    mount.state.update(first.state)
                    stack.callback(mount.state.clear)
            # Last in, first out: work for after the response still has what it works with.
            await stack.enter_async_context(self.background)
            yield

    def _check_resources(self, table: RouteTable | VersionedTable) -> None:
        for route in table.routes:
            for plan in (route.plan, *(each.plan for each in dependencies_of(route.plan))):
                self._check_plan(plan)

    def _check_plan(self, plan: Plan) -> None:
        for step in plan.steps:
            wanted = step.extractor.describe()
            if wanted.source != "resource":
                continue
            name = getattr(wanted.type, "__name__", repr(wanted.type))
            if self.lifespan.offers(wanted.type):
                try:
                    self.lifespan.get(cast("type[object]", wanted.type))
                except ConfigError as exc:  # there are two
                    raise step.parameter.refuse(f"({name}): {exc.message}") from None
            elif wanted.required:
                raise step.parameter.refuse(
                    f"({name}): nothing makes it. Add a {name} to resources=[…], or a default."
                )

    # PERF: the functions themselves, not calls of them; benchmark `json`.
    __call__ = serve_asgi
    __rsgi__ = serve_rsgi

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the resources when a server speaks RSGI."""
        self._running = Running(self)
        self._running.start(loop)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the resources when a server speaks RSGI."""
        if self._running is not None:
            self._running.stop(loop)


def _before_proxies(
    networks: str | Sequence[str] | TrustedProxies,
) -> Callable[[Handler, ErrorRenderer], Handler] | None:
    # Imported only where somebody trusts any.
    from oxidite.middleware.proxies import before_proxies

    return before_proxies(networks)
