"""uvicorn on httptools with a limit that this parser lacks: how long the head of a request may be."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

__all__ = ["LONGEST_HEAD", "BoundedHttpTools"]

LONGEST_HEAD = 65_536
"""Bytes of request line and header fields; that may wait for their end."""

_IN_BODY = -1


class BoundedHttpTools(HttpToolsProtocol):
    """Counts what arrives until the head is complete, and answers 431 to one that goes on and on.

    The first read of a head is not counted, as it may hold a body too.
    """

    _head: int = 0

    def data_received(self, data: bytes) -> None:
        """Parse, unless it is too much."""
        if self._head != _IN_BODY:
            if self._head > LONGEST_HEAD:
                self._refuse()
                return
            self._head += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting."""
        self._head = _IN_BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Be ready for the next head."""
        self._head = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            lines = (STATUS_LINE[431], b"content-length: 0\r\n", b"connection: close\r\n", b"\r\n")
            self.transport.write(b"".join(lines))
            self.transport.close()
