"""uvicorn's WebSockets with mends: pings of clients that take no answers, and answers to our own.

The former would pile up. The latter cannot be read while a message waits for the handler, which is no fault of
the client.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["PatientWebSocket"]


class PatientWebSocket(WebSocketsSansIOProtocol):
    """Reads nothing from a client that has a ping unanswered because it takes nothing."""

    read_paused: bool
    pong_timer: asyncio.TimerHandle | None
    pending_ping_payload: bytes | None

    def handle_ping(self) -> None:
        """Answer."""
        super().handle_ping()
        if not self.writable.is_set() and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def keepalive_timeout(self) -> None:
        """End the connection, unless it is us who read nothing."""
        if self.read_paused and self.writable.is_set():
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def resume_writing(self) -> None:
        """Go on: the client has taken enough."""
        super().resume_writing()
        # A message that nobody has received yet is another reason to wait.
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()
