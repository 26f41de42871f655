"""Tables as SQLAlchemy describes them: what creates them, and what migrations compare.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.postgresql.named_types import CreateEnumType
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment

from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Expr
from oxidite.db.sql.column_types import KEY_LENGTH, MYSQL_TYPES, mysql_type, type_of
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.literals import sql_of, text_of, value_of, written
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import SQL, Check, Index, Indexed, Table, check_reference, indexes_of
from oxidite.db.values.dialects import ONLY, POSTGRESQL, Dialect
from oxidite.db.values.kinds import INTEGER, stored_options

__all__ = [
    "Named",
    "check_of",
    "create_statements",
    "index_of",
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
    """Describe tables as they are in one kind of database."""
    found = sa.MetaData(naming_convention=_NAMES)
    for table in tables:
        keys = _keys(table)
        made = sa.Table(
            table.name,
            found,
            *(_column(each, dialect, is_key=each.column_name in keys) for each in table.columns),
            *_checks(table, dialect),
            **_options(dialect),
        )
        for index in indexes_of(table):
            _add_index(made, table, index, dialect)
    for each in found.tables.values():
        for key in each.foreign_keys:
            check_reference(found.tables, each.name, key.parent.name, key.target_fullname)
    return found


def create_statements(tables: Iterable[Table], dialect: Dialect) -> list[str]:
    """Return the SQL that creates tables, where they are not there, each after those it refers to.

    Raises:
        ModelError: a table refers to one that is not among them.
    """
    theirs = DIALECTS[dialect.name]
    sql: list[str] = []
    tables = list(tables)
    _check_references(tables)
    for table in metadata(tables, dialect).sorted_tables:
        indexes = sorted(table.indexes, key=lambda each: str(each.name))
        create = str(CreateTable(table, if_not_exists=True).compile(dialect=theirs))
        if dialect.name == "postgresql":
            sql += [_create_type(each.type) for each in table.columns if _is_native(each.type)]
        if dialect.guarded_indexes:
            sql.append(create)
            sql += [
                str(CreateIndex(each, if_not_exists=True).compile(dialect=theirs))
                for each in indexes
            ]
        else:
            sql.append(_with_indexes(create, table, indexes, theirs))
        if dialect.name == "postgresql":  # where they do not stand in CREATE TABLE
            sql += [
                str(SetColumnComment(each).compile(dialect=theirs))
                for each in table.columns
                if each.comment is not None
            ]
    return sql


def _check_references(tables: Sequence[Table]) -> None:
    known = {table.name: {column.column_name for column in table.columns} for table in tables}
    for table in tables:
        for column in table.columns:
            reference = column.rules.get("references")
            if reference is None:
                continue
            name, _, target = _target(column, reference).rpartition(".")
            if name not in known:
                raise ModelError(
                    f"{column!r} refers to the table {name!r}, which is not among those that are to be "
                    "created. Give all of them at once: db.push(User, Post)."
                )
            if target not in known[name]:
                raise ModelError(
                    f"{column!r} refers to {name}.{target}, and {name} has no such column. It has: "
                    f"{', '.join(known[name])}."
                )


def _is_native(type_: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(type_, sa.Enum)


def _create_type(type_: Any) -> str:
    """Return what makes an enum's type, where it is not there: PostgreSQL has no IF NOT EXISTS for it."""
    compiled = CreateEnumType(type_).compile(dialect=DIALECTS["postgresql"])
    return f"DO $do$ BEGIN {compiled}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$"


def _with_indexes(
    create: str, table: sa.Table, indexes: Sequence[sa.Index], theirs: sa.Dialect
) -> str:
    """Write indexes into the CREATE TABLE, where they cannot be created "if not exists"."""
    on = f" ON {theirs.identifier_preparer.format_table(table)} "
    head, end, options = create.rpartition("\n)")
    keys = [
        str(CreateIndex(each).compile(dialect=theirs)).removeprefix("CREATE ").replace(on, " ", 1)
        for each in indexes
    ]
    return "".join((head, *(f",\n\t{key}" for key in keys), end, options))


def _options(dialect: Dialect) -> dict[str, Any]:
    if not dialect.is_mysql:
        return {}
    # Text is equal when its characters are: case, accents and spaces at the end count.
    collation = "utf8mb4_nopad_bin" if dialect.name == "mariadb" else "utf8mb4_0900_bin"
    return {
        f"{dialect.name}_engine": "InnoDB",
        f"{dialect.name}_charset": "utf8mb4",
        f"{dialect.name}_collate": collation,
    }


_LOWERED = re.compile(r"lower\(\s*\"?(\w+)\"?\s*\)", re.IGNORECASE)


def _keys(table: Table) -> set[str]:
    """Return the names of the columns that must fit whole into an index, as the database has them."""
    found = {
        column.column_name
        for column in table.columns
        if column.rules.get("pk") or "references" in column.rules
    }
    for index in indexes_of(table):
        if index.unique:
            found |= {name for each in index.on for name in _key(table, each)}
    return found


