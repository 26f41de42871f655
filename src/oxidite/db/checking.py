"""Objects checked before they are written, very many at once.

The check is a function written out for each table, as the readers of rows in ``plan.py`` are. It is quick
and only says which objects are surely right; ``rules.py`` decides about the others, and says what is wrong.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias, get_args, get_origin
from uuid import UUID

from msgspec import UNSET

from oxidite.db.columns import Column
from oxidite.db.rules import check_object
from oxidite.db.scopes import check_scope
from oxidite.db.table import Table
from oxidite.errors import FieldError, ValidationError

__all__ = ["check_all", "is_made"]

AnyColumn: TypeAlias = Column[Any, Any]


def check_all(
    table: Table,
    many: Sequence[Any],
    *,
    columns: Callable[[Any], Iterable[AnyColumn]] | None = None,
    start: int = 0,
) -> None:
    """Check objects, and what their class says of them, all before one is written.

    What the database makes may be missing.

    ``columns`` gives those of an object that matter, all of them if it is not there. Objects are
    counted from ``start``.

    Raises:
        ValidationError: some values are wrong; the pointer begins with the place of the object.
        OtherTenantError: an object belongs to another tenant than the current one.
    """
    errors: list[FieldError] = []
    if table.scope is not None:
        for one in many:
            check_scope(one, table)
    unsure = _checker(table)(many)
    for place in range(len(many)) if table.model.__validators__ else unsure:
        one = many[place]
        which = table.columns if columns is None else columns(one)
        try:
            check_object(one, [column for column in which if not is_made(column, one)])
        except ValidationError as exc:
            errors += [
                FieldError(
                    "body", each.message, pointer=f"/{start + place}{each.pointer}", code=each.code
                )
                for each in exc.errors
            ]
    if errors:
        raise ValidationError(errors)


def is_made(column: AnyColumn, one: object) -> bool:
    """Tell whether the database makes the value."""
    return column.is_computed or (column.is_generated and getattr(one, column.name) is UNSET)


@lru_cache(maxsize=1000)
def _checker(table: Table) -> Callable[[Sequence[Any]], list[int]]:
    """Return what gives the places of the objects that are not surely right."""
    names: dict[str, Any] = {"UNSET": UNSET, "is_text": _is_text}
    lines = ["def check(many):", " unsure = []", " for place, o in enumerate(many):"]
    for place, column in enumerate(table.columns):
        if column.is_computed:
            continue
        lines.append(f"  v = o.{column.name}")
        lines.append(f"  if not ({_test(column, place, names)}): unsure.append(place); continue")
    lines.append(" return unsure")
    source = "\n".join(lines)
    exec(source, names)  # noqa: S102 - as above
    made: Callable[[Sequence[Any]], list[int]] = names["check"]
    return made


def _test(column: AnyColumn, place: int, names: dict[str, Any]) -> str:
    """Write what must hold of a value, in the terms of Python; what is not known is not surely right."""
    names[f"t{place}"] = column.kind.type
    test = _kind_test(column, place, names)
    rules = []
    for rule, wanted in column.rules.items():
        if rule in _NO_RULES:
            continue
        if rule not in _RULES:
            test = "False"
        names[f"{rule}{place}"] = re.compile(str(wanted)).search if rule == "pattern" else wanted
        rules.append(_RULES.get(rule, "False").format(bound=f"{rule}{place}"))
    test = " and ".join([test, *rules])
    if column.nullable:
        test = f"v is None or ({test})"
    if column.is_generated:
        test = f"v is UNSET or ({test})"
    return test


def _kind_test(column: AnyColumn, place: int, names: dict[str, Any]) -> str:
    kind = column.kind
    same_type = f"type(v) is t{place}"
    if get_origin(kind.type) is not None:
        if kind.name != "enum":
            return "False"
        names[f"t{place}"] = frozenset(get_args(kind.type))
        return f"type(v) is str and v in t{place}"
    if isinstance(kind.type, type) and issubclass(kind.type, enum.Enum):
        return same_type
    if kind.type not in _TYPES:
        return "False"
    return " and ".join([same_type, *_TYPES[kind.type]])


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_TYPES: dict[object, tuple[str, ...]] = {
    int: ("-0x8000000000000000 <= v <= 0x7fffffffffffffff",),
    str: (r"'\0' not in v", "(v.isascii() or is_text(v))"),
    bool: (),
    float: ("v == v",),
    Decimal: ("v.is_finite()",),
    bytes: (),
    UUID: (),
    datetime: ("v.tzinfo is not None",),
    date: (),
    time: (),
    timedelta: (),
}
_RULES = {
    "ge": "v >= {bound}",
    "gt": "v > {bound}",
    "le": "v <= {bound}",
    "lt": "v < {bound}",
    "min_length": "len(v) >= {bound}",
    "max_length": "len(v) <= {bound}",
    "pattern": "{bound}(v)",
}
_NO_RULES = frozenset(
    (
        "check",
        "comment",
        "hidden",
        "index",
        "name",
        "on_delete",
        "on_update",
        "pk",
        "precision",
        "references",
        "renamed_from",
        "scale",
        "unique",
    )
)
"""What is said of a column and is not about its values."""
