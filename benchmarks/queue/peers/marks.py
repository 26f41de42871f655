"""When each job was pushed and when it began, in a file that all processes of a run share.

A mark is eight bytes in memory that is mapped: it costs every peer the same, and next to nothing. Times are
those of the clock that all processes of a machine have in common.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

NUMBERS = 1 << 16
SIZE = 2 * NUMBERS * 8
_TIME = struct.Struct("d")
_maps: dict[str, mmap.mmap] = {}


def opened(path: str) -> mmap.mmap:
    """Return the file as memory."""
    if path not in _maps:
        with open(path, "r+b") as file:
            _maps[path] = mmap.mmap(file.fileno(), SIZE)
    return _maps[path]


def begun(number: int) -> None:
    """Note that the job of that number begins."""
    _TIME.pack_into(opened(os.environ["BENCH_MARKS"]), number * 8, time.monotonic())


def pushed(number: int) -> None:
    """Note that the job of that number is about to be pushed."""
    where = (NUMBERS + number) * 8
    _TIME.pack_into(opened(os.environ["BENCH_MARKS"]), where, time.monotonic())
