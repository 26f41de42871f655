"""What a server protocol does for a socket."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Wire"]


class Wire(Protocol):
    """The way to one client, over whichever protocol; ``protocols/`` has the implementations."""

    async def accept(self, subprotocol: str | None, headers: list[tuple[bytes, bytes]]) -> None:
        """Complete the handshake.

        Raises:
            OSError: the client has left.
        """
        ...

    async def receive(self) -> str | bytes:
        """Wait for a message.

        Raises:
            ClosedError: the client has left.
        """
        ...

    async def send(self, data: str | bytes) -> None:
        """Send a message; wait while the client is slow.

        Raises:
            OSError: the client has left, if the server tells.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say that it is over."""
        ...
