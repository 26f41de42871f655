"""Objects checked before they are written, very many at once.

All are looked at before one is written. ``judges.py`` says which are surely right; ``rules.py`` decides
about the others, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from msgspec import UNSET

from oxidite.db.rules.rules import check_object, sieve_of
from oxidite.db.rules.scopes import check_scope
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import Table
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
    unsure = sieve_of(table)(many)
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
