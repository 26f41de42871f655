"""Runs a module on one server: ``python run.py KIND MODULE [PLACE [3]]``; says the port on standard output.

PLACE is a Unix socket, or a directory with ``cert.pem`` and ``key.pem`` to speak TLS with; with a 3 behind it
HTTP/3 is spoken, too. ``PING_INTERVAL`` is that of WebSockets.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from oxidite.servers import TLS, Interface, Server, Settings, Target, choose_server
from oxidite.servers.uvicorn import UvicornServer


def server_of(kind: str) -> Server:
    if kind == "uvicorn-h11":
        return UvicornServer(http="h11")
    if kind == "uvicorn-httptools":
        return UvicornServer(http="httptools")
    return choose_server(kind.partition("-")[0])


def settings_of(place: Path | None, *, http3: bool) -> Settings:
    ping = float(os.environ["PING_INTERVAL"]) if "PING_INTERVAL" in os.environ else None
    if place is not None and place.is_dir():
        tls = TLS(certificate=place / "cert.pem", key=place / "key.pem")
        return Settings(port=0, graceful_timeout=2.0, tls=tls, http3=http3)
    return Settings(port=0, uds=place, graceful_timeout=2.0, ping_interval=ping)


def announce(settings: Settings) -> None:
    print(settings.port, flush=True)


if __name__ == "__main__":
    kind, module, *paths = sys.argv[1:]
    settings = settings_of(Path(paths[0]) if paths else None, http3="3" in paths[1:])
    target = Target(module, "app", Path(__file__).parent)
    interface: Interface = "rsgi" if kind.endswith("-rsgi") else "asgi"
    sys.exit(server_of(kind).run(target, settings, interface=interface, announce=announce))
