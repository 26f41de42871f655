"""Writes the SQL of a statement, once for each shape, with SQLAlchemy's Core.

What comes out is text and the order of its parameters; from then on SQLAlchemy has no part in it. Its
import takes half a second of CPU, so nothing imports this file before a database is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.sql import ColumnElement

from oxidite.db.columns import Column, TableKey
from oxidite.db.dialects import Dialect, Returning
from oxidite.db.errors import QueryError
from oxidite.db.expressions import Call, Condition, Expr, Order, Value
from oxidite.db.kinds import BYTES, INTEGER, UUID_, Kind
from oxidite.db.statements import (
    Deleted,
    DeleteStatement,
    InsertStatement,
    SelectStatement,
    Statement,
    UpdateStatement,
)
from oxidite.db.table import Table

__all__ = ["DIALECTS", "Compiled", "compile_statement"]

Element: TypeAlias = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL, and the place of each of its parameters in ``Statement.values`` and the constants after."""

    sql: str
    order: tuple[int, ...]
    kinds: tuple[Kind, ...]
    constants: tuple[object, ...]


def compile_statement(statement: Statement, dialect: Dialect) -> Compiled:
    """Write the SQL of a statement."""
    writer = _Writer(dialect)
    compiled = writer.write(statement).compile(
        dialect=DIALECTS[dialect.name], compile_kwargs={"render_postcompile": False}
    )
    order: list[int] = []
    constants: list[object] = []
    for name in getattr(compiled, "positiontup", None) or ():
        if name not in writer.binds:
            # SQLAlchemy's own, such as the OFFSET that SQLite wants beside a LIMIT.
            writer.binds[name] = len(writer.kinds) + len(constants)
            constants.append(compiled.params[name])
        order.append(writer.binds[name])
    return Compiled(str(compiled), tuple(order), tuple(writer.kinds), tuple(constants))


def _postgresql() -> sa.Dialect:
    make: Callable[..., sa.Dialect] = postgresql.dialect
    return make(paramstyle="numeric_dollar")


def _mysql(make: Callable[..., sa.Dialect]) -> sa.Dialect:
    made: Any = make(paramstyle="qmark")
    # It would learn these from a connection; ours are set up like that.
    made._backslash_escapes = False  # noqa: SLF001 - as above
    made._support_float_cast = True  # noqa: SLF001 - as above
    made.use_mysql_for_share = not made.is_mariadb
    found: sa.Dialect = made
    return found


