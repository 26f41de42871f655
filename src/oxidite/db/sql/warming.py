"""What the first statement of a process would pay for, paid when the database is opened.

The import of SQLAlchemy takes most of a second, and the first statement that it writes is slow: it finds
out how to walk each of its own classes. Who waits for that should be the start of the application, not
its first request.
"""

from __future__ import annotations

from typing import Any

from oxidite.db.expressions.expressions import Call, Value
from oxidite.db.sql.plan import Plans
from oxidite.db.statements.selects import SelectStatement
from oxidite.db.statements.statements import (
    DeleteStatement,
    InsertStatement,
    Statement,
    UpdateStatement,
)
from oxidite.db.tables.columns import Column, Declared, TableKey
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import Dialect, DialectName
from oxidite.db.values.kinds import INTEGER, TEXT

__all__ = ["warm_up"]

_warm: set[DialectName] = set()


def warm_up(dialect: Dialect) -> None:
    """Write one statement of each kind for a database, once in a process."""
    if dialect.name in _warm:
        return
    plans = Plans(dialect)
    for statement in _statements(dialect):
        plans.make(statement)
    _warm.add(dialect.name)


def _statements(dialect: Dialect) -> list[Statement]:
    key = TableKey("warm")
    number: Column[int, int] = Column(
        key, "id", INTEGER, Declared(init=False, rules={"pk": True}), nullable=False
    )
    text: Column[str, str | None] = Column(key, "name", TEXT, Declared(), nullable=True)
    table = Table(key, (number, text), make=dict, keep=_keep)
    where = ((number > 1) & (text == "a") | text.is_null(), number.in_([1]))
    returning = "insert" in dialect.returning
    rows: Call[int, int] = Call("rows", (), INTEGER)
    select = SelectStatement(
        table=table, source=key, where=where, order=(text.asc(), number.desc()), limit=1, offset=1
    )
    count = SelectStatement(table=table, source=key, where=where[:1], columns=(rows,))
    return [
        select,
        count,
        InsertStatement(
            table=table,
            columns=("name",),
            rows=[("a",)],
            returning=("id",) if returning else (),
        ),
        UpdateStatement(
            table=table, columns=("name",), exprs=(Value("a", TEXT),), where=(number == 1,)
        ),
        DeleteStatement(table=table, where=(number == 1,)),
    ]


def _keep(one: Any, row: Any) -> None:
    """Nothing is ever read into the table."""
