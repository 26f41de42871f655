"""SQL and values as they stand in models."""

from __future__ import annotations

import re

from oxidite.db.sql.compiler import DIALECTS

__all__ = ["bare", "plain", "written"]


def plain(sql: str) -> str:
    """Return SQL of MariaDB as it is written elsewhere, too."""
    sql = _QUOTED.sub(_unescaped, sql)
    sql = re.sub(r"`([a-z_][a-z0-9_]*)`", _unquoted, sql).replace("`", '"')
    sql = re.sub(r"\blcase\(", "lower(", sql)
    return bare(re.sub(r"\bucase\(", "upper(", sql))


def _unquoted(name: re.Match[str]) -> str:
    """Return a name as it is; in quotes if it is a word of SQL."""
    # Its own quotes, for it knows the words that may not stand alone.
    quoted = DIALECTS["mysql"].identifier_preparer.quote(name[1])
    return name[1] if quoted == name[1] else f'"{name[1]}"'


_QUOTED = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)


def _unescaped(text: re.Match[str]) -> str:
    """Return text in quotes without backslashes, which elsewhere are what they are."""
    return re.sub(r"\\(.)", lambda one: "''" if one[1] == "'" else one[1], text[0])


def bare(sql: str) -> str:
    """Return SQL without the parentheses that are around the whole of it."""
    sql = sql.strip()
    while sql.startswith("(") and _end(sql) == len(sql) - 1:
        sql = sql[1:-1].strip()
    return sql


def _end(sql: str) -> int:
    """Return where the parenthesis ends that SQL begins with."""
    depth, quote = 0, ""
    for place, sign in enumerate(sql):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"`":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if not depth:
                return place
    return -1


def written(value: object) -> str:
    """Return a value as Python, as formatters have it: in double quotes, if those are not in it more often."""
    found = repr(value)
    if not isinstance(value, str) or value.count('"') > value.count("'"):
        return found
    # With a single quote behind it, `repr` takes double ones, and leaves all others as they are.
    parts = (repr(f"{part}'")[1:-2] for part in value.split('"'))
    return '"' + '\\"'.join(parts) + '"'
