"""What a server is: something that runs an application until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, TypeAlias

from oxidite.config import Secret
from oxidite.errors import ConfigError
from oxidite.http.response import ASGIApp
from oxidite.servers.target import Target

__all__ = [
    "PING_INTERVAL",
    "TLS",
    "AccessLog",
    "Announce",
    "Application",
    "HTTPVersions",
    "Interface",
    "ListenError",
    "Renewal",
    "Server",
    "Settings",
]

Interface: TypeAlias = Literal["asgi", "rsgi"]
"""How a server talks to the application."""

HTTPVersions: TypeAlias = Literal["auto", "1", "2"]
"""What is spoken over TCP: what the client chooses, or only one of the two."""

AccessLog: TypeAlias = Literal["text", "json"]
"""How the line of a request looks."""

PING_INTERVAL = 20.0
"""Seconds between the pings of a WebSocket; and for the answer to one."""

Application: TypeAlias = Target | ASGIApp
"""What to serve: where it is, or itself, which only a server inside this process can run."""


Announce: TypeAlias = "Callable[[Settings], object]"
"""Told the settings with the real port, once all workers serve; never if one of them does not start."""


def quiet(settings: Settings) -> None:
    """Announce to nobody."""


class ListenError(ConfigError):
    """The server cannot listen where it was told to."""

    code = "listen"


@dataclass(frozen=True, kw_only=True, slots=True)
class TLS:
    """The certificate of a server, with its whole chain, and its key: PEM files.

    ``minimum`` is the lowest version spoken, ``password`` opens an encrypted key. With ``client_ca``
    clients show a certificate of one of these authorities; without ``client_required`` they may
    also show none.
    """

    certificate: Path
    key: Path
    password: Secret[str] | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"
    client_ca: Path | None = None
    client_required: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Renewal:
    """When a worker is replaced by a new one, which serves before the old one ends.

    After so many ``requests``, at random up to ``jitter`` more; after ``lifetime`` seconds, at random
    up to a tenth less; when it has more than ``memory`` bytes.
    """

    requests: int | None = None
    jitter: int = 0
    lifetime: float | None = None
    memory: int | None = None

    def __bool__(self) -> bool:
        """Whether a worker is ever replaced."""
        return any((self.requests, self.lifetime, self.memory))


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where and how to serve, for every server alike.

    A Unix socket ``uds`` or an inherited file descriptor ``fd`` comes before ``host`` and ``port``;
    port 0 is any free one. ``backlog`` is how many connections may wait to be accepted,
    ``connections`` how many a worker holds at once, idle ones included, and ``max_in_flight`` how many requests it answers at once: to more it says 503. A client
    has ``idle_timeout`` seconds for the head of a request, from the connection or from the last
    answer on, and ``body_timeout`` for its body and one more for each ``body_rate`` bytes. At the end requests have ``graceful_timeout`` seconds to finish.

    A client from which nothing has come for ``keepalive`` seconds is asked by TCP whether it is there,
    and its connection ends after as long again without an answer. ``ping_interval`` is how often
    WebSockets are pinged; ``None`` is 20 s where the server can, and any number is warned of where it
    cannot.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: Path | None = None
    fd: int | None = None
    workers: int = 1
    renewal: Renewal = Renewal()
    backlog: int = 16_384
    connections: int = 16_384
    max_in_flight: int | None = None
    idle_timeout: float = 30.0
    body_timeout: float = 30.0
    body_rate: int = 500
    graceful_timeout: float = 10.0
    keepalive: int = 60
    ping_interval: float | None = None
    access_log: AccessLog | None = None
    tls: TLS | None = None
    http: HTTPVersions = "auto"
    http3: bool = False

    @property
    def is_supervised(self) -> bool:
        """Whether one process starts others, which serve."""
        return self.workers > 1 or bool(self.renewal) or self.http3

    @property
    def url(self) -> str:
        """The address for a person."""
        if self.uds is not None:
            return f"unix:{self.uds}"
        if self.fd is not None:
            return f"fd:{self.fd}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"


class Server(Protocol):
    """A server library, seen from here."""

    name: ClassVar[str]
    speaks_rsgi: ClassVar[bool]
    """Whether it has the faster interface besides ASGI."""

    @property
    def version(self) -> str:
        """The version of the library."""
        ...

    def runs_here(self, settings: Settings) -> bool:
        """Tell whether the application runs in this very process, so that it may be given itself."""
        ...

    def run(
        self,
        app: Application,
        settings: Settings,
        *,
        interface: Interface = "asgi",
        announce: Announce = quiet,
    ) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code.

        To be called in the main thread of a process that does nothing else.

        Raises:
            ListenError: the address is taken or not allowed.
            ConfigError: the server cannot do what the settings ask for.
            KeyboardInterrupt: it was SIGINT; everything is stopped.
        """
        ...