DIALECTS: Mapping[str, sa.Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": _postgresql(),
    "mariadb": _mysql(MariaDBDialect),
    "mysql": _mysql(mysql.dialect),
}
_INSERTS: Mapping[str, Callable[..., Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
    "mariadb": mysql.insert,
    "mysql": mysql.insert,
}


class _Writer:
    """Walks one statement, numbering what is bound as ``Statement.values`` has it."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.kinds: list[Kind] = []
        self.binds: dict[str, int] = {}
        self._tables: dict[TableKey, Any] = {}

    def write(self, statement: Statement) -> Any:
        match statement:
            case SelectStatement():
                return self.select(statement)
            case InsertStatement():
                return self.insert(statement)
            case UpdateStatement():
                return self.update(statement)
            case DeleteStatement():
                return self.delete(statement)

    # Statements.

    def select(self, query: SelectStatement) -> Any:
        source = self.table(query.source, query.table)
        if query.columns is None:
            columns = [source.c[each.column_name] for each in query.table.columns]
        else:
            columns = [
                self.expr(each).label(f"c{place}") for place, each in enumerate(query.columns)
            ]
        joined = source
        for join in query.joins:
            other = self.table(join.key, join.table)
            joined = joined.join(other, self.expr(join.on), isouter=join.outer)
        made = self.where(
            sa.select(*columns).select_from(joined),
            query.where,
            query.table,
            query.source,
            query.deleted,
        )
        if query.group:
            made = made.group_by(*map(self.expr, query.group))
        for each in query.having:
            made = made.having(self.expr(each))
        if query.order:
            made = made.order_by(*[each for order in query.order for each in self.order(order)])
        return self.cut(made.distinct() if query.distinct else made, query)

    def cut(self, made: Any, query: SelectStatement) -> Any:
        """Take a part of the rows, and lock it."""
        if query.limit is not None:
            made = made.limit(self.bind(INTEGER))
        if query.offset is not None:
            made = made.offset(self.bind(INTEGER))
        lock = query.lock
        if lock is None or not self.dialect.locks_rows:
            return made
        return made.with_for_update(
            read=lock.share, nowait=lock.nowait, skip_locked=lock.skip_locked
        )

    def where(
        self,
        made: Any,
        conditions: Sequence[Condition],
        table: Table,
        key: TableKey,
        deleted: Deleted,
    ) -> Any:
        for condition in (*map(self.expr, conditions), *self.scope(table, key, deleted)):
            made = made.where(condition)
        return made

    def insert(self, insert: InsertStatement) -> Any:
        table = self.table(insert.table.key, insert.table)
        columns = [insert.table.by_name[name] for name in insert.columns]
        rows = [{each.column_name: self.bind(each.kind) for each in columns} for _ in insert.rows]
        made: Any = _INSERTS[self.dialect.name](table).values(rows if columns else {})
        if insert.update is not None:
            made = self.upsert(made, insert)
        if insert.returning:
            self.check_returning("insert")
            made = made.returning(*self.returned(insert.table, insert.returning))
        return made

    def upsert(self, made: Any, insert: InsertStatement) -> Any:
        by_name = insert.table.by_name
        names = [by_name[name].column_name for name in insert.update or ()]
        conflict = [by_name[name].column_name for name in insert.conflict]
        if not self.dialect.conflict_columns:
            # Without anything to update, a column is set to what it is: IGNORE would hide other errors.
            key = self.table(insert.table.key, insert.table).c[insert.table.columns[0].column_name]
            return made.on_duplicate_key_update(
                [(name, made.inserted[name]) for name in names] or [(key.name, key)]
            )
        if not names:
            return made.on_conflict_do_nothing(index_elements=conflict or None)
        return made.on_conflict_do_update(
            index_elements=conflict, set_={name: made.excluded[name] for name in names}
        )

    def update(self, update: UpdateStatement) -> Any:
        table = self.table(update.table.key, update.table)
        made: Any = sa.update(table)
        # In the order of the statement: a dictionary would be sorted as the table has its columns.
        made = made.ordered_values(
            *(
                (table.c[update.table.by_name[name].column_name], self.expr(expr))
                for name, expr in zip(update.columns, update.exprs, strict=True)
            )
        )
        made = self.where(made, update.where, update.table, update.table.key, update.deleted)
        if update.returning:
            self.check_returning("update")
            made = made.returning(*self.returned(update.table, update.returning))
        return made

    def delete(self, delete: DeleteStatement) -> Any:
        made = sa.delete(self.table(delete.table.key, delete.table))
        return self.where(made, delete.where, delete.table, delete.table.key, delete.deleted)

    # Their parts.

    def table(self, key: TableKey, table: Table) -> Any:
        """Return the table, the same object each time it is named in a statement."""
        if key not in self._tables:
            made: Any = sa.table(key.name, *(sa.column(each.column_name) for each in table.columns))
            self._tables[key] = made.alias(key.alias) if key.alias else made
        return self._tables[key]

    def returned(self, table: Table, names: Sequence[str]) -> list[Element]:
        made = self.table(table.key, table)
        return [made.c[table.by_name[name].column_name] for name in names]

    def check_returning(self, statement: Returning) -> None:
        if statement not in self.dialect.returning:
            raise QueryError(
                f"{self.dialect.product} does not return the rows of an {statement.upper()}. Read them "
                "with a query, in the same transaction."
            )

    def scope(self, table: Table, key: TableKey, deleted: Deleted) -> list[Element]:
        """Return the condition that hides what seems to be deleted."""
        column = table.soft_deletes
        if column is None or deleted == "with":
            return []
        found = self.table(key, table).c[column.column_name]
        return [found.is_not(None) if deleted == "only" else found.is_(None)]

    def order(self, order: Order) -> Sequence[Element]:
        expr = self.expr(order.expr)
        made = expr.desc() if order.descending else expr.asc()
        if order.nulls_first is None:
            return (made,)
        if self.dialect.orders_nulls:
            return (made.nulls_first() if order.nulls_first else made.nulls_last(),)
        if order.nulls_first is not order.descending:
            return (made,)  # as it is there: NULL is smaller than everything
        return (expr.is_(None).desc() if order.nulls_first else expr.is_(None), made)

    def bind(self, kind: Kind) -> Element:
        name = f"p{len(self.kinds)}"
        self.binds[name] = len(self.kinds)
        self.kinds.append(kind)
        return sa.bindparam(name)

    def expr(self, expr: Expr[Any, Any]) -> Element:
        if isinstance(expr, Column):
            made: Element = self._tables[expr.table].c[expr.column_name]
            return made
        if isinstance(expr, Value):
            return self.bind(expr.kind)
        if isinstance(expr, Call):
            return self.call(expr)
        raise TypeError(f"{expr!r} is no expression")

    def call(self, call: Call[Any, Any]) -> Element:
        if call.name in ("in", "not_in"):
            return self.in_(call)
        args = map(self.expr, call.args)
        own = _IN_MYSQL.get(call.name) if self.dialect.is_mysql else None
        made: Element = (own or _CALLS[call.name])(*args)
        return made

    def in_(self, call: Call[Any, Any]) -> Element:
        column, values = self.expr(call.args[0]), self.expr(call.args[1])
        if self.dialect.is_mysql:
            # The list is one parameter that the driver writes with its parentheses.
            return column.op("IN" if call.name == "in" else "NOT IN", is_comparison=True)(values)
        if self.dialect.name == "postgresql":
            return column == sa.any_(values) if call.name == "in" else column != sa.all_(values)
        element = call.args[1].kind.element
        rows: sa.Select[Any]
        if element is UUID_:
            rows = _sixteens(values)
        else:
            rows = sa.select(sa.column("value")).select_from(sa.func.json_each(values))
            if element is BYTES:
                # JSON has no bytes; and of no value, the text would be empty.
                column = sa.case((column.is_not(None), sa.func.hex(column)))
        return column.in_(rows) if call.name == "in" else column.not_in(rows)


def _sixteens(values: Element) -> sa.Select[Any]:
    """Return the query for each sixteen bytes of a value: UUIDs that are bound as one, in SQLite."""
    part: sa.Select[Any] = sa.select(sa.literal_column("1").label("place")).where(
        sa.func.length(values) > 0
    )
    parts = part.cte("part", recursive=True)
    following = parts.c.place + sa.literal_column("16")
    parts = parts.union_all(sa.select(following).where(following < sa.func.length(values)))
    return sa.select(sa.func.substr(values, parts.c.place, sa.literal_column("16")))


def _like(column: Element, pattern: Element) -> Element:
    return column.like(pattern, escape="\\")


_CALLS: Mapping[str, Callable[..., Any]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "is_null": lambda a: a.is_(None),
    "not_null": lambda a: a.is_not(None),
    "and": lambda *each: sa.and_(sa.true(), *each),
    "or": lambda *each: sa.or_(sa.false(), *each),
    "not": sa.not_,
    "like": _like,
    "ilike": lambda a, b: a.ilike(b, escape="\\"),
    "lower": sa.func.lower,
    "upper": sa.func.upper,
    "length": sa.func.length,
    "add": lambda a, b: a + b,
    "concat": lambda a, b: a.concat(b),
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    # What is divided by zero has no value: some databases cannot refuse it. The casts tell PostgreSQL
    # what a bound value is, which it would take from the zero.
    "div": lambda a, b: sa.cast(a, sa.Double) / sa.func.nullif(sa.cast(b, sa.Double), 0),
    "mod": lambda a, b: a % sa.func.nullif(sa.cast(b, sa.BigInteger), 0),
    "neg": lambda a: -a,
    "rows": sa.func.count,
    "one": lambda: sa.literal_column("1"),
    "count": sa.func.count,
    "sum": sa.func.sum,
    "avg": sa.func.avg,
    "min": sa.func.min,
    "max": sa.func.max,
    "coalesce": sa.func.coalesce,
}

_IN_MYSQL: Mapping[str, Callable[..., Any]] = {
    "length": sa.func.char_length,  # theirs counts bytes
}
