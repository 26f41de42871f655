"""How each kind of value is bound and read in each database: the one table of it.

SQLite keeps a Decimal as text, because its numbers are binary; a moment in time as text of a fixed
width in UTC, so that it sorts; a UUID as its 16 bytes. A moment without a time zone is refused
everywhere: nobody could tell which one it is.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from oxidite.db.dialects import DialectName
from oxidite.db.kinds import Kind
from oxidite.encoding import encode_json

__all__ = ["Codec", "binder", "differs", "reader"]

Codec: TypeAlias = Callable[[Any], Any]
"""From a value to what the driver takes, or back; never called with ``None``."""

_MICROSECOND = timedelta(microseconds=1)


def binder(kind: Kind, dialect: DialectName) -> Codec | None:
    """Return what makes a value fit for the driver; ``None`` where it does as it is."""
    if kind.inner is not None:
        return _after(kind.to_db, binder(kind.inner, dialect))
    match kind.name:
        case "json":
            return _json_text
        case "enum":
            return _enum_value
        case "array" if dialect != "postgresql":
            return _json_text
        case "list" | "array":
            return _list_binder(kind, dialect)
        case _:
            return _BIND.get((kind.name, dialect))


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
        case "array":
            one = None if kind.element is None else reader(kind.element, dialect)
            return None if one is None else lambda values: [one(value) for value in values]
        case _:
            return _READ.get((kind.name, dialect))


def differs(kind: Kind, dialect: DialectName, value: object, raw: object) -> bool:
    """Tell whether a value is another one than that of a row as the driver has it."""
    if value is None or raw is None:
        return value is not raw
    if kind.name in _COMPARED_AS_READ:
        read = reader(kind, dialect)
        return value != (raw if read is None else read(raw))
    bind = binder(kind, dialect)
    bound = value if bind is None else bind(value)
    return bound is not raw and bound != raw


_COMPARED_AS_READ = ("json", "array", "encrypted")
"""What has more than one form in the database."""


def _after(first: Codec | None, second: Codec | None) -> Codec | None:
    """Return what does both, one after the other."""
    if first is None or second is None:
        return first or second
    return lambda value: second(first(value))


def _list_binder(kind: Kind, dialect: DialectName) -> Codec | None:
    one = None if kind.element is None else binder(kind.element, dialect)
    if dialect == "postgresql":
        return None if one is None else lambda values: [one(value) for value in values]
    if one is None:
        return _json_text
    return lambda values: _json_text([one(value) for value in values])


def _json_text(value: object) -> str:
    return encode_json(value).decode()


def _json_reader(type_: object) -> Codec:
    return msgspec.json.Decoder(type_).decode


def _enum_value(value: object) -> object:
    return value.value if isinstance(value, enum.Enum) else value


def _moment(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(
            f"{value!r} has no time zone, so it is no moment in time. Use oxidite.clock.now(), or "
            "say which zone it is in: value.replace(tzinfo=...)."
        )
    return value.astimezone(UTC)


def _moment_text(value: datetime) -> str:
    return _moment(value).replace(tzinfo=None).isoformat(" ", "microseconds")


def _text_moment(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _microseconds(value: timedelta) -> int:
    return value // _MICROSECOND


def _interval(value: int) -> timedelta:
    return timedelta(microseconds=value)


def _uuid(value: bytes) -> UUID:
    return UUID(bytes=value)


_BIND: dict[tuple[str, DialectName], Codec] = {
    ("decimal", "sqlite"): str,
    ("uuid", "sqlite"): lambda value: value.bytes,
    ("datetime", "sqlite"): _moment_text,
    ("datetime", "postgresql"): _moment,
    ("date", "sqlite"): date.isoformat,
    ("time", "sqlite"): lambda value: value.isoformat("microseconds"),
    ("interval", "sqlite"): _microseconds,
}
_READ: dict[tuple[str, DialectName], Codec] = {
    ("boolean", "sqlite"): bool,
    ("decimal", "sqlite"): Decimal,
    ("uuid", "sqlite"): _uuid,
    ("datetime", "sqlite"): _text_moment,
    ("date", "sqlite"): date.fromisoformat,
    ("time", "sqlite"): time.fromisoformat,
    ("interval", "sqlite"): _interval,
}
