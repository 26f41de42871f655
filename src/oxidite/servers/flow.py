"""Hypercorn's HTTP/2 with two mends: it waits for a slow reader and lets go of one that has left.

Its own goes on as soon as less than a frame could be sent, which is also so when the reader's window
is shut: the whole of a stream is then in memory. And what is waiting for a window when the
connection ends waits for ever, with its body and its task.
"""

from __future__ import annotations

import hypercorn.protocol
import hypercorn.protocol.h2
from hypercorn.events import Closed, Event
from hypercorn.protocol.h2 import BUFFER_LOW_WATER, H2Protocol, StreamBuffer

__all__ = ["FlowBuffer", "FlowProtocol", "install_flow"]


class FlowBuffer(StreamBuffer):
    """Lets its writer go on when what is left is little, not when what was taken is."""

    async def pop(self, max_length: int) -> bytes:
        """Take at most so many bytes from the front."""
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


class FlowProtocol(H2Protocol):
    """Ends what still waits for the reader when the connection has ended."""

    async def handle(self, event: Event) -> None:
        """Deal with what came from the connection."""
        await super().handle(event)
        if isinstance(event, Closed):
            for buffer in list(self.stream_buffers.values()):
                await buffer.close()


def install_flow() -> None:
    """Have Hypercorn use both, in all of this process."""
    # It has no setting for either; these are the modules that make the two.
    for module, name, ours in (
        (hypercorn.protocol.h2, "StreamBuffer", FlowBuffer),
        (hypercorn.protocol, "H2Protocol", FlowProtocol),
    ):
        setattr(module, name, ours)
