"""How each kind of value is bound and read in each database: the one table of it.

SQLite keeps a Decimal as text, because its numbers are binary; a moment in time as text of a fixed
width in UTC, so that it sorts; a UUID as its 16 bytes. A moment without a time zone is refused
everywhere: nobody could tell which one it is.

MariaDB and MySQL compare text with numbers, and find that 'abc' is 0. So there, values of the wrong
type are refused before they are bound.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import repeat
from operator import attrgetter, is_
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from oxidite.db.errors import QueryError
from oxidite.db.values.dialects import DialectName
from oxidite.db.values.kinds import Kind
from oxidite.db.values.literals import Items
from oxidite.db.values.moments import check_zone
from oxidite.db.values.range_codecs import RANGE_BINDERS, RANGE_READERS
from oxidite.db.values.vectors import Vector
from oxidite.db.values.words import boolean_mode, fts5, websearch
from oxidite.encoding import encode_json

__all__ = ["HEXED", "INLINED", "Codec", "binder", "inlined", "made_differ", "many_binder", "reader"]

Codec: TypeAlias = Callable[[Any], Any]
"""From a value to what the driver takes, or back; never called with ``None``."""

_MICROSECOND = timedelta(microseconds=1)
_MYSQL: tuple[DialectName, ...] = ("mariadb", "mysql")


def binder(kind: Kind, dialect: DialectName) -> Codec | None:
    """Return what makes a value fit for the driver; ``None`` where it does as it is."""
    if kind.inner is not None:
        return _after(kind.to_db, binder(kind.inner, dialect))
    match kind.name:
        case "json":
            return _json_text
        case "enum":
            return _enum_text if dialect in _MYSQL else _enum_value
        case "array" if dialect != "postgresql":
            return _json_text
        case "list" | "array":
            return _list_binder(kind, dialect)
        case "written":
            return _written_array
        case "words" | "english_words":
            return _words_binder(dialect, english=kind.name == "english_words")
        case "path":
            if dialect == "postgresql":
                return _path_parts
            return _path_text if dialect == "sqlite" else _path_from_start
        case _:
            return _BIND.get((kind.name, dialect))


def many_binder(kind: Kind, dialect: DialectName) -> Codec | None:
    """Return what makes very many values, some of them missing, fit at once; ``None`` where nothing does."""
    return _moment_texts if binder(kind, dialect) is _moment_text else None


def reader(kind: Kind, dialect: DialectName) -> Codec | None:
    """Return what makes a value of what the driver gives; ``None`` where it is one already."""
    if kind.inner is not None:
        return _after(reader(kind.inner, dialect), kind.from_db)
    match kind.name:
        case "json":
            return _json_reader(kind.type)
        case "enum":
            is_enum = isinstance(kind.type, type) and issubclass(kind.type, enum.Enum)
            return kind.type if is_enum else None  # type: ignore[return-value]  # the class of it
        case "array" if dialect != "postgresql":
            return _json_reader(kind.type)
        case "list" if dialect != "postgresql" and kind.element is not None:
            return _list_reader(kind.element)
        case "list" | "array":
            one = None if kind.element is None else reader(kind.element, dialect)
            if one is None:
                # A list of its own: what is changed in it must differ from the row that is kept.
                return list if kind.name == "array" else None
            return lambda values: [None if value is None else one(value) for value in values]
        case _:
            return _READ.get((kind.name, dialect))


def made_differ(kind: Kind, dialect: DialectName) -> Callable[[object, object], bool]:
    """Return what tells whether a value is another one than that of a row as the driver has it."""
    read, bind = reader(kind, dialect), binder(kind, dialect)
    as_read = kind.name in _COMPARED_AS_READ

    def differ(value: object, raw: object) -> bool:
        if value is None or raw is None:
            return value is not raw
        if as_read:
            return value != (raw if read is None else read(raw))
        bound = value if bind is None else bind(value)
        return bound is not raw and bound != raw

    return differ


_COMPARED_AS_READ = ("json", "array", "encrypted", "vector")
"""What has more than one form in the database."""


def _after(first: Codec | None, second: Codec | None) -> Codec | None:
    """Return what does both, one after the other."""
    if first is None or second is None:
        return first or second
    return lambda value: second(first(value))


def _words_binder(dialect: DialectName, *, english: bool) -> Codec:
    write = {"postgresql": websearch, "sqlite": fts5}.get(dialect, boolean_mode)
    return partial(write, english=english)


def _list_binder(kind: Kind, dialect: DialectName) -> Codec | None:
    one = None if kind.element is None else binder(kind.element, dialect)
    if dialect == "postgresql":
        if one is None:
            return list if kind.name == "array" else None  # as in `reader`
        return lambda values: [one(value) for value in values]
    if dialect in _MYSQL:
        return Items if one is None else lambda values: Items([one(value) for value in values])
    if kind.element is not None and kind.element.name in HEXED:
        return lambda values: _json_text([_hex(value) for value in values])
    if one is None:
        return _json_text
    return lambda values: _json_text([one(value) for value in values])


HEXED = frozenset(("bytes", "uuid", "vector"))
"""What is written in hexadecimal digits inside of a list, as JSON has no bytes."""


def _hex(value: bytes | UUID | Vector) -> str:
    return value.hex if isinstance(value, UUID) else bytes(value).hex()


def _list_reader(element: Kind) -> Codec:
    """Return what reads a list that the database put together as JSON."""
    read = msgspec.json.Decoder(float_hook=Decimal if element.name == "decimal" else None).decode
    first: Codec | None = bytes.fromhex if element.name in HEXED else None
    if element.name == "json":
        first = _json_text  # it is a document within the document
    second = reader(element, "sqlite")  # as JSON, values are written as they are there

    def one(value: Any) -> Any:
        if value is None:
            return None
        found = value if first is None else first(value)
        return found if second is None else second(found)

    return lambda values: [one(value) for value in read(values)]


def _path_text(parts: tuple[str | int, ...]) -> str:
    return "$" + "".join(
        [
            f'."{part}"' if isinstance(part, str) else f"[{part}]" if part >= 0 else f"[#{part}]"
            for part in parts
        ]
    )


def _path_from_start(parts: tuple[str | int, ...]) -> str:
    if any(isinstance(part, int) and part < 0 for part in parts):
        raise QueryError("MariaDB and MySQL do not count the places of a JSON list from the end.")
    hidden = next((part for part in parts if isinstance(part, str) and part.startswith("-")), None)
    if hidden is not None:
        raise QueryError(f"MariaDB finds no key of a JSON object that begins with -: {hidden!r}.")
    return _path_text(parts)


def _path_parts(parts: tuple[str | int, ...]) -> list[str]:
    return [str(part) for part in parts]


def _json_text(value: object) -> str:
    return encode_json(value).decode()


def _json_reader(type_: object) -> Codec:
    return msgspec.json.Decoder(type_).decode


def _enum_value(value: object) -> object:
    return value.value if isinstance(value, enum.Enum) else value


def _enum_text(value: object) -> object:
    return _only(str)(_enum_value(value))


def _moment(value: datetime) -> datetime:
    if value.tzinfo is UTC:  # PERF: nearly all are; benchmark `db insert`
        return value
    check_zone(value)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        # Only what is compared with may be that far out, and is beyond all that there is.
        return _FIRST if value.year == 1 else _LAST


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _moment_text(value: datetime) -> str:
    # PERF: a quarter of the time of `isoformat`; benchmark `db insert`. What comes is "…T…Z" in quotes,
    # with six digits of the second or none.
    text = _encoded(_moment(value)).decode()
    if len(text) == _WHOLE:
        return f"{text[1:11]} {text[12:20]}.000000"
    return f"{text[1:11]} {text[12:27]}"


def _moment_texts(values: Sequence[Any]) -> list[Any]:
    """Write many moments; a value that is none, ``None`` or one that is missing, stays."""
    # PERF: a quarter of the time of one after the other; benchmark `db insert`.
    try:
        are_plain = all(map(is_, map(attrgetter("tzinfo"), values), repeat(UTC)))
    except AttributeError:
        are_plain = False
    if not are_plain or not values:
        return [_moment_text(each) if isinstance(each, datetime) else each for each in values]
    texts = _encoded(list(values)).decode()[2:-3].replace("T", " ").split('Z","')
    return [each if len(each) == _FULL else f"{each}.000000" for each in texts]


def _written_array(values: Iterable[object]) -> str:
    """Write an array as PostgreSQL reads it, of what is written as in JSON."""
    return f"{{{_array_encoded(list(values)).decode()[1:-1]}}}"


def _plain_value(value: object) -> object:
    """Return a value of a class that is derived from a plain one as a plain one."""
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.timetz())
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"{value!r:.100} is no value of an array")


_array_encoded: Callable[[list[object]], bytes] = msgspec.json.Encoder(enc_hook=_plain_value).encode
_encoded: Callable[[object], bytes] = msgspec.json.Encoder(enc_hook=_plain_value).encode
_WHOLE = 22
"""Characters of a moment that is a whole second, as JSON."""
_FULL = 26
"""Characters of a moment as SQLite keeps it."""


def _text_moment(value: str) -> datetime:
    # PERF: a fifth of the time of giving it the zone afterwards; `replace` is slow.
    return datetime.fromisoformat(value + "+00:00")


def inlined(codec: Codec, value: str) -> str | None:
    """Return what a codec does with the expression ``value`` as source, if it is short enough for that."""
    if codec is bool:
        return f"not not {value}"
    return f'moment(f"{{{value}}}+00:00")' if codec is _text_moment else None


INLINED: dict[str, Any] = {"moment": datetime.fromisoformat}
"""The names in what ``inlined`` returns."""


def _microseconds(value: timedelta) -> int:
    # Only what is compared with may be that long: longer than all that there is.
    return max(-_MOST, min(value // _MICROSECOND, _MOST))


_MOST = 2**63 - 1


def _interval(value: int) -> timedelta:
    return timedelta(microseconds=value)


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)


def _vector_text(value: Vector) -> str:
    return _json_text(value.tolist())


def _text_vector(value: str) -> Vector:
    return Vector(_numbers(value))


_numbers: Callable[[str], list[float]] = msgspec.json.Decoder(list[float]).decode


def _only(*types: type) -> Codec:
    """Return what lets values of these types pass, and no others."""

    def bind(value: object) -> object:
        if type(value) in types or isinstance(value, types):
            return value
        wanted = " or ".join(each.__name__ for each in types)
        raise QueryError(f"{value!r:.100} cannot be bound: it is no {wanted}.")

    return bind


_SCALE = 30
"""Digits after the point of a MariaDB decimal that was not declared to have less."""


def _decimal_in_mysql(value: object) -> object:
    if not isinstance(value, Decimal):
        return _only(Decimal, int)(value)
    if value.is_finite() and int(value.as_tuple().exponent) < -_SCALE:
        shorter = value.normalize()
        if int(shorter.as_tuple().exponent) < -_SCALE:
            raise QueryError(f"{value} has more than {_SCALE} digits after the point.")
    return value


_BIND: dict[tuple[str, DialectName], Codec] = {
    ("decimal", "sqlite"): str,
    ("uuid", "sqlite"): lambda value: value.bytes,
    ("datetime", "sqlite"): _moment_text,
    ("datetime", "postgresql"): _moment,
    ("date", "sqlite"): date.isoformat,
    ("time", "sqlite"): lambda value: value.isoformat("microseconds"),
    ("interval", "sqlite"): _microseconds,
    ("vector", "sqlite"): bytes,
    ("vector", "postgresql"): _vector_text,
    ("tstzrange element", "postgresql"): _moment,
    **RANGE_BINDERS,
    **{
        (kind, each): bind
        for each in _MYSQL
        for kind, bind in (
            ("integer", _only(int)),
            ("text", _only(str)),
            ("caseless", lambda value: _only(str)(value).lower()),
            ("boolean", _only(bool)),
            ("float", _only(float, int)),
            ("decimal", _decimal_in_mysql),
            ("bytes", _only(bytes)),
            ("uuid", lambda value: value.bytes),
            ("datetime", lambda value: _moment(value).replace(tzinfo=None)),
            ("date", _only(date)),
            ("time", _only(time)),
            ("interval", _microseconds),
            ("vector", bytes),
        )
    },
}
_READ: dict[tuple[str, DialectName], Codec] = {
    ("boolean", "sqlite"): bool,
    ("whole", "postgresql"): int,
    ("decimal", "sqlite"): Decimal,
    ("uuid", "sqlite"): _uuid,
    ("datetime", "sqlite"): _text_moment,
    ("date", "sqlite"): date.fromisoformat,
    ("time", "sqlite"): time.fromisoformat,
    ("interval", "sqlite"): _interval,
    ("vector", "sqlite"): Vector.from_bytes,
    ("vector", "postgresql"): _text_vector,
    **RANGE_READERS,
    **{
        (kind, each): read
        for each in _MYSQL
        for kind, read in (
            ("boolean", bool),
            ("whole", int),
            ("uuid", _uuid),
            ("datetime", lambda value: value.replace(tzinfo=UTC)),
            ("interval", _interval),
            ("vector", Vector.from_bytes),
        )
    },
}
