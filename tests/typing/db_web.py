"""What a type checker makes of pages, of rows in signatures and of factories, and the mistakes it must refuse."""

from __future__ import annotations

from typing import Annotated, Self, assert_type

from oxidite import Oxidite
from oxidite.db import Col, CursorPage, Database, Model, Page, Version, col
from oxidite.db.factories import Factory, faked, sequence
from oxidite.db.seeds import Seed, run_seeds, seed
from oxidite.db.web import Bound, bound
from oxidite.testing.db import sandbox


class Note(Model, Version, table="typed_notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str] = col()


class NoteFactory(Factory[Note]):
    text = sequence(lambda number: f"note {number}")

    def long(self) -> Self:
        return self.variant(text="…")


class OtherFactory(NoteFactory):
    text = faked(lambda fake: fake.sentence())


app = Oxidite()


@app.get("/notes/{note}", etag="version")
async def show(note: Bound[Note]) -> Note:
    assert_type(note, Note)
    return note


@app.get("/texts/{text}")
async def by_text(note: Annotated[Note, bound(by=Note.text, match="optional")]) -> str:
    assert_type(note, Note)
    return note.text


@seed(order=1)
async def notes(db: Database) -> None: ...


async def valid(db: Database, note: Note) -> None:
    query = Note.order_by(Note.id)
    assert_type(await query.keyset(after=None, limit=3), CursorPage[Note])
    assert_type((await query.keyset()).items, list[Note])
    assert_type((await query.keyset()).next, str | None)
    assert_type(await query.page(number=2), Page[Note])
    assert_type((await query.select(Note.id, Note.text).keyset()).items, list[tuple[int, str]])
    assert_type(await NoteFactory().long().create(text="x"), Note)
    assert_type(await OtherFactory().create_many(3), list[Note])
    assert_type(NoteFactory().make(), Note)
    assert_type(notes, Seed)
    await run_seeds(db, notes)
    async with sandbox(db) as same:
        assert_type(same, Database)
    app.url(show, note)


async def mistakes(db: Database) -> None:
    query = Note.order_by(Note.id)
    await query.keyset(after=3)  # type: ignore[arg-type]
    await query.keyset(limit="3")  # type: ignore[arg-type]
    await query.page(page=2)  # type: ignore[call-arg]
    bound(by="text")  # type: ignore[arg-type]
    bound(match="perhaps")  # type: ignore[arg-type]
    app.url(show, 3)  # type: ignore[arg-type]

    @seed  # type: ignore[arg-type]
    async def wrong(number: int) -> None: ...

    (await query.keyset()).items = [3]  # type: ignore[list-item]
