"""Closes connections to Granian on which nothing comes: it waits for their first bytes for ever.

Those tell it which version of HTTP is spoken, and the time-out for a head begins after that. What has
come on a connection is asked of the system. Linux only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
from pathlib import Path

from oxidite import clock

__all__ = ["SilenceWatch"]

_FDS = Path("/proc/self/fd")
_RECEIVED = slice(128, 136)  # `tcpi_bytes_received` of struct tcp_info, linux/tcp.h
_INFO_SIZE = 136
_SMALLEST = 16
"""Bytes; no request is as short."""
_SMALLEST_TLS = 200
"""Bytes; no handshake is as short."""


class SilenceWatch:
    """Looks a few times in ``timeout`` seconds at the connections that are new."""

    def __init__(self, timeout: float, *, tls: bool) -> None:
        self._timeout = timeout
        self._enough = _SMALLEST_TLS if tls else _SMALLEST
        self._silent: dict[tuple[int, int], float] = {}
        self._heard: set[tuple[int, int]] = set()
        self._ports: set[int] = set()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look now and from now on."""
        if sys.platform == "linux":
            self.look()
            loop.call_later(self._timeout / 4, self.start, loop)

    def look(self) -> None:
        """Close what has been silent for too long."""
        now = clock.perf()
        before, self._silent = self._silent, {}
        heard, self._heard = self._heard, set()
        for each in os.listdir(_FDS):  # noqa: PTH208 - there may be many
            with contextlib.suppress(OSError):
                self._look_at(int(each), now, before, heard)

    def _look_at(
        self,
        fd: int,
        now: float,
        before: dict[tuple[int, int], float],
        heard: set[tuple[int, int]],
    ) -> None:
        found = os.stat(fd)
        if not stat.S_ISSOCK(found.st_mode):
            return
        # Numbers are used again, but not together with the inode.
        key = (fd, found.st_ino)
        if key in heard:
            self._heard.add(key)
            return
        # A number of our own: the server may close its own at any moment.
        with socket.socket(fileno=os.dup(fd)) as sock:
            if sock.type != socket.SOCK_STREAM or not self._is_ours(sock):
                return
            if self._has_said_something(sock):
                self._heard.add(key)
                return
            began = self._silent[key] = before.get(key, now)
            if now - began > self._timeout:
                sock.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, sock: socket.socket) -> bool:
        """Tell whether it was accepted here, and is not the application's own to somewhere else."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        port: int = sock.getsockname()[1]
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._ports.add(port)
            return False
        return port in self._ports

    def _has_said_something(self, sock: socket.socket) -> bool:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        return int.from_bytes(info[_RECEIVED], sys.byteorder) >= self._enough
