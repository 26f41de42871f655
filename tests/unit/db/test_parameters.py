"""Named parameters in SQL: where they are found, and where a colon means something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.db.errors import QueryError
from oxidite.db.raw.parameters import parse_sql
from oxidite.db.values.dialects import POSTGRESQL, SQLITE, Dialect

_ANOTHER: Any = "other"
OTHER: Dialect = replace(SQLITE, name=_ANOTHER, product="Other")


@pytest.mark.parametrize(
    ("sql", "out", "names"),
    [
        ("a = :x", "a = $1", ("x",)),
        ("a = :x AND b = :y OR c = :x", "a = $1 AND b = $2 OR c = $1", ("x", "y")),
        ("(:x,:y_1)", "($1,$2)", ("x", "y_1")),
        (":x::int + a::text", "$1::int + a::text", ("x",)),
        ("':x' || \":y\" || :z", "':x' || \":y\" || $1", ("z",)),
        ("'it''s :x' :y", "'it''s :x' $1", ("y",)),
        ("E'it\\'s :x' :y", "E'it\\'s :x' $1", ("y",)),
        ("-- it's :x\n:y", "-- it's :x\n$1", ("y",)),
        ("/* it's :x /* :y */ :z */ :a", "/* it's :x /* :y */ :z */ $1", ("a",)),
        ("$$ :x ' $$ :y", "$$ :x ' $$ $1", ("y",)),
        ("$tag$ :x $$ $tag$ :y", "$tag$ :x $$ $tag$ $1", ("y",)),
        ("a[1:2] :x", "a[1:2] $1", ("x",)),
        ("a[:x]", "a[$1]", ("x",)),
        ("b := 3, 100%", "b := 3, 100%", ()),
        ("x IN :ids", "x = ANY($1)", ("ids",)),
        ("x not  in\n:ids", "x <> ALL($1)", ("ids",)),
        ("x IN (:a, :b)", "x IN ($1, $2)", ("a", "b")),
        ("origin :x, begin:y", "origin $1, begin:y", ("x",)),
        ("\U0001f600 :x é:y", "\U0001f600 $1 é:y", ("x",)),
    ],
)
def test_postgresql(sql: str, out: str, names: tuple[str, ...]) -> None:
    found = parse_sql(sql, POSTGRESQL)
    assert (found.sql, found.names) == (out, names)


@pytest.mark.parametrize(
    ("sql", "out", "names"),
    [
        (":x, :y, :x", "?, ?, ?", ("x", "y", "x")),
        ("[a:b :c] `:d` :e", "[a:b :c] `:d` ?", ("e",)),
        ("/* /* */ :x", "/* /* */ ?", ("x",)),
        ("a IN :ids", "a IN (SELECT value FROM json_each(?))", ("ids",)),
        ("a NOT IN :ids", "a NOT IN (SELECT value FROM json_each(?))", ("ids",)),
    ],
)
def test_sqlite(sql: str, out: str, names: tuple[str, ...]) -> None:
    found = parse_sql(sql, SQLITE)
    assert (found.sql, found.names) == (out, names)


def test_others() -> None:
    found = parse_sql("a LIKE '50%' AND `b:c` = :x # it's :y\n AND d NOT IN :z", OTHER)
    assert found.sql == "a LIKE '50%' AND `b:c` = ? # it's :y\n AND d NOT IN ?"
    assert found.names == ("x", "z")


@pytest.mark.parametrize("sql", ["'open :x", '"open', "/* open", "/* /* */"])
def test_what_does_not_end_is_refused(sql: str) -> None:
    with pytest.raises(QueryError, match="does not end"):
        parse_sql(sql, POSTGRESQL)


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("SELECT 1", False),
        ("  -- update\n select 'delete'", False),
        ("WITH a AS (SELECT 1) SELECT * FROM a", False),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", True),
        ("SELECT * FROM t FOR UPDATE", True),
        ("SELECT nextval('s')", True),
        ("insert into t values (1)", True),
        ("VACUUM", True),
        ("", True),
    ],
)
def test_what_may_change_something_is_known(sql: str, writes: bool) -> None:
    assert parse_sql(sql, POSTGRESQL).writes is writes


@given(st.text(alphabet="ab:'\"$/*-\\ \n%[]`?E\0\U0001f600", max_size=60))
def test_anything_is_taken_or_refused_and_nothing_is_lost(text: str) -> None:
    for dialect in (POSTGRESQL, SQLITE):
        try:
            found = parse_sql(text, dialect)
        except QueryError:
            continue
        names = iter(found.names)
        for piece in found.sql.split("?") if dialect is SQLITE and "?" not in text else ():
            assert piece in text
        if not found.names:
            assert found.sql == text
        assert all(f":{name}" in text for name in names)
