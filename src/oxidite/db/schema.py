"""Tables as SQLAlchemy describes them: what creates them, and what migrations compare.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.visitors import replacement_traverse

from oxidite.db.columns import Column
from oxidite.db.compiler import DIALECTS, _Writer
from oxidite.db.dialects import POSTGRESQL, Dialect, DialectName
from oxidite.db.errors import ModelError
from oxidite.db.expressions import Expr
from oxidite.db.kinds import Kind
from oxidite.db.table import SQL, Index, Table

__all__ = [
    "Named",
    "create_statements",
    "enum_values",
    "expression_sql",
    "index_of",
    "indexes_of",
    "metadata",
]

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
        for index in indexes_of(table):
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
            return postgresql.ARRAY(_element(kind.element, dialect))
        case "array":
            return _TYPES["json", dialect]()
        case _:
            return _TYPES[kind.name, dialect]()


def _element(kind: Kind, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    """Return the type of what is in an array: nothing limits its size."""
    match kind.name:
        case "text" | "enum":
            return sa.Text()
        case "decimal":
            return sa.Numeric()
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


class Named(NamedTuple):
    """An index by the names of the database: everything that an expression says is SQL."""

    name: str
    on: tuple[str | SQL, ...]
    unique: bool
    where: str | None
    using: str | None


def indexes_of(table: Table) -> Sequence[Index]:
    """Return the indexes of a table, those of single columns first."""
    own = [
        Index((column.name,), unique=bool(column.rules.get("unique")))
        for column in table.columns
        if column.rules.get("unique") or column.rules.get("index")
    ]
    return [*own, *table.indexes]


def index_of(table: Table, index: Index) -> Named:
    """Return an index as the database is to know it.

    Raises:
        ModelError: it is on something that is no column.
    """
    on = tuple(_indexed(table, each) for each in index.on)
    where = None
    if index.where is not None:
        is_text = isinstance(index.where, str)
        where = str(index.where) if is_text else expression_sql(index.where, table)
    elif table.soft_deletes is not None and index.unique:
        # What seems to be deleted takes no name away.
        where = f"{table.soft_deletes.column_name} IS NULL"
    words = [each if not isinstance(each, SQL) else "_".join(_WORD.findall(each)) for each in on]
    name = index.name or f"{'uq' if index.unique else 'ix'}_{table.name}_{'_'.join(words)}"
    return Named(_short(name), on, index.unique, where, index.using)


def _indexed(table: Table, each: str | Expr[Any, Any]) -> str | SQL:
    if isinstance(each, SQL):
        return each
    if isinstance(each, Expr) and not isinstance(each, Column):
        return SQL(expression_sql(each, table))
    column = each if isinstance(each, Column) else table.by_name.get(str(each))
    if column is None:
        raise ModelError(
            f"{table!r}: an index is on {each!r}, which is none of its columns. An expression is "
            f"written as one, such as User.name.lower(), or as SQL({each!r})."
        )
    return column.column_name


def expression_sql(expr: Any, table: Table) -> str:
    """Return an expression of a table's columns as SQL, its values written out.

    For what is part of a schema, where nothing can be bound. Never for what a user says.
    """
    writer = _Writer(POSTGRESQL)
    writer.table(table.key, table)
    values = dict(zip(map("p{}".format, range(len(expr.values))), expr.values, strict=True))

    def literal(element: Any, **_: Any) -> Any:
        if isinstance(element, sa.BindParameter) and element.key in values:
            return sa.literal(values[element.key])
        return None

    written = replacement_traverse(writer.expr(expr), {}, literal)
    return str(
        written.compile(
            dialect=DIALECTS["postgresql"],
            compile_kwargs={"literal_binds": True, "include_table": False},
        )
    )


_WORD = re.compile(r"\w+")
_LONGEST = 63
"""Characters of a name; PostgreSQL cuts what is longer, MariaDB refuses what is over 64."""


def _short(name: str) -> str:
    """Return a name that every database takes whole: a long one ends in a digest of itself."""
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: _LONGEST - 9].decode(errors='ignore')}_{digest}"


def _add_index(made: sa.Table, table: Table, index: Index) -> None:
    found = index_of(table, index)
    columns = [sa.text(each) if isinstance(each, SQL) else made.c[each] for each in found.on]
    options: dict[str, Any] = {}
    if found.where is not None:
        where = sa.text(found.where)
        options = {"sqlite_where": where, "postgresql_where": where}
    if found.using is not None:
        options["postgresql_using"] = found.using
    added = sa.Index(found.name, *columns, unique=found.unique, **options)
    if added.table is None:  # of expressions alone, which tell SQLAlchemy no table
        made.append_constraint(added)
