"""A client of WebSockets that sends a message, waits for it to come back, and sends the next.

`python -m benchmarks.echo PORT SECONDS CONNECTIONS` prints what the script for wrk prints.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

MESSAGE = b"Hello, World!"
_PATH = "/ws"
_HANDSHAKE = (
    f"GET {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
# Masked with zeros, which is a mask like any other (RFC 6455 section 5.3).
_SENT = bytes((0x81, 0x80 | len(MESSAGE), 0, 0, 0, 0)) + MESSAGE
_BACK = bytes((0x81, len(MESSAGE))) + MESSAGE


def deviations(port: int) -> list[str]:
    """Say in which ways the server on `port` does not echo."""
    try:
        with connect(port) as sock:
            # Twice: the second answer shows that nothing was left of the first.
            found = [answer for answer in (_ask(sock), _ask(sock)) if answer != _BACK]
    except OSError as error:
        return [f"ws: {type(error).__name__}: {error}"]
    return [f"ws: {found[0]!r} instead of {_BACK!r}"] if found else []


def connect(port: int) -> socket.socket:
    """A connection after its handshake.

    Raises:
        OSError: there is none.
    """
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(_HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte or len(head) > 10_000:
            sock.close()
            raise OSError(f"no handshake: {head[:80]!r}")
        head += byte
    if b" 101 " not in head.partition(b"\r\n")[0]:
        sock.close()
        raise OSError(f"no WebSocket: {head[:80]!r}")
    return sock


def _ask(sock: socket.socket) -> bytes:
    sock.sendall(_SENT)
    return sock.recv(4096)


def load(port: int, seconds: float, connections: int) -> dict[str, float]:
    """Keep every connection busy with one message, and count those that came back."""
    selector = selectors.DefaultSelector()
    socks = [connect(port) for _ in range(connections)]
    sent: dict[socket.socket, float] = {}
    took: list[float] = []
    failed = 0
    started = time.perf_counter()
    for sock in socks:
        sent[sock] = time.perf_counter()
        sock.sendall(_SENT)
        selector.register(sock, selectors.EVENT_READ)
    while (now := time.perf_counter()) - started < seconds and not failed:
        for key, _ in selector.select(1.0):
            sock = key.fileobj  # type: ignore[assignment]  # it was registered as one
            if sock.recv(4096) != _BACK:
                failed += 1
                continue
            now = time.perf_counter()
            took.append(now - sent[sock])
            sent[sock] = now
            sock.sendall(_SENT)
    elapsed = time.perf_counter() - started
    for sock in socks:
        sock.close()
    took.sort()
    at = [took[int(len(took) * share)] * 1e6 if took else 0.0 for share in (0.5, 0.99)]
    return {
        "requests": len(took),
        "microseconds": elapsed * 1e6,
        "bytes": len(took) * len(_BACK),
        "failed": failed,
        "refused": 0,
        "p50": at[0],
        "p99": at[1],
    }


if __name__ == "__main__":
    print(json.dumps(load(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
