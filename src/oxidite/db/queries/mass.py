"""Changing and deleting the rows of a query, by one statement, without reading them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oxidite.clock import now
from oxidite.db.database import database_of
from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Value
from oxidite.db.statements.statements import (
    Deleted,
    DeleteStatement,
    SelectStatement,
    UpdateStatement,
)
from oxidite.db.tables.columns import Assignment
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect, Returning
from oxidite.db.writes.assignments import Assigned, assigned, noted

__all__ = ["Touched", "delete_rows", "force_delete_rows", "restore_rows", "update_rows"]

Touched = int | list[Any]
"""How many rows were touched, or the rows."""

_FITTING = frozenset(("table", "source", "where", "deleted"))


async def update_rows(
    query: SelectStatement,
    assignments: Iterable[Assignment],
    values: Mapping[str, object],
    *,
    returning: bool,
) -> Touched:
    """Change columns of the rows of a query."""
    _check_fits(query, "update")
    found = assigned(query.table, assignments, values)
    if not found:
        raise QueryError("update() was told no column: User.where(…).update(User.age.to(3)).")
    return await _update(query, found, query.deleted, returning=returning)


async def delete_rows(query: SelectStatement, *, returning: bool) -> Touched:
    """Delete the rows of a query; where rows only seem to be deleted, mark them."""
    column = query.table.soft_deletes
    if column is None:
        return await force_delete_rows(query, returning=returning)
    _check_fits(query, "delete")
    if query.deleted == "only":
        raise QueryError("Rows of only_deleted() are deleted already; force_delete() removes them.")
    found: Assigned = {column.name: Value(now(), column.kind)}
    return await _update(query, found, "without", returning=returning)


async def force_delete_rows(query: SelectStatement, *, returning: bool) -> Touched:
    """Remove the rows of a query."""
    _check_fits(query, "delete")
    table = query.table
    database = database_of(table)
    if returning:
        _check_returns(database.dialect, "delete")
    statement = DeleteStatement(
        table=table,
        where=query.where,
        deleted=query.deleted,
        returning=_all_columns(table) if returning else (),
        as_objects=returning,
    )
    if returning:
        return await database.fetch(statement)
    return (await database.run(statement)).rowcount


async def restore_rows(query: SelectStatement, *, returning: bool) -> Touched:
    """Take back that the rows of a query were deleted."""
    _check_fits(query, "restore")
    column = query.table.soft_deletes
    if column is None:
        raise QueryError(
            f"The rows of {query.table.name} are gone when they are deleted: its model has no "
            "SoftDeletes."
        )
    return await _update(
        query, {column.name: Value(None, column.kind)}, "only", returning=returning
    )


async def _update(
    query: SelectStatement, found: Assigned, deleted: Deleted, *, returning: bool
) -> Touched:
    table = query.table
    database = database_of(table)
    if returning:
        _check_returns(database.dialect, "update")
    found = noted(table, found)
    statement = UpdateStatement(
        table=table,
        columns=tuple(found),
        exprs=tuple(found.values()),
        where=query.where,
        deleted=deleted,
        returning=_all_columns(table) if returning else (),
        as_objects=returning,
    )
    if returning:
        return await database.fetch(statement)
    return (await database.run(statement)).rowcount


def _all_columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def _check_returns(dialect: Dialect, statement: Returning) -> None:
    if statement not in dialect.returning:
        raise QueryError(
            f"{dialect.product} does not return the rows of {statement}(). Read them before, in the same "
            "transaction, with for_update()."
        )


def _check_fits(query: SelectStatement, name: str) -> None:
    """Refuse what a query may say and an UPDATE or DELETE may not."""
    if query.derived is not None and query.derived.past:
        raise QueryError(
            f"{name}() changes rows that are there, and these are as they were. Read them, and write "
            "what is to be: revert_to() does so for one."
        )
    plain = SelectStatement(table=query.table, source=query.table.key)
    others = [
        field
        for field in SelectStatement.__struct_fields__
        if field not in _FITTING and getattr(query, field) != getattr(plain, field)
    ]
    if query.source is not query.table.key:
        others.append("alias")
    if others:
        raise QueryError(
            f"{name}() is about the rows for which the conditions of where() hold; this query says "
            f"more: {', '.join(others)}. Choose the rows first, and then {name} those whose primary "
            "key is in_() the list of theirs."
        )
