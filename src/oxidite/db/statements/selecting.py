"""Making one SELECT of others: over it, joined to it, naming its own columns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from msgspec.structs import replace

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Call, Order
from oxidite.db.statements.selects import (
    DerivedColumn,
    DerivedTable,
    Output,
    Part,
    RowOf,
    SelectStatement,
    SetOperator,
    outputs,
)
from oxidite.db.tables.columns import TableKey
from oxidite.db.tables.table import check_name

__all__ = [
    "changed",
    "checked_number",
    "compound",
    "counting",
    "derived",
    "derived_columns",
    "is_plain",
    "placed",
    "renamed",
    "rows_of",
    "stepped",
]


def is_plain(statement: SelectStatement) -> bool:
    """Tell whether its rows are those that the conditions leave, one for one."""
    return (
        statement.limit is None
        and statement.offset is None
        and not statement.group
        and not statement.having
        and not statement.distinct
        and not statement.distinct_on
        and not statement.compound
        # An aggregate makes one row of all, and only a look into the call would tell.
        and not any(isinstance(each, Call) for each in statement.columns or ())
    )


_COUNTED = TableKey("counted")
_PART = TableKey("part")


def counting(statement: SelectStatement, column: AnyExpr) -> SelectStatement:
    """Return a SELECT of one column over the rows of another one."""
    return SelectStatement(
        table=statement.table,
        source=_COUNTED,
        # How many there are is the same in every order.
        derived=DerivedTable(
            key=_COUNTED, columns=(), statement=replace(statement, order=(), lock=None)
        ),
        columns=(column,),
        deleted="with",
    )


def derived(statement: SelectStatement, name: str, *, cte: bool = False) -> DerivedTable:
    """Return a SELECT as a table.

    Raises:
        QueryError: the name cannot be one in SQL.
    """
    columns = tuple([expr for _, expr in outputs(statement)])
    return DerivedTable(
        key=TableKey(check_name(name)),
        columns=columns,
        statement=replace(statement, lock=None),
        cte=cte,
    )


def renamed(table: DerivedTable, name: str) -> DerivedTable:
    """Return another name of a SELECT that stands as a table.

    Raises:
        QueryError: the name cannot be one in SQL.
    """
    return replace(table, key=TableKey(check_name(name)), of=table.of or table)


def stepped(table: DerivedTable, step: SelectStatement, *, distinct: bool) -> DerivedTable:
    """Return a recursive table.

    Raises:
        QueryError: the step has other columns.
    """
    _check_alike(len(table.columns), step)
    return replace(table, step=step, distinct=distinct)


def rows_of(table: DerivedTable) -> SelectStatement:
    """Return a SELECT of all that a table made of a SELECT has; its rows become what they were.

    Raises:
        QueryError: it is the table of a recursive step, which is joined.
    """
    statement = (table.of or table).statement
    if statement is None:
        raise QueryError(
            f"Within its own step {table.key.label} is joined: Category.query().join(tree, on=...)."
        )
    return SelectStatement(
        table=statement.table,
        source=table.key,
        derived=table,
        columns=None if statement.columns is None else _again(table.key, statement.columns),
        deleted="with",
    )


def _again(key: TableKey, columns: Sequence[AnyExpr]) -> tuple[AnyExpr, ...]:
    made: list[AnyExpr] = []
    place = 0
    for each in columns:
        width = len(each.table.columns) if isinstance(each, RowOf) else 1
        names = tuple([f"c{number}" for number in range(place, place + width)])
        made.append(
            RowOf(each.table, key, names)
            if isinstance(each, RowOf)
            else DerivedColumn(key, names[0], each)
        )
        place += width
    return tuple(made)


def derived_columns(table: DerivedTable) -> dict[Hashable, DerivedColumn]:
    """Return the columns of a SELECT that stands as a table, by what they were in it.

    That is the very object, or, where nothing is bound in it, one that is the same.
    """
    statement = (table.of or table).statement
    names = (
        [f"c{place}" for place in range(len(table.columns))]
        if statement is None
        else [name for name, _ in outputs(statement)]
    )
    found: dict[Hashable, DerivedColumn] = {}
    for each, name in zip(table.columns, names, strict=True):
        column = found[id(each)] = DerivedColumn(table.key, name, each)
        if not each.values:
            found.setdefault(each.shape, column)
    return found


def compound(
    first: SelectStatement, operator: SetOperator, others: Sequence[SelectStatement]
) -> SelectStatement:
    """Return the SELECT that joins the rows of several, one after the other.

    Raises:
        QueryError: they have different numbers of columns, or lock rows.
    """
    width = len(outputs(first))
    for each in (first, *others):
        _check_alike(width, each)
    if (
        first.order
        or first.limit is not None
        or first.offset is not None
        or any(part.operator != operator for part in first.compound)
    ):
        first = _wrapped(first)
    parts = [Part(operator, _wrapped(each) if _is_cut(each) else each) for each in others]
    return replace(first, compound=(*first.compound, *parts))


def _is_cut(statement: SelectStatement) -> bool:
    """Tell whether it has to stand in parentheses beside others."""
    return bool(
        statement.compound
        or statement.order
        or statement.limit is not None
        or statement.offset is not None
        # Its WITH cannot stand in the middle.
        or (statement.derived is not None and statement.derived.cte)
        or any(isinstance(each.table, DerivedTable) for each in statement.joins)
    )


def _wrapped(statement: SelectStatement) -> SelectStatement:
    columns = tuple([expr for _, expr in outputs(statement)])
    return rows_of(DerivedTable(key=_PART, columns=columns, statement=statement))


def _check_alike(width: int, statement: SelectStatement) -> None:
    found = len(outputs(statement))
    if found != width:
        raise QueryError(
            f"The parts of one result have the same columns: here are {width}, there {found}."
        )
    if statement.lock is not None:
        raise QueryError("A part of a union locks no rows: say for_update() of a query of its own.")


def changed(statement: SelectStatement, **changes: Any) -> SelectStatement:
    """Return a SELECT with other parts.

    Raises:
        QueryError: it is of several parts, which have to say that themselves.
    """
    if statement.compound and not changes.keys() <= _OF_COMPOUND:
        raise QueryError(
            "A union, intersection or difference can be ordered and limited. Anything else is said "
            'of its parts before, or of it as a table: query.subquery("name").query().'
        )
    made = replace(statement, **changes)
    if made.columns is not None and (made.loads or made.extra):
        raise QueryError(
            "with_(), with_count() and nearest() are about objects, and select() asks for values instead: "
            "leave one of them out. A count can be selected, User.posts.count(), and so can a distance."
        )
    if made.columns is not None and (made.group or made.order or made.distinct_on):
        made = placed(made)
    return made


def checked_number(number: int, name: str) -> int:
    """Return how many rows are taken or left out, as the database can count it.

    A client may ask for any number: one beyond what the database counts with is all rows there can be.

    Raises:
        QueryError: it is no such number.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise QueryError(f"{name}({number!r:.100}): say a whole number of rows, 0 or more.")
    return min(number, _MOST_ROWS)


