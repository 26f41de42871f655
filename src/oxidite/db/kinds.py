"""What kinds of values columns hold, and which Python type is which.

A kind says nothing of a database: how each is bound, read and declared there is in ``codecs.py``.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from oxidite.db.errors import ModelError

__all__ = [
    "BOOLEAN",
    "BYTES",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "FLOAT",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "PATH",
    "RAW",
    "TEXT",
    "TIME",
    "UUID_",
    "WHOLE",
    "Kind",
    "kind_of",
    "kind_of_type",
    "kind_of_value",
    "nullable",
]


class Kind:
    """One kind of values. Compared by identity, as it is part of the shape of queries."""

    __slots__ = ("_list", "element", "name", "type")

    def __init__(self, name: str, type_: object, element: Kind | None = None) -> None:
        self.name: str = name
        """What ``codecs.py`` knows it by."""
        self.type: object = type_
        """The Python type of its values."""
        self.element: Kind | None = element
        """For lists: the kind of what is in them."""
        self._list: Kind | None = None

    def list_of(self) -> Kind:
        """Return the kind of a list of such values that is bound as one."""
        if self._list is None:
            self._list = Kind("list", list, self)
        return self._list

    def __repr__(self) -> str:
        return f"<{self.name}{f' of {self.element!r}' if self.element else ''}>"


INTEGER: Kind = Kind("integer", int)
TEXT: Kind = Kind("text", str)
BOOLEAN: Kind = Kind("boolean", bool)
FLOAT: Kind = Kind("float", float)
DECIMAL: Kind = Kind("decimal", Decimal)
BYTES: Kind = Kind("bytes", bytes)
UUID_: Kind = Kind("uuid", UUID)
DATETIME: Kind = Kind("datetime", datetime)
DATE: Kind = Kind("date", date)
TIME: Kind = Kind("time", time)
INTERVAL: Kind = Kind("interval", timedelta)
JSON: Kind = Kind("json", Any)
"""Any value that is written as JSON: a part of a document."""
WHOLE: Kind = Kind("whole", int)
"""The sum of integers, which some databases give as a Decimal."""
PATH: Kind = Kind("path", tuple)
"""The way into a JSON document: keys and places."""
RAW: Kind = Kind("raw", object)
"""Values that are as the driver takes them already."""

_PLAIN: dict[object, Kind] = {
    each.type: each
    for each in (
        INTEGER,
        TEXT,
        BOOLEAN,
        FLOAT,
        DECIMAL,
        BYTES,
        UUID_,
        DATETIME,
        DATE,
        TIME,
        INTERVAL,
    )
}


def nullable(annotation: object) -> tuple[object, bool]:
    """Return an annotation without ``None``, and whether it allowed it."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = get_args(annotation)
        rest = tuple(member for member in members if member is not type(None))
        if len(rest) < len(members):
            return Union[rest], True  # noqa: UP007 - at run time
    return annotation, False


def kind_of(annotation: object, *, json: bool = False, array: bool = False) -> Kind:
    """Return the kind of a column's annotation, ``None`` taken off already.

    Raises:
        ModelError: no column holds values of that type.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if json:
        return Kind("json", annotation)
    if get_origin(annotation) is Literal and all(isinstance(v, str) for v in get_args(annotation)):
        return Kind("enum", annotation)
    if get_origin(annotation) is list and array:
        (element,) = get_args(annotation)
        return Kind("array", annotation, kind_of(element))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Kind("enum", annotation)
    plain: Any = getattr(annotation, "__supertype__", annotation)  # of a NewType
    if plain in _PLAIN:
        return _PLAIN[plain]
    raise ModelError(
        f"no column holds {annotation!r}. For a Struct, a dict or a list write col(json=True); for a "
        "PostgreSQL array col(array=True)."
    )


@lru_cache(maxsize=256)
def kind_of_type(type_: Any) -> Kind:
    """Return the kind of a type, the same one each time.

    Raises:
        ModelError: no column holds such values.
    """
    return kind_of(type_)


def kind_of_value(value: object) -> Kind:
    """Return the kind of a value that stands in a query for itself.

    Raises:
        ModelError: no column holds such values.
    """
    found = _PLAIN.get(type(value))
    if found is not None:
        return found
    if isinstance(value, list | tuple):
        return _kind_of_values(value).list_of()
    type_: Any = type(value)
    return kind_of_type(type_)


def _kind_of_values(values: Iterable[object]) -> Kind:
    for value in values:
        if value is not None:
            return kind_of_value(value)
    return TEXT
