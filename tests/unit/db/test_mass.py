"""Changing and deleting the rows of a query by one statement."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from oxidite.clock import now
from oxidite.db import (
    Col,
    Database,
    DatabaseError,
    Model,
    QueryError,
    RowNotFoundError,
    SoftDeletes,
    StaleRowError,
    Timestamps,
    UniqueError,
    Version,
    col,
)
from oxidite.errors import ValidationError


class Song(Model, table="songs"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(min_length=1)
    plays: Col[int] = col(default=0, ge=0)
    rating: Col[float | None] = col(default=None)


class Tape(Model, Timestamps, SoftDeletes, Version, table="tapes"):
    id: Col[int] = col(pk=True, init=False)
    label: Col[str] = col(unique=True)
    plays: Col[int] = col(default=0)


@pytest.fixture
async def songs(db: Database) -> list[Song]:
    await db.push(Song, Tape)
    return await Song.create_many([Song(title=f"song{n}", plays=n) for n in range(5)])


@pytest.fixture
async def tapes(db: Database) -> list[Tape]:
    await db.push(Song, Tape)
    return await Tape.create_many([Tape(label=f"tape{n}", plays=n) for n in range(3)])


async def plays() -> list[int]:
    return [song.plays for song in await Song.order_by(Song.id).all()]


@pytest.mark.usefixtures("songs")
class TestUpdate:
    async def test_rows_become_what_is_said(self) -> None:
        assert await Song.where(Song.plays > 2).update(Song.plays.to(Song.plays + 10)) == 2
        assert await plays() == [0, 1, 2, 13, 14]
        assert await Song.where(Song.plays == 99).update(title="x") == 0
        assert await Song.where(Song.plays < 2).update(title="x", rating=Song.plays * 2) == 2
        found = await Song.where(Song.title == "x").order_by(Song.id).all()
        assert [song.rating for song in found] == [0, 2]

    async def test_all_rows_are_a_query_too(self) -> None:
        assert await Song.query().update(Song.rating.to(None), plays=1) == 5
        assert await plays() == [1] * 5

    async def test_the_changed_rows_come_back(self, db: Database) -> None:
        if "update" not in db.dialect.returning:
            with pytest.raises(QueryError, match=r"does not return the rows of update\(\)"):
                await Song.query().update(plays=1, returning=True)
            return
        found = await Song.where(Song.plays >= 3).update(
            Song.title.to(Song.title + "!"), returning=True
        )
        assert sorted(song.title for song in found) == ["song3!", "song4!"]
        found[0].plays = 100
        await found[0].save()
        assert 100 in await plays()

    async def test_values_are_checked_as_those_of_an_object(self) -> None:
        with pytest.raises(ValidationError) as caught:
            await Song.query().update(Song.plays.to(-1), title="")
        assert {(each.pointer, each.code) for each in caught.value.errors} == {
            ("/plays", "ge"),
            ("/title", "min_length"),
        }

    async def test_values_are_bound(self) -> None:
        hostile = "'; DROP TABLE songs; --"
        await Song.where(Song.title == "song1").update(title=hostile)

        assert await Song.where(Song.title == hostile).count() == 1
        assert await Song.count() == 5

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"titel": "x"}, "no column 'titel'; did you mean 'title'"),
            ({"title; DROP TABLE songs": "x"}, "no column"),
            ({"plays": Song.title}, "holds <integer>, and was to become an expression of <text>"),
            ({}, "told no column"),
        ],
    )
    async def test_what_is_no_column_is_refused(self, values: Any, message: str) -> None:
        with pytest.raises(QueryError, match=message):
            await Song.query().update(**values)

    async def test_what_cannot_be_meant_is_refused(self) -> None:
        with pytest.raises(QueryError, match="two things at once"):
            await Song.query().update(Song.plays.to(1), plays=2)
        with pytest.raises(QueryError, match="no column of songs"):
            await Song.query().update(Tape.plays.to(1))
        with pytest.raises(QueryError, match="does not say what a column is to become"):
            await Song.query().update(Song.plays == 3)  # type: ignore[call-overload]
        with pytest.raises(QueryError, match="more: order, limit"):
            await Song.order_by(Song.id).limit(2).update(plays=3)
        with pytest.raises(QueryError, match="more: columns"):
            await Song.query().select(Song.id).update(plays=3)
        assert await plays() == [0, 1, 2, 3, 4]

    async def test_one_shape_has_one_plan(self, db: Database) -> None:
        before = len(db.plans)
        for number in range(3):
            await Song.where(Song.id == number).update(plays=number)
        assert len(db.plans) == before + 1


class TestWhatNotesAChange:
    async def test_times_and_versions_change(self, tapes: list[Tape]) -> None:
        assert await Tape.where(Tape.plays > 0).update(plays=7) == 2

        for before in tapes[1:]:
            found = await Tape.get(before.id)
            assert (found.plays, found.version) == (7, 2)
            assert found.updated_at > before.updated_at
        tapes[1].plays = 8
        with pytest.raises(StaleRowError):
            await tapes[1].save()

    async def test_a_time_that_is_said_is_taken(self, tapes: list[Tape]) -> None:
        moment: datetime = now().replace(year=2000)
        await Tape.query().update(Tape.updated_at.to(moment))
        assert {tape.updated_at for tape in await Tape.query().all()} == {moment}


class TestDelete:
    async def test_rows_are_gone(self, songs: list[Song]) -> None:
        assert await Song.where(Song.plays > 2).delete() == 2
        gone = await Song.where(Song.plays == 0).delete(returning=True)
        assert [song.title for song in gone] == ["song0"]
        assert await plays() == [1, 2]
        assert await Song.query().delete() == 2

    async def test_more_than_conditions_is_refused(self, songs: list[Song]) -> None:
        with pytest.raises(QueryError, match=r"delete\(\) is about .* limit"):
            await Song.query().limit(1).delete()
        assert await Song.count() == 5

    async def test_rows_that_only_seem_to_be(self, db: Database, tapes: list[Tape]) -> None:
        assert await Tape.where(Tape.plays > 0).delete() == 2
        assert await Tape.query().delete() == 1
        assert await Tape.count() == 0
        deleted = Tape.query().only_deleted().where(Tape.plays > 0)
        if "update" in db.dialect.returning:
            found = await deleted.restore(returning=True)
            assert sorted(tape.label for tape in found) == ["tape1", "tape2"]
        else:
            assert await deleted.restore() == 2
        assert await Tape.where(Tape.plays == 0).restore() == 1
        assert await Tape.count() == 3
        assert {tape.version for tape in await Tape.query().all()} == {3}

    async def test_force_delete_removes_them(self, tapes: list[Tape]) -> None:
        await Tape.where(Tape.plays == 1).delete()
        assert await Tape.query().only_deleted().force_delete() == 1
        assert await Tape.where(Tape.plays == 0).force_delete() == 1
        assert await Tape.query().with_deleted().count() == 1

    async def test_what_cannot_be_meant_is_refused(
        self, songs: list[Song], tapes: list[Tape]
    ) -> None:
        with pytest.raises(QueryError, match="deleted already"):
            await Tape.query().only_deleted().delete()
        with pytest.raises(QueryError, match="no SoftDeletes"):
            await Song.query().restore()
        with pytest.raises(QueryError, match="no SoftDeletes"):
            await songs[0].restore()

    async def test_an_object_is_brought_back(self, tapes: list[Tape]) -> None:
        await tapes[0].delete()
        await tapes[0].restore()
        assert await Tape.count() == 3

        await tapes[0].delete()
        await Tape.create(label="tape0")
        with pytest.raises(UniqueError):
            await tapes[0].restore()


class TestIncrement:
    async def test_nobody_s_change_is_lost(self, songs: list[Song]) -> None:
        song = songs[3]
        same = [await Song.get(song.id) for _ in range(10)]
        found = await asyncio.gather(*(each.increment(Song.plays, 2) for each in same))

        assert sorted(found) == [5, 7, 9, 11, 13, 15, 17, 19, 21, 23]
        assert sorted(each.plays for each in same) == sorted(found)
        assert await song.increment(Song.plays, -3) == 20
        assert song.changed() == []

    async def test_other_changes_stay_to_be_saved(self, tapes: list[Tape]) -> None:
        tapes[1].label = "new"
        assert await tapes[1].increment(Tape.plays, 1) == 2
        assert tapes[1].changed() == ["label"]
        assert tapes[1].version == 2
        await tapes[1].save()
        assert (await Tape.get(tapes[1].id)).version == 3

    async def test_without_a_row(self, songs: list[Song]) -> None:
        with pytest.raises(DatabaseError, match="save it first"):
            await Song(title="x").increment(Song.plays, 1)
        await Song.query().delete()
        with pytest.raises(RowNotFoundError):
            await songs[0].increment(Song.plays, 1)
