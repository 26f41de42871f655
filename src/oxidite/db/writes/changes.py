"""Changing and deleting the rows of many objects at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial, reduce
from operator import and_, or_
from typing import Any, TypeAlias, TypeVar

from oxidite.clock import now
from oxidite.db.connections.notices import listeners
from oxidite.db.connections.running import run_many, run_sql
from oxidite.db.database import Database, changing, database_of
from oxidite.db.errors import QueryError, RowNotFoundError, StaleRowError
from oxidite.db.expressions.expressions import Condition, Value
from oxidite.db.rules.scopes import check_scope
from oxidite.db.sql.plan import Plan
from oxidite.db.statements.arrays import DeleteArrays, UpdateArrays, fit_arrays
from oxidite.db.statements.hearing import hear_changes
from oxidite.db.statements.statements import DeleteStatement, SelectStatement, UpdateStatement
from oxidite.db.statements.touching import changes_by_key
from oxidite.db.tables.columns import Column
from oxidite.db.tables.state import forget_row, keep_row, row_of
from oxidite.db.tables.table import Table
from oxidite.db.values.codecs import binder, made_differ, reader
from oxidite.db.values.dialects import DialectName
from oxidite.db.values.kinds import RAW
from oxidite.db.writes.bulk import MOST_ARRAYS, objects_of, table_of, whole
from oxidite.db.writes.checking import check_all
from oxidite.db.writes.packing import BoundRow, pack_all
from oxidite.db.writes.saving import key_conditions
from oxidite.db.writes.undoing import remember

__all__ = ["delete_many", "update_many"]

AnyColumn: TypeAlias = Column[Any, Any]
M = TypeVar("M")


async def update_many(model: type[M], objects: Iterable[M]) -> int:
    """Write what has changed of objects, all or none; returns how many had changed.

    Objects with the same changed columns share a statement.

    Raises:
        ValidationError: some values are wrong; the pointer begins with the place of the object.
        ConstraintError: the database refused a row.
        StaleRowError: somebody else has saved one since (models with a ``Version``).
        RowNotFoundError: a row is gone.
        QueryError: two objects are of one row, or one has none.
    """
    many = objects_of(model, objects, saved=True)
    table = table_of(model)
    _check_rows(table, many)
    database = database_of(table)
    dialect = database.dialect.name
    check_all(table, many, columns=lambda one: _other_values(table, one, dialect))
    remember(database, table, many)
    changed: list[tuple[Any, BoundRow]] = []
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for one, packed in zip(many, pack_all(table, many, dialect), strict=True):
        names = _changed(table, one, packed, dialect)
        if names:
            row = list(packed)
            names += _touched(table, one, names, row, dialect)
            groups[tuple(names)].append(len(changed))
            changed.append((one, tuple(row)))
    async with whole(database, len(changed) > 1):
        for group, places in groups.items():
            await _update(database, table, group, [changed[place] for place in places])
    for one, new in changed:
        if table.version is not None:
            setattr(one, table.version.name, new[table.places[table.version.name]])
        keep_row(one, new)
    return len(changed)


def _check_rows(table: Table, many: Sequence[Any]) -> None:
    """Refuse two objects of one row: which of them is to be written?"""
    places = [table.places[column.name] for column in table.pk]
    seen: dict[tuple[object, ...], int] = {}
    for place, one in enumerate(many):
        row = row_of(one)
        first = seen.setdefault(tuple([row[each] for each in places]), place)
        if first != place:
            raise QueryError(
                f"The objects at {first} and {place} are of one row of {table.name}: which one is to be "
                "written?"
            )


def _other_values(table: Table, one: Any, dialect: DialectName) -> list[AnyColumn]:
    """Return the columns that differ from the row, told without binding: a value may be a wrong one."""
    kept = row_of(one)
    found: list[AnyColumn] = []
    for column, raw in zip(table.columns, kept, strict=True):
        if column.is_computed:
            continue
        read = reader(column.kind, dialect)
        if getattr(one, column.name) != (raw if read is None or raw is None else read(raw)):
            found.append(column)
    return found


def _changed(table: Table, one: Any, row: BoundRow, dialect: DialectName) -> list[str]:
    kept = row_of(one)
    names: list[str] = []
    for place, column in enumerate(table.columns):
        new, old = row[place], kept[place]
        if column.is_computed or new is old or new == old:
            continue
        # The same value may be written in more than one way.
        if not made_differ(column.kind, dialect)(getattr(one, column.name), old):
            continue
        names.append(column.name)
    return names


def _touched(
    table: Table, one: Any, names: Sequence[str], row: list[object], dialect: DialectName
) -> list[str]:
    """Write what notes a change, times and the version, into an object's row; returns those columns."""
    found: list[str] = []
    for column in table.columns:
        touch = column.rules.get("on_update")
        if touch is not None and column.name not in names:
            value = touch()
            setattr(one, column.name, value)
            bind = binder(column.kind, dialect)
            row[table.places[column.name]] = value if bind is None else bind(value)
            found.append(column.name)
    version = table.version
    if version is not None:
        place = table.places[version.name]
        row[place] = row_of(one)[place] + 1
        if version.name not in names:
            found.append(version.name)
    return found


