"""Scopes: a condition that holds for every row of a model that may be seen, and cannot be forgotten.

A model with a scope adds it to each query. When the SQL of a statement is written, it is looked for; one
that touches such a table without it, and does not say so, is refused. That happens once for each shape of
statement, so it costs nothing when the statement runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, overload

from oxidite.carried import carry
from oxidite.db.errors import MissingTenantError, OtherTenantError, QueryError
from oxidite.db.expressions.expressions import Call, Condition, Expr, Value
from oxidite.db.statements.arrays import InsertArrays
from oxidite.db.statements.correlated import Correlated
from oxidite.db.statements.selects import DerivedTable, SelectStatement
from oxidite.db.statements.statements import InsertStatement, Statement
from oxidite.db.statements.subqueries import Subquery
from oxidite.db.statements.walking import derived_tables, inner_exprs
from oxidite.db.tables.columns import Column, TableKey
from oxidite.db.tables.table import Table
from oxidite.encoding import Codec, codec_for, encode_json

__all__ = ["UNSCOPED", "Tenancy", "TenantScope", "check_assigned", "check_scope", "check_scopes"]

T = TypeVar("T")

UNSCOPED: Condition = Condition("unscoped", ())
"""Stands in a statement that means to see all rows."""


def check_scopes(statement: Statement) -> None:
    """Refuse a statement that leaves out the scope of one of its tables, at whatever depth.

    Raises:
        QueryError: it does.
    """
    for expr in inner_exprs(statement):
        if isinstance(expr, Subquery):
            check_scopes(expr.statement)
        elif isinstance(expr, Correlated):
            for hop in expr.hops:
                _check(hop.table, hop.key, expr.conditions)
    match statement:
        case SelectStatement():
            _check_select(statement)
        case InsertStatement() | InsertArrays():
            # What is inserted are objects, each of which was looked at (``check_scope``); a row that is
            # there already may be anybody's.
            if statement.update:
                _check(statement.table, statement.table.key, statement.where)
        case _:
            _check(statement.table, statement.table.key, statement.where)


def _check_select(statement: SelectStatement) -> None:
    for derived in derived_tables(statement):
        for each in (derived.statement, derived.step):
            if each is not None:
                check_scopes(each)
    for part in statement.compound:
        check_scopes(part.statement)
    if statement.derived is None or statement.derived.past:
        _check(statement.table, statement.source, statement.where)
    for join in statement.joins:
        if not isinstance(join.table, DerivedTable):
            # Of a full join rows are kept for which its condition does not hold.
            _check(join.table, join.key, () if join.full else (join.on,), statement.where)


def _check(
    table: Table, key: TableKey, own: Sequence[Condition], others: Sequence[Condition] = ()
) -> None:
    """Look for the scope of a table in what holds for it alone, and in what holds for all."""
    if table.scope is None:
        return
    if any(each.name == "unscoped" or _is_scope(each, key) for each in _walk(own)):
        return
    if not any(_is_scope(each, key) for each in _walk(others)):
        raise QueryError(
            f"A statement leaves out the scope of {table.name}. Begin with the model's query(), or "
            "with unscoped() where all rows are meant."
        )


def _walk(exprs: Iterable[Expr[Any, Any]]) -> Iterator[Call[Any, Any]]:
    """Yield what must hold: a scope that stands in an `or` keeps nothing out."""
    for each in exprs:
        if isinstance(each, Call):
            yield each
            if each.name == "and":
                yield from _walk(each.args)


def _is_scope(call: Call[Any, Any], key: TableKey) -> bool:
    return call.name == "scope" and call.options == (key,)


class Tenancy(Generic[T]):
    """Whose rows are seen: one tenant's, as long as a block says so, and nobody's otherwise.

    ::

        tenancy = Tenancy[int]()

        class Invoice(Model, table="invoices", scope=tenancy.by("tenant_id")):
            id: Col[int] = col(pk=True, init=False)
            tenant_id: Col[int] = col(init=False, default_factory=tenancy.current)

        with tenancy.of(7):
            await Invoice.all()

    With a ``name``, and its ``type``, jobs take the tenant along from where they are pushed:
    ``Tenancy(name="shop", type=int)``.
    """

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, *, name: str, type: type[T]) -> None: ...
    def __init__(self, *, name: str | None = None, type: type[T] | None = None) -> None:
        self._current: ContextVar[T | None] = ContextVar("oxidite.db.tenant", default=None)
        if name is not None and type is not None:
            self._codec: Codec[T] = codec_for(type)
            carry(f"tenant {name}", self._captured, self._restored, apart=True)

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

    def _captured(self) -> str | None:
        tenant = self._current.get()
        return None if tenant is None else encode_json(tenant).decode()

    def _restored(self, text: str) -> AbstractContextManager[T]:
        return self.of(self._codec.decode_json(text.encode()))

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

    def check_assigned(self, found: Mapping[str, Expr[Any, Any]]) -> None:
        """Refuse to give a row to another tenant.

        Raises:
            OtherTenantError: what its column is to become is another tenant, or an expression.
            MissingTenantError: there is no tenant at the moment.
        """
        to = found.get(self.column)
        if to is None or (isinstance(to, Call) and to.name == "excluded"):
            return  # an object that an upsert has was looked at
        if not isinstance(to, Value) or to.value != self.tenancy.current():
            raise OtherTenantError(f"A change of {self.column} would give rows to another tenant.")


def check_assigned(found: Mapping[str, Expr[Any, Any]], table: Table) -> None:
    """Have the scope of a table judge what columns of its rows are to become."""
    check = getattr(table.scope, "check_assigned", None)
    if check is not None:
        check(found)


def check_scope(one: Any, table: Table) -> None:
    """Have the scope of a table judge an object that is about to be written."""
    check = getattr(table.scope, "check", None)
    if check is not None:
        check(one)
