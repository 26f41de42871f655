"""Writes the SQL of a statement, once for each shape, with SQLAlchemy's Core.

What comes out is text and the order of its parameters; from then on SQLAlchemy has no part in it. Its
import takes half a second of CPU, so nothing imports this file before a database is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Condition, Order
from oxidite.db.sql.related import part_of_each
from oxidite.db.sql.statements import write_statement
from oxidite.db.sql.types import Element
from oxidite.db.sql.writing import ExpressionWriter
from oxidite.db.statements.selects import (
    Deleted,
    DerivedTable,
    Output,
    RowOf,
    SelectStatement,
    SetOperator,
    outputs,
    seen_before,
)
from oxidite.db.statements.statements import InsertStatement, Statement
from oxidite.db.tables.columns import TableKey
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import INTEGER, Kind

__all__ = ["DIALECTS", "Compiled", "compile_statement"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL, and the place of each of its parameters in ``Statement.values`` and the constants after."""

    sql: str
    order: tuple[int, ...]
    kinds: tuple[Kind, ...]
    constants: tuple[object, ...]


def compile_statement(statement: Statement, dialect: Dialect) -> Compiled:
    """Write the SQL of a statement."""
    if isinstance(statement, InsertStatement) and len(statement.rows) > 1 and statement.columns:
        return _of_rows(statement, dialect) or _compiled(statement, dialect)
    return _compiled(statement, dialect)


def _of_rows(insert: InsertStatement, dialect: Dialect) -> Compiled | None:
    """Write an INSERT of many rows: that of one, with its row repeated; ``None`` where that cannot be.

    SQLAlchemy takes a quarter of a second for some thousand rows, and nobody else is served meanwhile.
    """
    one = _compiled(replace(insert, rows=insert.rows[:1]), dialect)
    width, count = len(insert.columns), len(insert.rows)
    row = f"({', '.join('?' * width)})"  # where parameters have numbers, there is none like that
    before, values, after = one.sql.partition(f" VALUES {row}")
    if not values or "?" in before or one.order[:width] != tuple(range(width)):
        return None
    more = width * (count - 1)  # what was bound after the one row is bound after all of them
    return Compiled(
        f"{before} VALUES {', '.join([row] * count)}{after}",
        (*range(width * count), *(place + more for place in one.order[width:])),
        (*one.kinds[:width] * count, *one.kinds[width:]),
        one.constants,
    )


def _compiled(statement: Statement, dialect: Dialect) -> Compiled:
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


