"""Indexes and checks as SQL, and what MariaDB has beside them: columns that are computed for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Expr
from oxidite.db.sql.column_types import KEY_LENGTH, MYSQL_TYPES
from oxidite.db.sql.exclusions import Exclusion, exclusion
from oxidite.db.sql.literals import column_of, sql_of, text_of, written
from oxidite.db.sql.mentions import mentions
from oxidite.db.sql.ranges import GIST
from oxidite.db.sql.vectors import VectorIndex, vector_index
from oxidite.db.sql.words import WordIndex, WordTable, number_of, word_index
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import SQL, Check, Index, Indexed, Table
from oxidite.db.values.dialects import ONLY, POSTGRESQL, Dialect
from oxidite.db.values.kinds import RANGES

__all__ = ["LOWERED", "Named", "add_index", "check_computed", "check_of", "index_of", "kept_apart"]

LOWERED = re.compile(r"lower\(\s*[\"`]?(\w+)[\"`]?\s*\)", re.IGNORECASE)
"""An expression that is known to give text."""


class Named(NamedTuple):
    """An index by the names of the database: everything that an expression says is SQL."""

    name: str
    on: tuple[str | SQL, ...]
    unique: bool
    where: str | None
    using: str | None
    exclude: tuple[str, ...] = ()


def index_of(table: Table, index: Index, dialect: Dialect) -> Named:
    """Return an index as a migration says it that is written for one kind of database.

    Raises:
        ModelError: it is on something that is no column.
    """
    where = None
    if index.where is not None:
        words = words_of(dialect)
        where = written(sql_of(table, index.where, words), words)
    elif table.soft_deletes is not None and (index.unique or index.exclude):
        # What seems to be deleted takes no name away.
        where = f"{table.soft_deletes.column_name} IS NULL"
    vector = vector_index(table, index)
    if vector is not None:  # said as PostgreSQL says it, too
        column = next(each for each in table.columns if each.column_name == vector.column)
        name = written(sql_of(table, column, POSTGRESQL), POSTGRESQL)
        said = SQL(f"{name} {vector.operators}")
        return Named(str(index.name), (said,), index.unique, where, vector.using)
    # Words are said as PostgreSQL says them, whatever a database has of them.
    spoken = dialect if word_index(table, index) is None else POSTGRESQL
    on = tuple(_named_part(table, each, spoken) for each in index.on)
    exclusion(table, index, dialect)  # if there can be one
    return Named(str(index.name), on, index.unique, where, index.using, index.exclude)


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
        return SQL(written(sa.func.lower(column_of(column)), words_of(dialect)))
    if isinstance(column, Column):
        return column.column_name
    expr: Any = on if isinstance(on, Expr) or not callable(on) else on(table.model)
    words = words_of(dialect)
    # In parentheses, if it is no call of a function: so it stands in an index.
    text = written(sql_of(table, expr, words).self_group(), words)
    return SQL(text, type=None if LOWERED.fullmatch(text) else expr.kind.stored.name)


def add_index(made: sa.Table, table: Table, index: Index, dialect: Dialect) -> None:
    """Add an index to a table as SQLAlchemy has it; other things are in ``kept_apart``."""
    if _add_other(made, table, index, dialect):
        return
    parts = [_part(made, table, each, dialect) for each in index.on]
    for part in [each for each in parts if not isinstance(each, sa.Column)]:
        check_computed(table, written(part, dialect), f"the index {index.name}", dialect)
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
        check_computed(table, written(where, dialect), f"the index {index.name}", dialect)
        parts.append(_condition_column(made, str(index.name), where, dialect))
    using = index.using or _usual(table, index)
    if using is not None:
        options["postgresql_using"] = using
    sa.Index(index.name, *parts, unique=index.unique, _table=made, **options)


def _add_other(made: sa.Table, table: Table, index: Index, dialect: Dialect) -> bool:
    """Add what is no plain index, an exclusion or one of words or vectors, and return whether it is that."""
    excluded = exclusion(table, index, dialect)
    words = word_index(table, index) if dialect.name != "postgresql" else None
    vector = vector_index(table, index)
    if excluded is not None:
        made.info.setdefault(_APART, []).append(excluded)
    elif words is not None:
        _add_words(made, table, words, dialect)
    elif vector is not None:
        _add_vectors(made, table, index, vector, dialect)
    return any(each is not None for each in (excluded, words, vector))


def _usual(table: Table, index: Index) -> str | None:
    """Return how PostgreSQL makes an index of which nothing is said: of ranges, so that it is of use."""
    if len(index.on) != 1 or index.unique:
        return None
    on: Any = index.on[0]
    column = table.by_name.get(on) if isinstance(on, str) else on
    if column is not None and not isinstance(column, Expr | str):
        column = column(table.model)
    is_range = isinstance(column, Column) and column.kind.name in RANGES
    return GIST if is_range else None


def _add_vectors(
    made: sa.Table, table: Table, index: Index, vector: VectorIndex, dialect: Dialect
) -> None:
    if dialect.name != "postgresql":
        return  # each row is compared there
    options: dict[str, Any] = {
        "postgresql_using": vector.using,
        "postgresql_ops": {vector.column: vector.operators},
        "postgresql_where": None if index.where is None else sql_of(table, index.where, dialect),
    }
    sa.Index(index.name, made.c[vector.column], _table=made, **options)


_APART = "kept_apart"


def kept_apart(made: sa.Table) -> Sequence[WordTable | Exclusion]:
    """Return what a table has that SQLAlchemy knows nothing of: indexes of words in SQLite, and exclusions."""
    found: Sequence[WordTable | Exclusion] = made.info.get(_APART, ())
    return found


def _add_words(made: sa.Table, table: Table, words: WordIndex, dialect: Dialect) -> None:
    if dialect.name == "sqlite":
        computed = any(each.column_name in words.columns for each in table.computed)
        kept = WordTable(table.name, number_of(table), words, computed)
        made.info.setdefault(_APART, []).append(kept)
        return
    if dialect.name == "mysql":
        raise ModelError(
            f"{table!r}: the index {words.name} is of words, and search() does not know those of MySQL. "
            "Leave it out."
        )
    column: sa.Column[Any] = sa.Column(
        words.column,
        mysql.LONGTEXT(),
        sa.Computed(text_of(words.text, dialect), persisted=True),
        nullable=True,
    )
    made.append_column(column)
    options: dict[str, Any] = {f"{dialect.name}_prefix": "FULLTEXT"}
    sa.Index(words.name, column, _table=made, **options)


def _is_long(part: Any) -> bool:
    return isinstance(part, sa.Column) and isinstance(part.type, mysql.LONGTEXT | mysql.LONGBLOB)


def _computed(
    made: sa.Table, table: Table, index: Index, place: int, part: Any, dialect: Dialect
) -> sa.Column[Any]:
    """Add a column of an expression, where an index can be over columns only."""
    on = _named_part(table, index.on[place], dialect)
    lowered = LOWERED.fullmatch(on)
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
        return text_of(on, dialect, table)
    column = table.by_name.get(on) if isinstance(on, str) else on
    if isinstance(column, CaselessColumn):
        return sa.func.lower(made.c[column.column_name])
    if isinstance(column, Column):
        return made.c[column.column_name]
    return sql_of(table, on, dialect).self_group()  # as a migration says it


def check_computed(table: Table, sql: str, what: str, dialect: Dialect) -> None:
    """See to it that nothing is computed of a column that counts up, where that cannot be.

    Raises:
        ModelError: it would be; MariaDB's own error names neither the column nor the index.
    """
    if not dialect.is_mysql:
        return
    for each in table.columns:
        if each.is_generated and mentions(sql.replace("`", '"'), each.column_name):
            raise ModelError(
                f"{table!r}: {what} is computed of {each.column_name}, and {dialect.product} computes "
                "nothing of a column that it counts up itself. Leave that column out of the expression, "
                "or have the application make the key, such as col(pk=True, default_factory=uuid7)."
            )
