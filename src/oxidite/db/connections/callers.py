"""Where in a program something of the database was asked for, for messages."""

from __future__ import annotations

import sys

__all__ = ["caller"]

_INSIDE = ("oxidite.db", "oxidite.testing", "contextlib", "asyncio")


def caller() -> str:
    """Return the file and line outside of this package that runs a statement."""
    frame = sys._getframe(1)  # noqa: SLF001 - what `inspect` uses, without its cost
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
