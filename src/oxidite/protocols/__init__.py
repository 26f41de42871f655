"""The only code that knows which protocol a request came over."""

from oxidite.protocols.asgi import serve_asgi
from oxidite.protocols.base import Application
from oxidite.protocols.inflight import InFlight
from oxidite.protocols.mounted import MountedLifespan

__all__ = [
    "Application",
    "InFlight",
    "MountedLifespan",
    "serve_asgi",
]
