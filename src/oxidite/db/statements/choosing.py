"""Orders and conditions that a client names: by an allow-list, so that no other column is ever seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias

import msgspec

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Condition, Expr, Order
from oxidite.db.tables.columns import Column
from oxidite.db.values.kinds import RANGES
from oxidite.errors import FieldError, ValidationError

__all__ = ["Allowed", "filter_by", "sort_by"]

Allowed: TypeAlias = Iterable[Column[Any, Any]] | Mapping[str, Expr[Any, Any]]
"""The columns that may be named, by their names; a mapping gives others to columns or expressions."""


def sort_by(
    text: str | None,
    *,
    allow: Allowed,
    default: Sequence[Order | Expr[Any, Any]] = (),
    parameter: str = "sort",
) -> list[Order]:
    """Return the orders that a client asks for: ``-age,name`` is by age, the largest first, then by name.

    Without a text it is ``default``. ``User.order_by(*sort_by(sort, allow=[User.age, User.name]))``.

    Raises:
        ValidationError: a name is not allowed, or comes twice. The error lists those that are, and is of
            the query parameter ``parameter``.
    """
    names = _names(allow)
    if not text:
        return [each if isinstance(each, Order) else each.asc() for each in default]
    found: dict[str, Order] = {}
    errors: list[FieldError] = []
    for part in text.split(","):
        name = part.strip()
        descending = name.startswith("-")
        name = name.removeprefix("-")
        expr = names.get(name)
        if expr is None:
            errors.append(_unknown(name, names, parameter))
            break  # one is enough: a long text makes no long answer
        if name in found:
            errors.append(FieldError("query", f"{name} comes twice", parameter, code="duplicate"))
            break
        found[name] = expr.desc() if descending else expr.asc()
    if errors:
        raise ValidationError(errors)
    return list(found.values())


def filter_by(values: Mapping[str, str | Sequence[str]], *, allow: Allowed) -> list[Condition]:
    """Return the conditions that a client asks for: that columns are equal to values, all of them.

    The values are text, as they come in a query string, and are read as the columns' types. A list is
    any of its values. ``User.where(*filter_by({"age": "3"}, allow=[User.age]))``.

    Raises:
        ValidationError: names that are not allowed, or values that are none of the column.
    """
    names = _names(allow)
    conditions: list[Condition] = []
    errors: list[FieldError] = []
    for name, value in values.items():
        expr = names.get(name)
        if expr is None:
            errors.append(_unknown(name, names, _shown(name)))
            continue
        try:
            if isinstance(value, str):
                conditions.append(expr == _read(expr, value))
            else:
                conditions.append(expr.in_([_read(expr, each) for each in value]))
        except (msgspec.ValidationError, _UnfitError) as exc:
            errors.append(FieldError("query", str(exc), name, code="type"))
    if errors:
        raise ValidationError(errors)
    return conditions


def _names(allow: Allowed) -> Mapping[str, AnyExpr]:
    names: dict[str, AnyExpr] = {}
    if isinstance(allow, Mapping):
        names.update([(str(name), expr) for name, expr in allow.items()])
    else:
        names.update([(each.name, each) for each in allow])
    if not names:
        raise QueryError("allow= is empty, so no name could ever be right.")
    return names


def _unknown(name: str, names: Mapping[str, AnyExpr], parameter: str) -> FieldError:
    allowed = ", ".join(names)
    return FieldError(
        "query",
        f"{_shown(name)!r} is not known here. There are: {allowed}",
        parameter,
        code="unknown",
    )


def _shown(name: str) -> str:
    return name if len(name) <= 50 else f"{name[:50]}…"


def _read(expr: AnyExpr, text: str) -> Any:
    if expr.kind.name in ("json", "array", "bytes", "vector", *RANGES):
        raise QueryError(f"{expr!r} cannot be compared with text: leave it out of allow=.")
    found = msgspec.convert(text, expr.kind.type, strict=False)
    if isinstance(found, datetime | time) and (found.tzinfo is None) is isinstance(found, datetime):
        has = "a" if isinstance(found, datetime) else "no"
        raise _UnfitError(f"Expected `{type(found).__name__}` with {has} time zone")
    # Not isfinite() of both: a Decimal may be a NaN that signals.
    if (isinstance(found, Decimal) and not found.is_finite()) or (
        isinstance(found, float) and not isfinite(found)
    ):
        raise _UnfitError("Expected a finite number")
    return found


class _UnfitError(ValueError):
    """A value is of the type, and no row has one like it."""
