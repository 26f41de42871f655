"""Two versions of an application beside each other: what a change in phases promises to both."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oxidite.db import Col, ConstraintError, Database, Model, col
from oxidite.db.migrations import MigrationError
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.splitting import split

from .support import answers, fetch, killed_amid_rows, migrator, split_history


class Old(Model, table="people"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(max_length=50, unique=True)
    nick: Col[str | None]
    rank: Col[int]


class New(Model, table="people"):
    id: Col[int] = col(pk=True, init=False)
    full_name: Col[str] = col(max_length=80, unique=True, renamed_from="name")
    nick: Col[str] = col(default="-")
    age: Col[int] = col(default=18)


async def names(db: Database) -> list[tuple[Any, ...]]:
    return await fetch(db, "SELECT name, full_name FROM people ORDER BY id")


async def test_two_versions_see_what_the_other_one_writes(db: Database, tmp_path: Path) -> None:
    parts = await split_history(db, tmp_path / "m", [Old], [New])
    assert [(each.phase, each.word) for each in parts] == [
        ("expand", "expand"),
        ("expand", "backfill"),
        ("expand", "indexes"),
        ("contract", "contract"),
    ]
    before = await Old.create(name="before", nick=None, rank=1)
    made = migrator(db, tmp_path / "m")
    await made.up(phase="expand")
    assert await made.drift() == []

    # What was there before.
    theirs = await New.get(before.id)
    assert (theirs.full_name, theirs.nick, theirs.age) == ("before", "-", 18)
    # New rows of either.
    old = await Old.create(name="of the old", nick=None, rank=2)
    new = await New.create(full_name="of the new", nick="n", age=30)
    theirs = await New.get(old.id)
    assert (theirs.full_name, theirs.nick, theirs.age) == ("of the old", "-", 18)
    ours = await Old.get(new.id)
    assert (ours.name, ours.nick) == ("of the new", "n")
    # Changes of either, of the other's rows too; only the case of a letter is a change.
    await Old.where(Old.id == new.id).update(name="Of the new")
    await New.where(New.id == old.id).update(full_name="Of the old")
    await Old.where(Old.id == before.id).update(nick=None)
    await Old.where(Old.id == before.id).update(rank=9)
    assert await names(db) == [
        ("before", "before"),
        ("Of the old", "Of the old"),
        ("Of the new", "Of the new"),
    ]
    assert (await New.get(before.id)).nick == "-"
    # What is unique is so for both.
    with pytest.raises(ConstraintError):
        await Old.create(name="Of the new", nick=None, rank=3)
    with pytest.raises(ConstraintError):
        await New.create(full_name="before")

    await made.up()
    assert await made.drift() == []
    rows = await New.order_by(New.id).all()
    assert [(each.full_name, each.nick, each.age) for each in rows] == [
        ("before", "-", 18),
        ("Of the old", "-", 18),
        ("Of the new", "n", 30),
    ]
    last = await New.create(full_name="last")

    # And back: the version before finds its rows again, and may go on beside the new one.
    await made.down()
    assert await made.drift() == []
    assert (await names(db))[-1] == ("last", "last")
    await Old.where(Old.id == last.id).update(name="the last")
    assert (await New.get(last.id)).full_name == "the last"
    await made.down(to="0001")
    assert await made.drift() == []
    assert [each.name for each in await Old.order_by(Old.id).all()] == [
        "before",
        "Of the old",
        "Of the new",
        "the last",
    ]
    await made.up()
    assert await made.drift() == []
    assert (await New.get(last.id)).full_name == "the last"


@pytest.mark.only_on("file", "postgresql", "mariadb")
async def test_both_write_at_the_same_time(db: Database, tmp_path: Path) -> None:
    await split_history(db, tmp_path / "m", [Old], [New])
    await fetch(
        db,
        "INSERT INTO people (name, rank) VALUES "
        + ", ".join(f"('p{number}', 0)" for number in range(60)),
    )
    keys = [int(row[0]) for row in await fetch(db, "SELECT id FROM people ORDER BY id")]
    made = migrator(db, tmp_path / "m")
    await made.up(to="0002")

    async def old(number: int) -> None:
        for step in range(20):
            key = keys[(number * 7 + step * 3) % len(keys)]
            await Old.where(Old.id == key).update(name=f"old {number} {step}")
        await Old.create(name=f"old {number}", nick=None, rank=1)

    async def new(number: int) -> None:
        for step in range(20):
            key = keys[(number * 5 + step * 3) % len(keys)]
            await New.where(New.id == key).update(full_name=f"new {number} {step}")
        await New.create(full_name=f"new {number}")

    # The backfill goes on meanwhile.
    await asyncio.gather(
        made.up(phase="expand"),
        *(old(each) for each in range(4)),
        *(new(each) for each in range(4)),
    )

    rows = await names(db)
    assert len(rows) == 68
    assert [row for row in rows if row[0] != row[1] or row[0] is None] == []
    assert sum(str(row[0]).startswith("new") for row in rows) > 4
    await made.up()
    assert [each.full_name for each in await New.order_by(New.id).all()] == [row[1] for row in rows]


@pytest.mark.only_on("file", "postgresql", "mariadb")
async def test_killed_while_it_fills_it_goes_on(db: Database, url: str, tmp_path: Path) -> None:
    await split_history(db, tmp_path / "m", [Old], [New])
    file = tmp_path / "m" / "0003_backfill.py"
    slow = 'where="full_name IS NULL", batch=10, pause=0.02'
    file.write_text(file.read_text().replace('where="full_name IS NULL"', slow, 1))
    values = ", ".join(f"('p{number}', 0)" for number in range(200))
    await fetch(db, f"INSERT INTO people (name, rank) VALUES {values}")
    await killed_amid_rows(url, tmp_path / "m")
    # Both versions go on while nobody knows yet.
    await Old.where(Old.name == "p150").update(name="P150")
    await Old.create(name="meanwhile", nick=None, rank=1)

    made = migrator(db, tmp_path / "m")
    done = await made.up()

    assert [row.id for row in done] == ["0003", "0004", "0005"]
    found = {each.full_name for each in await New.all()}
    assert found == {f"p{number}" for number in range(200) if number != 150} | {"P150", "meanwhile"}
    assert await made.drift() == []


async def test_nothing_is_a_value_as_well(db: Database, tmp_path: Path) -> None:
    class Before(Model, table="people"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str | None]

    class After(Model, table="people"):
        id: Col[int] = col(pk=True, init=False)
        full_name: Col[str | None] = col(renamed_from="name")

    await split_history(db, tmp_path / "m", [Before], [After])
    await migrator(db, tmp_path / "m").up(phase="expand")
    one = await Before.create(name=None)
    other = await After.create(full_name="x")
    assert await names(db) == [(None, None), ("x", "x")]
    await After.where(After.id == one.id).update(full_name="now")
    await Before.where(Before.id == other.id).update(name=None)
    assert await names(db) == [("now", "now"), (None, None)]
    await After.where(After.id == one.id).update(full_name=None)
    assert await names(db) == [(None, None), (None, None)]
    await Before.where(Before.id == one.id).update(name="")
    assert await names(db) == [("", ""), (None, None)]


async def test_names_that_need_quotes(db: Database, tmp_path: Path) -> None:
    class Before(Model, table='the "people"'):
        id: Col[int] = col(pk=True, init=False, name="the key")
        name: Col[str] = col(name="order", max_length=40, unique=True)

    class After(Model, table='the "people"'):
        id: Col[int] = col(pk=True, init=False, name="the key")
        name: Col[str] = col(
            name='rows "of" it\'s', max_length=40, unique=True, renamed_from="order"
        )
        kind: Col[str] = col(name="select", default="it's")

    await split_history(db, tmp_path / "m", [Before], [After])
    first = await Before.create(name="first")
    made = migrator(db, tmp_path / "m")
    await made.up(phase="expand")
    assert await made.drift() == []
    second = await After.create(name="second")
    await Before.where(Before.id == second.id).update(name="2")
    await After.where(After.id == first.id).update(name="1")
    assert [each.name for each in await Before.order_by(Before.id).all()] == ["1", "2"]
    assert [each.name for each in await After.order_by(After.id).all()] == ["1", "2"]
    assert [each.kind for each in await After.all()] == ["it's", "it's"]
    await made.up()
    assert await made.drift() == []
    await made.down(to="0001")
    assert [each.name for each in await Before.order_by(Before.id).all()] == ["1", "2"]


class Texts(Model, table="things"):
    id: Col[int] = col(pk=True, init=False)
    size: Col[str]


class Numbers(Model, table="things"):
    id: Col[int] = col(pk=True, init=False)
    size: Col[int] = col(name="size_integer", renamed_from="size")


async def test_what_becomes_of_values_is_written_by_a_person(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    fills = {"things.size_integer": 0}
    schema = schema_of([Texts.__table__], db.dialect)
    models = schema_of([Numbers.__table__], db.dialect)
    said = answers({"things.size": "size_integer"}, fills)
    await split_history(db, folder, [Texts], [Numbers], fills=fills, is_tried=False)
    assert split(schema, models, difference(schema, models, said))[0].phase == "expand"
    one = await Texts.create(size="007")
    with pytest.raises(
        MigrationError, match=r"How things\.size_integer is made is not written yet"
    ):
        await migrator(db, folder).up(phase="expand")
    assert [each.state for each in await migrator(db, folder).status()][1] == "pending"

    number = "CAST(size AS SIGNED)" if db.dialect.is_mysql else "CAST(size AS integer)"
    text = "CAST(size_integer AS CHAR)" if db.dialect.is_mysql else "CAST(size_integer AS text)"
    for file in sorted(folder.glob("*.py")):
        changed = file.read_text().replace(
            '"size_integer": TO_WRITE', f'"size_integer": "{number}"'
        )
        file.write_text(changed.replace('"size": TO_WRITE', f'"size": "{text}"'))
    made = migrator(db, folder)
    await made.up(phase="expand")

    assert (await Numbers.get(one.id)).size == 7
    # What does not survive the way there and back is not changed by the way.
    assert (await Texts.get(one.id)).size == "007"
    two = await Numbers.create(size=12)
    three = await Texts.create(size="0013")
    assert (await Texts.get(two.id)).size == "12"
    assert (await Numbers.get(three.id)).size == 13
    assert (await Texts.get(three.id)).size == "0013"
    await Numbers.where(Numbers.id == three.id).update(size=14)
    await Texts.where(Texts.id == two.id).update(size="15")
    assert [each.size for each in await Texts.order_by(Texts.id).all()] == ["007", "15", "14"]
    assert [each.size for each in await Numbers.order_by(Numbers.id).all()] == [7, 15, 14]
    await made.up()
    await made.down(to="0001")
    assert [each.size for each in await Texts.order_by(Texts.id).all()] == ["7", "15", "14"]


async def test_a_number_keeps_what_is_behind_its_point(db: Database, tmp_path: Path) -> None:
    class Whole(Model, table="things"):
        id: Col[int] = col(pk=True, init=False)
        size: Col[int]

    class Broken(Model, table="things"):
        id: Col[int] = col(pk=True, init=False)
        length: Col[float] = col(renamed_from="size")

    await split_history(db, tmp_path / "m", [Whole], [Broken], fills={"things.length": 0.0})
    one = await Whole.create(size=3)
    made = migrator(db, tmp_path / "m")
    await made.up(phase="expand")
    two = await Broken.create(length=7.25)
    assert [each.length for each in await Broken.order_by(Broken.id).all()] == [3.0, 7.25]
    assert [each.size for each in await Whole.order_by(Whole.id).all()] == [3, 7]
    await Broken.where(Broken.id == one.id).update(length=1.75)
    await Whole.where(Whole.id == two.id).update(size=8)
    assert [each.length for each in await Broken.order_by(Broken.id).all()] == [1.75, 8.0]
    assert [each.size for each in await Whole.order_by(Whole.id).all()] == [2, 8]
    await made.up()
    assert [each.length for each in await Broken.order_by(Broken.id).all()] == [1.75, 8.0]
