"""Tables as SQLAlchemy describes them: what creates them, and what migrations compare.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.named_types import CreateEnumType
from sqlalchemy.schema import (
    AddConstraint,
    CreateIndex,
    CreateTable,
    SetColumnComment,
    sort_tables_and_constraints,
)

from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Expr
from oxidite.db.sql.column_types import mysql_type, type_of
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.history import triggers_of
from oxidite.db.sql.indexes import LOWERED, add_index, check_computed, kept_apart
from oxidite.db.sql.literals import sql_of, text_of, value_of
from oxidite.db.sql.ranges import RANGE_TYPES, range_check
from oxidite.db.sql.vectors import EXTENSION, VectorType
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import SQL, Indexed, Table, check_reference, indexes_of, short_name
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import INTEGER, VECTOR, stored_options
from oxidite.db.values.vectors import SIZE

__all__ = ["create_statements", "metadata"]

AnyColumn: TypeAlias = Column[Any, Any]


def _names(dialect: Dialect) -> Mapping[str, Any]:
    """Return how constraints are called. Each server would cut long names in a way of its own; SQLite keeps them."""
    longest = {"sqlite": None, "postgresql": 63}.get(dialect.name, 64)

    def cut(name: str) -> str:
        return name if longest is None or len(name.encode()) <= longest else short_name(name)

    return {
        "ck": "%(cut_constraint_name)s",
        "fk": "%(cut_foreign_key)s",
        "pk": "%(cut_primary_key)s",
        "cut_constraint_name": lambda one, table: cut(f"ck_{table.name}_{one.name}"),
        "cut_foreign_key": lambda one, table: cut(
            f"fk_{table.name}_{'_'.join(each.name for each in one.columns)}"
        ),
        "cut_primary_key": lambda _, table: cut(f"pk_{table.name}"),
    }


def metadata(tables: Iterable[Table], dialect: Dialect) -> sa.MetaData:
    """Describe tables as they are in one kind of database."""
    found = sa.MetaData(naming_convention=_names(dialect))
    for table in tables:
        keys = _keys(table)
        made = sa.Table(
            table.name,
            found,
            *(
                _column(table, each, dialect, is_key=each.column_name in keys)
                for each in table.columns
            ),
            *_checks(table, dialect),
            **_options(dialect),
        )
        for index in indexes_of(table):
            add_index(made, table, index, dialect)
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
    watched = [each for each in tables if each.history is not None]
    tables += [each.history for each in watched if each.history is not None]
    found = sorted(metadata(tables, dialect).tables.values(), key=lambda each: each.name)
    # Where tables refer to each other in a circle, some of their foreign keys come last.
    sort: Any = sort_tables_and_constraints  # it has no types
    *ordered, (_, late) = sort(found)
    for table, keys in ordered:
        assert table is not None  # noqa: S101 - only the last one is none
        indexes = sorted(table.indexes, key=lambda each: str(each.name))
        given = [*keys, *late] if dialect.name == "sqlite" else keys
        create = str(
            CreateTable(
                table,
                if_not_exists=True,
                include_foreign_key_constraints=[each for each in given if each.table is table],
            ).compile(dialect=theirs)
        )
        if dialect.name == "postgresql":
            has_vectors = any(isinstance(each.type, VectorType) for each in table.columns)
            sql += [EXTENSION] if has_vectors else []
            sql += [_create_type(each.type) for each in table.columns if _is_native(each.type)]
        if dialect.guarded_indexes:
            sql.append(create)
            sql += [
                str(CreateIndex(each, if_not_exists=True).compile(dialect=theirs))
                for each in indexes
            ]
        else:
            sql.append(_with_indexes(create, table, indexes, theirs))
        sql += [each for one in kept_apart(table) for each in one.create(guarded=True)]
        if dialect.name == "postgresql":  # where they do not stand in CREATE TABLE
            sql += [
                str(SetColumnComment(each).compile(dialect=theirs))
                for each in table.columns
                if each.comment is not None
            ]
    if dialect.name != "sqlite":
        sql += [_add_key(each, dialect) for each in late]
    for each in watched:
        triggers = triggers_of(each, dialect)
        sql += [*triggers.create(guarded=True), triggers.begin()]
    return sql


def _add_key(key: sa.ForeignKeyConstraint, dialect: Dialect) -> str:
    """Return what adds a foreign key, where it is not there."""
    made = str(AddConstraint(key).compile(dialect=DIALECTS[dialect.name])).strip()
    if dialect.name == "postgresql":
        return f"DO $do$ BEGIN {made}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$"
    if dialect.name == "mariadb":
        name = DIALECTS[dialect.name].identifier_preparer.quote(str(key.name))
        added = f"ADD FOREIGN KEY IF NOT EXISTS {name}"
        return made.replace(f"ADD CONSTRAINT {name} FOREIGN KEY", added)
    raise ModelError(
        f"{key.table.name} and {key.referred_table.name} refer to each other, and {dialect.product} does not "
        "add a foreign key where there is none. Make the tables with a migration."
    )


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
            return LOWERED.findall(on)
        case str() if on in table.by_name:
            return [table.by_name[on].column_name]
        case Column():
            return [on.column_name]
        case _:
            return []


def _column(table: Table, column: AnyColumn, dialect: Dialect, *, is_key: bool) -> sa.Column[Any]:
    rules = column.rules
    type_ = mysql_type(column, is_key=is_key) if dialect.is_mysql else type_of(column, dialect.name)
    made: list[Any] = [column.column_name, type_]
    reference = rules.get("references")
    if reference is not None:
        made.append(_foreign_key(column, reference))
    if "computed" in rules:
        check_computed(table, rules["computed"], f"the column {column.column_name}", dialect)
        made.append(sa.Computed(text_of(rules["computed"], dialect, table), persisted=True))
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
        if column.kind is VECTOR and dialect.name != "postgresql":
            # Nothing else keeps it from having more or less of them.
            size = SIZE * column.dimensions
            measured = _measured(column, here, "min_length", dialect)
            sized = measured == value_of(INTEGER, size, dialect)
            checks.append(sa.CheckConstraint(sized, name=f"{column.column_name}_dimensions"))
        if column.kind.stored.name in RANGE_TYPES and dialect.name != "postgresql":
            kept = range_check(column.kind.stored.name, here)
            checks.append(sa.CheckConstraint(kept, name=f"{column.column_name}_range"))
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
