"""uvicorn's WebSockets for clients that send pings and take no answers: those would pile up."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["PatientWebSocket"]


class PatientWebSocket(WebSocketsSansIOProtocol):
    """Reads nothing from a client that has a ping unanswered because it takes nothing."""

    read_paused: bool

    def handle_ping(self) -> None:
        """Answer."""
        super().handle_ping()
        if not self.writable.is_set() and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on: the client has taken enough."""
        super().resume_writing()
        # A message that nobody has received yet is another reason to wait.
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()
