"""What a server protocol does for a socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

__all__ = ["Wire"]


class Wire(Protocol):
    """The way to one client, over whichever protocol; ``protocols/`` has the implementations."""

    async def accept(self, subprotocol: str | None, headers: list[tuple[bytes, bytes]]) -> None:
        """Complete the handshake.

        Raises:
            OSError: the client has left.
        """
        ...

    # PERF: the server's own function, and a second one to look at what it gave, as a coroutine between
    # the two would cost every message; benchmark `ws`.
    @property
    def receive(self) -> Callable[[], Awaitable[Any]]:
        """Waits for what the server tells next, in its own form."""
        ...

    def content(self, message: Any, /) -> str | bytes:  # in the server's own form
        """Return the message in what ``receive`` has given.

        Raises:
            ClosedError: it says that the client has left.
        """
        ...

    def send(self, data: str | bytes) -> Awaitable[None]:
        """Send a message; wait while the client is slow.

        Raises:
            OSError: the client has left, if the server tells.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say that it is over."""
        ...
