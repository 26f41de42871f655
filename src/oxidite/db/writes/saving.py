"""Writing objects: rows are made, changed columns are written, rows are deleted.

What has changed is told by comparing an object with its row. So setting an attribute costs nothing, a
change that was taken back is none, and one inside a JSON value is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec.structs import replace

from oxidite.clock import now
from oxidite.db.database import Database, database_of
from oxidite.db.errors import DatabaseError, RowNotFoundError, StaleRowError
from oxidite.db.expressions.expressions import Condition, Value
from oxidite.db.rules.rules import check_object
from oxidite.db.statements.statements import (
    DeleteStatement,
    InsertStatement,
    SelectStatement,
    UpdateStatement,
)
from oxidite.db.tables.columns import Column
from oxidite.db.tables.state import forget_row, keep_row, row_of
from oxidite.db.tables.table import Table
from oxidite.db.values.codecs import binder, made_differ, reader
from oxidite.db.values.dialects import Dialect, DialectName
from oxidite.db.writes.assignments import assigned, noted
from oxidite.db.writes.checking import is_made
from oxidite.db.writes.packing import MOST_VALUES, BoundRow, pack_all
from oxidite.db.writes.undoing import remember

__all__ = [
    "changed",
    "delete",
    "increment",
    "insert",
    "insert_many",
    "refresh",
    "save",
]

AnyColumn: TypeAlias = Column[Any, Any]


async def insert(one: Any) -> None:
    """Make the row of an object; what the database decides is read back into it.

    Raises:
        ValidationError: some of its values are wrong.
        ConstraintError: the database refused it.
    """
    await insert_many([one])


async def insert_many(many: Sequence[Any]) -> None:
    """Make the rows of objects of one model with one statement for each few hundred of them."""
    if not many:
        return
    table: Table = type(many[0]).__table__
    database = database_of(table)
    for one in many:
        check_object(one, [c for c in table.columns if not is_made(c, one)])
    asked = next((c for c in table.pk if is_made(c, many[0])), None)
    given = [c for c in table.columns if c is not asked and not c.is_computed]
    step = max(1, MOST_VALUES // max(1, len(given)))
    for start in range(0, len(many), step):
        await _insert(database, table, many[start : start + step], given, asked)


async def _insert(
    database: Database,
    table: Table,
    many: Sequence[Any],
    columns: Sequence[AnyColumn],
    asked: AnyColumn | None,
) -> None:
    remember(database, table, many)
    # Before the database is asked: what another task changes meanwhile is not in the row.
    kept = pack_all(table, many, database.dialect.name)
    returns = "insert" in database.dialect.returning
    statement = InsertStatement(
        table=table,
        columns=tuple(column.name for column in columns),
        rows=[[getattr(one, column.name) for column in columns] for one in many],
        returning=() if asked is None or not returns else (asked.name,),
    )
    if asked is None:
        await database.run(statement)
    elif returns:
        for one, (key,) in zip(many, await database.fetch(statement), strict=True):
            setattr(one, asked.name, key)
    else:
        # InnoDB gives the rows of one statement keys that follow each other.
        done = await database.run(statement)
        for place, one in enumerate(many):
            setattr(one, asked.name, (done.last_id or 0) + place * done.id_step)
    for one, row in zip(many, kept, strict=True):
        keep_row(one, row if asked is None else _with(table, asked, one, row, database.dialect))


def _with(
    table: Table, column: AnyColumn, one: object, row: BoundRow, dialect: Dialect
) -> BoundRow:
    """Return a row with what an object has in one column."""
    place, value = table.places[column.name], getattr(one, column.name)
    bind = binder(column.kind, dialect.name)
    return (*row[:place], value if bind is None else bind(value), *row[place + 1 :])


async def save(one: Any) -> None:
    """Write what has changed of an object, or make its row if it has none.

    Raises:
        ValidationError: some of its values are wrong.
        ConstraintError: the database refused them.
        StaleRowError: somebody else has saved it since (models with a ``Version``).
        RowNotFoundError: its row is gone.
    """
    table: Table = type(one).__table__
    row = row_of(one)
    if row is None:
        await insert(one)
        return
    database = database_of(table)
    # The version is counted here, whatever the program has made of it.
    names = [name for name in changed(one) if table.version is None or name != table.version.name]
    if not names:
        return
    remember(database, table, [one])
    for column in table.columns:
        touch = column.rules.get("on_update")
        if touch is not None and column.name not in names:
            setattr(one, column.name, touch())
            names.append(column.name)
    columns = [table.by_name[name] for name in names]
    check_object(one, columns)
    values: list[Any] = [Value(getattr(one, column.name), column.kind) for column in columns]
    where = key_conditions(table, row, database.dialect)
    version = 0
    if table.version is not None:
        version = _read(table, table.version, row, database.dialect)
        where = (*where, table.version == version)
        names.append(table.version.name)
        values.append(Value(version + 1, table.version.kind))
    # Before the database is asked: what another task changes meanwhile is not in the row.
    (kept,) = pack_all(table, [one], database.dialect.name)
    done = await database.run(
        UpdateStatement(
            table=table, columns=tuple(names), exprs=tuple(values), where=where, deleted="with"
        )
    )
    if done.rowcount == 0:
        raise _gone(table, one)
    if table.version is not None:
        setattr(one, table.version.name, version + 1)
        kept = _with(table, table.version, one, kept, database.dialect)
    keep_row(one, kept)


def changed(one: Any) -> list[str]:
    """Return the names of the columns of an object that differ from its row."""
    table: Table = type(one).__table__
    row = row_of(one)
    if row is None:
        return [column.name for column in table.columns if not column.is_computed]
    return _comparer(table, database_of(table).dialect.name)(one, row)


@lru_cache(maxsize=1000)
def _comparer(table: Table, dialect: DialectName) -> Callable[[Any, Any], list[str]]:
    """Return what gives the names of the columns of an object that differ from a row."""
    names: dict[str, Any] = {}
    lines = ["def compare(one, r):", "    names = []"]
    for place, column in enumerate(table.columns):
        if not column.is_computed:
            names[f"differ{place}"] = made_differ(column.kind, dialect)
            # PERF: most of what was read is what the driver gave; benchmark `db update`.
            test = f"(v := one.{column.name}) is not r[{place}] and differ{place}(v, r[{place}])"
            lines.append(f"    if {test}: names.append({column.name!r})")
    lines.append("    return names")
    exec("\n".join(lines), names)  # noqa: S102 - names of class bodies, and no value, as in plan.py
    made: Callable[[Any, Any], list[str]] = names["compare"]
    return made


async def delete(one: Any, *, force: bool = False) -> None:
    """Delete the row of an object; where rows only seem to be deleted, mark it, unless ``force``.

    A row that is gone already is no error.

    Raises:
        StaleRowError: somebody else has saved it since (models with a ``Version``).
    """
    table: Table = type(one).__table__
    row = row_of(one)
    if row is None:
        raise DatabaseError(
            f"This {type(one).__name__} has no row to delete: it was never saved, or is deleted."
        )
    remember(database_of(table), table, [one])
    if table.soft_deletes is not None and not force:
        name = table.soft_deletes.name
        before = getattr(one, name)
        setattr(one, name, now())
        try:
            await save(one)
        except BaseException:
            setattr(one, name, before)
            raise
        return
    database = database_of(table)
    where = key = key_conditions(table, row, database.dialect)
    if table.version is not None:
        where = (*key, table.version == _read(table, table.version, row, database.dialect))
    done = await database.run(DeleteStatement(table=table, where=where, deleted="with"))
    if done.rowcount == 0 and table.version is not None and await _row(database, table, key):
        raise StaleRowError
    forget_row(one)


async def increment(one: Any, column: AnyColumn, by: Any) -> Any:
    """Add to a column of an object in the database, and read back what it is now.

    Raises:
        RowNotFoundError: its row is gone.
    """
    table: Table = type(one).__table__
    row = row_of(one)
    if row is None:
        raise DatabaseError(f"This {type(one).__name__} has no row yet: save it first.")
    found = noted(table, assigned(table, [column.to(column + by)], {}))
    database = database_of(table)
    where = key_conditions(table, row, database.dialect)
    names = tuple(found)
    update = UpdateStatement(
        table=table, columns=names, exprs=tuple(found.values()), where=where, deleted="with"
    )
    if "update" in database.dialect.returning:
        rows = await database.fetch(replace(update, returning=names))
    else:
        async with database.transaction():
            await database.run(update)
            rows = await database.fetch(
                SelectStatement(
                    table=table,
                    source=table.key,
                    where=where,
                    deleted="with",
                    columns=tuple(table.by_name[name] for name in names),
                )
            )
    if not rows:
        raise RowNotFoundError(f"The row of this {type(one).__name__} is not there any more.")
    remember(database, table, [one])
    kept = list(row)
    for name, value in zip(names, rows[0], strict=True):
        setattr(one, name, value)
        bind = binder(table.by_name[name].kind, database.dialect.name)
        kept[table.places[name]] = value if bind is None or value is None else bind(value)
    keep_row(one, tuple(kept))
    return getattr(one, column.name)


async def refresh(one: Any) -> None:
    """Read the row of an object again.

    Raises:
        RowNotFoundError: it is gone.
    """
    table: Table = type(one).__table__
    row = row_of(one)
    if row is None:
        raise DatabaseError(
            f"This {type(one).__name__} has no row to read: it was never saved, or is deleted."
        )
    database = database_of(table)
    found = await _row(database, table, key_conditions(table, row, database.dialect))
    if not found:
        raise RowNotFoundError(f"The row of this {type(one).__name__} is not there any more.")
    for column in table.columns:
        setattr(one, column.name, getattr(found[0], column.name))
    keep_row(one, row_of(found[0]))


async def _row(database: Database, table: Table, where: tuple[Condition, ...]) -> Sequence[Any]:
    """Return the object with a key, if it is there."""
    return await database.fetch(
        SelectStatement(table=table, source=table.key, where=where, deleted="with")
    )


def _gone(table: Table, one: object) -> DatabaseError:
    if table.version is not None:
        return StaleRowError()
    return RowNotFoundError(f"The row of this {type(one).__name__} is not there any more.")


def key_conditions(table: Table, row: Any, dialect: Dialect) -> tuple[Condition, ...]:
    keys = [column == _read(table, column, row, dialect) for column in table.pk]
    return (*keys, *table.scoped())


def _read(table: Table, column: AnyColumn, row: Any, dialect: Dialect) -> Any:
    raw = row[table.places[column.name]]
    read = reader(column.kind, dialect.name)
    return raw if read is None or raw is None else read(raw)