def _key(table: Table, on: Indexed) -> list[str]:
    match on:
        case SQL():
            return _LOWERED.findall(on)
        case str() if on in table.by_name:
            return [table.by_name[on].column_name]
        case Column():
            return [on.column_name]
        case _:
            return []


def _column(column: AnyColumn, dialect: Dialect, *, is_key: bool) -> sa.Column[Any]:
    rules = column.rules
    type_ = mysql_type(column, is_key=is_key) if dialect.is_mysql else type_of(column, dialect.name)
    made: list[Any] = [column.column_name, type_]
    reference = rules.get("references")
    if reference is not None:
        made.append(_foreign_key(column, reference))
    if "computed" in rules:
        made.append(sa.Computed(text_of(rules["computed"], dialect), persisted=True))
    return sa.Column(
        *made,
        primary_key=bool(rules.get("pk")),
        # MariaDB takes no NOT NULL where it computes.
        nullable=column.nullable or ("computed" in rules and dialect.name == "mariadb"),
        autoincrement=column.is_generated,
        comment=rules.get("comment"),
    )


def _target(column: AnyColumn, reference: Expr[Any, Any] | str) -> str:
    """Return the table and the column that a column refers to, with a point between them."""
    if isinstance(reference, Column):
        return f"{reference.table.name}.{reference.column_name}"
    if isinstance(reference, str) and "." in reference:
        return reference
    raise ModelError(
        f"{column!r}: references= is a column, such as User.id, or its name, such as 'users.id'."
    )


def _foreign_key(column: AnyColumn, reference: Expr[Any, Any] | str) -> sa.ForeignKey:
    on_update = column.rules.get("on_key_update")
    return sa.ForeignKey(
        _target(column, reference),
        ondelete=column.rules.get("on_delete", "restrict").upper(),
        onupdate=None if on_update is None else on_update.upper(),
    )


def _checks(table: Table, dialect: Dialect) -> list[sa.CheckConstraint]:
    checks: list[sa.CheckConstraint] = []
    for column in table.columns:
        here: sa.ColumnClause[Any] = sa.column(column.column_name)
        is_native = not dialect.is_mysql and _is_native(type_of(column, dialect.name))
        options = () if is_native else stored_options(column.kind)
        if options:
            checks.append(sa.CheckConstraint(here.in_(options), name=column.column_name))
        if column.rules.get("check"):
            rules: Mapping[str, Any] = {**column.rules}
            checks += [
                sa.CheckConstraint(
                    write(
                        _measured(column, here, rule, dialect),
                        _bound(column, rules[rule], dialect),
                    ),
                    name=f"{column.column_name}_{rule}",
                )
                for rule, write in _RULES.items()
                if rule in rules
            ]
    for each in table.checks:
        checks.append(sa.CheckConstraint(sql_of(table, each.rule, dialect), name=each.name))
    return checks


def _measured(column: AnyColumn, here: Any, rule: str, dialect: Dialect) -> Any:
    """Return a column, or its length, as it is compared with a bound."""
    if rule.endswith("_length"):
        return sa.func.char_length(here) if dialect.is_mysql else sa.func.length(here)
    # A Decimal of SQLite is text.
    is_text = dialect.name == "sqlite" and column.kind.stored.name == "decimal"
    return sa.cast(here, sa.REAL) if is_text else here


def _bound(column: AnyColumn, bound: Any, dialect: Dialect) -> sa.ColumnElement[Any]:
    """Return a bound as the database has the values of a column, or their length."""
    is_length = isinstance(bound, int) and column.kind.stored.name in ("text", "bytes", "array")
    return value_of(INTEGER if is_length else column.kind, bound, dialect)


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
    "min_length": operator.ge,
    "max_length": operator.le,
}


class Named(NamedTuple):
    """An index by the names of the database: everything that an expression says is SQL."""

    name: str
    on: tuple[str | SQL, ...]
    unique: bool
    where: str | None
    using: str | None


def index_of(table: Table, index: Index, dialect: Dialect) -> Named:
    """Return an index as a migration says it that is written for one kind of database.

    Raises:
        ModelError: it is on something that is no column.
    """
    where = None
    if index.where is not None:
        words = words_of(dialect)
        where = written(sql_of(table, index.where, words), words)
    elif table.soft_deletes is not None and index.unique:
        # What seems to be deleted takes no name away.
        where = f"{table.soft_deletes.column_name} IS NULL"
    on = tuple(_named_part(table, each, dialect) for each in index.on)
    return Named(str(index.name), on, index.unique, where, index.using)


def words_of(dialect: Dialect) -> Dialect:
    """Return whose SQL a migration is written in: PostgreSQL's is that of SQLite too, but not MariaDB's."""
    return dialect if dialect.is_mysql else POSTGRESQL


