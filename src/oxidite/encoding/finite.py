"""Decimals that are no numbers, found in what was decoded.

``Decimal`` has NaN, sNaN and infinities, and msgspec reads them from text. A comparison with one of the first
two raises, so a client could have any handler fail that compares. Only types with a Decimal in them are
looked at.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Set
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Generic, NewType, TypeVar, cast, get_args

from oxidite.encoding.aliases import spelt_out
from oxidite.encoding.base import Codec, Field
from oxidite.encoding.errors import DecodeError, MismatchError, Problem
from oxidite.encoding.explain import MAX_PROBLEMS, pointer_of
from oxidite.encoding.fields import fields_of

__all__ = ["FiniteCodec", "has_decimals", "refuse_infinite"]

T = TypeVar("T")


class FiniteCodec(Generic[T]):
    """A codec that refuses what is no number in the place of a Decimal, too."""

    def __init__(self, codec: Codec[T]) -> None:
        self._codec = codec

    def decode_json(self, data: bytes | str) -> T:
        """Read JSON."""
        return refuse_infinite(self._codec.decode_json(data))

    def decode_msgpack(self, data: bytes) -> T:
        """Read MessagePack."""
        return refuse_infinite(self._codec.decode_msgpack(data))

    def convert(self, value: object, *, strict: bool = True) -> T:
        """Convert plain values."""
        return refuse_infinite(self._codec.convert(value, strict=strict))

    def fields(self) -> tuple[Field, ...] | None:
        """Return the fields of a structured type."""
        return self._codec.fields()


def refuse_infinite(value: T) -> T:
    """Return ``value``.

    Raises:
        MismatchError: there are Decimals in it that are no finite numbers.
        DecodeError: it is nested too deeply to tell.
    """
    try:
        problems = list(islice(_problems(value, ""), MAX_PROBLEMS))
    except RecursionError:
        raise DecodeError("The data is nested too deeply.") from None
    if problems:
        raise MismatchError(problems)
    return value


def _problems(value: object, at: str) -> Iterator[Problem]:
    if isinstance(value, Decimal):
        if not value.is_finite():
            yield Problem(at, "Expected a finite number.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, Decimal) and not key.is_finite():
                yield Problem(at + pointer_of(key), "The key is wrong: Expected a finite number.")
            yield from _problems(item, at + pointer_of(key))
    elif isinstance(value, list | tuple | Set):
        for place, item in enumerate(value):
            yield from _problems(item, at + pointer_of(place))
    else:
        for name, key in _looked_at(cast("Hashable", type(value))):
            yield from _problems(getattr(value, name, None), at + pointer_of(key))


@lru_cache(maxsize=1024)
def _looked_at(type_: Hashable) -> tuple[tuple[str, str], ...]:
    """Return the fields of a class that may hold a Decimal, by their names in code and in data."""
    fields = fields_of(type_) or ()
    return tuple((each.name, each.key) for each in fields if has_decimals(each.type))


def has_decimals(type_: object) -> bool:
    """Tell whether there may be a Decimal in a value of ``type_``, at any depth."""
    seen: dict[int, object] = {}  # kept, for another may get the `id` of one that is gone
    left = [spelt_out(type_)]
    while left:
        each = left.pop()
        if isinstance(each, NewType):
            each = each.__supertype__
        # A field of a generic class may be of whatever that is given.
        if each is Decimal or isinstance(each, TypeVar):
            return True
        if id(each) in seen:
            continue
        seen[id(each)] = each
        left += get_args(each)
        left += [field.type for field in fields_of(each) or ()]
    return False
