"""The body of a request as a file that a thread reads."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # no module at run time
    from _typeshed import WriteableBuffer

__all__ = ["open_body"]

_BUFFER = 64 * 1024


def open_body(next_chunk: Callable[[], bytes]) -> io.BufferedReader:
    """Return a file of the chunks that ``next_chunk`` returns, up to the empty one.

    It is asked only when the reader needs more: the reader sets the pace.
    """
    return io.BufferedReader(_Chunks(next_chunk), _BUFFER)


class _Chunks(io.RawIOBase):
    def __init__(self, next_chunk: Callable[[], bytes]) -> None:
        self._next_chunk = next_chunk
        self._chunk = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._chunk and not self._ended:
            self._chunk = memoryview(self._next_chunk())
            self._ended = not self._chunk
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._chunk))
        target[:size] = self._chunk[:size]
        self._chunk = self._chunk[size:]
        return size
