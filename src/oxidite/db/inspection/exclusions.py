"""Exclusion constraints, out of PostgreSQL's catalogue and of the triggers that keep them in SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from oxidite.db.inspection.found import FoundIndex
from oxidite.db.values.exclusions import EXCLUDED

__all__ = ["exclusions"]

_OF_POSTGRESQL = sa.text(
    "SELECT x.conname, pg_get_constraintdef(x.oid) FROM pg_constraint AS x "
    "JOIN pg_class AS c ON c.oid = x.conrelid WHERE x.contype = 'x' AND c.relname = :name "
    "AND c.relnamespace = current_schema()::regnamespace ORDER BY x.conname"
)
_OF_SQLITE = sa.text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name ORDER BY name"
)
_NAME = r'(?:\w+|"(?:[^"]|"")+")'
_SAID = re.compile(r"EXCLUDE USING gist \((?P<on>.*?)\)(?: WHERE \((?P<where>.*)\))?", re.DOTALL)
_ELEMENT = re.compile(rf"(?P<column>{_NAME}) WITH (?P<operator>\S+?)(?:, |$)")
_COMPARED = re.compile(rf"theirs\.(?P<column>{_NAME}) (?P<operator>=|<) (?:mine\.|substr\(mine\.)")
_WHERE = re.compile(r"WHERE 1(?: AND \((?P<where>.*?)\))?\) AS theirs", re.DOTALL)


def exclusions(connection: sa.Connection, table: str) -> Iterator[FoundIndex]:
    """Yield the exclusion constraints of a table that compare with ``=`` and ``&&`` alone."""
    if connection.dialect.name == "postgresql":
        for name, sql in connection.execute(_OF_POSTGRESQL, {"name": table}):
            found = _SAID.fullmatch(sql)
            if found is not None:
                pairs = [(each[1], each[2]) for each in _ELEMENT.finditer(found["on"])]
                yield from _found(name, pairs, found["where"])
        return
    for name, sql in connection.execute(_OF_SQLITE, {"name": table}):
        where = _WHERE.search(sql)
        if name.startswith(EXCLUDED) and name.endswith("_added") and where is not None:
            operators = {"=": "=", "<": "&&"}
            pairs = [(each[1], operators[each[2]]) for each in _COMPARED.finditer(sql)]
            own = name.removeprefix(EXCLUDED).removesuffix("_added")
            yield from _found(own, pairs, where["where"])


def _found(name: str, pairs: Sequence[tuple[str, str]], where: str | None) -> Iterator[FoundIndex]:
    operators = tuple(operator for _, operator in pairs)
    if not pairs or not set(operators) <= {"=", "&&"}:
        return
    columns = tuple(column.strip('"').replace('""', '"') for column, _ in pairs)
    yield FoundIndex(name=name, on=columns, where=where, exclude=operators)
