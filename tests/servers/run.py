"""Runs ``application.py`` on one server: ``python run.py KIND [FORM DIRECTORY]``.

FORM is ``tls``, with ``cert.pem`` and ``key.pem`` in the directory, or ``unix``, with the socket there.
The port is written on standard output when it serves.
"""

from __future__ import annotations

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


def settings_of(form: str, directory: Path) -> Settings:
    if form == "tls":
        tls = TLS(certificate=directory / "cert.pem", key=directory / "key.pem")
        return Settings(port=0, graceful_timeout=2.0, tls=tls)
    if form == "unix":
        return Settings(uds=directory / "socket", graceful_timeout=2.0)
    return Settings(port=0, graceful_timeout=2.0)


def announce(settings: Settings) -> None:
    print(settings.port, flush=True)


if __name__ == "__main__":
    kind, form, directory = [*sys.argv[1:], *("plain", ".")[len(sys.argv) - 2 :]]
    target = Target("application", "app", Path(__file__).parent)
    interface: Interface = "rsgi" if kind.endswith("-rsgi") else "asgi"
    settings = settings_of(form, Path(directory))
    sys.exit(server_of(kind).run(target, settings, interface=interface, announce=announce))
