"""Ranges as text, where a database has none: two cuts of a fixed width, one after the other.

The text of a cut sorts as the cut does, and an empty range is an empty text, which comes first. So equal
ranges are equal texts, a range is less than another one if its text is, and all operators of ranges are
comparisons of parts of texts. ``2026-01-31<2026-02-01<`` are the days from the cut before the one to the
cut before the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from oxidite.db.values.ranges import AFTER, BEFORE, Cut, Range, cuts_of

__all__ = [
    "AT",
    "DIGITS",
    "SCALE",
    "element_text",
    "range_of",
    "range_problem",
    "range_text",
    "width_of",
]

_SIGNS = {BEFORE: "<", AFTER: ">"}
AT = "="
"""In the place of the sign: between the cuts before and after a value."""
_BELOW, _ABOVE = "!", "~"
"""Before and after all signs, digits and letters that values are written with."""
_INT = 2**63
DIGITS, SCALE = 35, 30
"""Digits of a Decimal before the point and after it: as many as MariaDB keeps of one."""


class _Form(NamedTuple):
    """How the bounds of one kind of range are written."""

    width: int
    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _int_text(value: int) -> str:
    return f"-{value + _INT:019}" if value < 0 else f"0{value:019}"


def _text_int(text: str) -> int:
    return int(text[1:]) - _INT if text[0] == "-" else int(text)


def _decimal_text(value: Decimal) -> str:
    text = format(value.copy_abs(), f"0{DIGITS + SCALE + 1}.{SCALE}f")
    return f"-{text.translate(_TURNED)}" if value < 0 else f"0{text}"


def _text_decimal(text: str) -> Decimal:
    if text[0] == "-":
        text = text.translate(_BACK)
    # Its zeros are of the width, not of the number.
    return Decimal(text.rstrip("0").rstrip("."))


_TURNED = str.maketrans("0123456789", "jihgfedcba")
"""Of a negative number the digits are letters that sort the other way round."""
_BACK = str.maketrans("jihgfedcba", "0123456789")


def _moment_text(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _text_moment(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


_FORMS: Mapping[str, _Form] = {
    "int8range": _Form(20, _int_text, _text_int),
    "numrange": _Form(DIGITS + SCALE + 2, _decimal_text, _text_decimal),
    "daterange": _Form(10, date.isoformat, date.fromisoformat),
    "tstzrange": _Form(26, _moment_text, _text_moment),
}


def width_of(name: str) -> int:
    """Return how many characters a bound has, without its sign."""
    return _FORMS[name].width


def range_text(name: str, value: Range[Any]) -> str:
    """Return a range as text."""
    found = cuts_of(value)
    if found is None:
        return ""
    form = _FORMS[name]
    return "".join([_cut_text(form, cut) for cut in found])


def _cut_text(form: _Form, cut: Cut) -> str:
    match cut:
        case (0, value, side):
            return form.write(value) + _SIGNS[side]
        case (-1,):
            return _BELOW * (form.width + 1)
        case _:
            return _ABOVE * (form.width + 1)


def element_text(name: str, value: Any) -> str:
    """Return the text of the place of one value, which is no cut: it is more than that before it."""
    return _FORMS[name].write(value) + AT


def range_of(name: str, text: str) -> Range[Any]:
    """Return the range of a text.

    Raises:
        ValueError: it is none of a range.
    """
    if not text:
        return Range(empty=True)
    form = _FORMS[name]
    ends = text[: form.width + 1], text[form.width + 1 :]
    if len(ends[1]) != form.width + 1:
        raise ValueError(f"{len(text)} characters are no {name}.")
    lower, upper = [None if each[0] in (_BELOW, _ABOVE) else form.read(each[:-1]) for each in ends]
    begin = "(" if lower is None or ends[0][-1] == ">" else "["
    end = ")" if upper is None or ends[1][-1] == "<" else "]"
    bounds: Any = begin + end
    return Range(lower, upper, bounds=bounds)


def range_problem(name: str, value: Any) -> str | None:
    """Return what is wrong with a bound of a range, or a value to look for in one, if anything is."""
    check = _LIMITS.get(name)
    return None if check is None or value is None else check(value)


def _int_problem(value: int) -> str | None:
    return None if -_INT <= value < _INT else "must fit into 64 bits"


def _decimal_problem(value: Decimal) -> str | None:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return "must be a finite number"
    if value and value.adjusted() >= DIGITS:
        return f"must have {DIGITS} or fewer digits before the point"
    lost = -exponent - SCALE
    if lost > 0 and any(digits[-lost:]):
        return f"must have {SCALE} or fewer digits after the point"
    return None


_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def _moment_problem(value: datetime) -> str | None:
    # As of a column of moments, see `rules.py`.
    return None if _FIRST <= value < _LAST else "must be in the years 1 to 9999, in every time zone"


_LIMITS: Mapping[str, Callable[[Any], str | None]] = {
    "int8range": _int_problem,
    "numrange": _decimal_problem,
    "tstzrange": _moment_problem,
}
