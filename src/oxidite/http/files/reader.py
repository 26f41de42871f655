"""The bytes of a file, read in threads while they are sent."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import AsyncIterator

from oxidite.concurrency import ThreadPool
from oxidite.errors import NotFoundError, OxiditeError
from oxidite.http.files.file import StoredFile, open_regular
from oxidite.http.files.ranges import Range, Segments

__all__ = ["FileChangedError", "cut", "read", "read_all"]

CHUNK = 256 * 1024
"""Bytes read and sent at a time. PERF: of 64 KiB to 1 MiB the fastest; benchmark `files`."""


class FileChangedError(OxiditeError):
    """A file was replaced or cut short while it was sent; the connection is closed."""

    code = "file_changed"


async def read(file: StoredFile, segments: Segments, threads: ThreadPool) -> AsyncIterator[bytes]:
    """Yield a body piece by piece.

    Raises:
        FileChangedError: it is another file by now, or a shorter one.
    """
    reader = _Reader(file)
    try:
        for segment in segments:
            if isinstance(segment, bytes):
                yield segment
                continue
            at, stop = segment
            while at < stop:
                size = min(CHUNK, stop - at)
                data = reader.cached(at, size) or await threads.run(reader.read, at, size)
                at += len(data)
                yield data
    finally:
        reader.close()


def read_all(file: StoredFile, segments: Segments) -> bytes:
    """Return a body that is small. To be called in a thread.

    Raises:
        FileChangedError: as ``read``.
    """
    reader = _Reader(file)
    try:
        return b"".join(
            each if isinstance(each, bytes) else reader.read_range(each) for each in segments
        )
    finally:
        reader.close()


def cut(segments: Segments, content: bytes) -> bytes:
    """Return a body of a file that was read whole."""
    if len(segments) == 1 and segments[0] == (0, len(content)):
        return content
    return b"".join(
        each if isinstance(each, bytes) else content[each.start : each.stop] for each in segments
    )


class _Reader:
    """Opens a file when it is first read; closed from anywhere, also while a thread still reads."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self._handle: io.FileIO | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self, start: int, size: int) -> bytes:
        with self._lock:
            data = b"" if self._closed else self._read(start, size)
        if self._closed:
            self.close()  # whoever wanted that could not wait for us
        return data

    def cached(self, start: int, size: int) -> bytes:
        """Return what can be had of it without waiting for a disk; nothing if that is not known."""
        # PERF: two thirds of what it takes to go to a thread; benchmark `files`.
        if sys.platform != "linux" or self._handle is None:
            return b""
        buffer = bytearray(size)
        try:
            count = os.preadv(self._handle.fileno(), [buffer], start, os.RWF_NOWAIT)
        except OSError:  # it would have to wait, or the file system cannot tell
            return b""
        return bytes(memoryview(buffer)[:count])

    def read_range(self, wanted: Range) -> bytes:
        pieces, at = [], wanted.start
        while at < wanted.stop:
            pieces.append(self.read(at, wanted.stop - at))
            at += len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file now, or have the thread do it that reads just now."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._handle is not None:
                    self._handle.close()
            finally:
                self._lock.release()

    def _read(self, start: int, size: int) -> bytes:
        if self._handle is None:
            self._handle = _open_again(self._file)
        data = os.pread(self._handle.fileno(), size, start)
        if not data:
            raise FileChangedError(f"{self._file.path} ended at byte {start} while it was sent.")
        return data


def _open_again(file: StoredFile) -> io.FileIO:
    try:
        handle = open_regular(file.path)
    except (OSError, NotFoundError) as exc:
        raise FileChangedError(f"{file.path} cannot be opened any more: {exc}") from exc
    found = os.fstat(handle.fileno())
    if (found.st_dev, found.st_ino) != file.identity:
        handle.close()
        raise FileChangedError(f"{file.path} was replaced before it was sent.")
    return handle
