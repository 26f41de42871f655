"""Tracebacks cut to what a user can do something about: the frames of their own files."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from traceback import StackSummary, TracebackException

__all__ = ["users_traceback"]

_PACKAGE = str(Path(__file__).parent.parent)
_LONGEST = 100_000  # characters; what is longer is not read by anybody


def users_traceback(error: BaseException) -> str:
    """Return the traceback of ``error`` without the frames of libraries.

    Its causes are cut like itself. One that went through no file of the user's has no frames.
    """
    trace = TracebackException.from_exception(error, compact=True)
    for each in _chain(trace):
        each.stack = StackSummary.from_list([f for f in each.stack if _is_users(f.filename)])
    text = "".join(_lines(trace))
    return (
        text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}\n…\n{text[-_LONGEST // 2 :]}"
    )


def _chain(trace: TracebackException) -> Iterator[TracebackException]:
    pending = [trace]
    while pending:
        each = pending.pop()
        yield each
        pending += filter(None, (each.__cause__, each.__context__, *(each.exceptions or ())))


def _lines(trace: TracebackException) -> Iterator[str]:
    lines = list(trace.format())
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        # The heading says nothing where no frame is left.
        if line != "Traceback (most recent call last):\n" or following.startswith("  File"):
            yield line


def _is_users(filename: str) -> bool:
    return not filename.startswith(("<frozen ", *_LIBRARIES))


def _libraries() -> Iterator[str]:
    yield _PACKAGE + "/"
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_path(name) + "/"


_LIBRARIES = tuple(_libraries())
