"""The only code that knows which protocol a request came over."""

from oxidite.protocols.asgi import serve_http, serve_lifespan, serve_websocket
from oxidite.protocols.base import Application
from oxidite.protocols.inflight import InFlight
from oxidite.protocols.mounted import MountedLifespan

__all__ = [
    "Application",
    "InFlight",
    "MountedLifespan",
    "serve_http",
    "serve_lifespan",
    "serve_websocket",
]
