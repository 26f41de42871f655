"""The only code that knows which protocol a request came over."""

from oxidite.protocols.asgi import Message, Receive, Send, serve_asgi
from oxidite.protocols.base import Application
from oxidite.protocols.inflight import BodyPace, InFlight, Watched
from oxidite.protocols.mounted import MountedLifespan

__all__ = [
    "Application",
    "BodyPace",
    "InFlight",
    "Message",
    "MountedLifespan",
    "Receive",
    "Send",
    "Watched",
    "serve_asgi",
]
