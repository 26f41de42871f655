"""Thousands of keep-alive connections that do nothing, and a server that works beside them."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from dataclasses import dataclass

from benchmarks.contract import JSON
from benchmarks.measure import window
from benchmarks.servers import Server, ServerFailedError

_REQUEST = b"GET /json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_OPEN_WITHIN = 8.0
# Files of our own besides the connections.
_RESERVE = 64


@dataclass(frozen=True, slots=True)
class Idle:
    """What holding idle connections showed."""

    target: str
    asked: int
    answered: int
    """Connections that were open and had one request answered."""
    memory_before: int
    memory_with: int
    per_second_alone: float
    per_second_beside: float
    held_seconds: float
    still_answering: int

    @property
    def bytes_each(self) -> float:
        return (self.memory_with - self.memory_before) / max(self.answered, 1)


def hold(server: Server, count: int) -> Idle:
    """Open `count` connections, serve others beside them, then ask each once more; 15 s at most.

    Raises:
        ServerFailedError: it ended, or stopped answering new clients.
    """
    alone = window(server, JSON, seconds=1)
    before = server.memory()
    with contextlib.ExitStack() as stack:
        started = time.monotonic()
        held = _open(server.port, _possible(count), stack)
        memory = server.memory()
        beside = window(server, JSON, seconds=1)
        still = sum(_answers(connection) for connection in held)
        seconds = time.monotonic() - started
    if not held:
        raise ServerFailedError("not one connection was answered")
    return Idle(
        target=server.target.label,
        asked=count,
        answered=len(held),
        memory_before=before,
        memory_with=memory,
        per_second_alone=alone.per_second,
        per_second_beside=beside.per_second,
        held_seconds=seconds,
        still_answering=still,
    )


def _possible(count: int) -> int:
    return min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _RESERVE)


def _open(port: int, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """As many answered connections as can be had in the time there is."""
    deadline = time.monotonic() + _OPEN_WITHIN
    held: list[socket.socket] = []
    for _ in range(count):
        try:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 1.0))
        except OSError:
            break
        if _answers(connection):
            held.append(connection)
        if time.monotonic() > deadline:
            break
    return held


def _answers(connection: socket.socket) -> bool:
    reply = b""
    try:
        connection.sendall(_REQUEST)
        while not reply.endswith(JSON.expected):
            piece = connection.recv(4096)
            if not piece:
                return False
            reply += piece
    except OSError:
        return False
    return True
