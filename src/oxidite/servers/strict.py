"""h11 that refuses a request with both a length and chunks.

It goes by the chunks, as RFC 9112 section 6.3 allows, but leaves the connection open: a proxy that goes
by the length has a request smuggled through it.
"""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["StrictConnection", "StrictH11"]

_LENGTHS = frozenset((b"content-length", b"transfer-encoding"))


class StrictConnection(h11.Connection):
    """A connection on the side of a server."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return what has come."""
        event = super().next_event()
        if isinstance(event, h11.Request) and len(_LENGTHS.intersection(dict(event.headers))) > 1:
            raise h11.RemoteProtocolError("both a length and chunks", error_status_hint=400)
        return event


class StrictH11(H11Protocol):
    """uvicorn with such a connection."""

    conn: h11.Connection

    def connection_made(self, transport: object) -> None:
        """Begin."""
        limit = self.config.h11_max_incomplete_event_size
        self.conn = (
            StrictConnection(h11.SERVER)
            if limit is None
            else StrictConnection(h11.SERVER, max_incomplete_event_size=limit)
        )
        super().connection_made(transport)  # type: ignore[arg-type]  # it is the transport of a stream
