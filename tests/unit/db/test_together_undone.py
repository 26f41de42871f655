"""Hooks, cascades, soft deletes and transactions: what is undone is undone for the objects, too."""

from __future__ import annotations

from typing import Any

import pytest

from oxidite.db import (
    BelongsTo,
    Change,
    Col,
    ConflictingTransactionsError,
    Database,
    HasMany,
    Model,
    SoftDeletes,
    Timestamps,
    UniqueError,
    Version,
    col,
    rel,
)

seen: list[tuple[str, str]] = []


class Album(Model, Timestamps, SoftDeletes, Version, table="u_albums"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    tracks: HasMany[Track] = rel(fk="album_id", on_soft_delete="cascade")

    def after_commit(self, change: Change, /) -> None:
        seen.append((self.name, change))


class Track(Model, SoftDeletes, table="u_tracks"):
    id: Col[int] = col(pk=True, init=False)
    code: Col[str] = col(unique=True)
    album_id: Col[int] = col(references=Album.id)
    plays: Col[int] = col(default=0)
    album: BelongsTo[Album] = rel(touch=True)

    def before_save(self) -> None:
        seen.append((self.code, "before"))

    def after_commit(self, change: Change, /) -> None:
        seen.append((self.code, change))


class Plain(Model, Version, table="u_plains"):
    id: Col[int] = col(pk=True, init=False)
    code: Col[str] = col(unique=True)
    hits: Col[int] = col(default=0)


@pytest.fixture
async def album(db: Database) -> Album:
    await db.push(Album, Track, Plain)
    made = await Album.create(name="a")
    await Track.create(code="t", album_id=made.id)
    seen.clear()
    return made


class UndoneError(Exception):
    """The end of a transaction in a test."""


async def _undone(db: Database, *works: Any) -> None:
    async with db.transaction():
        for work in works:
            await work()
        raise UndoneError


async def test_after_commit_comes_once_for_each_change(db: Database, album: Album) -> None:
    async with db.transaction():
        track = await Track.create(code="x", album_id=album.id)
        async with db.transaction():
            track.code = "y"
            await track.save()
        await album.delete()
        await album.restore()
        assert [each for each in seen if each[1] != "before"] == []
    changes = [each for each in seen if each[1] != "before"]
    assert changes == [("y", "create"), ("y", "update"), ("a", "delete"), ("a", "update")]


async def test_a_change_that_only_a_hook_makes_touches(db: Database, album: Album) -> None:
    track = await Track.where(Track.code == "t").one()
    before = (await Album.get(album.id)).updated_at
    await track.save()
    assert (await Album.get(album.id)).updated_at == before
    track.plays += 1
    await track.save()
    assert (await Album.get(album.id)).updated_at > before


async def test_objects_of_an_outer_transaction_that_is_undone(db: Database, album: Album) -> None:
    new, many = Plain(code="n"), [Plain(code=str(number)) for number in range(40)]
    kept = await Plain.create(code="k")
    gone = await Plain.create(code="g")
    version, updated_at = album.version, album.updated_at

    async def change() -> None:
        kept.code = "other"
        await kept.save()
        await kept.increment(Plain.hits, 5)
        album.name = "b"
        await album.save()
        await album.delete()

    with pytest.raises(UndoneError):
        await _undone(
            db, new.save, lambda: Plain.create_many(many), gone.delete, change,
            lambda: Plain.upsert(Plain(code="u"), on=[Plain.code]),
        )  # fmt: skip
    assert seen == []
    assert await Plain.count() == 2
    assert sorted(new.changed()) == ["code", "hits", "id", "version"]
    assert kept.changed() == ["code", "hits"]
    assert (album.version, album.updated_at, album.deleted_at) == (version, updated_at, None)
    # All of it can be done again.
    await new.save()
    await Plain.create_many(many)
    await kept.save()
    await gone.delete()
    await album.save()
    await album.delete()
    assert await Plain.count() == 42
    assert (await Plain.get(kept.id)).code == "other"
    assert await Album.count() == 0


async def test_a_savepoint_that_is_undone_takes_its_own_alone(db: Database, album: Album) -> None:
    first, second = Plain(code="1"), Plain(code="2")
    async with db.transaction():
        await first.save()
        with pytest.raises(UndoneError):
            await _undone(db, second.save)
        first.hits = 3
        await first.save()
        await second.save()
    assert await Plain.count() == 2
    assert (await Plain.get(first.id)).hits == 3
    assert first.changed() == second.changed() == []


async def test_many_at_once_are_undone(db: Database, album: Album) -> None:
    many = await Plain.create_many([Plain(code=str(number)) for number in range(40)])

    async def change() -> None:
        for one in many:
            one.hits += 1
        await Plain.update_many(many)
        await Plain.delete_many(many)

    with pytest.raises(UndoneError):
        await _undone(db, change)
    assert {one.version for one in many} == {1}
    assert await Plain.update_many(many) == 40
    assert await Plain.where(Plain.hits == 1).count() == 40


async def test_a_function_that_is_repeated_writes_its_objects_again(
    db: Database, album: Album
) -> None:
    one, tries = Plain(code="r"), 0

    @db.transaction(retry=2)
    async def work() -> None:
        nonlocal tries
        tries += 1
        await one.save()
        if tries == 1:
            raise ConflictingTransactionsError

    await work()
    assert (tries, await Plain.where(Plain.code == "r").count()) == (2, 1)


async def test_a_restore_that_stands_in_the_way_of_another_row(db: Database, album: Album) -> None:
    await album.delete()
    other = await Album.create(name="other")
    if not db.dialect.conflict_columns:
        pytest.skip("it has other keys, which upsert refuses here")
    done = await Track.upsert(Track(code="t", album_id=other.id, plays=1), on=[Track.code])
    assert len(done.inserted) == 1
    assert await Track.query().with_deleted().count() == 2
    with pytest.raises(UniqueError):
        await album.restore()
    assert album.deleted_at is not None
    assert await Album.get_or_none(album.id) is None
    assert [one.album_id for one in await other.tracks] == [other.id]
    found, is_new = await Track.get_or_create(Track(code="t", album_id=album.id), on=[Track.code])
    assert (found.album_id, is_new) == (other.id, False)
    await done.inserted[0].delete()
    await album.restore()
    assert [one.code for one in await album.tracks] == ["t"]
