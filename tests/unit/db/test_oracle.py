"""Queries made at random, ours and the same in SQLAlchemy: they find the same rows.

The other side is written apart from ours: literal values instead of bound ones, and where SQLAlchemy has
nothing (parts of JSON documents), the answer is worked out in Python.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql, sqlite

from oxidite.db import (
    Col,
    Condition,
    Database,
    Model,
    Order,
    Select,
    alias,
    col,
    every,
    exists,
    fn,
    some,
)
from oxidite.db.sql.compiler import compile_statement
from oxidite.db.writes.saving import insert_many


class Owner(Model, table="oracle_owners"):
    id: Col[int] = col(pk=True)
    name: Col[str]
    age: Col[int | None] = col(default=None)


class Item(Model, table="oracle_items"):
    id: Col[int] = col(pk=True)
    n: Col[int | None] = col(default=None)
    m: Col[int] = col(default=0)
    r: Col[float | None] = col(default=None)
    s: Col[str | None] = col(default=None)
    u: Col[UUID] = col(default=UUID(int=0))
    day: Col[date] = col(default=date(2024, 1, 1))
    js: Col[dict[str, Any] | None] = col(json=True, default=None)
    owner_id: Col[int | None] = col(default=None)


Other = alias(Item, "other")

TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "a%",
    "%",
    "_",
    "a_b",
    "\\",
    "a\\b",
    "'",
    '"',
    "é",
    "😀",
    "a😀b",
    "B ",
    "$1 ?",
]
UUIDS = [UUID(int=number) for number in (0, 1, 2**64, 2**128 - 1)]
DAYS = [date(1, 1, 2), date(2024, 2, 29), date(2024, 3, 1), date(9999, 12, 30)]
JSONS: list[dict[str, Any] | None] = [
    None,
    {},
    {"a": 1},
    {"a": "1", "b": {"c": [1, "x", {"d": None}]}},
    {"a": True, "b": {"c": []}},
    {"a": None, "b": {"c": ["y"]}},
    {"a": 1.5, "é 😀": "a%"},
    {"a": "😀'", "b": {"c": [True]}},
]
OWNERS = [
    Owner(id=number, name=TEXTS[number % len(TEXTS)], age=None if number == 2 else number * 10)
    for number in range(1, 6)
]
ITEMS = [
    Item(
        id=number,
        n=None if number % 7 == 3 else (number * 5) % 11 - 5,
        m=number % 4,
        r=None if number % 5 == 1 else ((number * 3) % 8) / 4,
        s=None if number % 6 == 2 else TEXTS[(number * 7) % len(TEXTS)],
        u=UUIDS[number % len(UUIDS)],
        day=DAYS[(number * 3) % len(DAYS)],
        js=JSONS[number % len(JSONS)],
        owner_id=None if number % 9 == 4 else number % 6 + 1,
    )
    for number in range(1, 41)
]

owners = sa.table("oracle_owners", sa.column("id"), sa.column("name"), sa.column("age"))
items = sa.table("oracle_items", *(sa.column(each.name) for each in Item.__table__.columns))
other = items.alias("theirs")


# Conditions, as data.

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(-6, 6),
    "m": st.integers(-1, 4),
    "r": st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.75, 9.0]),
    "s": st.sampled_from(TEXTS) | st.text("aAb%_\\'😀", max_size=3),
    "u": st.sampled_from(UUIDS),
    "day": st.sampled_from(DAYS),
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
ARITHMETIC: dict[str, Callable[[Any], Any]] = {
    "times": lambda a: a * 3 - 1,
    "minus": lambda a: -(a - 2),
    "twice": lambda a: a + a,
}
PATHS: list[tuple[str | int, ...]] = [
    ("a",),
    ("b", "c"),
    ("b", "c", 0),
    ("b", "c", 1),
    ("b", "c", 2, "d"),
    ("é 😀",),
    ("nothing", "there"),
]


def with_value(*names: str) -> st.SearchStrategy[Any]:
    return st.one_of(*(st.tuples(st.just(name), VALUES[name]) for name in names))


def leaves() -> st.SearchStrategy[Any]:
    every_column = with_value(*VALUES)
    scalars = st.sampled_from([1, 1.5, "1", "x", "😀'", True, False])
    return st.one_of(
        st.tuples(st.just("compare"), st.sampled_from(list(COMPARISONS)), every_column),
        st.tuples(st.just("null"), st.sampled_from(["n", "r", "s", "js", "m"]), st.booleans()),
        st.sampled_from(list(VALUES)).flatmap(
            lambda name: st.tuples(
                st.just("in"), st.just(name), st.lists(VALUES[name], max_size=4), st.booleans()
            )
        ),
        st.tuples(
            st.just("text"),
            st.sampled_from(["like", "ilike", "contains", "startswith", "endswith"]),
            st.text("aAb%_\\'😀", max_size=4),
        ),
        st.tuples(st.just("number"), st.sampled_from(list(ARITHMETIC)), with_value("n", "m")),
        st.tuples(st.just("json"), st.sampled_from(PATHS), st.booleans(), scalars),
        st.tuples(st.just("json null"), st.sampled_from(PATHS)),
    )


def conditions() -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves(),
        lambda inner: st.one_of(
            st.tuples(st.just("and"), st.lists(inner, max_size=3)),
            st.tuples(st.just("or"), st.lists(inner, max_size=3)),
            st.tuples(st.just("not"), inner),
            st.tuples(st.just("sibling"), leaves()),
            st.tuples(st.just("in query"), leaves(), st.booleans()),
        ),
        max_leaves=5,
    )


def ours(spec: Any, model: Any = Item) -> Any:
    match spec:
        case "compare", sign, (name, value):
            made: Condition = COMPARISONS[sign](getattr(model, name), value)
            return made
        case "null", name, yes:
            column = getattr(model, name)
            return column.is_null() if yes else column.not_null()
        case "in", name, values, yes:
            column = getattr(model, name)
            return column.in_(values) if yes else column.not_in(values)
        case "text", method, text:
            if method in ("like", "ilike"):
                text = _pattern(text)
            return getattr(model.s, method)(text)
        case "number", change, (name, value):
            return ARITHMETIC[change](getattr(model, name)) >= value
        case "json", path, yes, value:
            return (_part(model, path) == value) if yes else (_part(model, path) != value)
        case "json null", path:
            return _part(model, path) == None  # noqa: E711
        case _:
            return ours_composed(spec, model)


def ours_composed(spec: Any, model: Any) -> Any:
    match spec:
        case "and", parts:
            return every(ours(each, model) for each in parts)
        case "or", parts:
            return some(ours(each, model) for each in parts)
        case "not", inner:
            return ~ours(inner, model)
        case "sibling", inner:
            return exists(Other.where(Other.owner_id == model.owner_id, ours(inner, Other)))
        case "in query", inner, yes:
            query = Other.where(Other.n.not_null(), ours(inner, Other)).select(Other.n)
            return model.n.in_(query) if yes else model.n.not_in(query)
    raise AssertionError(spec)


def _pattern(text: str) -> str:
    """Return a pattern in which nothing is escaped but what may be."""
    return text.replace("\\", "\\\\")


def _part(model: Any, path: tuple[str | int, ...]) -> Any:
    found = model.js
    for each in path:
        found = found[each]
    return found


class Theirs:
    """The same conditions in SQLAlchemy, for one kind of database."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect

    def value(self, value: object) -> Any:
        match value:
            case UUID() if self.dialect == "postgresql":
                return sa.literal_column(f"'{value}'::uuid")
            case UUID():
                return sa.literal_column(f"x'{value.hex}'")
            case date() if self.dialect == "postgresql":
                return sa.literal_column(f"'{value.isoformat()}'::date")
            case date():
                return sa.literal_column(f"'{value.isoformat()}'")
            case str():
                return sa.literal(value, sa.Text)
            case int():
                return sa.literal(value, sa.Integer)
            case _:
                return sa.literal(value, sa.Float)

    def condition(self, spec: Any, table: Any = items) -> Any:
        match spec:
            case "compare", sign, (name, value):
                return COMPARISONS[sign](table.c[name], self.value(value))
            case "null", name, yes:
                return table.c[name].is_(None) if yes else table.c[name].is_not(None)
            case "in", name, values, yes:
                if not values:  # nothing is in it, not even what is unknown
                    return sa.false() if yes else sa.true()
                found = table.c[name].in_([self.value(each) for each in values])
                return found if yes else sa.not_(found)
            case "text", method, text:
                return self.text(table.c.s, method, text)
            case "number", change, (name, value):
                number = sa.type_coerce(table.c[name], sa.Integer)
                return ARITHMETIC[change](number) >= self.value(value)
            case ("json", *_) | ("json null", *_):
                return self.known(spec, table)
            case _:
                return self.composed(spec, table)

    def composed(self, spec: Any, table: Any) -> Any:
        match spec:
            case "and", parts:
                return sa.and_(sa.true(), *(self.condition(each, table) for each in parts))
            case "or", parts:
                return sa.or_(sa.false(), *(self.condition(each, table) for each in parts))
            case "not", inner:
                return sa.not_(self.condition(inner, table).self_group())
            case "sibling", inner:
                near = sa.select(other.c.id).where(
                    other.c.owner_id == table.c.owner_id, self.condition(inner, other)
                )
                return near.correlate(table).exists()
            case "in query", inner, yes:
                numbers = sa.select(other.c.n).where(
                    other.c.n.is_not(None), self.condition(inner, other)
                )
                found = table.c.n.in_(numbers)
                return found if yes else sa.not_(found)
        raise AssertionError(spec)

    def text(self, column: Any, method: str, text: str) -> Any:
        match method:
            case "like":
                return column.like(self.value(_pattern(text)), escape="\\")
            case "ilike":
                return sa.func.lower(column).like(self.value(_pattern(text).lower()), escape="\\")
            case "contains":
                return (
                    sa.func.replace(column, self.value(text), self.value("")) != column
                    if text
                    else column == column
                )
            case "startswith":
                return sa.func.substr(column, 1, len(text)) == self.value(text)
            case _:
                start = sa.func.char_length if self.dialect != "sqlite" else sa.func.length
                return sa.and_(
                    start(column) >= len(text),
                    sa.func.substr(column, start(column) - len(text) + 1) == self.value(text),
                )

    def known(self, spec: Any, table: Any) -> Any:
        """Work out in Python of which rows it is true or false; of the others it is unknown."""
        answers: dict[bool | None, list[int]] = {True: [], False: [], None: []}
        for item in ITEMS:
            answers[_json_answer(spec, item.js)].append(item.id)
        yes, no = (table.c.id.in_(answers[each]) for each in (True, False))
        return sa.case((yes, sa.true()), (no, sa.false()), else_=sa.null()) == sa.true()