class _Writer(ExpressionWriter):
    """Walks one statement, numbering what is bound as ``Statement.values`` has it."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._steps: dict[TableKey, Any] = {}

    def write(self, statement: Statement) -> Any:
        if isinstance(statement, SelectStatement):
            return self.select(statement)
        return write_statement(self, statement)

    # Statements.

    def select(self, query: SelectStatement) -> Any:
        with self.inside() as around:
            made = self.core(query).correlate(*around)
            if query.per:
                return part_of_each(self, made, query)
            if query.compound:
                made = self.compound(made, query)
            elif query.order:
                made = made.order_by(*self.orders(query.order))
            return self.cut(made, query)

    def core(self, query: SelectStatement) -> Any:
        """Write a SELECT without its order and its limits."""
        joined = self.joined(query)
        made = self.where(
            sa.select(*self.columns(query)).select_from(joined),
            query.where,
            query.table,
            query.source,
            "with" if _is_of_others(query) or _is_full(query) else query.deleted,
        )
        if query.group:
            made = made.group_by(*[self.compared(each, self.expr(each)) for each in query.group])
        for each in query.having:
            made = made.having(self.expr(each))
        if query.distinct_on:
            if not self.dialect.distinct_on:
                raise QueryError(
                    f"{self.dialect.product} has no DISTINCT ON. Number the rows of each group with "
                    "fn.row_number().over(...) in a sub-query, and take those with 1."
                )
            return made.ext(postgresql.distinct_on(*map(self.expr, query.distinct_on)))
        return made.distinct() if query.distinct else made

    def joined(self, query: SelectStatement) -> Any:
        """Write the tables. Rows that seem to be deleted are left out before they are joined."""
        before: list[DerivedTable] = []
        full = _is_full(query)
        if query.derived is not None:
            made = self.derived(query.derived, before)
        else:
            made = self.source(query.source, query.table, query.deleted if full else "with")
        for join in query.joins:
            if isinstance(join.table, DerivedTable):
                other = self.derived(join.table, before)
                scope: list[Element] = []
            else:
                other = self.source(join.key, join.table, join.deleted if full else "with")
                scope = [] if full else self.scope(join.table, join.key, join.deleted)
            if join.full and not self.dialect.full_join:
                raise QueryError(
                    f"{self.dialect.product} has no FULL JOIN. Take the union of a left join and of the "
                    "rows of the other side that have none."
                )
            on = sa.and_(self.expr(join.on), *scope)
            made = made.join(other, on, isouter=join.outer, full=join.full)
        return made

    def source(self, key: TableKey, table: Table, deleted: Deleted) -> Any:
        """Write a table, or those of its rows that are seen."""
        named: Any = sa.table(key.name, *(sa.column(each.column_name) for each in table.columns))
        column = table.soft_deletes
        if column is None or deleted == "with":
            return self.put(key, named.alias(key.alias) if key.alias else named)
        marked = named.c[column.column_name]
        seen = marked.is_not(None) if deleted == "only" else marked.is_(None)
        return self.put(key, sa.select(named).where(seen).subquery(key.label))

    def derived(self, table: DerivedTable, before: list[DerivedTable]) -> Any:
        """Write a SELECT as a table."""
        if table.statement is None:
            return self.put(table.key, self._steps[table.key])
        place = seen_before(table, before)
        if place is not None:
            first = self.named(before[place].key)
            return self.put(table.key, first.alias(table.key.label))
        root = table.of or table
        if not root.cte:
            with self.apart():
                made = self.select(table.statement).subquery(table.key.label)
            return self.put(table.key, made)
        named = self.cte(root)
        return self.put(table.key, named if root is table else named.alias(table.key.label))

    def cte(self, table: DerivedTable) -> Any:
        """Write a named SELECT, with its steps if it is recursive."""
        if table.statement is None:
            raise TypeError("a step has no statement of its own")
        with self.apart():
            first = self.select(table.statement)
        if table.step is None:
            return first.cte(table.key.label, nesting=self.depth > 1)
        made = first.cte(table.key.label, recursive=True, nesting=self.depth > 1)
        self._steps[table.key] = made
        with self.apart():
            step = self.select(table.step)
        return made.union(step) if table.distinct else made.union_all(step)

    def columns(self, query: SelectStatement) -> list[Element]:
        """Write what is asked for."""
        source = self.named(query.source)
        first: list[Element] = []
        if query.columns is None:
            first = [source.c[each.column_name] for each in query.table.columns]
            if query.pair is not None:
                table, key = query.pair
                other = self.named(key)
                first += [
                    other.c[each.column_name].label(f"o{place}")
                    for place, each in enumerate(table.columns)
                ]
        made: list[Element] = []
        for each in (*(query.columns or ()), *query.extra):
            if isinstance(each, RowOf):
                row = self.named(each.source)
                made += [row.c[name] for name in each.names]
            else:
                made.append(self.typed(each))
        return first + [each.label(f"c{place}") for place, each in enumerate(made)]

    def compound(self, first: Any, query: SelectStatement) -> Any:
        """Write a union and its like; its order is by its columns."""
        # They all have one operator: what was joined by another one is a part of its own.
        operator: SetOperator = query.compound[0].operator
        parts = [self.part(part.statement) for part in query.compound]
        made = _COMPOUNDS[operator](first, *parts)
        names = [name for name, _ in outputs(query)]
        orders = [
            part
            for each in query.order
            for part in self.directed(sa.column(names[_place_of(each, query)]), each)
        ]
        return made.order_by(*orders) if orders else made

    def part(self, query: SelectStatement) -> Any:
        """Write a part of a union beside the first one, whose tables it does not see."""
        here = self._scopes.pop()
        try:
            return self.select(query)
        finally:
            self._scopes.append(here)

    def cut(self, made: Any, query: SelectStatement) -> Any:
        """Take a part of the rows, and lock it."""
        if query.limit is not None:
            made = made.limit(self.bind(INTEGER))
        if query.offset is not None:
            made = made.offset(self.bind(INTEGER))
        lock = query.lock
        if lock is None or not self.dialect.locks_rows:
            return made
        if lock.of and not self.dialect.locks_of:
            raise QueryError(
                f"{self.dialect.product} locks the rows of all the tables of a query: leave out of=..."
            )
        return made.with_for_update(
            read=lock.share,
            nowait=lock.nowait,
            skip_locked=lock.skip_locked,
            of=[self.named(each) for each in lock.of] or None,
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

    def scope(self, table: Table, key: TableKey, deleted: Deleted) -> list[Element]:
        """Return the condition that hides what seems to be deleted."""
        column = table.soft_deletes
        if column is None or deleted == "with":
            return []
        found = self.named(key).c[column.column_name]
        return [found.is_not(None) if deleted == "only" else found.is_(None)]


_COMPOUNDS: Mapping[SetOperator, Callable[..., Any]] = {
    "union": sa.union,
    "union_all": sa.union_all,
    "intersect": sa.intersect,
    "except": sa.except_,
}


def _is_full(query: SelectStatement) -> bool:
    """Tell whether rows come that have nothing on one side: of them no condition is asked after."""
    return any(join.full for join in query.joins)


def _is_of_others(query: SelectStatement) -> bool:
    """Tell whether the rows are those of a query, which says itself which it sees."""
    return query.derived is not None and not query.derived.past


def _place_of(order: Order, query: SelectStatement) -> int:
    expr = order.expr
    if isinstance(expr, Output):
        return expr.place
    found = [each for _, each in outputs(query)]
    known = [found] if query.derived is None else [found, list(query.derived.columns)]
    for columns in known:
        for place, each in enumerate(columns):
            if each.shape == expr.shape and not expr.values:
                return place
    raise QueryError(
        f"A union is ordered by its columns, and {expr!r} is none of them: order by the very expression "
        "that was selected."
    )
