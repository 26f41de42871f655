"""The lines of code around a place, with the expression marked that was running."""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from itertools import islice
from types import CodeType, FrameType

from oxidite.security.redact import Redactor

__all__ = ["Line", "Span", "source_of", "span_of"]

_WIDEST = 200


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file: lines from 1, columns in bytes of UTF-8, as the compiler counts them.

    ``column`` is ``None`` where the compiler did not record any.
    """

    line: int
    last_line: int
    column: int | None = None
    last_column: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code; ``mark`` is the part that was running, as a slice of ``text``."""

    number: int
    text: str
    mark: tuple[int, int] | None = None


def span_of(code: CodeType, instruction: int, line: int) -> Span:
    """Return the place of a bytecode instruction; ``line`` is where the traceback puts it."""
    place = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
    if place is None or place[0] is None or place[1] is None or place[0] != line:
        return Span(line, line)
    return Span(place[0], place[1], place[2], place[3])


def source_of(
    path: str,
    span: Span,
    redactor: Redactor,
    *,
    before: int,
    after: int,
    frame: FrameType | None = None,
) -> tuple[Line, ...]:
    """Return the lines around ``span``; none if the source cannot be had.

    Of secrets only those are masked that ``redactor`` knows: code is full of words that look like
    one. With ``frame`` the module's own loader is asked too, for code in a zip file.
    """
    linecache.checkcache(path)  # the file may have been saved since
    lines = linecache.getlines(path, None if frame is None else frame.f_globals)
    if not 1 <= span.line <= len(lines):
        return ()
    first = max(1, span.line - before)
    # A long expression is shown from its beginning; its end is not what matters.
    last = min(len(lines), max(span.line, min(span.last_line, span.line + after)) + after)
    while first < span.line and not lines[first - 1].strip():
        first += 1
    while last > span.line and not lines[last - 1].strip():
        last -= 1
    return tuple(
        _line(lines[number - 1], number, span, redactor) for number in range(first, last + 1)
    )


def _line(raw: str, number: int, span: Span, redactor: Redactor) -> Line:
    text = raw.rstrip("\r\n")
    masked = redactor.known(text)
    mark = _mark(text, number, span) if masked == text else None
    return Line(number, masked[:_WIDEST] + ("…" if len(masked) > _WIDEST else ""), mark)


def _mark(text: str, number: int, span: Span) -> tuple[int, int] | None:
    if span.column is None or span.last_column is None or not span.line <= number <= span.last_line:
        return None
    whole = (len(text) - len(text.lstrip()), len(text.rstrip()))
    start = _characters(text, span.column) if number == span.line else whole[0]
    end = _characters(text, span.last_column) if number == span.last_line else whole[1]
    end = min(end, _WIDEST)
    return (start, end) if start < end and (start, end) != whole else None


def _characters(text: str, column: int) -> int:
    return len(text.encode("utf-8", "replace")[:column].decode("utf-8", "replace"))
