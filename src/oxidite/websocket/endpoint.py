"""What answers a handshake on a WebSocket route."""

from __future__ import annotations

from oxidite.errors import RouteError, UpgradeRequiredError
from oxidite.extract.base import location
from oxidite.extract.plan import Plan
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler
from oxidite.http.websocket import WebSocketOptions
from oxidite.websocket.connection import Connection
from oxidite.websocket.conversation import Conversation, Render, conclude
from oxidite.websocket.origin import check_origin
from oxidite.websocket.settings import Settings, offered_subprotocols

__all__ = ["check_plan", "websocket_endpoint"]


def check_plan(plan: Plan) -> None:
    """Check that a handler can talk.

    Raises:
        RouteError: it cannot.
    """
    if not plan.is_async:
        raise RouteError(
            f"{location(plan.function)} is not async, and a WebSocket cannot be used from a thread."
        )
    if not any(step.extractor.describe().source == "websocket" for step in plan.steps):
        raise RouteError(
            f"{location(plan.function)} takes no WebSocket. Add a parameter `socket: WebSocket`."
        )


def websocket_endpoint(plan: Plan, options: WebSocketOptions, render: Render) -> Handler:
    """Return what answers handshakes for the handler of ``plan``."""
    check_plan(plan)
    settings = Settings.of(options, location(plan.function))

    async def endpoint(request: Request) -> Response:
        try:
            if not request.is_websocket:
                raise UpgradeRequiredError
            check_origin(request, settings.origins, required=settings.require_origin)
            offered = offered_subprotocols(request)
            connection = Connection(settings, offered, settings.choose(offered))
        except Exception as exc:  # noqa: BLE001 - rendered, and logged if it was not expected
            return await render(request, exc)
        await conclude(request)  # a middleware may call the handler again
        values = request.scopes.values
        values[Connection] = connection
        conversation = values[Conversation] = Conversation(plan, request, connection, render)
        return await conversation.begin()

    return endpoint
