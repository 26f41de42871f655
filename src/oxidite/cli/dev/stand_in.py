"""Answers on the listening socket while no child can: every request gets the failure, with status 500."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from oxidite.cli.dev.pages import failure_page

__all__ = ["StandIn"]

_HEAD_TIMEOUT = 5.0
_REST_TIMEOUT = 1.0


class StandIn:
    """A server of one page. It accepts connections between ``show`` and ``close``."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._listener = listener
        self._tls = tls
        self._text = ""
        self._server: asyncio.Server | None = None

    async def show(self, text: str) -> None:
        """Answer with ``text`` from now on."""
        self._text = text
        if self._server is None:
            # A copy, as the server closes what it is given.
            self._server = await asyncio.start_server(
                self._answer, sock=self._listener.dup(), ssl=self._tls
            )

    def close(self) -> None:
        """Accept no more connections; those that are open get their answer."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_response(head, self._text))
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            # Closed while the client still sends, the connection would be reset and the answer lost.
            async with asyncio.timeout(_REST_TIMEOUT):
                while await reader.read(65_536):
                    pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _response(head: bytes, text: str) -> bytes:
    is_page = b"text/html" in head.lower()
    body = (
        failure_page(text) if is_page else f"The application does not start.\n\n{text}\n".encode()
    )
    kind = "text/html" if is_page else "text/plain"
    lines = (
        "HTTP/1.1 500 Internal Server Error",
        f"content-type: {kind}; charset=utf-8",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "x-oxidite-reload: failed",
        "connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (b"" if head.startswith(b"HEAD ") else body)
