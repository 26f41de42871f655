"""Tables as SQLAlchemy describes them: what creates them, and what migrations compare.

It imports SQLAlchemy, so it is imported where a schema is made and nowhere else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from oxidite.db.columns import Column
from oxidite.db.compiler import DIALECTS
from oxidite.db.dialects import ONLY, Dialect, DialectName
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
            *(_column(each, dialect, is_key=each.name in _keys(table)) for each in table.columns),
            *_checks(table, dialect),
            **_options(dialect),
        )
        for index in _indexes(table):
            _add_index(made, table, index, dialect)
    return found


def create_statements(tables: Iterable[Table], dialect: Dialect) -> list[str]:
    """Return the SQL that creates tables, where they are not there, each after those it refers to."""
    theirs = DIALECTS[dialect.name]
    sql: list[str] = []
    for table in metadata(tables, dialect).sorted_tables:
        indexes = sorted(table.indexes, key=lambda each: str(each.name))
        create = str(CreateTable(table, if_not_exists=True).compile(dialect=theirs))
        if dialect.guarded_indexes:
            sql.append(create)
            sql += [
                str(CreateIndex(each, if_not_exists=True).compile(dialect=theirs))
                for each in indexes
            ]
        else:
            sql.append(_with_indexes(create, table, indexes, theirs))
    return sql


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
    """Return the names of the columns that must fit whole into an index."""
    unique = {
        each.name if isinstance(each, Column) else str(each)
        for index in table.indexes
        if index.unique
        for each in index.on
    }
    return unique | {
        column.name
        for column in table.columns
        if column.rules.get("pk") or column.rules.get("unique") or "references" in column.rules
    }


def _column(column: AnyColumn, dialect: Dialect, *, is_key: bool) -> sa.Column[Any]:
    rules = column.rules
    type_ = _mysql_type(column, is_key=is_key) if dialect.is_mysql else _type(column, dialect.name)
    made: list[Any] = [column.column_name, type_]
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


_KEY_LENGTH = 255
"""Characters of text, or bytes, that a key has where nothing else is said: an index has 3,072 bytes."""
_VARCHAR = 16_383
"""Characters that one in a row may have; what is longer is kept beside it."""


def _mysql_type(column: AnyColumn, *, is_key: bool) -> sa.types.TypeEngine[Any]:
    size = column.rules.get("max_length") or (_KEY_LENGTH if is_key else None)
    match column.kind.name:
        case "text":
            return mysql.LONGTEXT() if size is None or size > _VARCHAR else sa.String(size)
        case "bytes":
            return mysql.LONGBLOB() if size is None or size > _VARCHAR else sa.VARBINARY(size)
        case "decimal":
            precision, scale = column.rules.get("precision"), column.rules.get("scale")
            if precision is None and scale is None:
                precision, scale = 65, 30  # the most there is
            return mysql.DECIMAL(precision or 65, scale or 0)
        case "enum":
            return sa.String(max(map(len, enum_values(column.kind))))
        case name:
            return _MYSQL_TYPES[name]()


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

_MYSQL_TYPES: dict[str, Make] = {
    "integer": sa.BigInteger,
    "boolean": sa.Boolean,
    "float": sa.Double,
    # Not MariaDB's own type, which has another order.
    "uuid": lambda: mysql.BINARY(16),
    "datetime": lambda: mysql.DATETIME(fsp=6),
    "date": sa.Date,
    "time": lambda: mysql.TIME(fsp=6),
    "interval": sa.BigInteger,
    "json": mysql.JSON,
    "array": mysql.JSON,
}

_TYPES: dict[tuple[str, DialectName], Make] = {
    **{("text", each): sa.Text for each in ("sqlite", "postgresql")},
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


def _checks(table: Table, dialect: Dialect) -> list[sa.CheckConstraint]:
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
                sa.CheckConstraint(
                    write(_measured(here, rule, dialect), rules[rule]),
                    name=f"{column.column_name}_{rule}",
                )
                for rule, write in _RULES.items()
                if rule in rules
            ]
    return checks


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "ge": lambda column, bound: column >= sa.literal(bound),
    "gt": lambda column, bound: column > sa.literal(bound),
    "le": lambda column, bound: column <= sa.literal(bound),
    "lt": lambda column, bound: column < sa.literal(bound),
    "min_length": lambda length, bound: length >= sa.literal(bound),
    "max_length": lambda length, bound: length <= sa.literal(bound),
}


def _measured(column: Any, rule: str, dialect: Dialect) -> Any:
    if not rule.endswith("_length"):
        return column
    return sa.func.char_length(column) if dialect.is_mysql else sa.func.length(column)


def _indexes(table: Table) -> Sequence[Index]:
    own = [
        Index((column.name,), unique=bool(column.rules.get("unique")))
        for column in table.columns
        if column.rules.get("unique") or column.rules.get("index")
    ]
    return [*own, *table.indexes]


def _add_index(made: sa.Table, table: Table, index: Index, dialect: Dialect) -> None:
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
    name = index.name or f"{'uq' if index.unique else 'ix'}_{table.name}_{'_'.join(names)}"
    options: dict[str, Any] = {}
    if dialect.is_mysql:
        lengths = {each.name: _KEY_LENGTH for each in columns if _is_long(each)}
        options = {f"{dialect.name}_length": lengths} if lengths else {}
    if where is not None and dialect.partial_indexes:
        options = {"sqlite_where": where, "postgresql_where": where}
    elif where is not None and index.unique:
        columns.append(_condition_column(made, name, where, dialect))
    sa.Index(name, *columns, unique=index.unique, **options)


def _is_long(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, mysql.LONGTEXT | mysql.LONGBLOB)


def _condition_column(made: sa.Table, name: str, where: Any, dialect: Dialect) -> sa.Column[Any]:
    """Add a column that is 1 where a condition holds and NULL elsewhere, where nothing is unique."""
    condition = where.compile(
        dialect=DIALECTS[dialect.name],
        compile_kwargs={"literal_binds": True, "include_table": False},
    )
    column: sa.Column[Any] = sa.Column(
        f"{ONLY}{name}"[:64],
        sa.Boolean(),
        sa.Computed(f"CASE WHEN {condition} THEN 1 END", persisted=False),
        nullable=True,
    )
    made.append_column(column)
    return column
