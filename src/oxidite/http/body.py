"""The body of a request: read with a limit, once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from oxidite.errors import BadRequestError, PayloadTooLargeError

__all__ = ["ClientDisconnectError", "content_length", "limited", "read_all"]


class ClientDisconnectError(BadRequestError):
    """The client went away before it had sent the whole request."""

    code = "client_disconnect"


def content_length(value: str | None) -> int | None:
    """Read a Content-Length field; ``None`` without one.

    Raises:
        BadRequestError: it is not a decimal number (RFC 9110 section 8.6).
    """
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise BadRequestError(f"Content-Length {value[:40]!r} is not a number.")
    return int(value)


async def limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """Yield ``chunks`` until they are more than ``limit`` bytes, then raise ``PayloadTooLargeError``."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise PayloadTooLargeError(limit)
        yield chunk


async def read_all(chunks: AsyncIterator[bytes]) -> bytes:
    """Join all chunks."""
    return b"".join([chunk async for chunk in chunks])
