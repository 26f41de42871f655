"""Locks by name on files beside an SQLite database: they end with the process that holds them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import ClassVar
from weakref import WeakKeyDictionary

from oxidite.db.errors import LockTimeoutError

__all__ = ["FileLock"]

_FIRST, _LAST = 0.005, 0.1
"""Seconds between two tries, at first and in the end."""


class FileLock:
    """A lock of this name in this file's company; for a database in memory, in this process.

    ``owner`` is the driver: two of them in one process stand in each other's way as two processes do.
    """

    _in_memory: ClassVar[WeakKeyDictionary[object, dict[str, asyncio.Lock]]] = WeakKeyDictionary()

    def __init__(
        self, database: Path | None, name: str, timeout: float | None, *, owner: object
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._file: int | None = None
        self._path: Path | None = None
        self._lock: asyncio.Lock | None = None
        if database is None:
            locks = self._in_memory.setdefault(owner, {})
            self._lock = locks.setdefault(name, asyncio.Lock())
        else:
            digest = blake2b(name.encode(), digest_size=8).hexdigest()
            self._path = database.with_name(f"{database.name}-lock-{digest}")

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                if self._lock is not None:
                    await self._lock.acquire()
                else:
                    await self._until_locked()
        except TimeoutError:
            raise LockTimeoutError(
                f"The lock {self._name!r} was not free within {self._timeout:g} s."
            ) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.release()
        elif self._path is not None and self._file is not None:
            # Removed while it is locked: who has opened it meanwhile sees that it is another file.
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    async def _until_locked(self) -> None:
        pause = _FIRST
        while not self._try():
            # Real time: a lock is held by another process, which does not travel.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await asyncio.get_running_loop().create_future()
            pause = min(_LAST, pause * 2)

    def _try(self) -> bool:
        assert self._path is not None  # noqa: S101 - else there is nothing to try
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, self._path):
                self._file = file
                return True
        except BlockingIOError:
            pass
        os.close(file)
        return False


def _is_at(file: int, path: Path) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
