"""Functions and orders that SQLite lacks. Each connection has them; they begin with ``ox_``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from oxidite.db.values.vectors import distances

__all__ = ["COLLATIONS", "FUNCTIONS"]


def unhex(digits: str | None) -> bytes | None:
    """Return the bytes that are written in hexadecimal digits."""
    return None if digits is None else bytes.fromhex(digits)


def json_contains(document: str | bytes | None, part: str | bytes | None) -> bool | None:
    """Tell whether a JSON document has all that another one has."""
    if document is None or part is None:
        return None
    return _contains(msgspec.json.decode(document), msgspec.json.decode(part), top=True)


def _contains(whole: Any, part: Any, *, top: bool = False) -> bool:
    match whole, part:
        case dict(), dict():
            return all(key in whole and _contains(whole[key], part[key]) for key in part)
        case list(), list():
            return all(any(_contains(mine, each) for mine in whole) for each in part)
        case list(), dict():
            return False
        case list(), _:
            # As PostgreSQL has it: a list contains a value of its own, at the top only.
            return top and any(_same(mine, part) for mine in whole)
        case _:
            return _same(whole, part)


def _same(one: Any, other: Any) -> bool:
    # True is 1 in Python, and not in JSON.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def compare_decimals(one: str, other: str) -> int:
    """Tell which of two numbers that are kept as text is the larger: below 0, 0 or above 0."""
    if one == other:
        return 0
    first, second = _decimal(one), _decimal(other)
    return (first > second) - (first < second)


def _decimal(text: str) -> tuple[bool, Decimal, str]:
    # What is no number, which only SQL of a person can have written, comes after all that are.
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = _NO_NUMBER
    return (True, _ZERO, text) if found.is_nan() else (False, found, "")


_ZERO, _NO_NUMBER = Decimal(0), Decimal("NaN")
COLLATIONS: Mapping[str, Callable[[str, str], int]] = {"ox_decimal": compare_decimals}
"""By name: what compares two texts."""
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "ox_unhex": (1, unhex),
    "ox_json_contains": (2, json_contains),
    **{f"ox_{metric}": (2, distance) for metric, distance in distances.items()},
}
"""By name: how many arguments, and what is called."""
