"""A file that appears under its name when it is complete, and not before."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO

from oxidite.errors import InsufficientStorageError

__all__ = ["NewFile", "new_file", "undisturbed"]

_logger = logging.getLogger("oxidite")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NewFile:
    """Written beside its place under another name, and put there by ``commit``.

    Whatever happens before, ``discard`` leaves nothing. All of it blocks, so it belongs in a thread; one
    that was abandoned while it writes is waited for.
    """

    def __init__(self, target: str | os.PathLike[str], *, overwrite: bool) -> None:
        self._target = Path(target)
        self._part = self._target.parent / f".{secrets.token_hex(8)}.part"
        self._overwrite = overwrite
        self._file: IO[bytes] | None = None
        self._over = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Begin.

        Raises:
            FileExistsError: there is something at the target already.
        """
        with self._lock:
            self._check()
            if not self._overwrite and os.path.lexists(self._target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._target))
            self._file = self._part.open("xb", buffering=0)

    def write(self, data: bytes | bytearray) -> None:
        """Append.

        Raises:
            InsufficientStorageError: the disk is full.
        """
        with self._lock, room_in(self._target.parent):
            self._check()
            assert self._file is not None  # noqa: S101 - `open` was called
            view = memoryview(data)
            while view:  # one call may write less when the disk is nearly full
                view = view[self._file.write(view) :]

    def commit(self) -> None:
        """Put the file in its place, on the disk and not only on the way there.

        Raises:
            FileExistsError: there is something now.
            InsufficientStorageError: the disk is full.
        """
        with self._lock, room_in(self._target.parent):
            self._check()
            assert self._file is not None  # noqa: S101 - `open` was called
            os.fsync(self._file.fileno())
            self._file.close()
            if self._overwrite:
                self._part.replace(self._target)
            else:
                _rename_to_new(self._part, self._target)

    def discard(self) -> None:
        """Leave nothing of it but what was committed; may be called again."""
        with self._lock:
            self._over = True
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._part.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._over:
            raise ValueError("the file was given up")


@contextlib.asynccontextmanager
async def new_file(path: str | os.PathLike[str], *, overwrite: bool) -> AsyncIterator[NewFile]:
    """Open a new file, and commit it at the end of the block unless that fails."""
    file = NewFile(path, overwrite=overwrite)
    try:
        await asyncio.to_thread(file.open)
        yield file
        await asyncio.to_thread(file.commit)
    finally:
        await undisturbed(file.discard)


async def undisturbed(function: Callable[[], None]) -> None:
    """Call ``function`` in a thread, and to its end even if this task is cancelled."""
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, function))


@contextlib.contextmanager
def room_in(place: str | os.PathLike[str]) -> Iterator[None]:
    """Make a full disk an answer to the client and a line in the log."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        _logger.error("no room for an upload in %s: %s", os.fspath(place), exc)
        raise InsufficientStorageError from exc


def _rename_to_new(part: Path, target: Path) -> None:
    try:
        target.hardlink_to(part)  # unlike a rename, it fails if there is something
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: take the name first, with nothing in it.
        target.open("xb").close()
        part.replace(target)
