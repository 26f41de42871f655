"""A report as Markdown: to paste into an issue, a chat or an editor."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oxidite.middleware.debug.failure import Failure
from oxidite.middleware.debug.frames import Frame, Gap
from oxidite.middleware.debug.printable import printable
from oxidite.middleware.debug.report import Report
from oxidite.middleware.debug.source import Line

__all__ = ["markdown_of", "traceback_lines"]

_FRAMES = 6
_SPAN = 300
_TICKS = re.compile("`+")

_LED_TO = {
    "cause": "The above exception was the direct cause of the following exception:",
    "context": "During handling of the above exception, another exception occurred:",
}


def markdown_of(report: Report) -> str:
    """Return the report as Markdown. Whatever came with the request stands in code, so is inert."""
    request, failure = report.request, report.failure
    route = f", route {_code(request.pattern)}" if request.pattern else ""
    asked = _code(f"{request.method} {request.path}")
    parts = [
        f"# {_code(failure.title)}",
        f"{asked}{route}, error {_code(report.error_id)}, {report.versions}",
    ]
    frames = _opened(failure)
    if frames:
        parts.append("## Code")
    for frame in frames:
        parts.append(f"{_code(frame.location)} in {_code(frame.function)}")
        parts.append(_block("python", map(_numbered, frame.lines, [frame.line] * len(frame.lines))))
    parts += ["## Traceback", _block("text", traceback_lines(failure))]
    return printable("\n\n".join(parts) + "\n")


def traceback_lines(failure: Failure) -> Iterator[str]:
    """Yield the lines of the traceback in Python's own form and order."""
    if failure.previous is not None:
        yield from traceback_lines(failure.previous)
        yield from ("", _LED_TO[failure.relation], "")
    if failure.frames:
        yield "Traceback (most recent call last):"
    for frame in failure.frames:
        yield from _frame_lines(frame)
    yield from failure.title.split("\n")
    for note in failure.notes:
        yield from note.split("\n")
    for number, member in enumerate(failure.members, 1):
        yield f"  +-- {number} of {len(failure.members)}"
        for line in traceback_lines(member):
            yield f"  | {line}"
    if failure.left_out:
        yield "[more exceptions left out]"


def _frame_lines(frame: Frame | Gap) -> Iterator[str]:
    if isinstance(frame, Gap):
        yield f"  [{frame.count} calls left out]"
        return
    yield f'  File "{frame.shown}", line {frame.line}, in {frame.function}'
    for line in frame.lines:
        if line.number == frame.line:
            yield f"    {line.text.strip()}"
            yield from _carets(line)
    if frame.repeats:
        yield f"  [the same call {frame.repeats} more times]"


def _carets(line: Line) -> Iterator[str]:
    if line.mark is not None:
        start, end = line.mark
        indent = len(line.text) - len(line.text.lstrip())
        yield f"    {' ' * (start - indent)}{'^' * (end - start)}"


def _opened(failure: Failure) -> list[Frame]:
    """Return the frames whose code is worth pasting, innermost first."""
    frames = [each for each in reversed(failure.frames) if isinstance(each, Frame) and each.lines]
    return [each for each in frames if not each.is_library][:_FRAMES] or frames[:1]


def _numbered(line: Line, hit: int) -> str:
    return f"{'>' if line.number == hit else ' '} {line.number:4} | {line.text}".rstrip()


def _code(text: str) -> str:
    """Return ``text`` as a code span that it cannot end."""
    text = " ".join(text[:_SPAN].split())
    ticks = "`" * (_longest_run(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _block(language: str, lines: Iterator[str]) -> str:
    text = "\n".join(lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)
