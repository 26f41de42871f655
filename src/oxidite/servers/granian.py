"""Granian: the fast server of ``oxidite[standard]``. Its workers are supervised by us."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import ClassVar, cast

import granian
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from oxidite.errors import ConfigError
from oxidite.servers.base import Announce, Application, Interface, Settings, quiet
from oxidite.servers.farewell import GranianLoader
from oxidite.servers.http3 import http3_worker
from oxidite.servers.logs import SERVER_LOGS, warn
from oxidite.servers.sockets import listening
from oxidite.servers.supervisor import Start, Supervisor
from oxidite.servers.target import Target
from oxidite.servers.tls import is_encrypted
from oxidite.servers.workers import Report, WorkerLoader

__all__ = ["GranianServer"]

_INTERFACES = {"asgi": Interfaces.ASGI, "rsgi": Interfaces.RSGI}
_HTTP = {"auto": HTTPModes.auto, "1": HTTPModes.http1, "2": HTTPModes.http2}
_TLS = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}
_HEAD = 64 * 1024
"""Bytes of the fields of a request over HTTP/2; Granian's own limit is 16 MiB."""


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
        if settings.tls is not None and settings.tls.client_ca and not settings.tls.client_required:
            raise ConfigError(
                "Granian asks every client for a certificate or none. Use --server uvicorn, or "
                "--tls-client required."
            )
        if settings.tls is not None and is_encrypted(settings.tls):
            raise ConfigError(
                "Granian cannot open an encrypted key. Use --server uvicorn, or a key without a "
                "password."
            )
        if settings.ping_interval is not None:
            warn("Granian sends WebSockets no pings: --ping-interval has no effect. Set `idle`.")
        with listening(settings) as (sock, held), http3_worker(app, held) as extra:
            server = _Granian(app, held, sock, _INTERFACES[interface])
            supervisor = Supervisor(server.starter(), held, sock, extra=extra)
            return supervisor.run(lambda: announce(held))


class _Granian(MPServer):
    """Granian, with a socket and a supervisor that are not its own."""

    def __init__(
        self, target: Target, settings: Settings, sock: socket.socket, interface: Interfaces
    ) -> None:
        tls = settings.tls
        super().__init__(
            str(target),
            interface=interface,
            # Both count idle connections; the default of the second locks everybody out at 1,024.
            backlog=settings.backlog,
            backpressure=settings.connections,
            runtime_mode=RuntimeModes.st,
            blocking_threads=1,
            loop=Loops.uvloop if importlib.util.find_spec("uvloop") else Loops.asyncio,
            http=_HTTP[settings.http],
            http1_settings=HTTP1Settings(header_read_timeout=int(settings.idle_timeout * 1000)),
            http2_settings=HTTP2Settings(
                max_headers_size=_HEAD,
                keep_alive_interval=int(settings.idle_timeout * 1000),
                max_concurrent_streams=100,
            ),
            # RSGI carries none of ours: it knows neither sub-protocols nor header fields of a handshake.
            websockets=interface is not Interfaces.RSGI and settings.http != "2",
            log_level=LogLevels.warning,
            log_dictconfig=SERVER_LOGS,
            ssl_cert=None if tls is None else tls.certificate,
            ssl_key=None if tls is None else tls.key,
            # Its own default refuses everybody who does not speak 1.3.
            ssl_protocol_min=_TLS["1.2" if tls is None else tls.minimum],
            ssl_ca=None if tls is None else tls.client_ca,
            ssl_client_verify=tls is not None and tls.client_ca is not None,
        )
        sock.setblocking(False)
        self._settings = settings
        self._target = target
        is_unix = sock.family == socket.AF_UNIX
        # Where it has no way to share a socket between workers, it makes this from its own.
        make = cast("Callable[[int, bool, int], None]", SocketHolder)  # its types know no arguments
        self._shd = make(sock.fileno(), is_unix, settings.backlog)
        self._sso = sock

    def starter(self) -> Start:
        """Return what makes a worker for a place."""
        spawn = {
            Interfaces.ASGI: self._spawn_asgi_lifespan_worker,
            Interfaces.RSGI: self._spawn_rsgi_worker,
        }[self.interface]

        def start(_: int, report: Report) -> BaseProcess:
            load = GranianLoader(WorkerLoader(self._target, self._settings, report))
            return cast("BaseProcess", self._spawn_worker(0, spawn, load).inner)

        return start