def _json_answer(spec: Any, document: Any) -> bool | None:
    found, there = document, document is not None
    for part in spec[1]:
        try:
            if isinstance(part, str) != isinstance(found, dict):
                raise KeyError
            found = found[part]
        except (KeyError, IndexError, TypeError):
            found, there = None, False
            break
    if spec[0] == "json null":
        return found is None
    if not there:
        return None
    _, _, yes, value = spec
    same = json.dumps(found) == json.dumps(value) or (
        type(found) in (int, float) and type(value) in (int, float) and found == value
    )
    return same is yes


DIALECTS: dict[str, Any] = {
    "sqlite": sqlite.dialect,
    "postgresql": postgresql.dialect,
    "mariadb": mysql.dialect,
}


async def answers(db: Database, statement: Any) -> list[tuple[Any, ...]]:
    """Run their statement, written with its values, without any of our parts but the connection."""
    dialect = DIALECTS[db.dialect.name](paramstyle="named")
    dialect._backslash_escapes = False
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with db.driver.connection(write=False) as connection:
        return [tuple(row) for row in await connection.fetch(sql, ())]


@pytest.fixture
async def full(db: Database) -> Database:
    await db.push(Owner, Item)
    for many in (OWNERS, ITEMS):
        await insert_many([type(one)(**_values(one)) for one in many])
    return db


