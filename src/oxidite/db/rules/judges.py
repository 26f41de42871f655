"""Tells in one call whether an object is right, in the way that almost all are.

Looking at each column with a function costs a microsecond and more for each object, which is most of
what it costs to insert many. So for the columns that are checked together one function is written out.
What it does not find right is judged by ``rules.py``, which says what is wrong, if anything is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any, TypeAlias
from uuid import UUID

from oxidite.db.tables.columns import Column

__all__ = ["Judge", "is_text", "made_judge"]

AnyColumn: TypeAlias = Column[Any, Any]
Judge: TypeAlias = Callable[[Any], bool]

_CLASSES: dict[str, type] = {
    "text": str,
    "integer": int,
    "boolean": bool,
    "float": float,
    "decimal": Decimal,
    "bytes": bytes,
    "uuid": UUID,
    "date": date,
    "datetime": datetime,
}
_DIGITS = Context(prec=200)
"""Of its own: a program may have another one."""
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_LENGTHS = {"min_length": ">=", "max_length": "<="}
_KNOWN = {*_BOUNDS, *_LENGTHS}


def is_text(value: str) -> bool:
    """Tell whether text has no half of a character in it, which cannot be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_judge(
    columns: Sequence[AnyColumn],
    slowly: Callable[[AnyColumn], Judge],
    rules: Sequence[str],
) -> Judge:
    """Return what tells whether the columns of an object are right.

    ``slowly`` gives the judge of one column's value that knows everything; it is asked where the kind of
    a column, or one of its rules among ``rules``, is none that is written out here.
    """
    names: dict[str, Any] = {f"{name}_": made for name, made in _CLASSES.items()}
    names["is_text"] = is_text
    lines = ["def judge(one):"]
    for place, column in enumerate(columns):
        tests = list(_tests(column, place, names, rules))
        if not tests:
            names[f"slow{place}"] = slowly(column)
            tests = [f"slow{place}(v)"]
        test = " and ".join(tests)
        lines.append(f"    v = one.{column.name}")
        nothing = "v is not None and " if column.nullable else ""
        lines.append(f"    if {nothing}not ({test}): return False")
    lines.append("    return True")
    # PERF: a quarter of the time of asking column by column; benchmark `db insert`. Names come from
    # class bodies, so they are identifiers; no value is in the source.
    exec("\n".join(lines), names)  # noqa: S102 - see above
    made: Judge = names["judge"]
    return made


def _tests(
    column: AnyColumn, place: int, names: dict[str, Any], rules: Sequence[str]
) -> Iterator[str]:
    """Yield what must hold of ``v``; nothing for a column that is not simple enough."""
    kind = column.kind.name
    known = {rule: value for rule, value in column.rules.items() if rule in rules}
    if kind not in _CLASSES or column.kind.type is not _CLASSES[kind] or not known.keys() <= _KNOWN:
        return
    if kind == "decimal":
        precision, scale = column.rules.get("precision"), column.rules.get("scale")
        if precision is None or scale is None or precision > _DIGITS.prec:
            return
        names["digits"] = _DIGITS
        names[f"quantum{place}"] = Decimal(1).scaleb(-scale)
        names[f"bound{place}"] = bound = Decimal(10) ** (precision - scale)
        names[f"lowest{place}"] = -bound
    yield f"type(v) is {kind}_"
    if kind == "decimal":
        yield f"v.is_finite() and lowest{place} < v < bound{place}"
        yield f"digits.quantize(v, quantum{place}) == v"
    if kind == "text":
        yield '"\\0" not in v and (v.isascii() or is_text(v))'
    if kind == "integer":
        names[f"bound{place}"] = bound = 2 ** (column.rules.get("bits", 64) - 1)
        names[f"lowest{place}"] = -bound
        yield f"lowest{place} <= v < bound{place}"
    if kind == "float":
        yield "v - v == 0"  # neither infinite nor no number
    if kind == "datetime":
        # The outermost years are looked at in another place.
        yield "v.tzinfo is not None and 1 < v.year < 9999"
    for rule, value in known.items():
        names[f"{rule}{place}"] = value
        left = "len(v)" if rule in _LENGTHS else "v"
        yield f"{left} {(_BOUNDS | _LENGTHS)[rule]} {rule}{place}"
