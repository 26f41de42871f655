"""Values of raw SQL, bound by their Python types: there is no column to tell what they are."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import msgspec

from oxidite.db.errors import ModelError, QueryError
from oxidite.db.values.codecs import binder
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import Kind, kind_of
from oxidite.db.values.literals import Items
from oxidite.encoding import encode_json

__all__ = ["bind_value"]


def bind_value(name: str, value: object, dialect: Dialect) -> object:
    """Return a value as the driver takes it; a list as one array, where the database has arrays.

    Raises:
        QueryError: no column holds such a value.
    """
    if isinstance(value, list | tuple | set | frozenset):
        return _list(name, list(value), dialect)
    if value is None:
        return None
    if isinstance(value, dict | msgspec.Struct) or _is_dataclass(value):
        return encode_json(value).decode()
    bind = _binder(name, value, dialect)
    try:
        return value if bind is None else bind(value)
    except ValueError as exc:
        raise QueryError(f":{name}: {exc}") from None


def _list(name: str, values: list[Any], dialect: Dialect) -> object:
    if dialect.name != "sqlite" and not dialect.unnests:
        bind = binder(_kind(next(iter(values), "")).list_of(), dialect.name)
        return values if bind is None else bind(values)
    bound = [bind_value(name, value, dialect) for value in values]
    if dialect.unnests:
        return bound
    if dialect.is_mysql:
        return Items(bound)
    if any(isinstance(value, bytes) for value in bound):
        raise QueryError(
            f":{name}: {dialect.product} takes a list as JSON, and bytes and UUIDs are none. Name each "
            "value, or use a model and in_()."
        )
    return encode_json(bound).decode()


def _binder(name: str, value: object, dialect: Dialect) -> Any:
    try:
        return binder(_kind(value), dialect.name)
    except ModelError:
        raise QueryError(
            f":{name} is {value!r}, and no database holds a {type(value).__name__}."
        ) from None


def _kind(value: object) -> Kind:
    for base in type(value).__mro__:  # a subclass of str is text
        try:
            return kind_of(base)
        except ModelError:
            continue
    raise ModelError(f"no column holds {value!r}")


def _is_dataclass(value: object) -> bool:
    return (
        dataclasses.is_dataclass(value)
        and not isinstance(value, type)
        and not isinstance(value, enum.Enum)
    )