def _values(one: Any) -> dict[str, Any]:
    return {column.name: getattr(one, column.name) for column in type(one).__table__.columns}


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def orders() -> st.SearchStrategy[Any]:
    one = st.tuples(st.sampled_from(["n", "m", "r", "s", "day"]), st.booleans(), st.booleans())
    return st.lists(one, max_size=3)


def our_orders(spec: Any) -> list[Order]:
    made = [
        getattr(Item, name).desc(nulls_first=first)
        if descending
        else getattr(Item, name).asc(nulls_first=first)
        for name, descending, first in spec
    ]
    return [*made, Item.id.asc()]


def their_orders(spec: Any) -> list[Any]:
    made: list[Any] = []
    for name, descending, first in spec:
        column = items.c[name]
        made += [
            sa.case((column.is_(None), 0 if first else 2), else_=1),
            column.desc() if descending else column.asc(),
        ]
    return [*made, items.c.id]


limits = st.tuples(st.none() | st.integers(0, 30), st.none() | st.integers(0, 10))


async def check_rows(db: Database, where: Any, order: Any, cut: Any) -> None:
    limit, offset = cut
    query = Item.where(ours(where)).order_by(*our_orders(order))
    theirs = sa.select(items.c.id).where(Theirs(db.dialect.name).condition(where))
    theirs = theirs.order_by(*their_orders(order))
    if limit is not None:
        query, theirs = (
            query.limit(limit).offset(offset or 0),
            theirs.limit(limit).offset(offset or 0),
        )

    found = await answers(db, theirs)

    # Each value that is bound has a place in the SQL.
    kinds = compile_statement(query.statement, db.dialect).kinds
    assert len(kinds) == len(query.statement.values())
    assert [(item.id,) for item in await query.all()] == found
    assert await query.count() == len(found)
    assert await query.exists() is bool(found)


