"""What kinds of values columns hold, and which Python type is which.

A kind says nothing of a database: how each is bound, read and declared there is in ``codecs.py``.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from oxidite.config import Secret
from oxidite.db.errors import ModelError
from oxidite.db.values.casts import Cast
from oxidite.db.values.ranges import Range, type_of
from oxidite.db.values.vectors import Vector

__all__ = [
    "BOOLEAN",
    "BYTES",
    "CASELESS",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "ENGLISH_WORDS",
    "FLOAT",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "PATH",
    "PLAIN",
    "RANGES",
    "RAW",
    "TEXT",
    "TIME",
    "UUID_",
    "VECTOR",
    "WHOLE",
    "WORDS",
    "WRITTEN",
    "Kind",
    "is_text",
    "kind_of",
    "kind_of_type",
    "kind_of_value",
    "nullable",
    "options_of",
    "stored_options",
    "stored_value",
]


class Kind:
    """One kind of values. Compared by identity, as it is part of the shape of queries."""

    __slots__ = ("_list", "element", "from_db", "inner", "name", "to_db", "type")

    def __init__(
        self,
        name: str,
        type_: object,
        element: Kind | None = None,
        *,
        inner: Kind | None = None,
        to_db: Callable[[Any], Any] | None = None,
        from_db: Callable[[Any], Any] | None = None,
    ) -> None:
        self.name: str = name
        """What ``codecs.py`` knows it by."""
        self.type: object = type_
        """The Python type of its values."""
        self.element: Kind | None = element
        """For lists: the kind of what is in them."""
        self.inner: Kind | None = inner
        """The kind that such values are kept as, where they are made of another one by ``to_db``."""
        self.to_db: Callable[[Any], Any] | None = to_db
        self.from_db: Callable[[Any], Any] | None = from_db
        self._list: Kind | None = None

    @property
    def stored(self) -> Kind:
        """The kind that the database sees."""
        return self if self.inner is None else self.inner.stored

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
VECTOR: Kind = Kind("vector", Vector)
"""Numbers, of which a column says how many."""
JSON: Kind = Kind("json", Any)
"""Any value that is written as JSON: a part of a document."""
WHOLE: Kind = Kind("whole", int)
"""The sum of integers, which some databases give as a Decimal."""
PATH: Kind = Kind("path", tuple)
"""The way into a JSON document: keys and places."""
RAW: Kind = Kind("raw", object)
"""Values that are as the driver takes them already."""
CASELESS: Kind = Kind("caseless", str)
"""Text in a list that is looked for in lower case."""
WORDS: Kind = Kind("words", str)
"""Words that are looked for in texts, as people type them."""
ENGLISH_WORDS: Kind = Kind("english_words", str)
"""The same in English, where some words say nothing."""
WRITTEN: Kind = Kind("written", list)
"""Very many numbers, moments or truths, written as one text: its driver looks at each value twice."""

PLAIN: tuple[Kind, ...] = (
    *(INTEGER, TEXT, BOOLEAN, FLOAT, DECIMAL, BYTES, UUID_),
    *(DATETIME, DATE, TIME, INTERVAL),
)
"""Those of one Python type, which need nothing else to be said."""
_range: Any = Range  # it is given its type at run time
RANGES: Mapping[str, Kind] = {
    name: Kind(name, _range[type_], Kind(f"{name} element", element.type, element))
    for name, type_, element in (
        ("int8range", int, INTEGER),
        ("numrange", Decimal, DECIMAL),
        ("daterange", date, DATE),
        ("tstzrange", datetime, DATETIME),
    )
}
"""Ranges by PostgreSQL's names of them. Their elements are bound to be looked for in one; each of those is, as a
value for itself, of the element's own element."""
_PLAIN: dict[object, Kind] = {each.type: each for each in (*PLAIN, VECTOR)}


