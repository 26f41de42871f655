"""Has a worker of Granian accept no more connections, before it is told to stop.

Told at once, it would close a connection that it has just accepted, and whose request is on its way.
It has no word for "accept no more", so its listening socket is taken out of what it waits for.
Linux only; elsewhere such a request is lost now and then.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import stat
import sys
from pathlib import Path

__all__ = ["PATIENCE", "stop_accepting"]

PATIENCE = 0.1
"""Seconds for requests on connections that were accepted just before."""

_FDS = Path("/proc/self/fd")
_INFO = Path("/proc/self/fdinfo")
_TARGET = re.compile(r"^tfd:\s*(\d+)", re.MULTILINE)


def stop_accepting() -> None:
    """Take all listening sockets out of all that this process waits on."""
    if sys.platform != "linux":
        return
    for waiter in _epolls():
        with contextlib.suppress(OSError):
            for target in map(int, _TARGET.findall((_INFO / str(waiter)).read_text())):
                if _is_listening(target):
                    # A number of its own, as closing is part of what this class does.
                    with select.epoll.fromfd(os.dup(waiter)) as epoll:
                        epoll.unregister(target)


def _epolls() -> list[int]:
    found = []
    for each in _FDS.iterdir():
        with contextlib.suppress(OSError):
            if str(each.readlink()) == "anon_inode:[eventpoll]":
                found.append(int(each.name))
    return found


def _is_listening(fd: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return False
    with socket.socket(fileno=os.dup(fd)) as sock:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
