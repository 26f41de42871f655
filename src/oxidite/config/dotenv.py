r"""Reads ``.env`` files: names and values, nothing is run and nothing is interpolated.

::

    # a comment
    export NAME=value          # ``export`` is optional; an unquoted value is trimmed
    SINGLE='as it is, $HOME, \n, even
    over several lines'
    DOUBLE="with \n, \r, \t, \\, \", \' and \$ as escapes"

A ``#`` begins a comment at the start of a line or after white space. The last of two lines with
one name counts. Every line that is none of these is a problem with its number; its text is never
repeated, as it may hold a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from oxidite.config.problems import Problem

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
_BLANK = " \t\r"
_LEADING = re.compile(r"[ \t]*")
_SKIPPED = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
_COMMENT = re.compile(r"[ \t]#")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "$": "$"}
_IN_DOUBLE_QUOTES = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_IN_SINGLE_QUOTES = re.compile(r"[^']*")


@dataclass(frozen=True, slots=True)
class Line:
    """The value of one name, and the number of the line it begins on."""

    value: str
    number: int


class _MalformedError(Exception):
    """The message says what is wrong with a line, without its text."""


def parse_dotenv(text: str, file: str) -> tuple[dict[str, Line], list[Problem]]:
    """Return the names in ``text``, and a problem for each malformed line, in one pass."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines: dict[str, Line] = {}
    problems: list[Problem] = []
    place = number = 0
    while place < len(text):
        number += 1
        try:
            name, value, end = _read_line(text, place)
        except _MalformedError as exc:
            problems.append(Problem(f"{file}:{number}", str(exc)))
            end = _end_of_line(text, place)
        else:
            if name:
                lines[name] = Line(value, number)
        number += text.count("\n", place, end)
        place = end + 1
    return lines, problems


def _read_line(text: str, place: int) -> tuple[str, str, int]:
    """Return the name, or ``""`` for a line without one, its value, and where the line ends."""
    if skipped := _SKIPPED.match(text, place):
        return "", "", skipped.end()
    start = _NAME.match(text, place)
    if not start:
        raise _MalformedError("expected NAME=value, or a comment after #")
    opening = _LEADING.match(text, start.end())
    place = opening.end() if opening else start.end()
    if text.startswith(('"', "'"), place):
        value, end = _read_quoted(text, place)
    else:
        value, end = _read_unquoted(text, start.end())
    if "\0" in value:
        raise _MalformedError("a value cannot contain NUL")
    return start[1], value, end


def _read_unquoted(text: str, place: int) -> tuple[str, int]:
    end = _end_of_line(text, place)
    line = text[place:end]
    # Only after white space: a password may begin with, or contain, a #.
    comment = _COMMENT.search(line)
    return line[: comment.start() if comment else None].strip(_BLANK), end


def _read_quoted(text: str, place: int) -> tuple[str, int]:
    quote = text[place]
    inside = (_IN_DOUBLE_QUOTES if quote == '"' else _IN_SINGLE_QUOTES).match(text, place + 1)
    if not inside or not text.startswith(quote, inside.end()):
        raise _MalformedError(f"the quote {quote} is not closed")
    rest = _SKIPPED.match(text, inside.end() + 1)
    if not rest:
        raise _MalformedError("only a comment may follow the closing quote")
    return _ESCAPE.sub(_unescape, inside[0]) if quote == '"' else inside[0], rest.end()


def _end_of_line(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _unescape(escape: re.Match[str]) -> str:
    if escape[1] not in _ESCAPES:
        raise _MalformedError(r"in double quotes \ is followed by one of n r t \ " + "\" ' $")
    return _ESCAPES[escape[1]]
