"""Columns that SQL speaks of: in checks, conditions of indexes, and what computed columns are made of."""

from __future__ import annotations

import re

__all__ = ["mentions", "renamed"]

_WORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\W\d]\w*""")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def mentions(sql: str, name: str) -> bool:
    """Return whether SQL speaks of a column."""
    return any(_name(word) == name for word in _WORDS.findall(sql))


def renamed(sql: str, old: str, new: str) -> str:
    """Return SQL in which a column has another name, as a database has it once it was renamed."""

    def word(found: re.Match[str]) -> str:
        written = found.group()
        if _name(written) != old:
            return written
        is_plain = _PLAIN.fullmatch(new) and not written.startswith('"')
        return new if is_plain else f'"{new}"'

    return _WORDS.sub(word, sql)


def _name(word: str) -> str | None:
    """Return the name that a word is; ``None`` for text in quotes."""
    if word.startswith("'"):
        return None
    return word[1:-1].replace('""', '"') if word.startswith('"') else word
