"""Indexes of words, out of what each database has in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlalchemy as sa

from oxidite.db.inspection.found import FoundIndex
from oxidite.db.sql.compiler import DIALECTS
from oxidite.db.sql.words import WORDS, kept_by
from oxidite.db.tables.table import SQL
from oxidite.db.values.words import ANY, PREFIX

__all__ = ["computed_words", "said_words", "word_indexes"]


def word_indexes(connection: sa.Connection, table: str) -> Iterator[FoundIndex]:
    """Yield the indexes of words that a table of SQLite has, by the triggers that keep them."""
    rows = connection.exec_driver_sql(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    ).all()
    made = {str(name): str(sql) for name, _, sql in rows}
    for name, of, trigger in rows:
        index = kept_by(name)
        is_other = of != table or not name.startswith(WORDS)
        if index is None or is_other or not name.endswith("_added"):
            continue
        columns = [each.strip('"').replace('""', '"') for each in _NEW.findall(trigger)]
        language = "english" if "porter" in made.get(f"{WORDS}{index}", "") else "simple"
        yield FoundIndex(name=index, on=(_said(columns, language),), using="gin")


def computed_words(name: str, computed: str) -> FoundIndex | None:
    """Return the index of words that MariaDB has of a column it computes; ``None`` if it is another one."""
    found = _COMPUTED.search(computed) if f"{ANY} {PREFIX}" in computed else None
    if found is None:
        return None
    columns = [each.replace("``", "`") for each in _BACKTICKS.findall(found["texts"])]
    return FoundIndex(name=name, on=(_said(columns, "simple"),), using="gin")


def said_words(text: str) -> SQL | None:
    """Return what PostgreSQL has an index over as models say it, if it is of words of columns."""
    language = _LANGUAGE.match(text)
    columns = [each.strip('"').replace('""', '"') for each in _KNOWN.findall(text)]
    if language is None or not columns:
        return None
    said = _said(columns, language[1])
    return said if _bare(said) == _bare(text) else None


def _bare(sql: str) -> str:
    """Return SQL without what PostgreSQL adds to it: casts, and parentheses."""
    return re.sub(r"::[\w ]+|[\s()\"]", "", sql.lower())


def _said(columns: list[str], language: str) -> SQL:
    quote = DIALECTS["sqlite"].identifier_preparer.quote
    texts = " || ' ' || ".join([f"coalesce({quote(each)}, '')" for each in columns])
    return SQL(f"to_tsvector('{language}'::regconfig, {texts})")


_LANGUAGE = re.compile(r"to_tsvector\('(\w+)'::regconfig, ")
_KNOWN = re.compile(r"""coalesce\(("(?:[^"]|"")+"|\w+), ''""", re.IGNORECASE)
_NEW = re.compile(r"""coalesce\(new\.("(?:[^"]|"")+"|\w+), ''\)""")
_COMPUTED = re.compile(r"concat_ws\(' ',\s*(?P<texts>(?:`(?:[^`]|``)+`[,\s]*)+)\)", re.IGNORECASE)
_BACKTICKS = re.compile(r"`((?:[^`]|``)+)`")
