"""References to a row of one of several tables, and what refers so to a row."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    Model,
    ModelError,
    QueryError,
    RelationError,
    SoftDeletes,
    col,
    rel,
)
from oxidite.testing import assert_queries

pytestmark = pytest.mark.anyio


class Photo(Model, table="e_photos"):
    id: Col[int] = col(pk=True, init=False)
    size: Col[int] = col(default=1)
    remarks: HasMany[Remark] = rel(fk="subject_id", kind="subject_type")


class Film(Model, table="e_films"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(default="x")
    remarks: HasMany[Remark] = rel(fk="subject_id", kind="subject_type")


class Remark(Model, table="e_remarks"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    subject_id: Col[int | None] = col(default=None)
    subject_type: Col[str | None] = col(default=None)
    subject: BelongsTo[Photo | Film | None] = rel(fk="subject_id", kind="subject_type")


async def _gallery(db: Database) -> None:
    await db.push(Photo, Film, Remark)
    for number in range(2):
        photo, film = await Photo.create(size=number), await Film.create(name=str(number))
        await photo.remarks.create(text=f"photo {number}")
        await film.remarks.create(text=f"film {number}")
    await Remark.create(text="nothing")


async def test_each_table_that_is_referred_to_is_one_statement(db: Database) -> None:
    await _gallery(db)
    with assert_queries(3):
        remarks = await Remark.order_by(Remark.id).with_(Remark.subject).all()
    found = [remark.subject.value for remark in remarks]
    assert list(map(type, found)) == [Photo, Film, Photo, Film, type(None)]
    assert isinstance(found[3], Film)
    assert found[3].name == "1"
    assert json.loads(msgspec.json.encode(remarks[2]))["subject"] == {"id": 2, "size": 1}


async def test_awaited_they_are_loaded_for_all_that_refer_to_the_same_table(db: Database) -> None:
    await _gallery(db)
    with assert_queries(3):
        kinds = [type(await each.subject) for each in await Remark.order_by(Remark.id).all()]
    assert kinds == [Photo, Film, Photo, Film, type(None)]


async def test_what_refers_to_a_row_of_one_table_is_not_that_of_another(db: Database) -> None:
    await _gallery(db)
    photos = await Photo.order_by(Photo.id).with_(Photo.remarks).all()
    assert [[r.text for r in p.remarks.value] for p in photos] == [["photo 0"], ["photo 1"]]
    film = await Film.get(1)
    assert [r.text for r in await film.remarks] == ["film 0"]
    assert await film.remarks.where(Remark.text != "film 0").count() == 0
    assert await Film.where(Film.remarks.any(Remark.text == "photo 0")).count() == 0
    assert await Film.where(Film.remarks.any(Remark.text == "film 1")).count() == 1
    assert await Photo.query().select(Photo.remarks.count()).all() == [(1,), (1,)]


async def test_either_is_assigned(db: Database) -> None:
    await _gallery(db)
    remark, film = await Remark.get(1), await Film.get(1)
    remark.subject = film
    assert (remark.subject_id, remark.subject_type) == (film.id, "e_films")
    assert await remark.subject is film
    await remark.save()
    assert await film.remarks.count() == 2
    remark.subject_type = "e_photos"
    assert isinstance(await remark.subject, Photo)
    remark.subject = None
    await remark.save()
    assert await Remark.where(Remark.subject_type == None).count() == 2  # noqa: E711
    assert await remark.subject.reload() is None
    with pytest.raises(RelationError, match=r"Remark\.subject is a Photo or Film, not 3"):
        remark.subject = 3  # type: ignore[assignment]
    await film.remarks.remove(*await film.remarks)
    assert await film.remarks.count() == 0


async def test_a_table_that_is_not_meant_is_refused(db: Database) -> None:
    await _gallery(db)
    remark = await Remark.get(1)
    remark.subject_type = "users; --"
    with pytest.raises(
        RelationError, match=r"is 'users; --', and .* leads to 'e_photos', 'e_films'"
    ):
        await remark.subject


def test_nothing_is_asked_of_several_models() -> None:
    with pytest.raises(QueryError, match=r"leads to several models.*subject_type and subject_id"):
        Remark.subject.has()
    with pytest.raises(QueryError, match="leads to several models"):
        Remark.subject.where(Photo.size > 1)

    class Vague(Model, table="e_vague"):
        id: Col[int] = col(pk=True, init=False)
        any_id: Col[int]
        any: BelongsTo[Photo | Film] = rel(fk="any_id")

    with pytest.raises(ModelError, match=r"a column has to say to which one: rel\(fk="):
        Vague.any.has()

    with pytest.raises(ModelError, match="are two columns of Half"):

        class Half(Model, table="e_half"):
            id: Col[int] = col(pk=True, init=False)
            any_id: Col[int]
            any: BelongsTo[Photo | Film] = rel(fk="any_id", kind="any_type")


def test_models_that_come_later_may_be_among_them() -> None:
    class Note(Model, table="e_notes"):
        id: Col[int] = col(pk=True, init=False)
        about_id: Col[int | None] = col(default=None)
        about_type: Col[str | None] = col(default=None)
        about: BelongsTo[Song | Photo | None] = rel(fk="about_id", kind="about_type")

    class Song(Model, table="e_songs"):
        id: Col[int] = col(pk=True, init=False)

    model: Any = Note
    field = next(each for each in msgspec.structs.fields(model) if each.name == "about")
    assert field.type == Song | Photo | None | msgspec.UnsetType
    note = Note()
    note.about = None
    song = Song()
    song.id = 7
    note.about = song
    assert (note.about_type, note.about_id) == ("e_songs", 7)


class Frame(Model, SoftDeletes, table="e_frames"):
    id: Col[int] = col(pk=True, init=False)
    marks: HasMany[Mark] = rel(fk="subject_id", kind="subject_type", on_soft_delete="cascade")


class Reel(Model, SoftDeletes, table="e_reels"):
    id: Col[int] = col(pk=True, init=False)
    marks: HasMany[Mark] = rel(fk="subject_id", kind="subject_type", on_soft_delete="cascade")


class Mark(Model, SoftDeletes, table="e_marks"):
    id: Col[int] = col(pk=True, init=False)
    subject_id: Col[int | None] = col(default=None)
    subject_type: Col[str | None] = col(default=None)
    subject: BelongsTo[Frame | Reel | None] = rel(fk="subject_id", kind="subject_type")


async def test_what_is_deleted_with_a_row_is_not_that_of_another_table(db: Database) -> None:
    await db.push(Frame, Reel, Mark)
    frame, reel = await Frame.create(), await Reel.create()
    assert frame.id == reel.id
    ours, theirs = await frame.marks.create(), await reel.marks.create()
    await frame.delete()
    assert [each.id for each in await Mark.all()] == [theirs.id]
    await reel.delete()
    await frame.restore()
    assert [each.id for each in await Mark.all()] == [ours.id]
