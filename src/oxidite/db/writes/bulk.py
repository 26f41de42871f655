"""Making the rows of many objects at once, in as few statements as the database can.

How is chosen by what the database can do and how many there are:

- PostgreSQL takes one array for each column, so any number of rows is one statement with one plan.
- SQLite has one writer, so inside a transaction the next keys are known, and the rows go through one
  prepared statement, one after the other, in the driver's thread.
- Others, and few rows, are some rows in one statement. The numbers of rows are powers of two, so that
  there are few plans.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from oxidite.db.connections.notices import Changes, listeners
from oxidite.db.connections.running import copy_rows, run_many
from oxidite.db.database import Database, changing, database_of
from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Call
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.arrays import InsertArrays, fit_arrays
from oxidite.db.statements.hearing import hear_changes
from oxidite.db.statements.statements import InsertStatement, SelectStatement
from oxidite.db.statements.touching import changes_of, name_of
from oxidite.db.tables.columns import Column
from oxidite.db.tables.state import forget_row, keep_rows, put_all, rows_of
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import INTEGER, VECTOR
from oxidite.db.writes.checking import check_all
from oxidite.db.writes.packing import MOST_VALUES, BoundRow, pack_all, pack_columns
from oxidite.db.writes.undoing import remember

__all__ = [
    "MOST_ARRAYS",
    "arrays_of",
    "create_many",
    "load_many",
    "most_rows",
    "objects_of",
    "parts",
    "shorter",
    "table_of",
    "whole",
    "written",
]

AnyColumn: TypeAlias = Column[Any, Any]
M = TypeVar("M")

MOST_ARRAYS = 20_000
"""Rows in one statement, so that neither side holds all of very many."""
_MOST_ROWS = 256
"""Rows in one statement that names each value, where it is sent: a server takes only so many bytes at once."""
_FEW = 32
"""Rows up to which a statement of their own is cheaper than a transaction around a prepared one."""


async def create_many(model: type[M], objects: Iterable[M]) -> list[M]:
    """Make the rows of objects, all or none, and fill in the keys that the database makes.

    Raises:
        ValidationError: some values are wrong; the pointer begins with the place of the object.
        ConstraintError: the database refused a row.
        QueryError: one is of another model, or has a row.
    """
    many = objects_of(model, objects)
    table = table_of(model)
    check_all(table, many)
    if not many:
        return many
    database = database_of(table)
    key = next((column for column in table.columns if column.is_generated), None)
    keyless = 0 if key is None else _keys(many, key).count(UNSET)
    if key is None or not keyless:
        await _insert(database, table, many)
    elif keyless == len(many):
        await _insert_keyless(database, table, many, key)
    else:
        async with database.transaction():
            await _insert(database, table, [o for o in many if getattr(o, key.name) is not UNSET])
            keyless_ones = [o for o in many if getattr(o, key.name) is UNSET]
            await _insert_keyless(database, table, keyless_ones, key)
    return many


def _keys(many: Sequence[Any], key: AnyColumn) -> list[Any]:
    return list(map(attrgetter(key.name), many))


async def _insert(database: Database, table: Table, many: Sequence[Any]) -> None:
    """Make rows whose values are all known."""
    remember(database, table, many, are_new=True)
    await _insert_known(database, table, many)


async def _insert_known(database: Database, table: Table, many: Sequence[Any]) -> None:
    """Make rows of objects that are remembered as they were."""
    rows = pack_all(table, many, database.dialect.name)
    await _write(database, table, rows)
    keep_rows(many, rows)


async def _insert_keyless(
    database: Database, table: Table, many: Sequence[Any], key: AnyColumn
) -> None:
    """Make rows whose key the database makes, and fill it in."""
    dialect = database.dialect
    if not dialect.locks_rows and len(many) > _FEW and len(table.pk) == 1:
        await _insert_counted(database, table, many, key)
        return
    columns = written(table, key)
    remember(database, table, many, are_new=True)
    place = table.places[key.name]
    kept: list[BoundRow]
    if dialect.unnests and columns and fit_arrays(columns):
        # PERF: no row is made before it can be kept; every tuple is work for the garbage collector.
        others = [column for column in table.columns if column is not key]
        arrays: list[Any] = pack_columns(others, many, dialect.name)
        given = [each for each, c in zip(arrays, others, strict=True) if not c.is_computed]
        keys = await _write_arrays(database, table, columns, given, key)
        kept = list(zip(*arrays[:place], keys, *arrays[place:], strict=True))
    else:
        rows = pack_all(table, many, dialect.name)
        keys = await _write(database, table, rows, without=key, returning=key)
        before, after = slice(place), slice(place + 1, None)
        kept = [(*row[before], made, *row[after]) for row, made in zip(rows, keys, strict=True)]
    put_all(many, key.name, keys)
    keep_rows(many, kept)


async def _insert_counted(
    database: Database, table: Table, many: Sequence[Any], key: AnyColumn
) -> None:
    """Make rows with the keys that SQLite would give them: nobody else writes before we are done."""
    try:
        async with database.transaction():
            largest: Call[int, int | None] = Call("max", (key,), INTEGER)
            found = await database.fetch(
                SelectStatement(
                    table=table,
                    source=table.key,
                    columns=(largest,),
                    where=(UNSCOPED,),
                    deleted="with",
                )
            )
            remember(database, table, many, are_new=True)
            put_all(many, key.name, count((found[0][0] or 0) + 1))
            await _insert_known(database, table, many)
    except BaseException:
        for one in many:
            setattr(one, key.name, UNSET)
            forget_row(one)
        raise


async def _write(
    database: Database,
    table: Table,
    rows: Sequence[BoundRow],
    *,
    without: AnyColumn | None = None,
    returning: AnyColumn | None = None,
) -> list[Any]:
    """Insert bound rows, all or none, ``without`` a column; returns the keys, in order, if asked for."""
    dialect = database.dialect
    columns = written(table, without)
    names = tuple(column.name for column in columns)
    if dialect.unnests and names and fit_arrays(columns):
        arrays = arrays_of(table, rows, columns)
        return await _write_arrays(database, table, columns, arrays, returning)
    rows = shorter(table, rows, columns)
    if returning is None and not dialect.locks_rows and len(rows) > _FEW:
        one = InsertStatement(table=table, columns=names, rows=rows[:1], is_bound=True)
        async with database.transaction():
            if listeners:
                told = replace(one, rows=rows)
                await hear_changes(database, changes_of(told, None, dialect))
            sql = database.plans.get(one).sql
            await changing(database, table, partial(run_many, database, sql, rows))
        return []
    if returning is not None and "insert" not in dialect.returning:
        return await _write_counting(database, table, names, rows)
    keys: list[Any] = []
    async with whole(database, len(rows) > 1):
        for part in parts(rows, most_rows(dialect, len(names))):
            statement = InsertStatement(
                table=table,
                columns=names,
                rows=part,
                returning=() if returning is None else (returning.name,),
                is_bound=True,
            )
            if returning is None:
                await database.run(statement)
            else:
                keys += sorted([row[0] for row in await database.fetch_raw(statement)])
    return keys


def written(table: Table, without: AnyColumn | None) -> list[AnyColumn]:
    """Return the columns that an INSERT writes: all but those that the database makes."""
    return [column for column in table.columns if column is not without and not column.is_computed]


def shorter(
    table: Table, rows: Sequence[BoundRow], columns: Sequence[AnyColumn]
) -> Sequence[BoundRow]:
    """Return rows with the values of some columns only."""
    if len(columns) == len(table.columns):
        return rows
    places = [table.places[column.name] for column in columns]
    if len(places) < 2:  # then there is no tuple to be picked
        return [tuple([row[place] for place in places]) for row in rows]
    return list(map(itemgetter(*places), rows))


def arrays_of(
    table: Table, rows: Sequence[BoundRow], columns: Sequence[AnyColumn]
) -> list[tuple[object, ...]]:
    """Return some columns of rows, one array each."""
    arrays = list(zip(*rows, strict=True))
    return [arrays[table.places[column.name]] for column in columns]


async def _write_arrays(
    database: Database,
    table: Table,
    columns: Sequence[AnyColumn],
    arrays: Sequence[Sequence[object]],
    returning: AnyColumn | None,
) -> list[Any]:
    names = tuple(column.name for column in columns)
    keys: list[Any] = []
    length = len(arrays[0])
    async with whole(database, length > MOST_ARRAYS):
        for start in range(0, length, MOST_ARRAYS):
            statement = InsertArrays(
                table=table,
                columns=names,
                arrays=[each[start : start + MOST_ARRAYS] for each in arrays],
                returning=() if returning is None else (returning.name,),
            )
            if returning is None:
                await database.run(statement)
            else:
                # The keys are counted up as the rows are read, whatever order they are told in.
                keys += sorted([row[0] for row in await database.fetch_raw(statement)])
    return keys


async def _write_counting(
    database: Database, table: Table, names: tuple[str, ...], rows: Sequence[BoundRow]
) -> list[Any]:
    """Insert rows where the first key of each statement is told: InnoDB counts the others up from it."""
    keys: list[Any] = []
    async with whole(database, len(rows) > 1):
        for part in parts(rows, most_rows(database.dialect, len(names))):
            done = await database.run(
                InsertStatement(table=table, columns=names, rows=part, is_bound=True)
            )
            keys += [(done.last_id or 0) + place * done.id_step for place in range(len(part))]
    return keys


def most_rows(dialect: Dialect, width: int) -> int:
    """Return how many rows of so many values go into one statement; those without any value go singly."""
    if not width:
        return 1
    most = max(1, MOST_VALUES // width)
    return most if dialect.name == "sqlite" else min(_MOST_ROWS, most)


async def load_many(
    model: type[M], objects: Iterable[M] | AsyncIterable[M], *, chunk: int = 10_000
) -> int:
    """Make the rows of very many objects, all or none, holding ``chunk`` of them at a time.

    The objects do not learn the keys that the database makes, and have no row afterwards: on PostgreSQL
    the rows go through COPY. Returns the number of rows.

    Raises:
        ValidationError: some values are wrong; the pointer begins with the place of the object.
        ConstraintError: the database refused a row.
    """
    if chunk < 1:
        raise QueryError(f"chunk={chunk}: at least one row goes at a time.")
    table = table_of(model)
    database = database_of(table)
    count = 0
    async with database.transaction():
        async for part in _chunks(objects, chunk):
            many = objects_of(model, part, start=count)
            check_all(table, many, start=count)
            await _load(database, table, many)
            count += len(many)
    return count


async def _load(database: Database, table: Table, many: Sequence[Any]) -> None:
    rows = pack_all(table, many, database.dialect.name)
    key = next((column for column in table.columns if column.is_generated), None)
    if key is None:
        await _load_rows(database, table, rows, None)
        return
    place = table.places[key.name]
    keyed = [row for row in rows if row[place] is not UNSET]
    if keyed:
        await _load_rows(database, table, keyed, None)
    if len(keyed) < len(rows):
        await _load_rows(database, table, [row for row in rows if row[place] is UNSET], key)


async def _load_rows(
    database: Database, table: Table, rows: Sequence[BoundRow], without: AnyColumn | None
) -> None:
    columns = written(table, without)
    # COPY is binary, a form of vectors that the driver does not know.
    is_known = all(column.kind is not VECTOR for column in columns)
    if not database.dialect.copies or not columns or not is_known:
        await _write(database, table, rows, without=without)
        return
    names = [column.column_name for column in columns]
    if listeners:  # in the transaction that is around all the parts
        changes = Changes()
        changes.add({name_of(table): None})
        await hear_changes(database, changes)
    given = shorter(table, rows, columns)
    await changing(database, table, partial(copy_rows, database, table.name, names, given))


async def _chunks(objects: Iterable[M] | AsyncIterable[M], size: int) -> AsyncIterator[Sequence[M]]:
    if not isinstance(objects, AsyncIterable):
        iterator = iter(objects)
        while part := list(islice(iterator, size)):
            yield part
        return
    part = []
    async for one in objects:
        part.append(one)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


# What all that is about many objects needs.


def table_of(model: Any) -> Table:
    """Return the table of a model.

    Raises:
        QueryError: it has none.
    """
    table: Table | None = getattr(model, "__table__", None)
    if table is None:
        raise QueryError(f"{model.__name__} is abstract: it has no table, and no rows.")
    return table


def objects_of(
    model: type[M], objects: Iterable[M], *, saved: bool = False, start: int = 0
) -> list[M]:
    """Return objects as a list, if they are of the model and have rows, or none, as is wanted.

    Raises:
        QueryError: one is not like that.
    """
    if isinstance(objects, model):
        raise QueryError(f"One {model.__name__} is no list of them: put it into one, [user].")
    many = list(objects)
    if not set(map(type, many)) <= {model}:
        place = next(place for place, one in enumerate(many) if type(one) is not model)
        raise QueryError(f"{model.__name__} was expected at {start + place}, not {many[place]!r}.")
    rows = rows_of(many) if saved or not _are_keyless(model, many) else [None] * len(many)
    if rows.count(None) != (0 if saved else len(many)):
        wrong = next(place for place, row in enumerate(rows) if (row is None) is saved)
        place = start + wrong
        raise QueryError(
            f"The {model.__name__} at {place} has no row: it was never saved. Make it with "
            "create_many or save."
            if saved
            else f"The {model.__name__} at {place} has a row already. Write what has changed with "
            "update_many or save."
        )
    return many


def _are_keyless(model: Any, many: Sequence[Any]) -> bool:
    """Tell whether all lack the key that the database makes, so that they have no row either."""
    # PERF: looking for a row that is not there costs a fifth of a microsecond; benchmark `db insert`.
    table: Table | None = getattr(model, "__table__", None)
    key = None if table is None else next((c for c in table.columns if c.is_generated), None)
    return key is not None and _keys(many, key).count(UNSET) == len(many)


def parts(rows: Sequence[M], most: int) -> Iterator[Sequence[M]]:
    """Cut rows into parts whose lengths are powers of two, ``most`` or fewer: few lengths, few plans."""
    start = 0
    while start < len(rows):
        size = 1 << (min(most, len(rows) - start).bit_length() - 1)
        yield rows[start : start + size]
        start += size


@contextlib.asynccontextmanager
async def whole(database: Database, is_needed: bool) -> AsyncIterator[None]:
    """Do several statements as a whole; one is so by itself."""
    if not is_needed:
        yield
        return
    async with database.transaction():
        yield
