"""Finds files below one directory, and nothing outside of it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oxidite.errors import ConfigError, NotFoundError
from oxidite.http.files.file import StoredFile, open_regular, stored
from oxidite.routing.static.names import is_servable

__all__ = ["Directory", "Found", "IsDirectoryError"]

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""Endings of files that hold another one in a content coding."""

_OLDER = 2.0
"""Seconds that a compressed file may be older than its original: copies are not made in order."""

_NOT_THERE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EACCES)
)


class IsDirectoryError(NotFoundError):
    """There is a directory of that name, and no file."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or the compressed form of it that stands beside it."""

    name: str
    file: StoredFile
    coding: str | None = None


class Directory:
    """A directory whose files may be public."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path).absolute()
        self.root: str = str(self.path)
        """The directory after all links."""

    def check(self, where: str) -> None:
        """Find out where the directory is.

        Raises:
            ConfigError: there is none.
        """
        if not self.path.is_dir():
            what = "is no directory" if self.path.exists() else "does not exist"
            raise ConfigError(
                f"static({where!r}): the directory {self.path} {what}. Make it, build what goes into "
                'it, or give another: a path relative to the program is Path(__file__).parent / "…".'
            )
        self.root = str(self.path.resolve())

    def find(self, path: str, codings: Sequence[str] = ()) -> Found:
        """Look for a file by its path below the directory, in the first of ``codings`` there is.

        To be called in a thread.

        Raises:
            IsDirectoryError: it is a directory.
            NotFoundError: there is none, or it is not public.
        """
        if not is_servable(path):
            raise NotFoundError
        name = path.rpartition("/")[2]
        with self._open(path) as (real, file):
            for coding in codings:
                found = self._compressed(path + SUFFIXES[coding], file)
                if found is not None:
                    return Found(name, found, coding)
            return Found(name, stored(real, file))

    def _compressed(self, path: str, original: io.FileIO) -> StoredFile | None:
        try:
            with self._open(path) as (real, file):
                age = _mtime(original) - _mtime(file)
                return stored(real, file) if age <= _OLDER else None
        except NotFoundError:
            return None

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[tuple[str, io.FileIO]]:
        """Open a file; where it is, is asked of what is open, not of a name that may change."""
        try:
            file = open_regular(f"{self.root}/{path}")
        except NotFoundError:
            folder = Path(self.root, path).resolve()
            if folder.is_dir() and self._is_inside(str(folder)):
                raise IsDirectoryError from None
            raise
        except OSError as exc:
            if exc.errno in _NOT_THERE:
                raise NotFoundError from None
            raise
        with file:
            real = _path_of(file)
            if not self._is_inside(real):
                raise NotFoundError
            yield real, file

    def _is_inside(self, real: str) -> bool:
        if real == self.root:
            return True
        root = self.root.rstrip("/") + "/"
        return real.startswith(root) and is_servable(real.removeprefix(root))


def _mtime(file: io.FileIO) -> float:
    return os.fstat(file.fileno()).st_mtime


def _path_of(file: io.FileIO) -> str:
    """Return where an open file is, after all links."""
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(file.fileno(), fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return os.readlink(f"/proc/self/fd/{file.fileno()}")  # noqa: PTH115 - a link to nothing, at times
