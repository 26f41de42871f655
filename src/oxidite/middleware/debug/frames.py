"""The frames of a traceback: which are the user's, what they held, and not too many of them."""

from __future__ import annotations

import os.path
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import TypeAlias, TypeVar

from oxidite.middleware.debug.source import Line, source_of, span_of
from oxidite.middleware.debug.values import Values

__all__ = ["Frame", "Gap", "Variable", "frames_of", "is_library", "open_frames", "shown_path"]

Variable: TypeAlias = tuple[str, str]
"""The name of a local variable and its text."""

T = TypeVar("T")

_VARIABLES = 20
_OWN = str(Path(__file__).parents[2])
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True, slots=True)
class Frame:
    """A call in a traceback.

    ``lines`` is empty where there is no source, ``variables`` where they are not shown: those of
    libraries tell little and may hold whole requests. ``repeats`` counts identical calls right
    below that were left out; ``more`` the variables that were.
    """

    path: str
    shown: str
    line: int
    function: str
    is_library: bool
    lines: tuple[Line, ...] = ()
    variables: tuple[Variable, ...] = ()
    more: int = 0
    repeats: int = 0

    @property
    def location(self) -> str:
        """Where it is, as editors and terminals take it."""
        return f"{self.shown}:{self.line}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Calls that were left out."""

    count: int


@dataclass(frozen=True, slots=True)
class _Call:
    """A frame before anything costly was asked of it."""

    frame: FrameType
    instruction: int
    line: int
    repeats: int = 0

    @property
    def path(self) -> str:
        return self.frame.f_code.co_filename

    @property
    def place(self) -> tuple[object, int]:
        return (self.frame.f_code, self.line)


def open_frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    """Yield the frames whose variables a report shows: the user's, else the innermost."""
    calls = list(_calls(traceback))
    for index, call in enumerate(calls):
        if _is_open(calls, index):
            yield call.frame


def frames_of(
    traceback: TracebackType | None, values: Values, *, detailed: int
) -> tuple[Frame | Gap, ...]:
    """Return the frames of a traceback, outermost first; the ``detailed`` innermost with source."""
    calls = list(_calls(traceback))
    opened = {id(calls[index].frame) for index in range(len(calls)) if _is_open(calls, index)}
    kept: list[_Call | Gap] = []
    for _, group in groupby(_merged(calls), key=lambda call: is_library(call.path)):
        kept += _thinned(list(group), first=5, last=12)
    frames: list[Frame | Gap] = []
    # From the inside, where the failure is: what there is room for is spent there first.
    for each in reversed(_thinned(kept, first=10, last=25)):
        if isinstance(each, Gap):
            frames.append(each)
        else:
            around = 0 if len(frames) >= detailed else 5 if id(each.frame) in opened else 2
            frames.append(_frame(each, values, around=around, opened=id(each.frame) in opened))
    return tuple(reversed(frames))


def _calls(traceback: TracebackType | None) -> Iterator[_Call]:
    while traceback is not None:
        yield _Call(traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
        traceback = traceback.tb_next


def _is_open(calls: Sequence[_Call], index: int) -> bool:
    if not is_library(calls[index].path):
        return True
    # Everything happened in libraries: the last one is all there is to see, but not in ours, whose
    # variables hold the raw request.
    last = index == len(calls) - 1 and all(is_library(call.path) for call in calls)
    return last and not _is_below(calls[index].path, _OWN)


def _merged(calls: Sequence[_Call]) -> Iterator[_Call]:
    """Make one of identical calls in a row, which is what endless recursion consists of."""
    for _, group in groupby(calls, key=lambda call: call.place):
        same = list(group)
        yield replace(same[-1], repeats=len(same) - 1)


def _thinned(items: list[T], *, first: int, last: int) -> list[T | Gap]:
    if len(items) <= first + last + 1:
        return list(items)
    left_out = sum(_size(item) for item in items[first:-last])
    return [*items[:first], Gap(left_out), *items[-last:]]


def _size(item: object) -> int:
    if isinstance(item, Gap):
        return item.count
    return 1 + item.repeats if isinstance(item, _Call) else 1


def _frame(call: _Call, values: Values, *, around: int, opened: bool) -> Frame:
    code, path = call.frame.f_code, call.path
    lines: tuple[Line, ...] = ()
    if around:
        span = span_of(code, call.instruction, call.line)
        lines = source_of(
            path, span, values.redactor, before=around, after=around - 1, frame=call.frame
        )
    variables, more = _variables(call.frame, values) if opened and around else ((), 0)
    return Frame(
        path,
        shown_path(path),
        call.line,
        code.co_qualname.replace("<locals>.", ""),
        is_library(path),
        lines,
        variables,
        more,
        call.repeats,
    )


def _variables(frame: FrameType, values: Values) -> tuple[tuple[Variable, ...], int]:
    own = [(name, value) for name, value in frame.f_locals.items() if _is_shown(frame, name, value)]
    shown = tuple((name, values.named(name, value)) for name, value in own[:_VARIABLES])
    return shown, len(own) - len(shown)


def _is_shown(frame: FrameType, name: str, value: object) -> bool:
    if name.startswith(("__", ".", "@")) or type(value) is ModuleType:
        return False
    # The variables of a module are mostly what it imported and defined.
    return frame.f_code.co_name != "<module>" or not (callable(value) or name.startswith("_"))


def is_library(path: str) -> bool:
    """Tell whether a file is the interpreter's, an installed package's or ours, not the user's."""
    if path.startswith("<") or any(part in path for part in _INSTALLED):
        return True
    return any(_is_below(path, root) for root in (_OWN, *_standard()))


def shown_path(path: str) -> str:
    """Return the short form of a path: below the working directory, or below its library."""
    for part in _INSTALLED:
        if part in path:
            return path.rpartition(part)[2]
    for root in (str(Path(_OWN).parent), *_standard(), _here()):
        if _is_below(path, root):
            return path[len(root) + 1 :]
    return path


@cache
def _standard() -> tuple[str, ...]:
    """Where the standard library is, and what is installed; looked up when there is an error."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = [path for name in names if (path := sysconfig.get_path(name))]
    return tuple(dict.fromkeys((*paths, *map(os.path.realpath, paths))))


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # removed while the program ran
        return ""


def _is_below(path: str, root: str) -> bool:
    return bool(root) and path.startswith(root + os.sep)
