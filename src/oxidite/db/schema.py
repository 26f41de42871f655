"""Tables as SQLAlchemy describes them: what creates them, and what migrations compare.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.named_types import CreateEnumType
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment

from oxidite.db.caseless import CaselessColumn
from oxidite.db.codecs import binder
from oxidite.db.columns import Column
from oxidite.db.compiler import CALLS, DIALECTS
from oxidite.db.dialects import Dialect, DialectName
from oxidite.db.errors import ModelError
from oxidite.db.expressions import Call, Expr, Value
from oxidite.db.kinds import options_of
from oxidite.db.table import Index, Indexed, Table, indexes_of

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
            *_checks(table, dialect.name),
        )
        for index in indexes_of(table):
            _add_index(made, table, index)
    return found


def create_statements(tables: Iterable[Table], dialect: Dialect) -> list[str]:
    """Return the SQL that creates tables, where they are not there, each after those it refers to."""
    found = metadata(tables, dialect)
    sql: list[str] = []
    for table in found.sorted_tables:
        if dialect.name == "postgresql":
            sql += [_create_type(each.type) for each in table.columns if _is_native(each.type)]
        sql.append(
            str(CreateTable(table, if_not_exists=True).compile(dialect=DIALECTS[dialect.name]))
        )
        sql += [
            str(CreateIndex(index, if_not_exists=True).compile(dialect=DIALECTS[dialect.name]))
            for index in sorted(table.indexes, key=lambda each: str(each.name))
        ]
        if dialect.name == "postgresql":  # where they do not stand in CREATE TABLE
            sql += [
                str(SetColumnComment(each).compile(dialect=DIALECTS[dialect.name]))
                for each in table.columns
                if each.comment is not None
            ]
    return sql


def _is_native(type_: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(type_, sa.Enum)


def _create_type(type_: Any) -> str:
    """Return what makes an enum's type, where it is not there: PostgreSQL has no IF NOT EXISTS for it."""
    compiled = CreateEnumType(type_).compile(dialect=DIALECTS["postgresql"])
    return f"DO $do$ BEGIN {compiled}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$"


def _column(column: AnyColumn, dialect: Dialect) -> sa.Column[Any]:
    rules = column.rules
    made: list[Any] = [column.column_name, _type(column, dialect.name)]
    reference = rules.get("references")
    if reference is not None:
        made.append(_foreign_key(column, reference))
    if "computed" in rules:
        made.append(sa.Computed(rules["computed"], persisted=True))
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
    on_update = column.rules.get("on_key_update")
    return sa.ForeignKey(
        target,
        ondelete=column.rules.get("on_delete", "restrict").upper(),
        onupdate=None if on_update is None else on_update.upper(),
    )


