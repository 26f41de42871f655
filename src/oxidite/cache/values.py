"""Values of declared types, to bytes and back; and which of them can be handed out again and again."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Generic, Literal, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

from msgspec import Struct

from oxidite.encoding import DecodeError, MismatchError, codec_for, encode_msgpack
from oxidite.encoding.fields import fields_of
from oxidite.errors import ConfigError

__all__ = ["Typed", "encoded", "typed"]

T = TypeVar("T")

_MOST_TYPES = 1024

_PLAIN = frozenset(
    (int, str, bytes, float, bool, type(None), Decimal, UUID, datetime, date, time, timedelta)
)


class Typed(Generic[T]):
    """A type that values are read as. ``is_fixed``: nobody can change such a value."""

    __slots__ = ("annotation", "decode", "is_fixed")

    def __init__(self, annotation: object) -> None:
        self.annotation: object = annotation
        # What the type says is what comes out; the annotation has no type of its own.
        self.decode: Callable[[bytes], T] = cast("Callable[[bytes], T]", _decoder(annotation))
        self.is_fixed: bool = _is_fixed(annotation, set())


_typed: dict[object, Typed[object]] = {}


def typed(annotation: object) -> Typed[object]:
    """Return what reads values of a type.

    Raises:
        ConfigError: values of that type cannot be made of data.
    """
    try:
        return _typed[annotation]
    except KeyError:
        pass
    except TypeError:  # not hashable, such as an Annotated with a list
        return Typed(annotation)
    found = Typed[object](annotation)
    if len(_typed) >= _MOST_TYPES:
        _typed.clear()
    _typed[annotation] = found
    return found


def encoded(key: str, value: object, type_: Typed[object] | None = None) -> bytes:
    """Return a value as bytes, which can be read as that type.

    Raises:
        TypeError: it, or something in it, has no form as data; or it is of another type.
    """
    try:
        payload = encode_msgpack(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise TypeError(
            f"The value of {key!r} cannot be kept: {exc} Keep a Struct, a dataclass, a pydantic model or "
            f"builtin values, not {_name(value)}."
        ) from exc
    if type_ is not None:
        try:
            type_.decode(payload)
        except (DecodeError, MismatchError) as exc:
            raise TypeError(
                f"The value of {key!r} is a {_name(value)}, which cannot be read as "
                f"{type_.annotation!r}: {exc}"
            ) from exc
    return payload


def _name(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _decoder(annotation: object) -> Callable[[bytes], object]:
    if isinstance(annotation, type) and hasattr(annotation, "__no_input__"):
        raise ConfigError(
            f"{annotation.__name__} is a model, which a cache does not give back: it would look like a row "
            f"that was just read. Keep {annotation.__name__}.Out or a Struct of what is needed."
        )
    try:
        return codec_for(annotation).decode_msgpack
    except TypeError as exc:
        raise ConfigError(
            f"Values of type {annotation!r} cannot be read from a cache: {exc}."
        ) from exc


def _is_fixed(annotation: object, seen: set[object]) -> bool:
    if annotation in _PLAIN or get_origin(annotation) is Literal:
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_fixed(arguments[0], seen)
    if origin in (Union, types.UnionType, tuple, frozenset):
        return all(each is Ellipsis or _is_fixed(each, seen) for each in arguments)
    return isinstance(annotation, type) and _is_fixed_class(annotation, seen)


def _is_fixed_class(cls: type[object], seen: set[object]) -> bool:
    if cls in seen or issubclass(cls, Enum):
        return True
    seen.add(cls)
    if issubclass(cls, Struct):
        frozen = cls.__struct_config__.frozen and not cls.__struct_config__.dict
    else:
        # Set by ``dataclass``, which has no type for it.
        parameters = getattr(cls, "__dataclass_params__", None)
        frozen = is_dataclass(cls) and bool(getattr(parameters, "frozen", False))
    return frozen and all(_is_fixed(field.type, seen) for field in fields_of(cls) or ())
