"""Writes expressions, with what is bound in them numbered in the order of ``Expr.values``."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.dialects import postgresql

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Call, Order, Value
from oxidite.db.expressions.windows import Over
from oxidite.db.sql.forms import OPERATORS, form_of
from oxidite.db.sql.related import related_rows
from oxidite.db.sql.searching import SEARCHED, searched
from oxidite.db.sql.types import Element, family, number, typed
from oxidite.db.statements.correlated import Correlated
from oxidite.db.statements.selects import (
    Deleted,
    DerivedColumn,
    Output,
    RowOf,
    SelectStatement,
    outputs,
)
from oxidite.db.statements.subqueries import Subquery
from oxidite.db.tables.columns import Column, TableKey
from oxidite.db.tables.table import Table
from oxidite.db.values.codecs import HEXED
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import CASELESS, TEXT, Kind

__all__ = ["ExpressionWriter"]


class ExpressionWriter:
    """Knows the tables that can be named where it is in a statement."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.kinds: list[Kind] = []
        self.binds: dict[str, int] = {}
        self.depth: int = 0
        """In how many SELECTs what is being written stands."""
        self.excluded: Any = None
        """The row that an upsert was to insert, in what it does instead."""
        self._scopes: list[dict[TableKey, Any]] = [{}]

    @abstractmethod
    def select(self, query: SelectStatement) -> Any:
        """Write a SELECT."""

    @abstractmethod
    def scope(self, table: Table, key: TableKey, deleted: Deleted) -> list[Element]:
        """Write the condition that hides what seems to be deleted."""

    # Tables.

    def table(self, key: TableKey, table: Table) -> Any:
        """Return the table, the same object each time it is named in a statement."""
        here = self._scopes[-1]
        if key not in here:
            made: Any = sa.table(key.name, *(sa.column(each.column_name) for each in table.columns))
            here[key] = made.alias(key.alias) if key.alias else made
        return here[key]

    def put(self, key: TableKey, source: Any) -> Any:
        """Have a table named in the SELECT that is being written.

        Raises:
            QueryError: another one has its name.
        """
        here = self._scopes[-1]
        if any(each.label == key.label for each in here):
            raise QueryError(
                f"Two tables of one query are called {key.label}. Give one another name: "
                'Other = alias(User, "other"), or query.subquery("other").'
            )
        for scope in self._scopes[:-1]:
            if any(each is not key and each.label == key.label for each in scope):
                raise QueryError(
                    f"A query inside of another one has a table {key.label}, and so has that one, which is "
                    "another table. Give one another name."
                )
        here[key] = source
        return source

    def nest(self, key: TableKey, source: Any) -> None:
        """Have a table named where another one of its name may be around: the nearest one is meant."""
        self._scopes[-1][key] = source

    def named(self, key: TableKey) -> Any:
        """Return a table that was put here or around.

        Raises:
            QueryError: the query does not read it.
        """
        for scope in reversed(self._scopes):
            if key in scope:
                return scope[key]
        raise QueryError(
            f"A column of {key.label} is named in a query that does not read {key.label}. Join it: "
            f".join(..., on=...)."
        )

    @contextlib.contextmanager
    def inside(self) -> Iterator[list[Any]]:
        """Write a SELECT inside of another one; what is given are the tables around."""
        around = [source for scope in self._scopes for source in scope.values()]
        self._scopes.append({})
        self.depth += 1
        try:
            yield around
        finally:
            self.depth -= 1
            self._scopes.pop()

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Write a SELECT that sees nothing of the one around, as those in FROM do."""
        before = self._scopes
        self._scopes = [{}]
        try:
            yield
        finally:
            self._scopes = before

    # Expressions.

    def bind(self, kind: Kind) -> Element:
        """Write a place for a value."""
        name = f"p{len(self.kinds)}"
        self.binds[name] = len(self.kinds)
        self.kinds.append(kind)
        return sa.bindparam(name)

    def expr(self, expr: AnyExpr) -> Element:
        """Write an expression whose type something beside it tells."""
        match expr:
            case Column() | DerivedColumn():
                made: Element = self.named(expr.table).c[expr.column_name]
                return made
            case Value():
                return self.bind(expr.kind)
            case Call():
                return self.call(expr)
            case Subquery():
                found: Element = self.select(expr.statement).scalar_subquery()
                return found
            case Over():
                return self.over(expr)
            case Correlated():
                related: Element = related_rows(self, expr)
                return related
            case Output():
                return number(expr.place + 1)
            case RowOf():
                raise QueryError(
                    f"The whole row of {expr.table.name} stands in select() alone, not in an expression."
                )
        raise TypeError(f"{expr!r} is no expression")

    def typed(self, expr: AnyExpr) -> Element:
        """Write an expression where nothing tells the type of what is bound."""
        made = self.expr(expr)
        return typed(made, expr.kind, self.dialect) if isinstance(expr, Value) else made

    def compared(self, expr: AnyExpr, made: Element) -> Element:
        """Return what was written of an expression as it is compared and ordered.

        Decimals that are kept as text are compared as the numbers they are.
        """
        is_text = not self.dialect.exact_decimals and expr.kind.stored.name == "decimal"
        return made.collate(DECIMALS) if is_text and not isinstance(expr, Value) else made

    def orders(self, orders: Iterable[Order]) -> list[Element]:
        """Write by what to order."""
        return [
            part
            for each in orders
            for part in self.directed(
                self.compared(
                    each.expr,
                    sa.column(f"c{each.expr.place}")
                    if isinstance(each.expr, Output)
                    else self.expr(each.expr),
                ),
                each,
            )
        ]

    def directed(self, expr: Element, order: Order) -> Sequence[Element]:
        """Write in which direction to order by an expression."""
        made = expr.desc() if order.descending else expr.asc()
        if order.nulls_first is None:
            return (made,)
        if self.dialect.orders_nulls:
            return (made.nulls_first() if order.nulls_first else made.nulls_last(),)
        if order.nulls_first is not order.descending:
            return (made,)  # as it is there: NULL is smaller than everything
        return (expr.is_(None).desc() if order.nulls_first else expr.is_(None), made)

    def call(self, call: Call[Any, Any]) -> Element:
        """Write an operator or a function."""
        self._check_decimals(call)
        if call.name in SEARCHED and self.dialect.name != "postgresql":
            return searched(self, call)
        match call.name:
            case "in" | "not_in":
                return self.in_(call)
            case "in_rows" | "not_in_rows" | "exists":
                return self.of_rows(call)
            case "filter":
                return self.filtered(call)
            case "excluded":
                return self.excluded_column(call)
            case "array_agg" | "string_agg":
                return self.gathered(call, [self.typed(each) for each in call.args])
        args = call.args
        plain = call.name in OPERATORS and not all(isinstance(each, Value) for each in args)
        made = [self.expr(each) if plain else self.typed(each) for each in args]
        if call.name in _COMPARING:
            made = list(map(self.compared, args, made))
        return self.form(call, made)

    def form(self, call: Call[Any, Any], args: list[Element]) -> Element:
        """Write a call of what is written already."""
        form = form_of(call.name, self.dialect)
        made: Element = form(call.options, *args) if call.options else form(*args)
        return made

    def of_rows(self, call: Call[Any, Any]) -> Element:
        """Write a condition about the rows of a SELECT."""
        *before, query = call.args
        if not isinstance(query, Subquery):
            raise TypeError(f"{query!r} is no query")
        args = [self.expr(each) for each in before]
        statement = _lowered(query.statement) if "lower" in call.options else query.statement
        made: Element = form_of(call.name, self.dialect)(*args, self.select(statement))
        return made

    def in_(self, call: Call[Any, Any]) -> Element:
        """Write whether a value is in a list, which is bound as one."""
        column, values = self.typed(call.args[0]), self.expr(call.args[1])
        column = self.compared(call.args[0], column)
        element = call.args[1].kind.element
        is_caseless = element is CASELESS
        if self.dialect.is_mysql:
            # The list is one parameter that the driver writes with its parentheses, in lower case if need be.
            return column.op("IN" if call.name == "in" else "NOT IN", is_comparison=True)(values)
        if self.dialect.name == "postgresql":
            values = _lowered_array(values) if is_caseless else values
            return column == sa.any_(values) if call.name == "in" else column != sa.all_(values)
        value: Element = sa.column("value")
        if element is not None and element.name in HEXED:
            value = sa.func.ox_unhex(value)
        value = sa.func.lower(value) if is_caseless else value
        rows: sa.Select[Any] = sa.select(value).select_from(sa.func.json_each(values))
        return column.in_(rows) if call.name == "in" else column.not_in(rows)

    def excluded_column(self, call: Call[Any, Any]) -> Element:
        """Write a value of the row that was to be inserted."""
        (column,) = call.args
        if self.excluded is None or not isinstance(column, Column):
            raise QueryError(
                "excluded() is a column of the row that an upsert was to insert: it stands in "
                "update=[…] of upsert, as in User.visits.to(User.visits + excluded(User.visits))."
            )
        found: Element = self.excluded[column.column_name]
        return found

    # Aggregates and windows.

    def filtered(self, call: Call[Any, Any]) -> Element:
        """Write an aggregate of some of the rows."""
        aggregate, condition = call.args
        if not isinstance(aggregate, Call):
            raise TypeError(f"{aggregate!r} is no aggregate")
        if self.dialect.aggregate_filter:
            made: Any = self.call(aggregate)
            return sa.funcfilter(made, self.expr(condition))
        args = [self.typed(each) for each in aggregate.args]
        first = sa.case((self.expr(condition), args[0] if args else number(1)))
        if aggregate.name == "array_agg":
            raise QueryError(
                f"{self.dialect.product} has no list of some of the rows of a group: ask for those in a "
                "query of their own."
            )
        if aggregate.name == "string_agg":
            return self.gathered(aggregate, [first, *args[1:]])
        name = "count" if aggregate.name == "rows" else aggregate.name
        picked: Call[Any, Any] = Call(name, aggregate.args, aggregate.kind, aggregate.options)
        return self.form(picked, [first, *args[1:]])

    def gathered(self, call: Call[Any, Any], args: list[Element]) -> Element:
        """Write an aggregate that puts texts or values together, in an order if it is told one."""
        orders = [each for each in call.options if isinstance(each, bool)]
        value, *rest = args[: len(args) - len(orders)]
        order = [
            each.desc() if descending else each.asc()
            for each, descending in zip(args[len(args) - len(orders) :], orders, strict=True)
        ]
        if order and not self.dialect.ordered_aggregates:
            raise QueryError(
                f"{self.dialect.product} puts the values of a group together in no order. Order them in "
                "Python, or order the rows of a sub-query."
            )
        text = call.name == "string_agg"
        match family(self.dialect):
            case "postgresql":
                last = rest[0] if text else value
                if order:
                    last = postgresql.aggregate_order_by(last, *order)
                return sa.func.string_agg(value, last) if text else sa.func.array_agg(last)
            case "sqlite" if text:
                return sa.func.group_concat(value, rest[0])
            case "sqlite":
                element = call.args[0].kind.name
                if element == "json":
                    value = sa.func.json(value)
                return sa.func.json_group_array(sa.func.hex(value) if element in HEXED else value)
            case _ if text:
                # It takes no bound value as a separator: so it is a character that stands in no text.
                unit: Element = sa.literal_column("CHAR(31)")
                joined = sa.func.group_concat(value.op("SEPARATOR")(sa.literal_column("'\x1f'")))
                return sa.func.replace(joined, unit, rest[0])
            case _:
                element = call.args[0].kind.name
                return sa.func.json_arrayagg(sa.func.hex(value) if element in HEXED else value)

    def over(self, over: Over[Any, Any]) -> Element:
        """Write a function over a window of rows."""
        made: Any = self.expr(over.call)
        partition = [self.typed(each) for each in over.partition_by]
        window: dict[str, Any] = {
            "partition_by": partition or None,
            "order_by": self.orders(over.order_by) or None,
        }
        if over.frame is not None:
            window[over.unit] = over.frame
        if over.call.name in ("lag", "lead") and len(over.call.args) > 1:
            return self.beside(made, over.call, window)
        return sa.over(made, **window)

    def beside(self, made: Any, call: Call[Any, Any], window: Mapping[str, Any]) -> Element:
        """Write the value of the row before or after, with what stands in where there is none."""
        if self.dialect.window_defaults:
            return sa.over(made, **window)
        value, default = made.clauses.clauses[0], made.clauses.clauses[-1]
        form = form_of(call.name, self.dialect)
        there = sa.over(form(call.options, number(1)), **window)
        return sa.case(
            (there.is_(None), default), else_=sa.over(form(call.options, value), **window)
        )

    def _check_decimals(self, call: Call[Any, Any]) -> None:
        if self.dialect.exact_decimals or call.name not in _COMPUTED:
            return
        if any(each.kind.name == "decimal" for each in call.args):
            raise QueryError(
                f"{self.dialect.product} keeps Decimals as text and does not compute with them: "
                f"{call.name} would lose digits. Compute in Python, or store a whole number of the "
                "smallest unit."
            )


def _lowered(statement: SelectStatement) -> SelectStatement:
    """Return a SELECT of one column whose values are in lower case."""
    ((_, column),) = outputs(statement)
    parts = [replace(each, statement=_lowered(each.statement)) for each in statement.compound]
    return replace(statement, columns=(Call("lower", (column,), TEXT),), compound=tuple(parts))


def _lowered_array(values: Element) -> Element:
    texts = sa.func.unnest(sa.cast(values, postgresql.ARRAY(sa.Text()))).column_valued("text")
    return sa.func.array(sa.select(sa.func.lower(texts)).scalar_subquery())


DECIMALS = "ox_decimal"
"""The collation by which SQLite compares Decimals."""
_COMPARING = frozenset(
    (
        *("eq", "ne", "lt", "le", "gt", "ge", "row_gt", "row_lt"),
        *("min", "max", "greatest", "least", "nullif", "count_distinct"),
    )
)
_COMPUTED = frozenset(
    ("add", "sub", "mul", "div", "mod", "neg", "abs", "round", "floor", "ceil", "sum", "avg")
)