def _type(column: AnyColumn, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    kind, rules = column.kind.stored, column.rules
    match kind.name:
        case "text":
            size = rules.get("max_length")
            return sa.String(size) if size is not None and dialect != "sqlite" else sa.Text()
        case "decimal":
            return _decimal(column, dialect)
        case "integer" if rules.get("bits", 64) < 64:
            return sa.SmallInteger() if rules.get("bits") == 16 else sa.Integer()
        case "enum" if rules.get("native") and dialect != "sqlite":
            name = f"{column.table.name}_{column.column_name}"
            made: Any = postgresql.ENUM if dialect == "postgresql" else sa.Enum
            found: sa.types.TypeEngine[Any] = made(*options_of(kind), name=name)
            return found
        case "enum":
            return sa.String(max(map(len, options_of(kind))))
        case "array" if dialect == "postgresql" and kind.element is not None:
            return postgresql.ARRAY(_TYPES[kind.element.stored.name, dialect]())
        case "array":
            return _TYPES["json", dialect]()
        case _:
            return _TYPES[kind.name, dialect]()


def _decimal(column: AnyColumn, dialect: DialectName) -> sa.types.TypeEngine[Any]:
    if dialect == "sqlite":
        return sa.Text()  # its numbers are binary
    precision, scale = column.rules.get("precision"), column.rules.get("scale")
    return sa.Numeric(precision, scale)


Make: TypeAlias = Callable[[], sa.types.TypeEngine[Any]]

_TYPES: dict[tuple[str, DialectName], Make] = {
    ("integer", "sqlite"): sa.Integer,  # the only type that counts up by itself
    ("integer", "postgresql"): sa.BigInteger,
    # As elements of arrays; a column of them has a size.
    **{(each, "postgresql"): sa.Text for each in ("text", "enum")},
    ("decimal", "postgresql"): sa.Numeric,
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


def _checks(table: Table, dialect: DialectName) -> list[sa.CheckConstraint]:
    checks: list[sa.CheckConstraint] = []
    for column in table.columns:
        here: sa.ColumnClause[Any] = sa.column(column.column_name)
        options = () if _is_native(_type(column, dialect)) else options_of(column.kind)
        if options:
            checks.append(sa.CheckConstraint(here.in_(options), name=column.column_name))
        if column.rules.get("check"):
            rules: Mapping[str, Any] = {**column.rules}
            left = _compared(column, here, dialect)
            checks += [
                sa.CheckConstraint(
                    write(left, _bound(column, rules[rule], dialect)),
                    name=f"{column.column_name}_{rule}",
                )
                for rule, write in _RULES.items()
                if rule in rules
            ]
    for each in table.checks:
        checks.append(sa.CheckConstraint(_sql(table, each.rule), name=each.name))
    return checks


def _compared(column: AnyColumn, here: Any, dialect: DialectName) -> Any:
    """Return a column as it is compared with a bound: a Decimal of SQLite is text."""
    is_text = dialect == "sqlite" and column.kind.stored.name == "decimal"
    return sa.cast(here, sa.REAL) if is_text else here


def _bound(column: AnyColumn, bound: Any, dialect: DialectName) -> Any:
    """Return a bound as the database has the values of a column."""
    is_length = isinstance(bound, int) and column.kind.stored.name in ("text", "bytes", "array")
    if is_length or (dialect == "sqlite" and column.kind.stored.name == "decimal"):
        return bound
    bind = binder(column.kind, dialect)
    found = bound if bind is None else bind(bound)
    if isinstance(found, timedelta):
        return sa.text(f"INTERVAL '{found.days} days {found.seconds} s {found.microseconds} us'")
    return found


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "ge": lambda column, bound: column >= _literal_of(bound),
    "gt": lambda column, bound: column > _literal_of(bound),
    "le": lambda column, bound: column <= _literal_of(bound),
    "lt": lambda column, bound: column < _literal_of(bound),
    "min_length": lambda column, bound: sa.func.length(column) >= _literal_of(bound),
    "max_length": lambda column, bound: sa.func.length(column) <= _literal_of(bound),
}


def _literal_of(bound: Any) -> Any:
    return bound if isinstance(bound, sa.TextClause) else sa.literal(bound)


def _add_index(made: sa.Table, table: Table, index: Index) -> None:
    parts = [_part(made, table, each) for each in index.on]
    where: Any = None if index.where is None else _sql(table, index.where)
    if table.soft_deletes is not None and index.unique and where is None:
        # What seems to be deleted takes no name away.
        where = made.c[table.soft_deletes.column_name].is_(None)
    options: dict[str, Any] = {}
    if where is not None:
        options = {"sqlite_where": where, "postgresql_where": where}
    if index.using is not None:
        options["postgresql_using"] = index.using
    sa.Index(index.name, *parts, unique=index.unique, _table=made, **options)


def _part(made: sa.Table, table: Table, on: Indexed) -> Any:
    column = table.by_name.get(on) if isinstance(on, str) else on
    if isinstance(column, CaselessColumn):
        return sa.func.lower(made.c[column.column_name])
    if isinstance(column, Column):
        return made.c[column.column_name]
    return _sql(table, on)


def _sql(table: Table, rule: Any) -> Any:
    """Return SQL that is text, or an expression of the model's columns with its values written out."""
    if isinstance(rule, str):
        return sa.text(rule)
    return _literal(rule if isinstance(rule, Expr) else rule(table.model))


def _literal(expr: Expr[Any, Any]) -> Any:
    if isinstance(expr, Column):
        return sa.column(expr.column_name)
    if isinstance(expr, Value):
        return sa.literal(expr.value)
    if isinstance(expr, Call) and expr.name in CALLS:
        return CALLS[expr.name](*map(_literal, expr.args))
    raise ModelError(f"{expr!r} cannot stand in an index or a check. Write it as SQL.")
