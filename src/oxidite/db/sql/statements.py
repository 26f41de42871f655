"""Writes the SQL of INSERT, UPDATE and DELETE; a part of ``compiler.py``, which it is called by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition, Expr
from oxidite.db.statements.arrays import DeleteArrays, InsertArrays, UpdateArrays
from oxidite.db.statements.selects import Deleted
from oxidite.db.statements.statements import DeleteStatement, InsertStatement, UpdateStatement
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.columns import Column, TableKey
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import ANOTHER_KEY, Dialect, Returning
from oxidite.db.values.kinds import RAW, WRITTEN, Kind

__all__ = ["Writer", "write_statement"]


class Writer(Protocol):
    """What is needed of the one that walks a statement."""

    excluded: Any

    @property
    def dialect(self) -> Dialect:
        """What the database can do."""
        ...

    def table(self, key: TableKey, table: Table) -> Any:
        """Return the table."""
        ...

    def bind(self, kind: Kind) -> Any:
        """Return the next parameter."""
        ...

    def expr(self, expr: Expr[Any, Any]) -> Any:
        """Write an expression."""
        ...

    def where(
        self,
        made: Any,
        conditions: Sequence[Condition],
        table: Table,
        key: TableKey,
        deleted: Deleted,
    ) -> Any:
        """Add the conditions to a statement."""
        ...


Write = (
    InsertStatement | UpdateStatement | DeleteStatement | InsertArrays | UpdateArrays | DeleteArrays
)


def write_statement(writer: Writer, statement: Write) -> Any:
    """Write a statement that writes."""
    match statement:
        case InsertStatement():
            return _insert(writer, statement)
        case UpdateStatement():
            return _update(writer, statement)
        case DeleteStatement():
            return _delete(writer, statement)
        case InsertArrays():
            return _insert_arrays(writer, statement)
        case UpdateArrays():
            return _update_arrays(writer, statement)
        case DeleteArrays():
            return _delete_arrays(writer, statement)


# One row, or some.


def _insert(writer: Writer, insert: InsertStatement) -> Any:
    table = writer.table(insert.table.key, insert.table)
    columns = [insert.table.by_name[name] for name in insert.columns]
    kinds = [RAW if insert.is_bound else each.kind for each in columns]
    rows = [
        {each.column_name: writer.bind(kind) for each, kind in zip(columns, kinds, strict=True)}
        for _ in insert.rows
    ]
    made: Any = _INSERTS[writer.dialect.name](table).values(rows if columns else {})
    return _returning(writer, _upsert(writer, made, insert), insert)


_INSERTS: Mapping[str, Callable[[Any], Any]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
    "mariadb": mysql.insert,
    "mysql": mysql.insert,
}


def _upsert(writer: Writer, made: Any, insert: InsertStatement | InsertArrays) -> Any:
    """Say what is to become of a row that is there already."""
    if insert.update is None:
        return made
    if not writer.dialect.conflict_columns:
        return _on_duplicate_key(writer, made, insert)
    table, by_name = insert.table, insert.table.by_name
    conflict = [_indexed(writer, table, by_name[name]) for name in insert.conflict]
    target: dict[str, Any] = {"index_elements": conflict or None}
    soft = table.soft_deletes
    if soft is not None and set(insert.conflict) != {each.name for each in table.pk}:
        # What is unique is so among the rows that are not deleted: the index is one of those.
        target["index_where"] = writer.table(table.key, table).c[soft.column_name].is_(None)
    if not insert.update:
        return made.on_conflict_do_nothing(**target)
    writer.excluded = made.excluded
    changes = dict(_changes(writer, insert))
    conditions = [writer.expr(each) for each in insert.where]
    where = sa.and_(*conditions) if conditions else None
    return made.on_conflict_do_update(**target, set_=changes, where=where)


def _indexed(writer: Writer, table: Table, column: Column[Any, Any]) -> Any:
    """Return what the index of a unique column is over."""
    if isinstance(column, CaselessColumn):
        return sa.func.lower(writer.table(table.key, table).c[column.column_name])
    return column.column_name


def _on_duplicate_key(writer: Writer, made: Any, insert: InsertStatement | InsertArrays) -> Any:
    table = writer.table(insert.table.key, insert.table)
    key = table.c[insert.table.pk[0].column_name]
    # It is set to what it is. That is how nothing is done (IGNORE would hide other errors), and where
    # it is found out which row is in the way.
    same: Any = key
    if insert.tells:
        noted = _THERE.op(":=")(_identity(insert.table, table))
        same = sa.func.IF(noted.is_(None), key, key)
    writer.excluded = made.inserted
    changes = _changes(writer, insert)
    columns = [insert.table.by_name[name] for name in insert.conflict]
    meant = [
        *(_is_same(each, table.c[each.column_name], made.inserted) for each in columns),
        *(writer.expr(each) for each in insert.where),
    ]
    if meant:
        same = sa.func.IF(sa.and_(*meant), same, sa.literal_column(ANOTHER_KEY))
    return made.on_duplicate_key_update([(key.name, same), *changes])


def _is_same(column: Column[Any, Any], here: Any, given: Any) -> Any:
    there = given[column.column_name]
    if isinstance(column, CaselessColumn):
        here, there = sa.func.lower(here), sa.func.lower(there)
    return here.op("<=>", is_comparison=True)(there)


_THERE: Any = sa.literal_column("@ox_there")


def _there_of(of: Table, table: Any) -> Any:
    """Write what was noted last, so that it is read anew for each row: alone it would be a constant."""
    key = table.c[of.pk[0].column_name]
    return sa.func.concat(_THERE, sa.func.left(sa.func.hex(key), sa.literal_column("0")))


def _identity(of: Table, table: Any) -> Any:
    """Write what only one row has, and only in one statement: NOW is when the statement began."""
    parts = [sa.func.hex(sa.func.concat(table.c[each.column_name])) for each in of.pk]
    return sa.func.concat_ws(sa.literal_column("','"), sa.literal_column("NOW(6)"), *parts)


def _changes(writer: Writer, insert: InsertStatement | InsertArrays) -> list[tuple[str, Any]]:
    return [
        (insert.table.by_name[name].column_name, writer.expr(expr))
        for name, expr in zip(insert.update or (), insert.exprs, strict=True)
    ]


def _update(writer: Writer, update: UpdateStatement) -> Any:
    table = writer.table(update.table.key, update.table)
    made: Any = sa.update(table)
    # In the order of the statement: a dictionary would be sorted as the table has its columns.
    made = made.ordered_values(
        *(
            (table.c[update.table.by_name[name].column_name], writer.expr(expr))
            for name, expr in zip(update.columns, update.exprs, strict=True)
        )
    )
    made = writer.where(made, update.where, update.table, update.table.key, update.deleted)
    return _returning(writer, made, update)


def _delete(writer: Writer, delete: DeleteStatement) -> Any:
    made = sa.delete(writer.table(delete.table.key, delete.table))
    made = writer.where(made, delete.where, delete.table, delete.table.key, delete.deleted)
    return _returning(writer, made, delete)


def _returning(
    writer: Writer,
    made: Any,
    statement: InsertStatement | UpdateStatement | DeleteStatement | InsertArrays,
) -> Any:
    if not statement.returning:
        return made
    kind: Returning = (
        "update"
        if isinstance(statement, UpdateStatement)
        else "delete"
        if isinstance(statement, DeleteStatement)
        else "insert"
    )
    if kind not in writer.dialect.returning:
        raise QueryError(
            f"{writer.dialect.product} does not return the rows of an {kind.upper()}. Read them with a "
            "query, in the same transaction."
        )
    table = writer.table(statement.table.key, statement.table)
    columns = [table.c[statement.table.by_name[name].column_name] for name in statement.returning]
    if getattr(statement, "tells", False):
        columns.append(
            sa.not_(
                _identity(statement.table, table).op("<=>", is_comparison=True)(
                    _there_of(statement.table, table)
                )
            )
            if writer.dialect.is_mysql
            # PostgreSQL: no transaction has ever deleted, or replaced, a row that was just made.
            else sa.literal_column("xmax = 0")
        )
    return made.returning(*columns)


# Rows as arrays.


def _insert_arrays(writer: Writer, insert: InsertArrays) -> Any:
    table = writer.table(insert.table.key, insert.table)
    names = [insert.table.by_name[name].column_name for name in insert.columns]
    given = _given(writer, insert.table, insert.columns, ordered=True)
    rows = sa.select(*(given.c[f"c{place}"] for place in range(len(names)))).order_by(given.c.place)
    made: Any = postgresql.insert(table).from_select(names, rows, include_defaults=False)
    return _returning(writer, _upsert(writer, made, insert), insert)


def _update_arrays(writer: Writer, update: UpdateArrays) -> Any:
    table, by_name = writer.table(update.table.key, update.table), update.table.by_name
    given = _given(writer, update.table, update.match + update.columns)
    made: Any = sa.update(table).values(
        {
            by_name[name].column_name: given.c[f"c{place}"]
            for place, name in enumerate(update.columns, start=len(update.match))
        }
    )
    return made.where(
        *_matches(table, given, update.table, update.match),
        *(writer.expr(each) for each in update.where),
    )


def _delete_arrays(writer: Writer, delete: DeleteArrays) -> Any:
    table = writer.table(delete.table.key, delete.table)
    given = _given(writer, delete.table, delete.match)
    return sa.delete(table).where(
        *_matches(table, given, delete.table, delete.match),
        *(writer.expr(each) for each in delete.where),
    )


def _matches(table: Any, given: Any, of: Table, names: Sequence[str]) -> list[Any]:
    return [
        table.c[of.by_name[name].column_name] == given.c[f"c{place}"]
        for place, name in enumerate(names)
    ]


def _given(writer: Writer, table: Table, names: Sequence[str], *, ordered: bool = False) -> Any:
    """Write the rows that arrays make, as a table with the columns ``c0``, ``c1`` …, and ``place``."""
    arrays = [_array(writer, table.by_name[name].kind.name) for name in names]
    columns: list[Any] = [sa.column(f"c{place}") for place in range(len(names))]
    rows: Any = sa.func.unnest(*arrays)
    if ordered:
        return rows.table_valued(*columns, with_ordinality="place", name="given").render_derived()
    return rows.table_valued(*columns, name="given").render_derived()


def _array(writer: Writer, kind: str) -> Any:
    """Write a place for an array of a kind of values."""
    made: Any = writer.bind(WRITTEN if kind in _WRITTEN else RAW)
    if kind in _WRITTEN:
        made = sa.cast(made, sa.Text())
    return sa.cast(made, postgresql.ARRAY(_ELEMENTS[kind]))


_WRITTEN = frozenset(("boolean", "datetime", "integer"))
# PERF: asyncpg takes a microsecond for each element of an array; benchmark `db insert`. These need no quotes
# inside, whatever they are.


_ELEMENTS: Mapping[str, Any] = {
    "boolean": sa.Boolean(),
    "bytes": postgresql.BYTEA(),
    "date": sa.Date(),
    "datetime": postgresql.TIMESTAMP(timezone=True),
    "decimal": sa.Numeric(),
    "enum": sa.Text(),
    "float": postgresql.DOUBLE_PRECISION(),
    "integer": sa.BigInteger(),
    "interval": postgresql.INTERVAL(),
    "json": postgresql.JSONB(),
    "text": sa.Text(),  # not as long as the column: a cast would cut it off without a word
    "time": sa.Time(),
    "uuid": postgresql.UUID(),
}
