"""Finds the lines of a TOML document that the standard library read but does not number."""

from __future__ import annotations

import re

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\\\n]*"|'[^'\n]*')"""
_KEYS = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_TABLE = re.compile(rf"[ \t]*\[\[?[ \t]*({_KEYS})[ \t]*\]")
_PAIR = re.compile(rf"[ \t]*({_KEYS})[ \t]*=")
_ONE_KEY = re.compile(_KEY)
_OPENING = ('"""', "'''")
_TOKEN = re.compile(r"""#.*|\"{3}|'{3}|"(?:[^"\\]|\\.)*"|'[^']*'""")


def find_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of every table and key of a valid document; of several, the first.

    Keys in inline tables and quoted keys with escapes are left out.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    closing = ""  # of a multi-line string that is open
    for number, line in enumerate(text.split("\n"), start=1):
        if not closing:
            if found := _TABLE.match(line):
                table = _path(found[1])
                lines.setdefault(table, number)
            elif found := _PAIR.match(line):
                lines.setdefault(table + _path(found[1]), number)
        closing = _open_string(line, closing)
    return lines


def _path(keys: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in _ONE_KEY.findall(keys))


def _open_string(line: str, closing: str) -> str:
    """Return the quotes that close the multi-line string open after ``line``, or nothing."""
    place = 0
    while True:
        if closing:
            end = line.find(closing, place)
            if end < 0:
                return closing
            place = end + len(closing)
        token = _TOKEN.search(line, place)
        if not token:
            return ""
        place = token.end()
        closing = token[0] if token[0] in _OPENING else ""
