"""Tables as SQLAlchemy describes them: what creates them, and what migrations compare.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from oxidite.db.columns import Column
from oxidite.db.compiler import DIALECTS
from oxidite.db.dialects import Dialect, DialectName
from oxidite.db.errors import ModelError
from oxidite.db.expressions import Expr
from oxidite.db.kinds import Kind
from oxidite.db.table import Index, Table

__all__ = ["create_statements", "metadata"]

AnyColumn: TypeAlias = Column[Any, Any]

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata(tables: Iterable[Table], dialect: Dialect) -> sa.MetaData:
    """Describe tables as they are in one kind of database.

    Raises:
        ModelError: a table refers to one that is not among them.
    """
    found = sa.MetaData(naming_convention=_NAMES)
    for table in tables:
        made = sa.Table(
            table.name,
            found,
            *(_column(each, dialect) for each in table.columns),
            *_checks(table),
        )
        for index in _indexes(table):
            _add_index(made, table, index)
    return found


def create_statements(tables: Iterable[Table], dialect: Dialect) -> list[str]:
    """Return the SQL that creates tables, where they are not there, each after those it refers to."""
    found = metadata(tables, dialect)
    sql: list[str] = []
    for table in found.sorted_tables:
        sql.append(
            str(CreateTable(table, if_not_exists=True).compile(dialect=DIALECTS[dialect.name]))
        )
        sql += [
            str(CreateIndex(index, if_not_exists=True).compile(dialect=DIALECTS[dialect.name]))
            for index in sorted(table.indexes, key=lambda each: str(each.name))
        ]
    return sql


def _column(column: AnyColumn, dialect: Dialect) -> sa.Column[Any]:
    rules = column.rules
    made: list[Any] = [column.column_name, _type(column, dialect.name)]
    reference = rules.get("references")
    if reference is not None:
        made.append(_foreign_key(column, reference))
    return sa.Column(
        *made,
        primary_key=bool(rules.get("pk")),
        nullable=column.nullable,
        autoincrement=column.is_generated,
        comment=rules.get("comment"),
    )


def _foreign_key(column: AnyColumn, reference: Expr[Any, Any] | str) -> sa.ForeignKey:
    if isinstance(reference, Column):
        target = f"{reference.table.name}.{reference.column_name}"
    elif isinstance(reference, str) and "." in reference:
        target = reference
    else:
        raise ModelError(
            f"{column!r}: references= is a column, such as User.id, or its name, such as 'users.id'."
        )
    return sa.ForeignKey(target, ondelete=column.rules.get("on_delete", "restrict").upper())


def _type(column: AnyColumn, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    kind, rules = column.kind, column.rules
    match kind.name:
        case "text":
            size = rules.get("max_length")
            return sa.String(size) if size is not None and dialect != "sqlite" else sa.Text()
        case "decimal":
            return _decimal(column, dialect)
        case "enum":
            return sa.String(max(map(len, enum_values(kind))))
        case "array" if dialect == "postgresql" and kind.element is not None:
            return postgresql.ARRAY(_TYPES[kind.element.name, dialect]())
        case "array":
            return _TYPES["json", dialect]()
        case _:
            return _TYPES[kind.name, dialect]()


def _decimal(column: AnyColumn, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    if dialect == "sqlite":
        return sa.Text()  # its numbers are binary
    precision, scale = column.rules.get("precision"), column.rules.get("scale")
    return sa.Numeric(precision, scale)


def enum_values(kind: Kind) -> tuple[str, ...]:
    """Return the values of an enum as they are in the database."""
    if isinstance(kind.type, type) and issubclass(kind.type, enum.Enum):
        return tuple(str(member.value) for member in kind.type)
    return tuple(get_args(kind.type))


Make: TypeAlias = Callable[[], sa.types.TypeEngine[Any]]

_TYPES: dict[tuple[str, DialectName], Make] = {
    ("integer", "sqlite"): sa.Integer,  # the only type that counts up by itself
    ("integer", "postgresql"): sa.BigInteger,
    ("text", "postgresql"): sa.Text,  # of an array; that of a column has a length
    **{("boolean", each): sa.Boolean for each in ("sqlite", "postgresql")},
    **{("float", each): sa.Double for each in ("sqlite", "postgresql")},
    ("bytes", "sqlite"): sa.LargeBinary,
    ("bytes", "postgresql"): sa.LargeBinary,
    ("uuid", "sqlite"): lambda: sa.LargeBinary(16),
    ("uuid", "postgresql"): postgresql.UUID,
    ("datetime", "sqlite"): sa.Text,
    ("datetime", "postgresql"): lambda: postgresql.TIMESTAMP(timezone=True),
    ("date", "sqlite"): sa.Text,
    ("date", "postgresql"): sa.Date,
    ("time", "sqlite"): sa.Text,
    ("time", "postgresql"): sa.Time,
    ("interval", "sqlite"): sa.Integer,
    ("interval", "postgresql"): sa.Interval,
    ("json", "sqlite"): sa.Text,
    ("json", "postgresql"): postgresql.JSONB,
}


def _checks(table: Table) -> list[sa.CheckConstraint]:
    checks: list[sa.CheckConstraint] = []
    for column in table.columns:
        here: sa.ColumnClause[Any] = sa.column(column.column_name)
        if column.kind.name == "enum":
            checks.append(
                sa.CheckConstraint(here.in_(enum_values(column.kind)), name=column.column_name)
            )
        if column.rules.get("check"):
            rules: Mapping[str, Any] = {**column.rules}
            checks += [
                sa.CheckConstraint(write(here, rules[rule]), name=f"{column.column_name}_{rule}")
                for rule, write in _RULES.items()
                if rule in rules
            ]
    return checks


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "ge": lambda column, bound: column >= sa.literal(bound),
    "gt": lambda column, bound: column > sa.literal(bound),
    "le": lambda column, bound: column <= sa.literal(bound),
    "lt": lambda column, bound: column < sa.literal(bound),
    "min_length": lambda column, bound: sa.func.length(column) >= sa.literal(bound),
    "max_length": lambda column, bound: sa.func.length(column) <= sa.literal(bound),
}


def _indexes(table: Table) -> Sequence[Index]:
    own = [
        Index((column.name,), unique=bool(column.rules.get("unique")))
        for column in table.columns
        if column.rules.get("unique") or column.rules.get("index")
    ]
    return [*own, *table.indexes]


def _add_index(made: sa.Table, table: Table, index: Index) -> None:
    columns: list[Any] = []
    names: list[str] = []
    for each in index.on:
        column = each if isinstance(each, Column) else table.by_name.get(str(each))
        if column is None:
            raise ModelError(f"{table!r}: an index is on {each!r}, which is none of its columns.")
        columns.append(made.c[column.column_name])
        names.append(column.column_name)
    where: Any = None if index.where is None else sa.text(str(index.where))
    if table.soft_deletes is not None and index.unique and where is None:
        # What seems to be deleted takes no name away.
        where = made.c[table.soft_deletes.column_name].is_(None)
    options: dict[str, Any] = {}
    if where is not None:
        options = {"sqlite_where": where, "postgresql_where": where}
    name = index.name or f"{'uq' if index.unique else 'ix'}_{table.name}_{'_'.join(names)}"
    sa.Index(name, *columns, unique=index.unique, **options)
