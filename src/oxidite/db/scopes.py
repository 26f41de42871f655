"""Scopes: a condition that holds for every row of a model that may be seen, and cannot be forgotten.

A model with a scope adds it to each query. When the SQL of a statement is written, it is looked for; one
that touches such a table without it, and does not say so, is refused. That happens once for each shape of
statement, so it costs nothing when the statement runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from oxidite.db.arrays import DeleteArrays, InsertArrays, UpdateArrays
from oxidite.db.columns import Column, TableKey
from oxidite.db.errors import MissingTenantError, OtherTenantError, QueryError
from oxidite.db.expressions import Call, Condition, Expr
from oxidite.db.selects import DerivedTable, SelectStatement
from oxidite.db.statements import InsertStatement, Statement
from oxidite.db.table import Table

__all__ = ["UNSCOPED", "Tenancy", "TenantScope", "check_scope", "check_scopes"]

T = TypeVar("T")

UNSCOPED: Condition = Condition("unscoped", ())
"""Stands in a statement that means to see all rows."""


def check_scopes(statement: Statement) -> None:
    """Refuse a statement that leaves out the scope of one of its tables.

    Raises:
        QueryError: it does.
    """
    if isinstance(statement, InsertStatement | InsertArrays | UpdateArrays | DeleteArrays):
        return  # of objects, each of which was looked at (``check_scope``)
    conditions = list(statement.where)
    tables = [(statement.table, statement.table.key)]
    if isinstance(statement, SelectStatement):
        tables = [(statement.table, statement.source)]
        if statement.derived is not None:
            tables = []
        for derived in derived_tables(statement):
            for each in (derived.statement, derived.step):
                if each is not None:
                    check_scopes(each)
        for part in statement.compound:
            check_scopes(part.statement)
        tables += [
            (join.table, join.key)
            for join in statement.joins
            if not isinstance(join.table, DerivedTable)
        ]
        conditions += [join.on for join in statement.joins]
    for table, key in tables:
        if table.scope is not None and not any(_is_scope(each, key) for each in _walk(conditions)):
            raise QueryError(
                f"A statement leaves out the scope of {table.name}. Begin with the model's query(), or "
                "with unscoped() where all rows are meant."
            )


def derived_tables(statement: SelectStatement) -> Iterator[DerivedTable]:
    """Yield the queries that stand as tables in another one."""
    if statement.derived is not None:
        yield statement.derived
    for join in statement.joins:
        if isinstance(join.table, DerivedTable):
            yield join.table


def _walk(exprs: Iterable[Expr[Any, Any]]) -> Iterator[Call[Any, Any]]:
    """Yield what must hold: a scope that stands in an `or` keeps nothing out."""
    for each in exprs:
        if isinstance(each, Call):
            yield each
            if each.name == "and":
                yield from _walk(each.args)


def _is_scope(call: Call[Any, Any], key: TableKey) -> bool:
    return call.name == "unscoped" or (call.name == "scope" and key in set(_keys(call)))


def _keys(expr: Expr[Any, Any]) -> Iterator[TableKey]:
    if isinstance(expr, Column):
        yield expr.table
    for each in getattr(expr, "args", ()):
        yield from _keys(each)


class Tenancy(Generic[T]):
    """Whose rows are seen: one tenant's, as long as a block says so, and nobody's otherwise.

    ::

        tenancy = Tenancy[int]()

        class Invoice(Model, table="invoices", scope=tenancy.by("tenant_id")):
            id: Col[int] = col(pk=True, init=False)
            tenant_id: Col[int] = col(init=False, default_factory=tenancy.current)

        with tenancy.of(7):
            await Invoice.all()
    """

    def __init__(self) -> None:
        self._current: ContextVar[T | None] = ContextVar("oxidite.db.tenant", default=None)

    def current(self) -> T:
        """Return the tenant of this moment.

        Raises:
            MissingTenantError: there is none.
        """
        found = self._current.get()
        if found is None:
            raise MissingTenantError
        return found

    @contextlib.contextmanager
    def of(self, tenant: T) -> Iterator[T]:
        """Have models see the rows of a tenant inside the block, and in the tasks that begin in it."""
        before = self._current.get()
        self._current.set(tenant)
        try:
            yield tenant
        finally:
            # Not by a token: a generator may be closed in another context than it began in.
            self._current.set(before)

    def by(self, column: str) -> TenantScope[T]:
        """Return the scope of a model whose ``column``, by name, says whose a row is."""
        return TenantScope(self, column)


class TenantScope(Generic[T]):
    """The rows of the tenant of this moment."""

    def __init__(self, tenancy: Tenancy[T], column: str) -> None:
        self.tenancy: Tenancy[T] = tenancy
        self.column: str = column

    def __call__(self, model: Any) -> Condition:
        """Return the condition."""
        column: Column[Any, Any] = getattr(model, self.column)
        return column == self.tenancy.current()

    def check(self, one: Any) -> None:
        """Refuse to write a row of another tenant.

        Raises:
            OtherTenantError: it is one.
            MissingTenantError: there is no tenant at the moment.
        """
        if getattr(one, self.column) != self.tenancy.current():
            raise OtherTenantError(
                f"This {type(one).__name__} belongs to another tenant than the current one."
            )


def check_scope(one: Any, table: Table) -> None:
    """Have the scope of a table judge an object that is about to be written."""
    check = getattr(table.scope, "check", None)
    if check is not None:
        check(one)
