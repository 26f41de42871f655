"""Who holds something: the place in the program at which a task waits, for reports of leaks."""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any

__all__ = ["holder"]


def holder(task: asyncio.Task[object] | None) -> str:
    """Return the function, file and line outside of this package at which a task is.

    Nothing is noted when a connection is taken; a task that still has it is asked where it is.
    """
    if task is None:
        return "code outside of any task"
    if task.done():
        return f"the task {task.get_name()}, which has ended"
    frames = _frames(task)
    own = [each for each in frames if not _is_ours(each)] or frames
    if not own:
        return f"the task {task.get_name()}"
    # The outermost is who was asked, such as a handler; the innermost is where it waits.
    first, last = own[0], own[-1]
    waits = "" if first is last else f", which waits in {_place(last)}"
    return f"{_place(first)}{waits}"


def _frames(task: asyncio.Task[object]) -> list[FrameType]:
    """Return the frames of the coroutines that a waiting task is in, the outermost first."""
    found: list[FrameType] = []
    one: Any = task.get_coro()
    while one is not None:
        frame = getattr(one, "cr_frame", None) or getattr(one, "gi_frame", None)
        if frame is not None:
            found.append(frame)
        one = getattr(one, "cr_await", None) or getattr(one, "gi_yieldfrom", None)
    return found


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in ("oxidite", "asyncio", "contextlib", "anyio")


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname}() at {code.co_filename}:{frame.f_lineno}"