async def check_joins(db: Database, where: Any, outer: Any, order: Any) -> None:
    on = Item.owner_id == Owner.id
    query: Select[Any] = Item.where(ours(where)).order_by(*our_orders(order))
    query = query.left_join(Owner, on=on) if outer else query.join(Owner, on=on)
    theirs = (
        sa.select(items.c.id, owners.c.name, owners.c.age)
        .select_from(items.join(owners, items.c.owner_id == owners.c.id, isouter=outer))
        .where(Theirs(db.dialect.name).condition(where))
        .order_by(*their_orders(order))
    )

    found = await query.select(Item, Owner).all()

    assert [
        (i.id, *((None, None) if o is None else (o.name, o.age))) for i, o in found
    ] == await answers(db, theirs)


GROUPED = ["m", "s", "owner_id"]


async def check_groups(db: Database, where: Any, names: Any, least: int, part: Any) -> None:
    dialect = Theirs(db.dialect.name)
    columns = [getattr(Item, name) for name in names]
    query = (
        Item.where(ours(where))
        .group_by(*columns)
        .having(fn.count() >= least)
        .select(
            *columns,
            fn.count(),
            fn.count(Item.n, distinct=True),
            fn.sum(Item.n),
            fn.min(Item.r),
            fn.max(Item.m),
            fn.avg(Item.m),
            fn.count().filter(ours(part)),
            fn.sum(fn.coalesce(Item.n, 7) * 2),
        )
    )
    c = items.c
    theirs = (
        sa.select(
            *(c[name] for name in names),
            sa.func.count(),
            sa.func.count(sa.distinct(c.n)),
            sa.func.sum(c.n),
            sa.func.min(c.r),
            sa.func.max(c.m),
            sa.func.sum(c.m),
            sa.func.sum(sa.case((dialect.condition(part), 1), else_=0)),
            sa.func.sum(sa.case((c.n.is_(None), 14), else_=sa.type_coerce(c.n, sa.Integer) * 2)),
        )
        .where(dialect.condition(where))
        .having(sa.func.count() >= least)
    )
    if names:
        theirs = theirs.group_by(*(c[name] for name in names))

    found = await query.all()

    mean = len(names) + 5  # the sum is there; how many they are is the first number
    expected = [
        (*row[:mean], row[mean] and float(row[mean]) / row[len(names)], *row[mean + 1 :])
        for row in await answers(db, theirs)
    ]
    if not names:  # of no row at all, their sum is unknown, and our count is 0
        expected = [(*row[:-2], row[-2] or 0, row[-1]) for row in expected]
    assert Counter(map(_rounded, found)) == Counter(map(_rounded, expected))


def _rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(round(each, 9) if isinstance(each, float) else each for each in row)


