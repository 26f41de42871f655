"""Hypercorn's HTTP/3 with a mend: at the end it closes connections on which nothing happens.

Its own waits for their clients to close them, who know nothing of the end.
"""

from __future__ import annotations

import asyncio
import contextlib

import hypercorn.asyncio.run
from hypercorn.asyncio.udp_server import UDPServer
from hypercorn.events import RawData

__all__ = ["ClosingServer", "install_quic"]

_NO_ERROR = 0x100
"""H3_NO_ERROR, RFC 9114 section 8.1."""
_LOOK = 0.05


class ClosingServer(UDPServer):
    """Closes what is idle once it has been told to stop."""

    async def run(self) -> None:
        """Serve until nothing is left."""
        closer = self.loop.create_task(self._close_when_told())
        try:
            await super().run()
        finally:
            closer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await closer

    async def _close_when_told(self) -> None:
        await self.context.terminated.wait()
        while True:
            for each in {id(one): one for one in self.protocol.connections.values()}.values():
                if each.h3 is None or not each.h3.streams:
                    each.quic.close(error_code=_NO_ERROR)
                    await self.protocol.send_all(each)
            # It looks whether anything is left only when something comes.
            with contextlib.suppress(asyncio.QueueFull):
                self.protocol_queue.put_nowait(RawData(b""))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self.loop.create_future()


def install_quic() -> None:
    """Have Hypercorn use it, in all of this process."""
    # It has no setting for this; that is the module that makes it.
    setattr(hypercorn.asyncio.run, "UDPServer", ClosingServer)  # noqa: B010 - not its name to set