def check_of(table: Table, check: Check, dialect: Dialect) -> str:
    """Return a check as a migration says it: as SQL."""
    words = words_of(dialect)
    return written(sql_of(table, check.rule, words), words)


def _named_part(table: Table, on: Indexed, dialect: Dialect) -> str | SQL:
    if isinstance(on, SQL):
        return on
    column = table.by_name.get(on) if isinstance(on, str) else on
    if isinstance(column, CaselessColumn):
        return SQL(f"lower({column.column_name})")
    if isinstance(column, Column):
        return column.column_name
    expr: Any = on if isinstance(on, Expr) or not callable(on) else on(table.model)
    words = words_of(dialect)
    # In parentheses, if it is no call of a function: so it stands in an index.
    text = written(sql_of(table, expr, words).self_group(), words)
    return SQL(text, type=None if _LOWERED.fullmatch(text) else expr.kind.stored.name)


def _add_index(made: sa.Table, table: Table, index: Index, dialect: Dialect) -> None:
    parts = [_part(made, table, each, dialect) for each in index.on]
    if not dialect.expression_indexes:
        parts = [
            part
            if isinstance(part, sa.Column)
            else _computed(made, table, index, place, part, dialect)
            for place, part in enumerate(parts)
        ]
    where: Any = None if index.where is None else sql_of(table, index.where, dialect)
    if table.soft_deletes is not None and index.unique and where is None:
        # What seems to be deleted takes no name away.
        where = made.c[table.soft_deletes.column_name].is_(None)
    options: dict[str, Any] = {}
    if dialect.is_mysql:
        lengths = {each.name: KEY_LENGTH for each in parts if _is_long(each)}
        options = {f"{dialect.name}_length": lengths} if lengths else {}
    if where is not None and dialect.partial_indexes:
        options = {"sqlite_where": where, "postgresql_where": where}
    elif where is not None and index.unique:
        parts.append(_condition_column(made, str(index.name), where, dialect))
    if index.using is not None:
        options["postgresql_using"] = index.using
    sa.Index(index.name, *parts, unique=index.unique, _table=made, **options)


def _is_long(part: Any) -> bool:
    return isinstance(part, sa.Column) and isinstance(part.type, mysql.LONGTEXT | mysql.LONGBLOB)


def _computed(
    made: sa.Table, table: Table, index: Index, place: int, part: Any, dialect: Dialect
) -> sa.Column[Any]:
    """Add a column of an expression, where an index can be over columns only."""
    on = _named_part(table, index.on[place], dialect)
    lowered = _LOWERED.fullmatch(on)
    if lowered is not None and lowered.group(1) in made.c:
        type_ = made.c[lowered.group(1)].type
        type_ = sa.String(KEY_LENGTH) if isinstance(type_, mysql.LONGTEXT) else type_
    else:
        name = on.type if isinstance(on, SQL) else None
        if name is None or (name not in MYSQL_TYPES and name != "text"):
            raise ModelError(
                f"{dialect.product} has no indexes over expressions, and of {on!r} in the index "
                f'{index.name} it is not known what it gives. Say so, SQL(..., type="integer"), or make a '
                "computed column of it, and an index over that: col(init=False, computed=...)."
            )
        type_ = sa.String(KEY_LENGTH) if name == "text" else MYSQL_TYPES[name]()
    sql = written(part, dialect)
    if not index.unique and isinstance(type_, sa.String):
        sql = f"LEFT({sql}, {type_.length})"  # what is longer must not be refused
    column: sa.Column[Any] = sa.Column(
        f"{ONLY}{place}_{index.name}"[:64],
        type_,
        sa.Computed(text_of(sql, dialect), persisted=False),
        nullable=True,
    )
    made.append_column(column)
    return column


def _condition_column(made: sa.Table, name: str, where: Any, dialect: Dialect) -> sa.Column[Any]:
    """Add a column that is 1 where a condition holds and NULL elsewhere, where nothing is unique."""
    condition = written(where, dialect)
    column: sa.Column[Any] = sa.Column(
        f"{ONLY}{name}"[:64],
        sa.Boolean(),
        sa.Computed(text_of(f"CASE WHEN {condition} THEN 1 END", dialect), persisted=False),
        nullable=True,
    )
    made.append_column(column)
    return column


def _part(made: sa.Table, table: Table, on: Indexed, dialect: Dialect) -> Any:
    if isinstance(on, SQL):
        return text_of(on, dialect)
    column = table.by_name.get(on) if isinstance(on, str) else on
    if isinstance(column, CaselessColumn):
        return sa.func.lower(made.c[column.column_name])
    if isinstance(column, Column):
        return made.c[column.column_name]
    return sql_of(table, on, dialect).self_group()  # as a migration says it