OPERATORS: dict[str, tuple[Any, Any]] = {
    "union": (Select.union, sa.union),
    "union_all": (Select.union_all, sa.union_all),
    "intersect": (Select.intersect, sa.intersect),
    "except": (Select.except_, sa.except_),
}


async def check_sets(db: Database, operator: str, first: Any, second: Any, names: Any) -> None:
    dialect = Theirs(db.dialect.name)
    our_operator, their_operator = OPERATORS[operator]
    columns: Any = [getattr(Item, name) for name in names]
    query = our_operator(
        Item.where(ours(first)).select(*columns), Item.where(ours(second)).select(*columns)
    )
    theirs = their_operator(
        *(
            sa.select(*(items.c[name] for name in names)).where(dialect.condition(each))
            for each in (first, second)
        )
    )

    found = await query.all()

    assert Counter(found) == Counter(await answers(db, theirs))
    assert await query.count() == len(found)


async def check_windows(db: Database, where: Any, by: str, order: Any, most: int) -> None:
    place = fn.row_number().over(partition_by=getattr(Item, by), order_by=our_orders(order))
    total = fn.sum(Item.n).over(order_by=our_orders(order), rows=(-2, 0))
    numbered = Item.where(ours(where)).select(Item.id, place, total).subquery("numbered")
    query = numbered.query().where(numbered[place] <= most).order_by(numbered[Item.id])
    window = sa.func.row_number().over(partition_by=items.c[by], order_by=their_orders(order))
    so_far = sa.func.sum(items.c.n).over(order_by=their_orders(order), rows=(-2, 0))
    inner = (
        sa.select(items.c.id, window.label("place"), so_far.label("total"))
        .where(Theirs(db.dialect.name).condition(where))
        .subquery()
    )
    theirs = sa.select(inner).where(inner.c.place <= most).order_by(inner.c.id)

    assert await query.all() == await answers(db, theirs)


names = st.lists(st.sampled_from(GROUPED), max_size=2, unique=True)
some_names = st.lists(
    st.sampled_from(["n", "m", "s", "owner_id"]), min_size=1, max_size=2, unique=True
)
ROWS = given(where=conditions(), order=orders(), cut=limits)
JOINS = given(where=conditions(), outer=st.booleans(), order=orders())
GROUPS = given(where=conditions(), names=names, least=st.integers(0, 4), part=leaves())
SETS = given(
    operator=st.sampled_from(list(OPERATORS)),
    first=conditions(),
    second=conditions(),
    names=some_names,
)
WINDOWS = given(
    where=conditions(), by=st.sampled_from(GROUPED), order=orders(), most=st.integers(0, 5)
)


class TestOracle:
    @examples(25)
    @ROWS
    async def test_rows(self, full: Database, **spec: Any) -> None:
        await check_rows(full, **spec)

    @examples(8)
    @JOINS
    async def test_joins(self, full: Database, **spec: Any) -> None:
        await check_joins(full, **spec)

    @examples(8)
    @GROUPS
    async def test_groups(self, full: Database, **spec: Any) -> None:
        await check_groups(full, **spec)

    @examples(8)
    @SETS
    async def test_sets(self, full: Database, **spec: Any) -> None:
        await check_sets(full, **spec)

    @examples(8)
    @WINDOWS
    async def test_windows(self, full: Database, **spec: Any) -> None:
        await check_windows(full, **spec)


@pytest.mark.slow
@pytest.mark.long
class TestOracleAtLength:
    @examples(1500)
    @ROWS
    async def test_rows(self, full: Database, **spec: Any) -> None:
        await check_rows(full, **spec)

    @examples(500)
    @JOINS
    async def test_joins(self, full: Database, **spec: Any) -> None:
        await check_joins(full, **spec)

    @examples(500)
    @GROUPS
    async def test_groups(self, full: Database, **spec: Any) -> None:
        await check_groups(full, **spec)

    @examples(500)
    @SETS
    async def test_sets(self, full: Database, **spec: Any) -> None:
        await check_sets(full, **spec)

    @examples(500)
    @WINDOWS
    async def test_windows(self, full: Database, **spec: Any) -> None:
        await check_windows(full, **spec)
