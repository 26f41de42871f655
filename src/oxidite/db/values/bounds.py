"""Values that no row can have, as every database keeps them: how those compare with all that rows have.

A client may give any number and any text. What cannot be bound is not an error of the program: it is
answered as mathematics has it, and no row is like it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Context, Decimal
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

from oxidite.db.values.kinds import DECIMAL, FLOAT, INTEGER, TEXT, WHOLE, Kind, is_text

__all__ = ["MOST_DIGITS", "Beyond", "beyond"]

Side: TypeAlias = Literal["above", "below", "between", "nowhere"]

MOST_DIGITS = 1000
"""Of a Decimal, on either side of the point; a short text can stand for a number of millions of digits."""


class Beyond(NamedTuple):
    """Where a value is that no row can have: above all of them, or below; no number is nowhere."""

    side: Side
    floor: object = None
    """If it is between two that a row may have, the one below it."""


def beyond(kind: Kind, bits: int, value: object) -> Beyond | None:
    """Return where a value is, ``None`` if a row can have it; ``bits`` are those of whole numbers."""
    judge = _JUDGES.get(type(value))
    return None if judge is None else judge(kind, bits, value)


def _of_int(kind: Kind, bits: int, value: int) -> Beyond | None:
    if kind is not INTEGER and kind is not WHOLE:
        return None
    bound = 1 << (bits - 1)
    if -bound <= value < bound:
        return None
    return _sided(is_above=value > 0)


def _of_float(kind: Kind, _: int, value: float) -> Beyond | None:
    if kind is not FLOAT or isfinite(value):
        return None
    return _NOWHERE if value != value else _sided(is_above=value > 0)


def _of_decimal(kind: Kind, _: int, value: Decimal) -> Beyond | None:
    if kind is not DECIMAL:
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        return _sided(is_above=value > 0) if value.is_infinite() else _NOWHERE
    if value and value.adjusted() >= MOST_DIGITS:
        return _sided(is_above=value > 0)
    if exponent > -MOST_DIGITS:
        return None
    floor = value.quantize(_SMALLEST, context=_DIGITS)
    return Beyond("between", floor) if floor != value else None


def _of_text(kind: Kind, _: int, value: str) -> Beyond | None:
    if kind is not TEXT or is_text(value):
        return None
    # As if what no text has came before all that it has.
    end = next(place for place, each in enumerate(value) if not is_text(each))
    return Beyond("between", value[:end])


def _sided(*, is_above: bool) -> Beyond:
    return Beyond("above" if is_above else "below")


_NOWHERE = Beyond("nowhere")
_DIGITS = Context(prec=2 * MOST_DIGITS, rounding=ROUND_FLOOR)
_SMALLEST = Decimal(1).scaleb(1 - MOST_DIGITS)
_JUDGES: Mapping[type, Callable[[Kind, int, Any], Beyond | None]] = {
    int: _of_int,
    float: _of_float,
    Decimal: _of_decimal,
    str: _of_text,
}
