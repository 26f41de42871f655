"""Values as MariaDB and MySQL read them inside of SQL.

Their protocol on asyncio has no parameters, so the driver writes values into the text. This file is the
only place that does it, and it is strict: what is no plain value of a known type is refused, so neither
a dictionary nor an object that shows itself as SQL gets there.

Placeholders are question marks, as they are for SQLite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from oxidite.db.errors import QueryError

__all__ = ["Items", "written"]

Write: TypeAlias = Callable[[Any], str]


class Items(tuple[object, ...]):
    """Values that are bound as one list, for ``IN``."""

    __slots__ = ()


# What may hold a question mark that is no placeholder: text, names, comments.
_PARTS = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|--[ \t][^\n]*|\#[^\n]*|/\*.*?\*/|\?""",
    re.DOTALL,
)
# The same where a backslash is a character like any other.
_PLAIN_PARTS = re.compile(
    r"""'[^']*'|"[^"]*"|`[^`]*`|--[ \t][^\n]*|\#[^\n]*|/\*.*?\*/|\?""", re.DOTALL
)


def written(sql: str, values: Sequence[object], *, backslashes: bool) -> bytes:
    """Return SQL with its values in it; ``backslashes`` says whether text in it has escapes.

    Raises:
        QueryError: a value cannot be written, or their number is wrong.
    """
    write = _ESCAPED if backslashes else _PLAIN
    try:
        made = [
            (write.get(type(value)) or _writer(value, write))(value)  # a table, as they are many
            for value in values
        ]
        return (_template(sql, backslashes) % tuple(made)).encode()
    except TypeError as exc:
        raise QueryError(f"{len(values)} values do not fit the SQL: {exc}") from exc
    except UnicodeEncodeError as exc:
        raise QueryError(f"A text has half a character in it: {exc}") from exc


@lru_cache(maxsize=2000)
def _template(sql: str, backslashes: bool) -> str:
    parts = _PARTS if backslashes else _PLAIN_PARTS
    made: list[str] = []
    end = 0
    for found in parts.finditer(sql):
        if found.group() == "?":
            made += (sql[end : found.start()].replace("%", "%%"), "%s")
            end = found.end()
    return "".join((*made, sql[end:].replace("%", "%%")))


def _writer(value: object, write: Mapping[type, Write]) -> Write:
    """Return what writes a value of a type that only extends a known one, such as ``StrEnum``."""
    if isinstance(value, Items):
        return lambda items: _items(items, write)
    for known in (bool, int, float, str, bytes, Decimal, datetime, date, time):
        if isinstance(value, known):
            return write[known]
    raise QueryError(
        f"A {type(value).__name__} cannot be bound as a value: {value!r:.100}. Bind text, numbers, "
        "bytes, dates and times."
    )


def _items(items: Iterable[object], write: Mapping[type, Write]) -> str:
    made = ", ".join([(write.get(type(value)) or _writer(value, write))(value) for value in items])
    # `IN ()` is no SQL, and `IN (NULL)` is neither true nor false.
    return f"({made})" if made else "(SELECT NULL FROM DUAL WHERE FALSE)"


def _escaped_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _plain_text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise QueryError(f"{value!r} is no number that MariaDB or MySQL could keep.")
    text = float.__repr__(value)
    # With an exponent it is binary, as it is in Python; without, it would be an exact decimal.
    return text if "e" in text else f"{text}e0"


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise QueryError(f"{value!r} is no number that MariaDB or MySQL could keep.")
    return format(value, "f")


def _datetime(value: datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return f"TIMESTAMP'{value.isoformat(' ', 'microseconds')}'"


def _time(value: time) -> str:
    if value.tzinfo is not None:
        raise QueryError(f"{value!r} has a time zone, and a time without a date cannot.")
    return f"TIME'{value.isoformat('microseconds')}'"


_PLAIN: Mapping[type, Write] = {
    type(None): lambda _: "NULL",
    bool: lambda value: "1" if value else "0",
    int: int.__repr__,
    float: _float,
    str: _plain_text,
    bytes: lambda value: f"x'{value.hex()}'",
    bytearray: lambda value: f"x'{value.hex()}'",
    Decimal: _decimal,
    datetime: _datetime,
    date: lambda value: f"DATE'{value.isoformat()}'",
    time: _time,
}
_ESCAPED: Mapping[type, Write] = {**_PLAIN, str: _escaped_text}
