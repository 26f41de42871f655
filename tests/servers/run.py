"""Runs a module on one server: ``python run.py KIND MODULE [SOCKET]``; says the port on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from oxidite.servers import Interface, Server, Settings, Target, choose_server
from oxidite.servers.uvicorn import UvicornServer


def server_of(kind: str) -> Server:
    if kind == "uvicorn-h11":
        return UvicornServer(http="h11")
    if kind == "uvicorn-httptools":
        return UvicornServer(http="httptools")
    return choose_server(kind.partition("-")[0])


def announce(settings: Settings) -> None:
    print(settings.port, flush=True)


if __name__ == "__main__":
    kind, module, *paths = sys.argv[1:]
    uds = Path(paths[0]) if paths else None
    settings = Settings(port=0, uds=uds, graceful_timeout=2.0)
    target = Target(module, "app", Path(__file__).parent)
    interface: Interface = "rsgi" if kind.endswith("-rsgi") else "asgi"
    sys.exit(server_of(kind).run(target, settings, interface=interface, announce=announce))
