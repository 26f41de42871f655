"""Granian: the fast server of ``oxidite[standard]``. It supervises its workers itself."""

from __future__ import annotations

import importlib.util
import math
import signal
from collections.abc import Callable
from typing import ClassVar, cast

import granian
from granian.constants import Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.log import LogLevels
from granian.server.mp import MPServer

from oxidite.errors import ConfigError
from oxidite.servers.base import Announce, Application, Interface, Settings, quiet
from oxidite.servers.logs import SERVER_LOGS
from oxidite.servers.sockets import probe
from oxidite.servers.target import Target
from oxidite.servers.workers import WorkerLoader

__all__ = ["GranianServer"]

_INTERFACES = {"asgi": Interfaces.ASGI, "rsgi": Interfaces.RSGI}


class GranianServer:
    """Runs applications under Granian."""

    name: ClassVar[str] = "granian"
    speaks_rsgi: ClassVar[bool] = True

    @property
    def version(self) -> str:
        """The version of Granian."""
        return granian.__version__

    def runs_here(self, settings: Settings) -> bool:
        """Tell that its workers are always processes of their own."""
        return False

    def run(
        self,
        app: Application,
        settings: Settings,
        *,
        interface: Interface = "asgi",
        announce: Announce = quiet,
    ) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        if not isinstance(app, Target):
            raise ConfigError("Granian loads the application in its workers: say where it is.")
        if settings.fd is not None:
            raise ConfigError("Granian cannot take over a file descriptor. Use --server uvicorn.")
        held = probe(settings)
        server = _server(app, held, _INTERFACES[interface])
        announce(held)
        try:
            server.serve(
                target_loader=WorkerLoader(app, settings.graceful_timeout), wrap_loader=False
            )
        except SystemExit as exc:
            return 1 if exc.code else 0
        if server.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt
        return 0


class _Granian(MPServer):
    """Granian, remembering which signal stopped it."""

    stopped_by: int | None = None

    def signal_handler_interrupt(self, *args: object, **kwargs: object) -> None:
        signum = args[0] if args else None
        self.stopped_by = signum if isinstance(signum, int) else None
        cast("Callable[[], None]", super().signal_handler_interrupt)()  # it has no types


def _server(target: Target, settings: Settings, interface: Interfaces) -> _Granian:
    tls = settings.tls
    return _Granian(
        str(target),
        address=settings.host,
        port=settings.port,
        uds=settings.uds,
        interface=interface,
        workers=settings.workers,
        # Both count idle connections; the default of the second locks everybody out at 1,024.
        backlog=settings.backlog,
        backpressure=settings.connections,
        runtime_mode=RuntimeModes.st,
        blocking_threads=1,
        loop=Loops.uvloop if importlib.util.find_spec("uvloop") else Loops.asyncio,
        log_level=LogLevels.warning,
        log_dictconfig=SERVER_LOGS,
        log_access=settings.access_log,
        ssl_cert=None if tls is None else tls.certificate,
        ssl_key=None if tls is None else tls.key,
        # Its own default refuses everybody who does not speak 1.3.
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        # Without one, a response that never ends would never let it stop.
        workers_kill_timeout=max(1, math.ceil(settings.graceful_timeout)),
    )
