"""What is known of a file at one moment, and its bytes."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field

from oxidite.clock import timestamp
from oxidite.errors import NotFoundError
from oxidite.http.conditional import Validators

__all__ = ["SMALL", "StoredFile", "look", "open_regular", "stored"]

SMALL = 128 * 1024
"""Files up to this many bytes are read whole when they are looked at: it is as much as a server keeps
of a large one for each reader."""

_NANO = 1_000_000_000
# Not waiting for the other end of a pipe, not becoming the terminal of this process.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A regular file as it was found; ``content`` is there if it is small."""

    path: str
    size: int
    mtime_ns: int
    identity: tuple[int, int]
    """Device and number on it: another file under the same name has another."""
    content: bytes | None = field(default=None, repr=False)

    def is_current(self) -> bool:
        """Tell whether the same file is still there, unchanged as far as its times tell."""
        try:
            found = os.stat(self.path, follow_symlinks=False)  # noqa: PTH116 - a third of the time
        except OSError:
            return False
        return (
            found.st_mtime_ns == self.mtime_ns
            and found.st_size == self.size
            and (found.st_dev, found.st_ino) == self.identity
        )

    def validators(self, variant: str = "") -> Validators:
        """Return what tells this state of the file from others: its size and its last change.

        They say it for sure once the clock of the file system has moved on, so the tag is weak for the
        first second (RFC 9110 section 8.8.1). They are the same on machines with a copy that kept its
        times. ``variant`` tells apart the encodings of one resource.
        """
        tag = f'"{self.mtime_ns:x}-{self.size:x}{variant}"'
        now = timestamp()
        settled = now - self.mtime_ns / _NANO >= 1.0
        # Not in the future of the answer that tells it (RFC 9110 section 8.8.2.1).
        modified = max(0, min(self.mtime_ns // _NANO, int(now)))
        return Validators(tag if settled else "W/" + tag, modified, settled)


def look(path: str) -> StoredFile:
    """Look at a file, and read it if it is small. To be called in a thread.

    Raises:
        OSError: it cannot be opened.
        NotFoundError: it is no regular file.
    """
    with open_regular(path) as file:
        return stored(path, file)


def open_regular(path: str) -> io.FileIO:
    """Open a file without being held up by what is not one.

    Raises:
        OSError: it cannot be opened.
        NotFoundError: it is a directory, a pipe or a device.
    """
    number = os.open(path, _FLAGS)
    try:
        if stat.S_ISREG(os.fstat(number).st_mode):
            return io.FileIO(number, "rb")
    except BaseException:
        os.close(number)
        raise
    os.close(number)
    raise NotFoundError


def stored(path: str, file: io.FileIO) -> StoredFile:
    """Return what is known of an open file, with its content if it is small."""
    found = os.fstat(file.fileno())
    size = found.st_size
    content = _content(file, size) if size <= SMALL else None
    # It may have grown or shrunk since, and what was read is what is told of.
    size = size if content is None else len(content)
    return StoredFile(path, size, found.st_mtime_ns, (found.st_dev, found.st_ino), content)


def _content(file: io.FileIO, size: int) -> bytes | None:
    content = file.read(SMALL + 1)
    while len(content) < size:
        more = file.read(size - len(content))
        if not more:
            break
        content += more
    return content if len(content) <= SMALL else None
