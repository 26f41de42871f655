"""``Secret``: a value that can be carried anywhere and is printed nowhere."""

from __future__ import annotations

import hmac
from typing import Generic, NoReturn, TypeVar

T_co = TypeVar("T_co", covariant=True)

MASK = "**********"


class Secret(Generic[T_co]):
    """A value that only ``reveal`` gives away.

    Printing, formatting and logging show a mask of constant length; encoding it as JSON or
    MessagePack and pickling it are refused. It is immutable, so copies are itself. Two secrets
    are compared in constant time when both hold text or bytes.

    It keeps a value out of logs by accident, not away from code that wants it.
    """

    __slots__ = ("_value",)

    _value: T_co

    def __init__(self, value: T_co) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> T_co:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        ours, theirs = _comparable(self._value), _comparable(other._value)
        if ours is None or theirs is None:
            return bool(self._value == other._value)
        return hmac.compare_digest(ours, theirs) and type(self._value) is type(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("A Secret does not change: make a new one.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("A Secret does not change: make a new one.")

    def __copy__(self) -> Secret[T_co]:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret[T_co]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not pickled: reveal() it where it is needed, knowingly.")


def _comparable(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else None
