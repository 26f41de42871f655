"""Which interface an application is served over, and why."""

from __future__ import annotations

from typing import cast

from oxidite.app import Oxidite
from oxidite.errors import ConfigError
from oxidite.http.middleware import middleware_name
from oxidite.http.response import MountedResponse
from oxidite.http.types import Middleware
from oxidite.routing.route import Route
from oxidite.routing.tree import ANY_METHOD
from oxidite.servers.base import Interface

__all__ = ["choose_interface", "is_mount"]


def choose_interface(
    app: object, *, rsgi: bool, wanted: Interface | None = None
) -> tuple[Interface, str]:
    """Return the interface for ``app`` and the reason, which completes a sentence with "because".

    RSGI is faster, but its streams have no back-pressure: only an application all of whose
    responses are known to be complete bytes uses it, and only if the server has it (``rsgi``).
    ``wanted`` overrules the choice.

    Raises:
        RouteError: a route of the application cannot work.
        ConfigError: what is wanted cannot be had.
    """
    reason = may_stream(app)
    if wanted == "rsgi":
        if not rsgi:
            raise ConfigError(
                "Only Granian speaks RSGI. Use --server granian, or --interface asgi."
            )
        if not isinstance(app, Oxidite):
            raise ConfigError(f"RSGI is not to be had: {reason}. Use --interface asgi.")
        for route in app.routes:
            if route.is_websocket:
                why = _route_may_stream(route)
                raise ConfigError(f"RSGI is not for WebSockets: {why}. Use --interface asgi.")
        return "rsgi", f"it was asked for, although {reason}" if reason else "it was asked for"
    if wanted == "asgi":
        return "asgi", "it was asked for"
    if reason or not rsgi:
        return "asgi", reason or "the server has nothing faster"
    count = len(cast("Oxidite", app).routes)
    every = "its only route answers" if count == 1 else f"all {count} routes answer"
    return "rsgi", f"{every} with complete bodies"


def may_stream(app: object) -> str:
    """Say what may answer with more than complete bytes; nothing if all is known to be complete."""
    if not isinstance(app, Oxidite):
        return f"it is a {type(app).__name__}, not an Oxidite application"
    for middleware in app.middleware:
        if not _is_complete(middleware):
            return f"the middleware {middleware_name(middleware)} may stream"
    return next(filter(None, map(_route_may_stream, app.routes)), "")


def _route_may_stream(route: Route) -> str:
    if is_mount(route):
        return f"{route.name} is mounted at {route.path}"
    if route.is_websocket:
        return f"{route.path} ({route.where}) is a WebSocket"
    methods = " ".join("ANY" if each == ANY_METHOD else each for each in route.methods)
    if not route.complete:
        return f"{methods} {route.path} ({route.where}) may stream"
    for middleware in route.middleware:
        if not _is_complete(middleware):
            return f"{methods} {route.path} passes {middleware_name(middleware)}, which may stream"
    return ""


def _is_complete(middleware: Middleware) -> bool:
    return getattr(middleware, "complete", False) is True


def is_mount(route: Route) -> bool:
    """Tell whether another ASGI application answers on this route."""
    return route.plan.returns is MountedResponse