async def _update(
    database: Database, table: Table, names: Sequence[str], changed: Sequence[tuple[Any, BoundRow]]
) -> None:
    """Write some columns of rows, found by what their key, and their version, was before."""
    match = [*table.pk] if table.version is None else [*table.pk, table.version]
    columns = [table.by_name[name] for name in names]
    old, new = [table.places[c.name] for c in match], [table.places[c.name] for c in columns]
    values: list[tuple[Any, ...]] = []
    for one, row in changed:
        kept = row_of(one)
        values.append((*[kept[place] for place in old], *[row[place] for place in new]))
    missing = len(values) - await _run_each(database, table, match, columns, values)
    if not missing:
        return
    if table.version is not None:
        raise StaleRowError(
            f"{missing} of {len(values)} rows of {table.name} were changed by somebody else, or are "
            "gone. None was written: read them again and repeat the change."
        )
    raise RowNotFoundError(
        f"{missing} of {len(values)} rows of {table.name} are not there any more. None was written."
    )


async def _run_each(
    database: Database,
    table: Table,
    match: Sequence[AnyColumn],
    columns: Sequence[AnyColumn] | None,
    values: Sequence[tuple[Any, ...]],
) -> int:
    """Change the columns of the row that each of ``values`` begins with the key of; ``None`` deletes it."""
    names = tuple(column.name for column in match)
    scope = table.scoped()
    if database.dialect.unnests and fit_arrays([*match, *(columns or ())]):
        touched = 0
        for start in range(0, len(values), MOST_ARRAYS):
            arrays = list(zip(*values[start : start + MOST_ARRAYS], strict=True))
            statement = (
                DeleteArrays(table=table, match=names, arrays=arrays, where=scope)
                if columns is None
                else UpdateArrays(
                    table=table,
                    match=names,
                    columns=tuple(c.name for c in columns),
                    arrays=arrays,
                    where=scope,
                )
            )
            touched += (await database.run(statement)).rowcount
        return touched
    one = _single(table, match, columns)
    plan = database.plans.get(one)
    split = len(match)
    # The values of an UPDATE come before those of its conditions.
    seen = [value for each in scope for value in each.values]
    bound = [plan.bind([*each[split:], *each[:split], *seen]) for each in values]
    work = partial(_run_bound, database, plan, bound)
    if not listeners:
        return await changing(database, table, work)
    try:
        return await changing(database, table, work)
    finally:
        keys = [each[0] for each in values]  # the key comes first of what they are found by
        await hear_changes(database, changes_by_key(one, keys, database.dialect))


async def _run_bound(database: Database, plan: Plan, bound: Sequence[Sequence[object]]) -> int:
    if database.dialect.unnests:  # its driver does not count what many have touched
        return sum([(await run_sql(database, plan.sql, each)).rowcount for each in bound])
    async with database.transaction():
        return (await run_many(database, plan.sql, bound)).rowcount


def _single(
    table: Table, match: Sequence[AnyColumn], columns: Sequence[AnyColumn] | None
) -> UpdateStatement | DeleteStatement:
    raw: Value[Any, Any] = Value(None, RAW)
    where = (*(Condition("eq", (column, raw)) for column in match), *table.scoped())
    if columns is None:
        return DeleteStatement(table=table, where=where, deleted="with")
    return UpdateStatement(
        table=table,
        columns=tuple(column.name for column in columns),
        exprs=tuple(raw for _ in columns),
        where=where,
        deleted="with",
    )


async def delete_many(model: type[M], objects: Iterable[M], *, force: bool = False) -> int:
    """Delete the rows of objects, all or none; with ``SoftDeletes`` mark them, unless ``force``.

    Returns how many there were: one that is gone already is no error.

    Raises:
        StaleRowError: somebody else has saved one since (models with a ``Version``).
    """
    many = objects_of(model, objects, saved=True)
    table = table_of(model)
    for one in many:
        check_scope(one, table)
    if table.soft_deletes is not None and not force:
        name = table.soft_deletes.name
        # Those that are marked keep their moment, by which what was marked with them is found.
        return await _mark(model, [each for each in many if getattr(each, name) is None], name)
    if not many:
        return 0
    database = database_of(table)
    match = table.pk if table.version is None else (*table.pk, table.version)
    places = [table.places[column.name] for column in match]
    keys = [tuple(row_of(one)[place] for place in places) for one in many]
    async with whole(database, len(many) > 1):
        count = await _run_each(database, table, match, None, keys)
        if table.version is not None and count < len(many):
            await _check_gone(database, table, many)
    remember(database, table, many)
    for one in many:
        forget_row(one)
    return count


async def _check_gone(database: Database, table: Table, many: Sequence[Any]) -> None:
    """Refuse that rows are there yet: it was another version of them that was to be deleted."""
    for start in range(0, len(many), _MOST_KEYS):
        rows = [row_of(one) for one in many[start : start + _MOST_KEYS]]
        keys = [reduce(and_, key_conditions(table, row, database.dialect)) for row in rows]
        found = SelectStatement(
            table=table,
            source=table.key,
            columns=table.pk,
            where=(reduce(or_, keys),),
            deleted="with",
        )
        left = len(await database.fetch(found))
        if left:
            raise StaleRowError(
                f"{left} or more of {len(many)} rows of {table.name} were changed by somebody else. None was "
                "deleted: read them again."
            )


_MOST_KEYS = 100
"""Keys that are looked for at once, each a condition of its own."""


async def _mark(model: type[M], many: Sequence[M], name: str) -> int:
    """Note in objects, and in their rows, that they are deleted; in none of them if it fails."""
    table = table_of(model)
    remember(database_of(table), table, many)
    before = [getattr(one, name) for one in many]
    moment = now()
    for one in many:
        setattr(one, name, moment)
    try:
        return await update_many(model, many)
    except BaseException:
        for one, value in zip(many, before, strict=True):
            setattr(one, name, value)
        raise
