"""Columns that SQL speaks of: in checks, conditions of indexes, and what computed columns are made of."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

__all__ = ["is_alike", "mentions", "named", "renamed", "shielded"]

_WORDS = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`"""
    # A name that has quotes, or text; and a word that names no function, no type of a cast, and no type
    # of the text behind it.
    r"""|(?<!::)(?<!\bAS\ )(?<!\w)[^\W\d]\w*+(?!\s*[('])""",
    re.IGNORECASE,
)
_OPERATORS = frozenset(
    [
        "all",
        "and",
        "any",
        "as",
        "between",
        "binary",
        "case",
        "collate",
        "distinct",
        "div",
        "else",
        "exists",
        "false",
        "from",
        "in",
        "interval",
        "is",
        "like",
        "match",
        "mod",
        "not",
        "null",
        "or",
        "over",
        "partition",
        "regexp",
        "rlike",
        "select",
        "some",
        "then",
        "true",
        "using",
        "when",
        "where",
        "xor",
    ]
)
"""Words that stand between names: where a column is called so, it has to be in quotes already."""
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def mentions(sql: str, name: str) -> bool:
    """Return whether SQL speaks of a column."""
    return any(_is_named(word, name) for word in _WORDS.findall(sql))


def renamed(sql: str, old: str, new: str) -> str:
    """Return SQL in which a column has another name, as a database has it once it was renamed."""

    def word(found: re.Match[str]) -> str:
        written = found.group()
        if not _is_named(written, old):
            return written
        if written.startswith("`"):
            return f"`{new}`"
        # Quotes that were not needed are somebody's own, and stay.
        is_quoted = written.startswith('"') and _is_plain(old)
        return new if _is_plain(new) and not is_quoted else _quoted(new)

    return _WORDS.sub(word, sql)


def _is_plain(name: str) -> bool:
    """Tell whether a name needs no quotes."""
    return _PLAIN.fullmatch(name) is not None and name not in _reserved()


def is_alike(one: str | None, other: str | None) -> bool:
    """Tell whether SQL is the same, but for the kind of quotes and those that are not needed."""
    return one == other or (one is not None and other is not None and _bare(one) == _bare(other))


def _bare(sql: str) -> str:
    def word(found: re.Match[str]) -> str:
        written = found.group()
        quote = written[0]
        if quote not in '"`':
            return written
        name = written[1:-1].replace(quote * 2, quote)
        return name if _is_plain(name) else f'"{name}"'

    return _WORDS.sub(word, sql)


def named(name: str) -> str:
    """Return the name of a column as it stands in SQL that any database reads."""
    is_plain = _PLAIN.fullmatch(name) and name not in _reserved() | _reserved_by_mysql()
    return name if is_plain else _quoted(name)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def shielded(sql: str, names: Collection[str]) -> str:
    """Return SQL in which columns are in quotes that MariaDB or MySQL take for words of SQL."""
    words = {each for each in names if each in _reserved_by_mysql()} - _OPERATORS
    if not words:
        return sql
    return _WORDS.sub(
        lambda found: f'"{found.group()}"' if found.group() in words else found.group(), sql
    )


def _is_named(word: str, name: str) -> bool:
    """Tell whether a word is the name of a column, and no text in quotes."""
    quote = word[0]
    if quote == "'":
        return False
    if quote in '"`':
        return word[1:-1].replace(quote * 2, quote) == name
    return name in (word, word.lower())  # without quotes, databases do not tell cases apart


# SQLAlchemy is imported where it is needed: migrations are read without it.


@cache
def _reserved() -> frozenset[str]:
    """Return the words that PostgreSQL or SQLite do not take for a name."""
    from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer
    from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

    return frozenset(PGIdentifierPreparer.reserved_words | SQLiteIdentifierPreparer.reserved_words)


@cache
def _reserved_by_mysql() -> frozenset[str]:
    from sqlalchemy.dialects.mysql.reserved_words import (
        RESERVED_WORDS_MARIADB,
        RESERVED_WORDS_MYSQL,
    )

    return frozenset(RESERVED_WORDS_MARIADB | RESERVED_WORDS_MYSQL)