def nullable(annotation: object) -> tuple[object, bool]:
    """Return an annotation without ``None``, and whether it allowed it."""
    if get_origin(annotation) in (Union, types.UnionType):
        members = get_args(annotation)
        rest = tuple(member for member in members if member is not type(None))
        if len(rest) < len(members):
            return Union[rest], True  # noqa: UP007 - at run time
    return annotation, annotation is Any


def kind_of(
    annotation: object,
    *,
    json: bool = False,
    array: bool = False,
    cast: Cast[Any, Any] | None = None,
) -> Kind:
    """Return the kind of a column's annotation, ``None`` taken off already.

    Raises:
        ModelError: no column holds values of that type.
    """
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if cast is not None:
        return Kind(
            "cast", cast.of, inner=kind_of(cast.stored), to_db=cast.to_db, from_db=cast.from_db
        )
    if get_origin(annotation) is Secret:
        inner = kind_of(get_args(annotation)[0], json=json, array=array)
        return Kind("secret", Secret, inner=inner, to_db=Secret.reveal, from_db=Secret)
    if json:
        return Kind("json", annotation)
    if annotation is Range or get_origin(annotation) is Range:
        return _range_kind(annotation)
    if get_origin(annotation) is list and array:
        (element,) = get_args(annotation)
        return Kind("array", annotation, kind_of(element))
    plain: Any = getattr(annotation, "__supertype__", annotation)  # of a NewType
    found = _PLAIN.get(plain) if _is_hashable(plain) else None
    return found or _enum_kind(annotation)


def _range_kind(annotation: object) -> Kind:
    found = next((each for each in RANGES.values() if each.type == annotation), None)
    if found is None:
        raise ModelError(
            f"no column holds {annotation!r}: it is Range[int], Range[Decimal], Range[date] or Range[datetime]."
        )
    return found


def _enum_kind(annotation: object) -> Kind:
    """Return the kind of an enum, or of literals."""
    values: tuple[object, ...] = ()
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        values = tuple(member.value for member in annotation)
    elif get_origin(annotation) is Literal:
        values = get_args(annotation)
    if values and all(isinstance(value, str) for value in values):
        return Kind("enum", annotation)
    if values and all(type(value) is int for value in values):
        if isinstance(annotation, type):
            return Kind(
                "number",
                annotation,
                inner=INTEGER,
                to_db=lambda each: each.value,
                from_db=annotation,
            )
        return Kind("number", annotation, inner=INTEGER, to_db=int, from_db=int)
    raise ModelError(
        f"no column holds {annotation!r}. For a Struct, a dict or a list write col(json=True); for a "
        "PostgreSQL array col(array=True); for a type of your own col(cast=Cast(...))."
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
    if isinstance(value, Range):
        bound = type_of(value)
        return kind_of_type(Range if bound is None else _range[bound])
    type_: Any = type(value)
    return kind_of_type(type_)


def _kind_of_values(values: Iterable[object]) -> Kind:
    for value in values:
        if value is not None:
            return kind_of_value(value)
    return TEXT


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def is_text(value: str) -> bool:
    """Tell whether every database can keep a text: it has no NUL and no half of a character."""
    # PERF: most text is ASCII, which is known without a look at it.
    if "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def options_of(kind: Kind) -> tuple[Any, ...]:
    """Return the values that the column of an enum, or of literals, may have in the database."""
    if kind.name not in ("enum", "number"):
        return ()
    if isinstance(kind.type, type) and issubclass(kind.type, enum.Enum):
        return tuple(member.value for member in kind.type)
    return get_args(kind.type)


def stored_options(kind: Kind) -> tuple[Any, ...]:
    """Return the only values that the database may have of a kind, whatever it is made into."""
    found = options_of(kind)
    if found or kind.inner is None:
        return found
    return stored_options(kind.inner)


def stored_value(kind: Kind, value: Any) -> Any:
    """Return a value that a rule says, as the kind that the database sees; that of a secret is plain."""
    if kind.inner is None:
        return value
    made = value if kind.to_db is None or kind.name == "secret" else kind.to_db(value)
    return stored_value(kind.inner, made)
