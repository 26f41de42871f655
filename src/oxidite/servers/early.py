"""Signals that come before there is a server that could obey them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

__all__ = ["remembered"]


@contextlib.contextmanager
def remembered() -> Iterator[list[int]]:
    """Remember SIGINT and SIGTERM, in the main thread, instead of what they would do.

    Ctrl-C raises an exception wherever the program is, and at some places exceptions are ignored: in
    what the import system calls back, in finalizers. There it would be lost.
    """
    told: list[int] = []
    before = {
        each: signal.signal(each, lambda signum, _: told.append(signum))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
