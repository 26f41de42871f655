"""What else happens when an object is deleted, restored or saved: to what belongs to it, and to its parents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from oxidite.db.database import database_of
from oxidite.db.errors import ModelError, QueryError
from oxidite.db.expressions.expressions import Condition, Value
from oxidite.db.relations.definition import Definition
from oxidite.db.relations.whole import whole
from oxidite.db.statements.statements import AnyExpr, SelectStatement, UpdateStatement
from oxidite.db.tables.state import row_of
from oxidite.db.tables.table import AnyColumn, Table
from oxidite.db.writes import saving
from oxidite.db.writes.undoing import remember

__all__ = ["delete", "insert", "restore", "save"]

Write: TypeAlias = Callable[[Any], Awaitable[None]]
"""Writes one object, without what else happens with it."""


async def insert(one: Any, write: Write = saving.insert) -> None:
    """Make the row of an object, by ``write``, and touch what it says."""
    touched = _touched(type(one).__table__)
    if not touched:
        await write(one)
        return
    async with whole([one], type(one).__table__):
        await write(one)
        await _touch(touched, one)


async def save(one: Any, write: Write = saving.save) -> None:
    """Write what has changed of an object, and touch what it says if anything has."""
    touched = _touched(type(one).__table__)
    if not touched or not (saving.changed(one) or type(one).__hooks__):
        await write(one)
        return
    row = row_of(one)
    async with whole([one], type(one).__table__):
        await write(one)
        if row_of(one) is not row:  # a hook may have changed something
            await _touch(touched, one)


async def delete(one: Any, write: Write = saving.delete, *, force: bool = False) -> None:
    """Delete an object; what is marked with it is marked in the same transaction.

    With ``force`` nothing is marked: the database knows what becomes of what refers to it.
    """
    table: Table = type(one).__table__
    if not force and _is_marked(one, table):
        return  # another moment would part it from what was marked with it
    cascades = _cascades(table)
    touched = _touched(table)
    mark = None if force or not cascades else table.soft_deletes
    if not touched and mark is None:
        await write(one)
        return
    async with whole([one], type(one).__table__):
        await write(one)
        await _touch(touched, one)
        if mark is not None:
            moment = getattr(one, mark.name)
            for each in cascades:
                await _mark(each, [each.link.local_key(one)], moment, is_deleted=True)


async def restore(one: Any, write: Write = saving.save) -> None:
    """Take back that an object was deleted, and what was marked with it.

    Raises:
        QueryError: rows of its table are deleted for good.
    """
    table: Table = type(one).__table__
    mark = table.soft_deletes
    if mark is None:
        raise QueryError(f"{type(one).__name__} has no SoftDeletes: what is deleted is gone.")
    moment = getattr(one, mark.name)
    if moment is None:
        return
    async with whole([one], type(one).__table__):
        remember(database_of(table), table, [one])
        setattr(one, mark.name, None)
        await write(one)
        await _touch(_touched(table), one)
        for each in _cascades(table):
            await _mark(each, [each.link.local_key(one)], moment, is_deleted=False)


def _is_marked(one: Any, table: Table) -> bool:
    mark = table.soft_deletes
    if mark is None or row_of(one) is None or getattr(one, mark.name) is None:
        return False
    return mark.name not in saving.changed(one)


def _cascades(table: Table) -> list[Definition]:
    return [each for each in table.relations.values() if each.declared.on_soft_delete is not None]


def _touched(table: Table) -> list[Definition]:
    return [each for each in table.relations.values() if each.declared.touch]


async def _touch(definitions: Sequence[Definition], one: Any) -> None:
    """Let the rows that an object refers to be changed now."""
    for definition in definitions:
        link = definition.link
        table = link.table
        names, exprs = _changes(table)
        if not names or definition.kind != "belongs_to":
            raise ModelError(
                f"{definition.where}: touch= is for a BelongsTo whose other end has a column that "
                "says when it was changed, such as that of Timestamps, or a Version."
            )
        where = tuple(
            remote == value
            for local, remote in link.first.pairs
            if (value := getattr(one, local.name)) is not None
        )
        if len(where) == len(link.first.pairs):
            await database_of(table).run(
                UpdateStatement(
                    table=table, columns=names, exprs=exprs, where=(*where, *table.scoped())
                )
            )


async def _mark(
    definition: Definition, keys: Sequence[Any], moment: datetime, *, is_deleted: bool
) -> None:
    """Mark the rows that belong to ``keys`` as deleted, or restore those marked at that moment."""
    link = definition.link
    table = link.table
    mark = table.soft_deletes
    if mark is None or not link.is_direct or link.is_composite:
        raise ModelError(
            f"{definition.where}: on_soft_delete goes to rows that refer to this one by one column, "
            f"and have SoftDeletes; {link.target.__name__} "
            + ("has none." if mark is None else "is reached in another way.")
        )
    ((_, column),) = link.first.pairs
    where: tuple[Condition, ...] = (column.in_(keys), *link.first.conditions, *table.scoped())
    if not is_deleted:
        where = (*where, mark == moment)
    nested = _cascades(table)
    further: dict[Definition, list[Any]] = {}
    for each in nested:
        ((local, _),) = each.link.first.pairs[:1]
        further[each] = await _values(table, local, where, is_deleted=is_deleted)
    names, exprs = _changes(table)
    marked: AnyExpr = Value(moment if is_deleted else None, mark.kind)
    await database_of(table).run(
        UpdateStatement(
            table=table,
            columns=(mark.name, *names),
            exprs=(marked, *exprs),
            where=where,
            deleted="without" if is_deleted else "only",
        )
    )
    for each, values in further.items():
        if values:
            await _mark(each, values, moment, is_deleted=is_deleted)


async def _values(
    table: Table, column: AnyColumn, where: tuple[Condition, ...], *, is_deleted: bool
) -> list[Any]:
    rows = await database_of(table).fetch(
        SelectStatement(
            table=table,
            source=table.key,
            columns=(column,),
            where=where,
            deleted="without" if is_deleted else "only",
        )
    )
    return [value for (value,) in rows if value is not None]


def _changes(table: Table) -> tuple[tuple[str, ...], tuple[AnyExpr, ...]]:
    """Return what each change of a row sets beside what is changed."""
    names: list[str] = []
    exprs: list[AnyExpr] = []
    for column in table.columns:
        touch = column.rules.get("on_update")
        if touch is not None:
            names.append(column.name)
            exprs.append(Value(touch(), column.kind))
    if table.version is not None:
        names.append(table.version.name)
        exprs.append(table.version + 1)
    return tuple(names), tuple(exprs)
