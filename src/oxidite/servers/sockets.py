"""Listening sockets, and who holds the one that is wanted."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from oxidite.servers.base import ListenError, Settings

__all__ = ["address", "listen", "listening"]

_PROC = Path("/proc")
_LISTENING = "0A"
_ASKED = 4
"""How often a silent client is asked, by TCP, whether it is still there."""


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        ListenError: the address is taken, not allowed, or none of this machine.
    """
    if settings.uds is not None and settings.fd is None:
        return _unix(settings.uds, settings.backlog)
    sock = _tcp(settings) if settings.fd is None else _inherited(settings.fd, settings.backlog)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        _keep_alive(sock, settings.keepalive)
    return sock


def _keep_alive(sock: socket.socket, seconds: int) -> None:
    """Have the system find clients that are gone without a word; what it accepts inherits this.

    TCP_USER_TIMEOUT stays as it is: it would also end a client that is there and reads nothing.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE"
    for name, value in (
        (idle, seconds),
        ("TCP_KEEPINTVL", max(1, seconds // _ASKED)),
        ("TCP_KEEPCNT", _ASKED),
    ):
        option: int | None = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[tuple[socket.socket, Settings]]:
    """Listen, and say with the socket where; remove a Unix socket at the end."""
    sock = listen(settings)
    try:
        yield sock, address(sock, settings)
    finally:
        sock.close()
        if settings.uds is not None and settings.fd is None:
            settings.uds.unlink(missing_ok=True)


def address(sock: socket.socket, settings: Settings) -> Settings:
    """Return the settings with the port that the socket really has."""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and settings.fd is None:
        return replace(settings, port=sock.getsockname()[1])
    return settings


def _tcp(settings: Settings) -> socket.socket:
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise ListenError(f"{host!r} is not an address of this machine: {exc}.") from None
    family, kind, protocol, _, where = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # Else a restart would have to wait until the last connections are forgotten.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(settings.backlog)
    except OSError as exc:
        sock.close()
        raise ListenError(_refused(settings, exc)) from None
    return sock


def _refused(settings: Settings, exc: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if exc.errno == errno.EADDRINUSE:
        holder = holder_of(settings.port)
        by = f" by {holder}" if holder else ""
        return f"{where} is taken{by}. Stop that, or choose another port: 0 is any free one."
    if exc.errno == errno.EACCES:
        return f"{where} is not allowed: ports below 1024 need special rights. Choose another port."
    if exc.errno == errno.EADDRNOTAVAIL:
        return f"{settings.host!r} is not an address of this machine."
    return f"Cannot listen on {where}: {exc.strerror}."


def _unix(path: Path, backlog: int) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        sock.listen(backlog)
    except OSError as exc:
        sock.close()
        raise ListenError(f"Cannot listen on {path}: {exc.strerror or exc}.") from None
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone; refuse if it answers, or is no socket."""
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return
    if not is_socket:
        raise ListenError(f"{path} exists and is no socket. Choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
        else:
            raise ListenError(f"{path} is taken: a server answers there. Stop it first.")


def _inherited(fd: int, backlog: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
        sock.listen(backlog)
    except OSError as exc:
        raise ListenError(
            f"File descriptor {fd} is no socket to listen on: {exc.strerror}."
        ) from None
    return sock


def holder_of(port: int) -> str:
    """Return who listens on ``port``, as far as the system tells: ``pid 123 (python app.py)``."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in _PROC.glob("[0-9]*") if inodes else ():
        # Processes come and go, and those of others are closed to us.
        with contextlib.suppress(OSError):
            for each in (process / "fd").iterdir():
                if str(each.readlink()) in inodes:
                    return f"pid {process.name} ({_command(process)})"
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _command(process: Path) -> str:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return ascii(" ".join(words).strip()[:80])[1:-1]
