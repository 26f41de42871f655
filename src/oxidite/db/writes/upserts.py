"""Making rows that may be there already: upsert, get or create, update or create."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from oxidite.db.database import Database, database_of
from oxidite.db.errors import ConflictingTransactionsError, QueryError, UniqueError
from oxidite.db.expressions.expressions import Call, Condition, Expr
from oxidite.db.rules.scopes import UNSCOPED
from oxidite.db.statements.arrays import InsertArrays, fit_arrays
from oxidite.db.statements.statements import Deleted, InsertStatement, Lock, SelectStatement
from oxidite.db.tables.columns import Assignment, Column
from oxidite.db.tables.state import keep_rows
from oxidite.db.tables.table import Table
from oxidite.db.tables.unique_keys import MadeKey, check_keys, conflict_columns, key_maker
from oxidite.db.writes.assignments import Assigned, assigned, noted
from oxidite.db.writes.bulk import (
    MOST_ARRAYS,
    arrays_of,
    most_rows,
    objects_of,
    parts,
    shorter,
    table_of,
    whole,
    written,
)
from oxidite.db.writes.checking import check_all
from oxidite.db.writes.packing import pack_all
from oxidite.db.writes.undoing import remember
from oxidite.errors import FieldError

__all__ = ["Upserted", "excluded", "get_or_create", "update_or_create", "upsert"]

AnyColumn: TypeAlias = Column[Any, Any]
M = TypeVar("M")
O = TypeVar("O")  # noqa: E741 - as in expressions.py
R = TypeVar("R")

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Upserted(Generic[M]):
    """What became of the objects of an upsert, each list in the order they were given in."""

    inserted: list[M] = field(default_factory=list)
    """They are new."""
    updated: list[M] = field(default_factory=list)
    """Their rows were there and have been changed; the objects now have what the rows have."""
    skipped: list[M] = field(default_factory=list)
    """Rows like them were there and were left alone (``update=[]``); the objects have no row."""


def excluded(column: Column[O, R]) -> Expr[O, R]:
    """Return the value that an upsert was to insert, for what it does instead.

    ``User.visits.to(User.visits + excluded(User.visits))``: outside of ``upsert`` it is an error.
    """
    return Call("excluded", (column,), column.kind)


async def upsert(
    model: type[M],
    objects: M | Iterable[M],
    on: Sequence[Expr[Any, Any]],
    update: Sequence[Expr[Any, Any] | Assignment] | None,
) -> Upserted[M]:
    """Make the rows of objects, and change those that are there already; all or none."""
    table = table_of(model)
    many = objects_of(model, [objects] if isinstance(objects, model) else _iterable(objects))
    conflict = conflict_columns(table, on)
    changes = _changes(table, conflict, update)
    check_all(table, many)
    database = database_of(table)
    check_keys(many, conflict, changes, key_maker(conflict, database.dialect))
    result: Upserted[M] = Upserted()
    if not many:
        return result
    # What stands in the way may be of another tenant: then nothing at all is written.
    async with whole(database, table.scope is not None):
        fates = await _write(database, table, many, conflict, changes)
        if table.scope is not None and changes:
            _check_seen(many, conflict, key_maker(conflict, database.dialect), fates)
    _tell(database, table, many, fates, result)
    return result


def _check_seen(
    many: Sequence[Any], conflict: Sequence[AnyColumn], made: MadeKey, fates: Fates
) -> None:
    """Refuse objects in whose way there are rows that are not seen."""
    hidden = set(_first_places(many, conflict, made).values()) - fates.keys()
    if hidden:
        raise UniqueError([_taken(conflict, place) for place in sorted(hidden)])


def _taken(conflict: Sequence[AnyColumn], place: int) -> FieldError:
    return FieldError("body", "is taken", pointer=f"/{place}/{conflict[0].name}", code="unique")


async def _write(
    database: Database,
    table: Table,
    many: Sequence[Any],
    conflict: Sequence[AnyColumn],
    changes: Assigned,
) -> Fates:
    """Insert objects, or do what is to be done instead, in the way of the database."""
    dialect = database.dialect
    if "insert" not in dialect.returning:
        return await _insert_and_read(database, table, many, conflict, changes)
    if dialect.tells_inserted or not changes:
        return await _insert(database, table, many, conflict, changes)
    # Whoever writes here is alone, so what was not inserted now is there, and stays.
    async with database.transaction():
        fates = await _insert(database, table, many, conflict, {})
        left = [place for place in range(len(many)) if place not in fates]
        again = await _insert(database, table, [many[place] for place in left], conflict, changes)
    return fates | {left[place]: (row, False) for place, (row, _) in again.items()}


def _iterable(objects: Any) -> Iterable[Any]:
    if isinstance(objects, Iterable):
        return objects
    raise QueryError(f"{objects!r} is no object of the model, and no list of them.")


Fates: TypeAlias = dict[int, tuple[Any, bool]]
"""By the place of an object: its row as it is now, and whether it is new."""


async def _insert(
    database: Database,
    table: Table,
    many: Sequence[Any],
    conflict: Sequence[AnyColumn],
    changes: Assigned,
) -> Fates:
    """Insert objects or do what is to be done instead; returns what became of those that were touched."""
    made = key_maker(conflict, database.dialect)
    places = _first_places(many, conflict, made)
    by_name = [table.places[column.name] for column in conflict]
    tells = database.dialect.tells_inserted
    statements = _statements(database, table, many, conflict, changes, returns=True)
    fates: Fates = {}
    async with whole(database, len(statements) > 1):
        for statement in statements:
            for found in await database.fetch(statement):
                row, is_new = (found[:-1], found[-1]) if tells else (found, not changes)
                place = places.get(made([row[place] for place in by_name]))
                # MariaDB tells of those too that were left alone.
                if place is not None and (is_new or changes):
                    fates[place] = (row, is_new)
    return fates


async def _insert_and_read(
    database: Database,
    table: Table,
    many: Sequence[Any],
    conflict: Sequence[AnyColumn],
    changes: Assigned,
) -> Fates:
    """Do it where the statement does not tell what it did: look before, with a lock, and after."""
    made = key_maker(conflict, database.dialect)
    places = _first_places(many, conflict, made)
    # By the column that tells most of them apart; the others are compared here.
    which = max(range(len(conflict)), key=lambda each: len({key[each] for key in places}))
    query = SelectStatement(
        table=table,
        source=table.key,
        where=(conflict[which].in_([key[which] for key in places]), *table.scoped()),
        deleted=_deleted(table, conflict),
    )
    async with database.transaction():
        if table.scope is not None and changes:
            # It would change rows that are not seen, and cannot be told not to.
            every_row = replace(query, where=(query.where[0], UNSCOPED), lock=Lock())
            there = _first_places(await database.fetch(every_row), conflict, made).keys()
            seen = _first_places(await database.fetch(query), conflict, made).keys()
            _check_seen(
                many,
                conflict,
                made,
                {places[key]: (None, False) for key in places if key in seen or key not in there},
            )
        before = _first_places(await database.fetch(replace(query, lock=Lock())), conflict, made)
        for statement in _statements(database, table, many, conflict, changes, returns=False):
            await database.run(statement)
        after = await database.fetch(query)
    fates: Fates = {}
    for key, found in _first_places(after, conflict, made).items():
        if key in places and (changes or key not in before):
            row = tuple([getattr(after[found], column.name) for column in table.columns])
            fates[places[key]] = (row, key not in before)
    return fates


def _first_places(
    many: Sequence[Any], columns: Sequence[AnyColumn], made: MadeKey
) -> dict[tuple[object, ...], int]:
    """Return where the first object of each key is: of those alike it is the one that is inserted."""
    places: dict[tuple[object, ...], int] = {}
    for place, one in enumerate(many):
        places.setdefault(made([getattr(one, column.name) for column in columns]), place)
    return places


def _deleted(table: Table, conflict: Sequence[AnyColumn]) -> Deleted:
    """Tell which rows are in the way: those that seem to be deleted have their primary key still."""
    return "with" if {c.name for c in conflict} == {c.name for c in table.pk} else "without"


def _statements(
    database: Database,
    table: Table,
    many: Sequence[Any],
    conflict: Sequence[AnyColumn],
    changes: Assigned,
    *,
    returns: bool,
) -> list[InsertArrays | InsertStatement]:
    """Return the statements of an upsert: of the objects whose key is known, and of the others."""
    dialect = database.dialect
    key = next((column for column in table.columns if column.is_generated), None)
    keyless = [one for one in many if key is not None and getattr(one, key.name) is UNSET]
    where: tuple[Condition, ...] = table.scoped() if changes else ()
    keyed = [one for one in many if key is None or getattr(one, key.name) is not UNSET]
    found: list[InsertArrays | InsertStatement] = []
    for some, without in ((keyed, None), (keyless, key)):
        rows = pack_all(table, some, dialect.name)
        columns = written(table, without)
        common: dict[str, Any] = {
            "table": table,
            "columns": tuple(column.name for column in columns),
            "conflict": tuple(_indexed(column).name for column in conflict),
            "update": tuple(changes),
            "exprs": tuple(changes.values()),
            "where": where,
            "returning": tuple(column.name for column in table.columns) if returns else (),
            "tells": returns and dialect.tells_inserted,
        }
        if dialect.unnests and fit_arrays(columns):
            for start in range(0, len(rows), MOST_ARRAYS):
                arrays = arrays_of(table, rows[start : start + MOST_ARRAYS], columns)
                found.append(InsertArrays(arrays=arrays, **common))
        else:
            found += [
                InsertStatement(rows=part, is_bound=True, **common)
                for part in parts(shorter(table, rows, columns), most_rows(dialect, len(columns)))
            ]
    return found


def _indexed(column: AnyColumn) -> AnyColumn:
    """Return the column that an index is on: of an encrypted one, the blind one beside it."""
    index: AnyColumn | None = getattr(column, "index", None)
    return column if index is None else index


def _tell(
    database: Database, table: Table, many: Sequence[M], fates: Fates, result: Upserted[M]
) -> None:
    """Give the objects what their rows have now."""
    remember(database, table, many, are_new=True)
    touched: list[M] = []
    for place, one in enumerate(many):
        if place not in fates:
            result.skipped.append(one)
            continue
        values, is_new = fates[place]
        for column, value in zip(table.columns, values, strict=True):
            setattr(one, column.name, value)
        touched.append(one)
        (result.inserted if is_new else result.updated).append(one)
    keep_rows(touched, pack_all(table, touched, database.dialect.name))


def _changes(
    table: Table,
    conflict: Sequence[AnyColumn],
    update: Sequence[Expr[Any, Any] | Assignment] | None,
) -> Assigned:
    """Return what is to become of the columns of a row that is there."""
    if update is None:
        names = {column.name for column in conflict}
        # What the constructor takes is what somebody meant to say; `created_at` stays. Where that is the
        # key alone, it becomes what it is, so that the row is told.
        update = [
            column
            for column in table.columns
            if column.declared.init and not column.rules.get("pk") and column.name not in names
        ] or conflict
    made: list[Assignment] = []
    for each in update:
        if isinstance(each, Column):
            made.append(each.to(excluded(each)))
        elif isinstance(each, Assignment):
            made.append(each)
        else:
            raise QueryError(
                f"{each!r} is no column to be updated. Write update=[User.name], or "
                "update=[User.visits.to(User.visits + 1)]."
            )
    found = assigned(table, made, {})
    return noted(table, found) if found else found


async def get_or_create(model: type[M], one: M, on: Sequence[Expr[Any, Any]]) -> tuple[M, bool]:
    """Return the row that is like an object in some columns, or make the row of the object."""
    table = table_of(model)
    objects_of(model, [one])
    conflict = conflict_columns(table, on)
    database = database_of(table)
    query = SelectStatement(
        table=table,
        source=table.key,
        where=(
            *(column == getattr(one, column.name) for column in conflict),
            *table.scoped(),
        ),
        deleted=_deleted(table, conflict),
    )
    for _ in range(_TRIES):
        found: list[M] = await database.fetch(query)
        if found:
            return found[0], False
        result = await upsert(model, one, on, [])
        if result.inserted:
            return one, True
        # Somebody made it in between: it is there now, unless it is gone again.
    if table.scope is not None:
        raise UniqueError([_taken(conflict, 0)])  # it is there, and not to be seen
    raise ConflictingTransactionsError(
        f"A row of {table.name} is in the way that this transaction does not see. Try again."
    )


async def update_or_create(
    model: type[M],
    one: M,
    on: Sequence[Expr[Any, Any]],
    update: Sequence[Expr[Any, Any] | Assignment] | None,
) -> tuple[M, bool]:
    """Change the row that is like an object in some columns, or make the row of the object."""
    result = await upsert(model, one, on, update)
    return one, bool(result.inserted)
