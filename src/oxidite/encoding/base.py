"""What a codec does: bytes or plain values into one declared type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = ["Codec", "Field"]

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structured type: its name in code, its name in data, its type."""

    name: str
    key: str
    type: object
    required: bool


class Codec(Protocol[T_co]):
    """Turns data into values of one type.

    Every method raises ``DecodeError`` for data that is malformed and ``MismatchError``, with every
    problem at once, for data of another shape.
    """

    def decode_json(self, data: bytes | str) -> T_co:
        """Read JSON; duplicate keys: the last one wins; NaN and infinities are malformed."""
        ...

    def decode_msgpack(self, data: bytes) -> T_co:
        """Read MessagePack."""
        ...

    def convert(self, value: object, *, strict: bool = True) -> T_co:
        """Convert plain values; with ``strict=False`` text becomes numbers and booleans."""
        ...

    def fields(self) -> tuple[Field, ...] | None:
        """Return the fields of a structured type; ``None`` for any other."""
        ...
