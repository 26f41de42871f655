"""Reads the tables of a database through SQLAlchemy, and what that does not tell of SQLite and MariaDB."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from oxidite.db.database import Database
from oxidite.db.errors import DatabaseError
from oxidite.db.inspection.exclusions import exclusions
from oxidite.db.inspection.found import (
    FoundCheck,
    FoundColumn,
    FoundIndex,
    FoundKey,
    FoundTable,
)
from oxidite.db.inspection.texts import bare, plain
from oxidite.db.inspection.words import computed_words, said_words, word_indexes
from oxidite.db.migrations.compare import opened
from oxidite.db.sql.column_types import KEY_LENGTH
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.vectors import metric_of
from oxidite.db.tables.table import SQL
from oxidite.db.values.dialects import ONLY

__all__ = ["read_tables"]


async def read_tables(database: Database, names: Sequence[str] = ()) -> list[FoundTable]:
    """Read the tables of an open database, or those of these names; not those of the package itself.

    Raises:
        DatabaseError: there is no such table.
    """
    async with (
        database.driver.connection(write=True) as connection,
        opened(connection, database.dialect) as found,
    ):
        return await found.run_sync(_read, tuple(names))


def _read(connection: sa.Connection, names: Sequence[str]) -> list[FoundTable]:
    inspector = sa.inspect(connection)
    there = [
        each for each in inspector.get_table_names() if not each.startswith(("oxidite_", "ox_"))
    ]
    missing = [each for each in names if each not in there]
    if missing:
        raise DatabaseError(
            f"There is no table {missing[0]!r} in this database. There is: {', '.join(there) or 'none'}."
        )
    with warnings.catch_warnings():
        # Of types that SQLAlchemy does not know, and of indexes over expressions in SQLite: both are
        # told in the models.
        warnings.simplefilter("ignore")
        return [_table(connection, inspector, each) for each in sorted(names or there)]


def _table(connection: sa.Connection, inspector: sa.Inspector, name: str) -> FoundTable:
    dialect = connection.dialect.name
    columns = list(inspector.get_columns(name))
    hidden = {each["name"]: each for each in columns if each["name"].startswith(ONLY)}
    pk = tuple(inspector.get_pk_constraint(name)["constrained_columns"])
    keys = tuple(map(_key, inspector.get_foreign_keys(name)))
    checks = [FoundCheck(e["name"], e["sqltext"]) for e in inspector.get_check_constraints(name)]
    if getattr(connection.dialect, "is_mariadb", False):
        checks += _json_checks(connection, name)
    if dialect == "sqlite":
        keys = _with_actions(connection, name, keys)
        rows = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
            (name,),
        )
        indexes = [_written_index(sql) for (sql,) in rows]
        indexes += [_unique(each) for each in inspector.get_unique_constraints(name)]
        indexes += [*word_indexes(connection, name), *exclusions(connection, name)]
    else:
        own = {each.name for each in keys}  # MariaDB makes one for each foreign key
        found = [each for each in inspector.get_indexes(name) if each["name"] not in own]
        apart = [*exclusions(connection, name)] if dialect == "postgresql" else []
        names = {each.name for each in apart}  # each has an index of that name
        indexes = [*apart, *(_index(each, hidden) for each in found if each["name"] not in names)]
    return FoundTable(
        name=name,
        columns=tuple(_column(each, pk, dialect) for each in columns if each["name"] not in hidden),
        pk=pk,
        indexes=tuple(sorted(indexes, key=lambda each: each.name)),
        checks=tuple(checks),
        keys=keys,
    )


def _column(found: Mapping[str, Any], pk: Sequence[str], dialect: str) -> FoundColumn:
    type_ = found["type"]
    is_key = list(pk) == [found["name"]]
    default = found.get("default")
    computed = found.get("computed")
    if dialect == "sqlite":
        # A key that is an INTEGER is the number of the row.
        counts = is_key and isinstance(type_, sa.Integer)
    else:
        counts = found["name"] in pk and (found.get("autoincrement") is True or "identity" in found)
    return FoundColumn(
        name=found["name"],
        type=type_,
        nullable=bool(found["nullable"]),
        default=None if counts or default is None or default == "NULL" else str(default),
        computed=None if computed is None else str(computed["sqltext"]),
        counts=counts,
        comment=found.get("comment"),
    )


def _key(found: Mapping[str, Any]) -> FoundKey:
    options = {name: value for name, value in found["options"].items() if value}
    rest = set(options) - {"ondelete", "onupdate"}
    schema = found.get("referred_schema")
    return FoundKey(
        name=found["name"],
        columns=tuple(found["constrained_columns"]),
        table=f"{schema}.{found['referred_table']}" if schema else found["referred_table"],
        targets=tuple(found["referred_columns"]),
        on_delete=str(options.get("ondelete", "")).lower(),
        on_update=str(options.get("onupdate", "")).lower(),
        lost=", ".join(sorted(rest)) or None,
    )


def _with_actions(
    connection: sa.Connection, table: str, keys: Sequence[FoundKey]
) -> tuple[FoundKey, ...]:
    """Return foreign keys with what SQLite does about them, which SQLAlchemy does not find of all."""
    rows = connection.exec_driver_sql(
        'SELECT "from", on_update, on_delete FROM pragma_foreign_key_list(?)', (table,)
    ).all()
    actions = {row[0]: (row[1].lower(), row[2].lower()) for row in rows}
    return tuple(
        replace(each, on_update=actions[each.columns[0]][0], on_delete=actions[each.columns[0]][1])
        for each in keys
    )


def _json_checks(connection: sa.Connection, table: str) -> list[FoundCheck]:
    """Return the checks that MariaDB makes for columns of JSON, which are text to everybody else."""
    rows = connection.exec_driver_sql(
        "SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = "
        "DATABASE() AND table_name = %s AND level = 'Column'",
        (table,),
    )
    return [FoundCheck(None, clause) for (clause,) in rows]


# Indexes.


def _unique(found: Mapping[str, Any]) -> FoundIndex:
    name = found["name"] or f"uq_{'_'.join(found['column_names'])}"
    return FoundIndex(
        name=name,
        on=tuple(found["column_names"]),
        unique=True,
        lost="a constraint in the database, which a model makes an index",
    )


def _index(found: Mapping[str, Any], hidden: Mapping[str, Any]) -> FoundIndex:
    options = {
        name.partition("_")[2]: value
        for name, value in found.get("dialect_options", {}).items()
        if value
    }
    names = found["column_names"]
    only = hidden.get(names[0]) if len(names) == 1 else None
    words = None if only is None else computed_words(found["name"], _sql_of(only))
    if words is not None:
        return words
    texts = found.get("expressions") or names
    where = options.pop("where", None)
    on: list[str | SQL] = []
    for column, text in zip(names, texts, strict=True):
        if column in hidden and str(column) == f"{ONLY}{found['name']}"[:64]:
            where = _condition(hidden[column])
        elif column in hidden:
            on.append(_expression(hidden[column]))
        else:
            on.append((said_words(text) or SQL(text)) if column is None else column)
    vector = _vector(names, options)
    on = on if vector is None else [vector]
    lengths = options.get("length")
    if isinstance(lengths, dict) and set(lengths.values()) == {KEY_LENGTH}:
        del options["length"]  # as a model has it
    lost = [f"{name} {value}" for name, value in sorted(options.items()) if name != "using"]
    lost += [
        f"{column} {' '.join(map(str, way))}"
        for column, way in found.get("column_sorting", {}).items()
    ]
    if found.get("duplicates_constraint"):
        lost.append("a constraint in the database, which a model makes an index")
    return FoundIndex(
        name=found["name"],
        on=tuple(on),
        unique=bool(found["unique"]),
        where=None if where is None else bare(where),
        using=options.get("using"),
        lost=", ".join(lost) or None,
    )


def _vector(names: Sequence[str | None], options: dict[str, Any]) -> SQL | None:
    """Return what an index of vectors is on, as a migration says it; its metric is then no option."""
    operators = options.get("ops") or {}
    if len(names) != 1 or metric_of(operators.get(names[0], "")) is None:
        return None
    del options["ops"]
    quote = DIALECTS["postgresql"].identifier_preparer.quote
    return SQL(f"{quote(str(names[0]))} {operators[names[0]]}")


def _sql_of(column: Mapping[str, Any]) -> str:
    return str(column["computed"]["sqltext"])


_CONDITION = re.compile(r"case when (?P<condition>.*) then 1 end", re.IGNORECASE | re.DOTALL)
_LEFT = re.compile(r"left\((?P<inside>.*),\s*\d+\)", re.IGNORECASE | re.DOTALL)


def _condition(column: Mapping[str, Any]) -> str:
    """Return the condition of an index of MariaDB, out of the column that stands for it."""
    text = plain(_sql_of(column))
    found = _CONDITION.fullmatch(text)
    return bare(found["condition"]) if found else text


def _expression(column: Mapping[str, Any]) -> SQL:
    """Return an expression that an index of MariaDB is over, out of the column that stands for it."""
    text = plain(_sql_of(column))
    found = _LEFT.fullmatch(text)
    text = bare(found["inside"]) if found else text
    is_call = re.fullmatch(r"\w+\([^()]*\)", text) is not None
    return SQL(text if is_call else f"({text})", type=_type(column["type"]))


def _type(type_: object) -> str:
    match type_:
        case sa.Boolean():
            return "boolean"
        case sa.Integer():
            return "integer"
        case sa.Float():
            return "float"
        case sa.DateTime():
            return "datetime"
        case sa.Date():
            return "date"
        case _:
            return "text"


_INDEX = re.compile(
    r"CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+(?P<name>\"(?:[^\"]|\"\")*\"|\[[^]]*\]|`[^`]*`|\S+)"
    r"\s+ON\s+(?:\"(?:[^\"]|\"\")*\"|\[[^]]*\]|`[^`]*`|[^\s(]+)\s*\((?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WHERE = re.compile(r"\s*WHERE\s+(?P<where>.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"\"(?:[^\"]|\"\")*\"|\[[^]]*\]|`[^`]*`|\w+")


def _written_index(sql: str) -> FoundIndex:
    """Return an index out of what SQLite was told."""
    found = _INDEX.fullmatch(sql)
    assert found is not None, sql  # noqa: S101 - SQLite has taken it
    *parts, rest = _parts(found["rest"])
    where = _WHERE.fullmatch(rest)
    on = [_unquoted(each) if _NAME.fullmatch(each) else SQL(each) for each in parts]
    ordered = [
        each
        for each in parts
        if re.fullmatch(r".*\s(DESC|COLLATE\s+\S+)", each, re.IGNORECASE | re.DOTALL)
    ]
    return FoundIndex(
        name=_unquoted(found["name"]),
        on=tuple(on),
        unique=found["unique"] is not None,
        where=where["where"].strip() if where else None,
        lost=f"in another order: {', '.join(ordered)}" if ordered else None,
    )


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between commas up to the parenthesis that ends, and then what is behind it."""
    depth, start, quote = 0, 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"`":
            quote = sign
        elif sign == "(":
            depth += 1
        elif sign == ")" and depth:
            depth -= 1
        elif not depth and sign in ",)":
            yield text[start:place].strip()
            start = place + 1
            if sign == ")":
                yield text[start:]
                return


def _unquoted(name: str) -> str:
    if name[:1] in ('"', "`"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name.startswith("[") else name
