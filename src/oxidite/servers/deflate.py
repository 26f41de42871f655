"""Hypercorn's compression of WebSockets with a bound: how much a message may become."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

if TYPE_CHECKING:
    from wsproto.frame_protocol import FrameDecoder, FrameProtocol

__all__ = ["BoundedDeflate"]

_MOST = 16 * 1024 * 1024
"""Bytes of a message, as everywhere before the application's own limit."""


class BoundedDeflate(PerMessageDeflate):
    """Stops where a message becomes too large.

    Its base makes whatever was received into whatever that becomes, a thousand times as much, and only
    then is it counted.
    """

    _room: int = _MOST

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Return what a piece of a message is."""
        stream = self._decompressor
        if stream is None or not (self._inbound_compressed and self._inbound_is_compressible):
            return super().frame_inbound_payload_data(proto, data)
        try:
            piece = stream.decompress(data, self._room + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._room -= len(piece)
        return CloseReason.MESSAGE_TOO_BIG if self._room < 0 else piece

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Return the rest of a frame."""
        if fin and self._inbound_is_compressible:
            self._room = _MOST
        return super().frame_inbound_complete(proto, fin)
