"""Full-text search as SQL. An index is used where the same SQL is in it, so there is no parameter in that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Call
from oxidite.db.sql.types import Element, Form, Forms, number, word
from oxidite.db.sql.words import WordIndex, number_of, word_index
from oxidite.db.tables.columns import Column, TableKey
from oxidite.db.tables.table import Table, indexes_of
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.kinds import Kind

__all__ = ["SEARCHED", "SEARCHES", "SearchWriter", "searched"]


def _language(options: tuple[object, ...]) -> Element:
    return sa.literal_column(f"'{options[0]}'::regconfig")  # letters, as it has been checked


def _vector(options: tuple[object, ...], *texts: Element) -> Element:
    known: list[Element] = [sa.func.coalesce(each, word(""), type_=sa.Text) for each in texts]
    whole = reduce(lambda before, each: before.concat(word(" ")).concat(each), known)
    return sa.func.to_tsvector(_language(options), whole)


def _query(options: tuple[object, ...], words: Element) -> Element:
    return sa.func.websearch_to_tsquery(_language(options), words)


def _matches(options: tuple[object, ...], *parts: Element) -> Element:
    *texts, words = parts
    return _vector(options, *texts).op("@@", is_comparison=True)(_query(options, words))


def _rank(options: tuple[object, ...], *parts: Element) -> Element:
    *texts, words = parts
    rank = sa.func.ts_rank(_vector(options, *texts), _query(options, words))
    return sa.cast(rank, sa.Double)


def _refused(*_: Any) -> Element:
    raise QueryError(
        "An index of words is over columns alone, but for PostgreSQL: "
        "index(lambda post: search(post.title, post.body).vector)."
    )


def _only(form: Form) -> Forms:
    return {"postgresql": form, "sqlite": _refused, "mysql": _refused}


SEARCHES: Mapping[str, Forms] = {
    "search_vector": _only(_vector),
    "search_matches": _only(_matches),
    "search_rank": _only(_rank),
}
SEARCHED = frozenset(("search_matches", "search_rank"))
"""What ``searched`` writes, where words are looked for by an index alone."""


class SearchWriter(Protocol):
    """What writes a statement."""

    @property
    def dialect(self) -> Dialect:
        """The database it is for."""
        ...

    def named(self, key: TableKey) -> Any:
        """Return a table that the statement reads."""
        ...

    def bind(self, kind: Kind) -> Element:
        """Write a place for a value."""
        ...


def searched(writer: SearchWriter, call: Call[Any, Any]) -> Element:
    """Write a search of SQLite or MariaDB, which is one of an index.

    Raises:
        QueryError: there is no such index, or the database has none of that kind.
    """
    *texts, words = call.args
    table, index = _index(texts, str(call.options[0]), writer.dialect)
    source = writer.named(texts[0].table)  # type: ignore[attr-defined]  # a column, as was checked
    write = _WRITE[writer.dialect.name, call.name]
    return write(source, table, index, writer.bind(words.kind))


def _index(texts: list[Any], language: str, dialect: Dialect) -> tuple[Table, WordIndex]:
    name: str = dialect.name
    if name == "mysql":
        raise QueryError(
            "search() knows SQLite, PostgreSQL and MariaDB, and not MySQL. Look for text with "
            "Post.title.contains(...)."
        )
    columns = [each for each in texts if isinstance(each, Column)]
    table: Table | None = columns[0].table.table if columns else None
    is_one = len({each.table for each in columns}) == 1 and len(columns) == len(texts)
    if table is None or not is_one:
        raise QueryError(
            f"{dialect.product} looks for words in columns of one table, by an index of them: not in what "
            "is made of columns, in those of a sub-query or of several tables."
        )
    names = tuple(each.column_name for each in columns)
    for each in indexes_of(table):
        found = word_index(table, each)
        if found is not None and found.columns == names and _serves(found, language, name):
            return table, found
    said = ", ".join(f"row.{each.name}" for each in columns)
    spoken = "" if language == "simple" else f', language="{language}"'
    raise QueryError(
        f"{dialect.product} looks for words by an index alone, and {table!r} has none of these columns in "
        f"this order{' and language' if name == 'sqlite' else ''}. Give its model one: "
        f'indexes=[index(lambda row: search({said}{spoken}).vector, using="gin")].'
    )


def _serves(index: WordIndex, language: str, dialect: str) -> bool:
    """Whether an index has the words as a search in a language looks for them."""
    return dialect == "mariadb" or index.is_stemmed == (language == "english")


def _numbers(index: WordIndex, bound: Element, *more: Element) -> Any:
    """Write which rows of SQLite have the words, by number."""
    here: Any = sa.table(index.table, sa.column("rowid"))
    name: Element = sa.column(index.table)
    return sa.select(here.c.rowid.label("number"), *more).where(
        name.op("MATCH", is_comparison=True)(bound)
    )


def _own_number(source: Any, table: Table) -> Any:
    """Write the number of the row around."""
    found = number_of(table)
    if found is not None:
        return source.c[found]
    # By its key, as a part of the rows may be asked, which has no number.
    keys = [each.column_name for each in table.pk]
    here: Any = sa.table(table.name, sa.column("rowid"), *map(sa.column, keys)).alias()
    return (
        sa.select(here.c.rowid)
        .where(*[here.c[each] == source.c[each] for each in keys])
        .correlate(source)
        .scalar_subquery()
    )


def _sqlite_matches(source: Any, table: Table, index: WordIndex, bound: Element) -> Element:
    numbers = _numbers(index, bound)
    if number_of(table) is not None:
        found: Element = _own_number(source, table).in_(numbers)
        return found
    keys = [each.column_name for each in table.pk]
    here: Any = sa.table(table.name, sa.column("rowid"), *map(sa.column, keys)).alias()
    rows = sa.select(*[here.c[each] for each in keys]).where(here.c.rowid.in_(numbers))
    own = [source.c[each] for each in keys]
    made: Element = (own[0] if len(own) == 1 else sa.tuple_(*own)).in_(rows)
    return made


def _sqlite_rank(source: Any, table: Table, index: WordIndex, bound: Element) -> Element:
    name: Element = sa.column(index.table)
    rank = -sa.func.bm25(name, sa.literal_column("1.0"), sa.literal_column("0.0"))
    # With a LIMIT it is done once, and not for each row anew.
    ranks = _numbers(index, bound, rank.label("rank")).limit(number(-1)).subquery()
    own = _own_number(source, table)
    found = sa.select(ranks.c.rank).where(ranks.c.number == own).correlate(source).scalar_subquery()
    return sa.func.coalesce(found, sa.literal_column("0.0"))


def _mariadb(source: Any, _table: Table, index: WordIndex, bound: Element) -> Element:
    words: Any = sa.column(index.column, _selectable=source)
    made: Any = mysql.match(words, against=sa.func.lower(bound)).in_boolean_mode()
    found: Element = made
    return found


_WRITE: Mapping[tuple[str, str], Callable[[Any, Table, WordIndex, Element], Element]] = {
    ("sqlite", "search_matches"): _sqlite_matches,
    ("sqlite", "search_rank"): _sqlite_rank,
    ("mariadb", "search_matches"): _mariadb,
    ("mariadb", "search_rank"): _mariadb,
}
