"""The files of a form, in memory or in one temporary file.

The bytes of all files of one form lie one after the other in one place: memory at first, and one
temporary file when they outgrow it. So a form costs a bounded amount of memory and one file
descriptor, however many files it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from typing import IO

from oxidite.http.filename import safe_filename
from oxidite.http.newfile import NewFile, room_in, undisturbed

__all__ = ["Spool", "Upload"]

_BLOCK = 64 * 1024  # bytes per read or write of a file


class Spool:
    """The bytes of all files of a form: in memory, or in one temporary file.

    Writing is for the parser, one at a time; reading is for any thread.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._buffer = bytearray()  # what is not in the file yet
        self._file: IO[bytes] | None = None
        self._file_size = 0
        self._closed = False
        # Closing may meet a read or write that its caller has abandoned, still running in a thread.
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file_size + len(self._buffer)

    @property
    def on_disk(self) -> bool:
        """Whether reading touches a file, so that it belongs in a thread."""
        return self._file is not None

    async def write(self, data: bytes) -> None:
        """Append ``data``, and move to the file what is too much for the memory."""
        self._buffer += data
        if len(self._buffer) > (self._memory if self._file is None else _BLOCK):
            await asyncio.to_thread(self._flush)

    async def settle(self) -> None:
        """Leave nothing between the memory and the file: what comes now is reading."""
        if self._file is not None and self._buffer:
            await asyncio.to_thread(self._flush)

    def _flush(self) -> None:
        with self._lock, room_in(tempfile.gettempdir()):
            self._check_open()
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `aclose` closes it
            self._file.seek(self._file_size)
            self._file.write(self._buffer)
            self._file.flush()
            self._file_size += len(self._buffer)
            self._buffer.clear()

    def read(self, start: int, size: int) -> bytes:
        """Return a piece.

        Raises:
            ValueError: the form was closed.
        """
        with self._lock:
            self._check_open()
            if self._file is None:
                return bytes(memoryview(self._buffer)[start : start + size])
            self._file.seek(start)
            return self._file.read(size)

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the form is closed: read its files, or save them, before it is")

    async def aclose(self) -> None:
        """Forget everything; may be called again."""
        if self._file is None and not self._lock.locked():
            self._close()
        else:
            await undisturbed(self._close)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._buffer = bytearray()
            if self._file is not None:
                # What could not be written for want of room is tried again here, and is not wanted.
                with contextlib.suppress(OSError):
                    self._file.close()


class Upload:
    """A file of a form.

    ``filename`` is safe to use as the name of a file; ``raw_filename`` is what the client said, for
    nothing but display. ``content_type`` is what the client said too: a claim, not a fact. ``sniffed``
    is the type by the content, ``None`` if that is not recognised. It can be read until the form is closed, which happens when the request ends.
    """

    __slots__ = (
        "_position",
        "_spool",
        "_start",
        "content_type",
        "filename",
        "raw_filename",
        "size",
        "sniffed",
    )
    filename: str
    raw_filename: str
    content_type: str
    sniffed: str | None
    size: int

    def __init__(
        self, spool: Spool, *, raw_filename: str, content_type: str, sniffed: str | None = None
    ) -> None:
        self._spool = spool
        self._start = spool.size
        self._position = 0
        self.raw_filename = raw_filename
        self.filename = safe_filename(raw_filename)
        self.content_type = content_type
        self.sniffed = sniffed
        self.size = 0

    async def read(self, n: int = -1) -> bytes:
        """Return the next ``n`` bytes, or all that is left; ``b""`` at the end.

        Raises:
            ValueError: the form was closed.
        """
        left = self.size - self._position
        data = await self._piece(self._position, left if n < 0 else min(n, left))
        self._position += len(data)
        return data

    async def seek(self, position: int) -> int:
        """Go to a position from the start, at most to the end; return it."""
        if position < 0:
            raise ValueError(f"{position} is not a position in a file")
        self._position = min(position, self.size)
        return self._position

    async def chunks(self, size: int = _BLOCK) -> AsyncIterator[bytes]:
        """Yield the whole content in pieces of ``size`` bytes, from the start; ``read`` stays put.

        Raises:
            ValueError: the form was closed.
        """
        if size < 1:
            raise ValueError(f"{size} is not the size of a piece")
        for start in range(0, self.size, size):
            yield await self._piece(start, min(size, self.size - start))

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the whole content to ``path``: all of it or, on any failure, nothing.

        The directory has to exist, and has to hold nothing else of that name unless ``overwrite``
        allows to replace it.

        Raises:
            FileExistsError: there is something at ``path``.
            InsufficientStorageError: the disk is full.
            ValueError: the form was closed.
        """
        file = NewFile(path, overwrite=overwrite)
        try:
            await asyncio.to_thread(self._save, file)
        finally:
            await undisturbed(file.discard)

    async def _piece(self, start: int, size: int) -> bytes:
        if self._spool.on_disk:
            return await asyncio.to_thread(self._spool.read, self._start + start, size)
        return self._spool.read(self._start + start, size)

    def _save(self, file: NewFile) -> None:
        file.open()
        for start in range(0, self.size, _BLOCK):
            piece = self._spool.read(self._start + start, min(_BLOCK, self.size - start))
            file.write(piece)
        file.commit()

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type} {self.size} bytes>"
