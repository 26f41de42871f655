"""Full-text search as SQL. An index is used where the same SQL is in it, so there is no parameter in that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import sqlalchemy as sa

from oxidite.db.errors import QueryError
from oxidite.db.sql.types import Element, Form, Forms, word

__all__ = ["SEARCHES"]


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
        "search() is PostgreSQL's full-text search, and this database has none of that kind. Look for text "
        "with Post.title.contains(...), or use PostgreSQL."
    )


def _only(form: Form) -> Forms:
    return {"postgresql": form, "sqlite": _refused, "mysql": _refused}


SEARCHES: Mapping[str, Forms] = {
    "search_vector": _only(_vector),
    "search_matches": _only(_matches),
    "search_rank": _only(_rank),
}
