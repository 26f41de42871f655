"""Numbers and booleans that come as text, as everything in a URL or a form does.

msgspec can be lax about a whole value, but then the word "null" is ``None`` wherever that is allowed,
in place of a name too; a moment may be a number, and a number ``nan``. So only what has to be is
read here, and the rest of the work is strict.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Annotated, Literal, NewType, TypeAlias, Union, get_args, get_origin

import msgspec

from oxidite.encoding.base import Field

__all__ = ["Reader", "read_fields", "reader_of", "readers_of"]

Reader: TypeAlias = Callable[[object], object]
"""Makes a number or a boolean of text, and of a list of texts; leaves everything else as it is."""

_KINDS = (int, float, bool)
_COLLECTIONS = (list, set, frozenset, tuple)


def reader_of(type_: object) -> Reader | None:
    """Return what reads text for ``type_``; ``None`` where text is what it is decoded from."""
    kinds = dict.fromkeys(_kinds(type_))
    if not kinds:
        return None
    wanted: object = Union[tuple(kinds)]  # noqa: UP007 - made at run time
    is_whole = tuple(kinds) == (int,)
    convert = msgspec.convert

    def read(value: object) -> object:
        if isinstance(value, list):
            return [read(each) for each in value]
        if not isinstance(value, str):
            return value
        # PERF: most are short numbers; benchmark `items`.
        if is_whole and len(value) < 19 and value.isdigit() and value.isascii():
            return int(value)
        try:
            found: object = convert(value, wanted, strict=False)
        except msgspec.ValidationError:
            return value  # whoever decodes it says what is wrong
        return value if isinstance(found, float) and not math.isfinite(found) else found

    return read


def readers_of(fields: tuple[Field, ...]) -> Mapping[str, Reader]:
    """Return what reads the fields of a structured type, by the field's name in data."""
    readers = ((field.key, reader_of(field.type)) for field in fields)
    return {key: reader for key, reader in readers if reader is not None}


def read_fields(value: object, readers: Mapping[str, Reader]) -> object:
    """Return a mapping with what its fields stand for."""
    if not readers or not isinstance(value, Mapping):
        return value
    values = dict(value)
    for key, read in readers.items():
        if key in values:
            values[key] = read(values[key])
    return values


def _kinds(type_: object) -> Iterator[type]:
    """Yield the kinds of numbers that a value of ``type_`` may be."""
    if isinstance(type_, NewType):
        type_ = type_.__supertype__
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        yield from _kinds(arguments[0])
    elif origin is Literal:
        yield from (type(each) for each in arguments if type(each) in _KINDS)
    elif origin in (Union, types.UnionType, *_COLLECTIONS):
        for each in arguments:
            yield from _kinds(each)
    elif isinstance(type_, type) and issubclass(type_, Enum):
        yield from (type(each.value) for each in type_ if type(each.value) in _KINDS)
    elif type_ in _KINDS:
        yield type_
