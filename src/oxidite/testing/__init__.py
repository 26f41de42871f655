"""Tests of applications: a client in process, and a server on a real socket.

::

    async with Client(app) as client:
        response = await client.get("/posts")
"""

from oxidite.testing.client import Client
from oxidite.testing.events import Received, ReceivedEvent
from oxidite.testing.live import LiveServer
from oxidite.testing.statements import QueryAssertion, assert_no_repeats, assert_queries
from oxidite.testing.websocket import WebSocketDeniedError, WebSocketSession

__all__ = [
    "Client",
    "LiveServer",
    "QueryAssertion",
    "Received",
    "ReceivedEvent",
    "WebSocketDeniedError",
    "WebSocketSession",
    "assert_no_repeats",
    "assert_queries",
]
