"""What each database can do: docs/reference/databases.md is compared with what is found here.

The table has a row for each function below, whose docstring begins it, and a column for each database.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.unit.db.conftest import database_url, vectors_url

from oxidite.db import (
    CheckError,
    Col,
    ConflictingTransactionsError,
    Connection,
    Database,
    DatabaseError,
    ExclusionError,
    InsertStatement,
    MissingReferenceError,
    Model,
    ModelError,
    OverlapError,
    QueryError,
    Range,
    SoftDeletes,
    UniqueError,
    UpdateStatement,
    Vector,
    col,
    exclude,
    excluded,
    index,
    search,
)
from oxidite.db.expressions.expressions import Value
from oxidite.db.values.kinds import INTEGER

TABLE = Path(__file__).parents[3] / "docs/reference/databases.md"

Probe: TypeAlias = Callable[[Database], Awaitable[str]]


class Thing(Model, table="things"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, max_length=100)
    code: Col[str | None] = col(unique=True, default=None)
    number: Col[int | None] = col(default=None)
    real: Col[float | None] = col(default=None)
    exact: Col[Decimal | None] = col(default=None)
    text: Col[str] = col(default="")


class Part(Model, SoftDeletes, table="parts"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, max_length=100)
    thing_id: Col[int | None] = col(references=Thing.id, default=None)
    other_id: Col[int | None] = col(references=Thing.id, default=None)


class Story(
    Model,
    table="stories",
    indexes=[
        index(lambda story: search(story.text).vector, using="gin", name="words"),
        index(
            lambda story: search(story.text, language="english").vector,
            name="words_english",
            using="gin",
        ),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(max_length=100)
    text: Col[str]


class Place(Model, table="places"):
    id: Col[int] = col(pk=True, init=False)
    at: Col[Vector] = col(dimensions=2, metric="l2")


class Night(Model, table="nights", indexes=[exclude(days="&&")]):
    id: Col[int] = col(pk=True, init=False)
    days: Col[Range[int]]


class Tier(Model, table="tiers"):
    id: Col[int] = col(pk=True, init=False)
    amounts: Col[Range[Decimal]]
    amount: Col[Decimal] = col(default=Decimal(0))


@contextlib.asynccontextmanager
async def connection(db: Database) -> AsyncIterator[Connection]:
    async with db.driver.connection(write=True) as found:
        yield found


async def answers(db: Database, sql: str) -> str:
    """Whether SQL is understood and does something to a row."""
    await Thing.create(name="a")
    async with connection(db) as found:
        try:
            rows = await found.fetch(sql, ())
        except DatabaseError:
            return "no"
    return "yes" if rows else "no"


# The rows of the table.


async def inserted(db: Database) -> str:
    """`INSERT … RETURNING`"""
    return await answers(db, "INSERT INTO things (name, text) VALUES ('b', '') RETURNING id")


async def updated(db: Database) -> str:
    """`UPDATE … RETURNING`"""
    return await answers(db, "UPDATE things SET name = 'b' RETURNING id")


async def deleted(db: Database) -> str:
    """`DELETE … RETURNING`"""
    return await answers(db, "DELETE FROM things RETURNING id")


async def transactional(db: Database) -> str:
    """A change of the schema is undone with its transaction"""
    async with connection(db) as found:
        await found.begin(isolation=None, read_only=False)
        with contextlib.suppress(DatabaseError):
            await found.run("CREATE TABLE more (id INTEGER)", ())
        await found.rollback()
        try:
            await found.fetch("SELECT * FROM more", ())
        except DatabaseError:
            return "yes"
        await found.run("DROP TABLE more", ())
    return "no"


async def locked(db: Database) -> str:
    """Rows are locked one by one (`FOR UPDATE`, `SKIP LOCKED`, `NOWAIT`)"""
    await Thing.create(name="a")
    sql = "SELECT id FROM things FOR UPDATE"
    async with connection(db) as one:
        try:
            await one.fetch(sql, ())
        except DatabaseError:
            return "no, one writes at a time"
        async with connection(db) as other:
            for each in (one, other):
                await each.begin(isolation=None, read_only=False)
            await one.fetch(sql, ())
            skipped = not await other.fetch(f"{sql} SKIP LOCKED", ())
            with contextlib.suppress(DatabaseError):
                await other.fetch(f"{sql} NOWAIT", ())
                skipped = False
            await other.rollback()
            await one.rollback()
    return "yes" if skipped else "no"


async def repeatable(db: Database) -> str:
    """In a `"repeatable read"` what others have changed is not overwritten, but refused"""
    if not db.dialect.locks_rows:
        return "yes, one writes at a time"
    thing = await Thing.create(name="a")
    sql = "UPDATE things SET number = 1"
    async with connection(db) as one, connection(db) as other:
        await one.begin(isolation="repeatable read", read_only=False)
        await one.fetch("SELECT * FROM things", ())
        await other.run(sql, ())
        try:
            await one.run(sql, ())
        except ConflictingTransactionsError:
            return "yes"
        finally:
            await one.rollback()
            await thing.refresh()
    return "no"


async def partial(db: Database) -> str:
    """What seems to be deleted takes no name away (`SoftDeletes` and `unique`)"""
    part = await Part.create(name="a")
    with contextlib.suppress(UniqueError):
        await Part.create(name="a")
        return "no, nothing is unique"
    await part.delete()
    await Part.create(name="a")
    async with connection(db) as found:
        with contextlib.suppress(DatabaseError):
            await found.fetch("SELECT __only_uq_parts_name FROM parts", ())
            return "yes, by a generated column"
    return "yes"


async def conflicts(db: Database) -> str:
    """An upsert is about the columns it names, and not about every unique index"""
    await Thing.create(name="a", code="x")
    statement = InsertStatement(
        table=Thing.__table__,
        columns=("name", "code", "number", "text"),
        rows=[["b", "x", 1, ""]],
        conflict=("name",),
        update=("number",),
        exprs=(excluded(Thing.number),),
    )
    try:
        await db.run(statement)
    except UniqueError:
        return "yes"
    return "no"


async def streamed(db: Database) -> str:
    """Other statements of a transaction run while its rows are streamed"""
    for number in range(3):
        await Thing.create(name=f"{number}")
    async with connection(db) as found:
        await found.begin(isolation=None, read_only=False)
        try:
            async for _ in found.stream("SELECT id FROM things", (), 1):
                await found.fetch("SELECT 1", ())
        except OverlapError:
            return "no"
        finally:
            await found.rollback()
    return "yes"


async def nulls_ordered(db: Database) -> str:
    """`nulls_first=` of an order"""
    for number in (1, None, 2):
        await Thing.create(name=f"{number}", number=number)
    found = []
    for first in (True, False):
        for make in (Thing.number.asc, Thing.number.desc):
            rows = await Thing.order_by(make(nulls_first=first)).select(Thing.number).all()
            found.append(rows.index((None,)))
    return "yes" if found == [0, 0, 2, 2] else "no"


async def nulls_default(db: Database) -> str:
    """Where no value is, without it"""
    for number in (1, None):
        await Thing.create(name=f"{number}", number=number)
    rows = await Thing.order_by(Thing.number.asc()).select(Thing.number).all()
    return "the smallest" if rows[0] == (None,) else "the largest"


async def exactly_equal(db: Database) -> str:
    """Text is equal when its characters are: case, accents and spaces at the end count"""
    for name in ("a", "A", "a ", "\u00e4"):
        await Thing.create(name=name)
    found = (
        await Thing.where(Thing.name == "a").count(),
        await Thing.where(Thing.name.like("a")).count(),
    )
    return "yes" if found == (1, 1) else "no"


async def beyond_ascii(db: Database) -> str:
    """`ilike`, `lower` and `upper` know letters beyond ASCII"""
    await Thing.create(name="\u00c4")
    return "yes" if await Thing.where(Thing.name.ilike("\u00e4")).exists() else "no"


async def full_text(db: Database) -> str:
    """Words are searched for in texts (`search`)"""
    await Story.create(name="a", text="Cats and other animals")
    assert await told("animals cats") == ["a"]
    try:
        await Thing.where(search(Thing.name, Thing.text).matches("cats")).all()
    except QueryError:
        return "yes, by an index"
    return "yes"


async def stems(db: Database) -> str:
    """Other forms of a word are found by its `language`"""
    await Story.create(name="a", text="The cats and die Katzen")
    if not await told("cat", "english"):
        return "no"
    return "yes" if await told("Katze", "german") else "English alone"


async def left_out(db: Database) -> str:
    """Words that a language leaves out, such as `the`, are left out of what is looked for"""
    await Story.create(name="a", text="cats Katzen")
    if not await told("the cats", "english"):
        return "no"
    return "yes" if await told("die Katzen", "german") else "English alone"


async def short_words(db: Database) -> str:
    """Words of one letter, and `the`, are found where no language leaves them out"""
    await Story.create(name="a", text="the x")
    return "yes" if await told("x the") else "no"


async def long_words(db: Database) -> str:
    """The longest word that is found"""
    for length in (82, 83, 500):
        await Story.create(name=f"{length}", text="x" * length)
    if await told("x" * 83):
        return "500 characters, as many as are looked for" if await told("x" * 500) else "83"
    return "82 characters" if await told("x" * 82) else "less"


async def marked_words(db: Database) -> str:
    """What has marks in it, such as `a@b.c`, is found by its parts"""
    await Story.create(name="a", text="to a@b.c")
    assert await told("a@b.c")
    return "yes" if await told("b") else "no"


async def searched_at_once(db: Database) -> str:
    """A search finds what its own transaction has written"""
    async with db.transaction():
        await Story.create(name="a", text="cats")
        return "yes" if await told("cats") else "no"


async def nearest(db: Database) -> str:
    """Rows are found by the distance of vectors (`nearest`)"""
    await db.push(Place)
    await Place.create_many([Place(at=Vector([each, 0])) for each in (3, 1, 2)])
    try:
        found = await Place.nearest(Place.at, [0, 0]).all()
    except QueryError:
        kept = sorted([list(each.at) for each in await Place.all()])
        return "no, kept alone" if kept == [[1, 0], [2, 0], [3, 0]] else "no"
    assert [distance for _, distance in found] == [1, 2, 3]
    return "yes, by pgvector" if db.dialect.name == "postgresql" else "yes, each is compared"


async def ranged(db: Database) -> str:
    """Ranges are found by what is in them (`Range`)"""
    await db.push(Tier)
    await Tier.create_many([Tier(amounts=Range(Decimal(each), None)) for each in (1, 5)])
    if await Tier.where(Tier.amounts.contains(Decimal(3))).count() != 1:
        return "no"
    async with connection(db) as found:
        ((raw,),) = await found.fetch("SELECT amounts FROM tiers WHERE id = 1", ())
    return "yes, as text" if isinstance(raw, str) else "yes, as its own"


async def excluded_rows(db: Database) -> str:
    """Two rows that overlap are refused (`exclude`)"""
    try:
        await db.push(Night)
    except ModelError:
        return "no, the model is refused"
    await Night.create(days=Range(1, 3))
    try:
        await Night.create(days=Range(2, 4))
    except ExclusionError:
        return "yes" if db.dialect.name == "postgresql" else "yes, by triggers"
    return "no"


async def decimals_in_ranges(db: Database) -> str:
    """The Decimal of a row is looked for in its range"""
    await db.push(Tier)
    await Tier.create(amounts=Range(Decimal(1), None), amount=Decimal(2))
    try:
        found = await Tier.where(Tier.amounts.contains(Tier.amount)).count()
    except QueryError:
        return "no"
    return "yes" if found == 1 else "no"


async def told(words: str, language: str = "simple") -> list[str]:
    found = search(Story.text, language=language)
    rows = await Story.where(found.matches(words)).select(Story.name).all()
    return [name for (name,) in rows]


async def long_order(db: Database) -> str:
    """An order of long text is by all of it"""
    for number in (2, 1, 4, 3):
        await Thing.create(name=f"{number}", text="x" * 2000 + str(number))
    rows = await Thing.order_by(Thing.text).select(Thing.name).all()
    return "yes" if rows == sorted(rows) else "no, by 1,024 bytes"


async def unique_text(db: Database) -> str:
    """The length of unique text, or of a key, without `max_length`"""
    try:
        await Thing.create(name="a", code="x" * 1000)
    except CheckError:
        await Thing.create(name="a", code="x" * 255)
        return "255"
    return "1,000 and more"


async def compared(db: Database) -> str:
    """Decimals are ordered as numbers"""
    await Thing.create(name="a", exact=Decimal(9))
    await Thing.create(name="b", exact=Decimal(10))
    return "yes" if await Thing.where(Thing.exact > Decimal("9.5")).count() == 1 else "no"


async def zeros(db: Database) -> str:
    """A Decimal without `scale` keeps the zeros at its end"""
    await Thing.create(name="a", exact=Decimal("1.500"))
    return "yes" if str((await Thing.all())[0].exact) == "1.500" else "no"


async def digits(db: Database) -> str:
    """Digits of a Decimal without `precision`, before and after the point"""
    await Thing.create(name="a", exact=Decimal("9" * 35 + "." + "9" * 30))
    try:
        await Thing.create(name="b", exact=Decimal("9" * 100 + "." + "9" * 100))
    except QueryError:
        return "35 and 30"
    return "100 and 100, and more"


async def infinite(db: Database) -> str:
    """Infinite floats"""
    # Models refuse it everywhere.
    insert = db.sql("INSERT INTO things (name, text, \"real\") VALUES ('a', '', :r)", r=math.inf)
    try:
        await insert.run()
    except QueryError:
        return "no"
    return "yes"


async def overflowing(db: Database) -> str:
    """Whole numbers that become too large are refused"""
    await Thing.create(name="a", number=2**63 - 1)
    try:
        (found,) = await Thing.query().select(Thing.number + 1).all()
    except QueryError:
        return "yes"
    return "no, they become floats" if isinstance(found[0], float) else "no"


async def referring(db: Database) -> str:
    """The error of a reference to nothing names the field, where there are several"""
    try:
        await Part.create(name="a", thing_id=999)
    except MissingReferenceError as exc:
        return "yes" if exc.errors[0].pointer == "/thing_id" else "no"
    return "not refused"


async def swapping(db: Database) -> str:
    """An update sets its columns at once: `a = b, b = a` swaps"""
    thing = await Thing.create(name="a", text="b")
    await db.run(
        UpdateStatement(
            table=Thing.__table__,
            columns=("name", "text"),
            exprs=(Thing.text, Thing.name),
            where=(Thing.id == Value(thing.id, INTEGER),),
        )
    )
    found = await Thing.get(thing.id)
    return "yes" if (found.name, found.text) == ("b", "a") else "no"


PROBES: list[Probe] = [
    inserted, updated, deleted, transactional, locked, repeatable, partial, conflicts, streamed,
    nulls_ordered, nulls_default, exactly_equal, beyond_ascii, full_text, stems, left_out, short_words, long_words,
    marked_words, searched_at_once, nearest, ranged, excluded_rows, decimals_in_ranges, long_order, unique_text, compared,
    zeros, digits, infinite, overflowing, referring, swapping,
]  # fmt: skip


def documented(column: int) -> dict[str, str]:
    """The cells of a column, by the first cell of their row."""
    lines = [
        [cell.strip() for cell in line.strip("|\n").split(" | ")]
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| [^-]", line)
    ]
    return {cells[0]: cells[column] for cells in lines[1:]}


KINDS = [
    (1, "file"),
    pytest.param(2, "postgresql", marks=pytest.mark.service("postgres")),
    pytest.param(3, "mariadb", marks=pytest.mark.service("mariadb")),
]


@pytest.mark.parametrize(("column", "kind"), KINDS)
async def test_the_table_is_true(column: int, kind: str, tmp_path: Path) -> None:
    found: dict[str, str] = {}
    async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
        await db.push(Thing, Part, Story)
        for probe in (each for each in PROBES if each is not nearest):
            async with connection(db) as one:
                await one.run("DELETE FROM parts", ())
                await one.run("DELETE FROM things", ())
                await one.run("DELETE FROM stories", ())
            async with asyncio.timeout(30):
                found[str(probe.__doc__)] = await probe(db)

    wanted = documented(column)
    del wanted[str(nearest.__doc__)]  # in a test of its own
    assert found == wanted


@pytest.mark.parametrize(("column", "kind"), KINDS)
async def test_what_it_says_of_vectors_is_true(column: int, kind: str, tmp_path: Path) -> None:
    async with vectors_url(kind, tmp_path) as url, Database.from_url(url) as db:
        assert await nearest(db) == documented(column)[str(nearest.__doc__)]


async def test_what_a_dialect_says_is_what_the_table_says(tmp_path: Path) -> None:
    """The flags that our own code goes by."""
    columns: dict[str, Any] = {}
    from oxidite.db.values.dialects import MARIADB, POSTGRESQL, SQLITE

    for column, dialect in ((1, SQLITE), (2, POSTGRESQL), (3, MARIADB)):
        told = documented(column)

        def says(probe: Probe, told: dict[str, str] = told) -> bool:
            return told[str(probe.__doc__)].startswith("yes")

        assert ("insert" in dialect.returning) == says(inserted)
        assert ("update" in dialect.returning) == says(updated)
        assert ("delete" in dialect.returning) == says(deleted)
        assert dialect.transactional_ddl == says(transactional)
        assert dialect.locks_rows == says(locked)
        assert says(conflicts)  # one way or the other
        assert dialect.interleaves == says(streamed)
        assert dialect.decimal_zeros == says(zeros)
        assert dialect.infinity == says(infinite)
        columns[dialect.product] = told
    assert len({tuple(told) for told in columns.values()}) == 1
