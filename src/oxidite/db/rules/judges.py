"""Tells in one call whether an object is right, or which of many are, in the way that almost all are.

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

from msgspec import UNSET

from oxidite.db.tables.columns import Column
from oxidite.db.values.kinds import is_text

__all__ = ["Judge", "Sieve", "made_judge", "made_sieve"]

AnyColumn: TypeAlias = Column[Any, Any]
Judge: TypeAlias = Callable[[Any], bool]
Sieve: TypeAlias = Callable[[Sequence[Any]], list[int]]
"""Gives the places of those that are not right, as far as can be told in short."""

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


def made_judge(
    columns: Sequence[AnyColumn],
    slowly: Callable[[AnyColumn], Judge],
    rules: Sequence[str],
) -> Judge:
    """Return what tells whether the columns of an object are right.

    ``slowly`` gives the judge of one column's value that knows everything; it is asked where the kind of
    a column, or one of its rules among ``rules``, is none that is written out here.
    """
    names = _names()
    lines = ["def judge(one):"]
    for place, column in enumerate(columns):
        lines.append(f"    v = one.{column.name}")
        lines.append(f"    if {_wrong(column, place, names, slowly, rules)}: return False")
    lines.append("    return True")
    made: Judge = _made("judge", lines, names)
    return made


def made_sieve(
    columns: Sequence[AnyColumn],
    slowly: Callable[[AnyColumn], Judge],
    rules: Sequence[str],
) -> Sieve:
    """Return what finds the objects that are not right, among very many; the arguments are the same.

    What the database makes may be missing.
    """
    names = _names()
    # PERF: without a call for each object; benchmark `db insert`.
    lines = ["def sieve(many):", "    found = []", "    for place, one in enumerate(many):"]
    for place, column in enumerate(columns):
        missing = "v is not UNSET and " if column.is_generated else ""
        lines.append(f"        v = one.{column.name}")
        lines.append(f"        if {missing}{_wrong(column, place, names, slowly, rules)}:")
        lines.append("            found.append(place)")
        lines.append("            continue")
    lines.append("    return found")
    made: Sieve = _made("sieve", lines, names)
    return made


def _names() -> dict[str, Any]:
    return {
        **{f"{name}_": made for name, made in _CLASSES.items()},
        "is_text": is_text,
        "UNSET": UNSET,
    }


def _made(name: str, lines: Sequence[str], names: dict[str, Any]) -> Any:
    # PERF: a quarter of the time of asking column by column; benchmark `db insert`. Names come from
    # class bodies, so they are identifiers; no value is in the source.
    exec("\n".join(lines), names)  # noqa: S102 - see above
    return names[name]


def _wrong(
    column: AnyColumn,
    place: int,
    names: dict[str, Any],
    slowly: Callable[[AnyColumn], Judge],
    rules: Sequence[str],
) -> str:
    """Return the condition under which the value ``v`` of a column may not be right."""
    tests = list(_tests(column, place, names, rules))
    if not tests:
        names[f"slow{place}"] = slowly(column)
        tests = [f"slow{place}(v)"]
    nothing = "v is not None and " if column.nullable else ""
    return f"{nothing}not ({' and '.join(tests)})"


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