_MOST_ROWS = 2**62
"""Two of them together still fit into 64 bits."""
_OF_COMPOUND = frozenset(("compound", "order", "limit", "offset"))


def placed(statement: SelectStatement) -> SelectStatement:
    """Return a SELECT that groups and orders by its own columns by their place.

    So `GROUP BY coalesce(age, ?)` is the same as that column: with values of its own it would be another
    expression to the database, and refused. Only the very same object counts.
    """
    columns = statement.columns
    order = statement.order
    exprs = _places(columns, tuple([each.expr for each in order]))
    return replace(
        statement,
        group=_places(columns, statement.group),
        distinct_on=_places(columns, statement.distinct_on),
        order=tuple(
            [
                each
                if expr is each.expr
                else Order(expr, descending=each.descending, nulls_first=each.nulls_first)
                for each, expr in zip(order, exprs, strict=True)
            ]
        ),
    )


def _places(columns: tuple[AnyExpr, ...] | None, exprs: tuple[AnyExpr, ...]) -> tuple[AnyExpr, ...]:
    made: list[AnyExpr] = []
    for each in exprs:
        expr = each.expr if isinstance(each, Output) else each
        place = 0
        for column in columns or () if expr.values else ():
            if column is expr:
                expr = Output(expr, place)
                break
            place += len(column.names) if isinstance(column, RowOf) else 1
        made.append(expr)
    return tuple(made)
