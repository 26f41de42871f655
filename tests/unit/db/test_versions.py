"""Models with a version: it is counted by us, and what failed leaves no trace in the object."""

from __future__ import annotations

import pytest

from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    Model,
    RowNotFoundError,
    SoftDeletes,
    StaleRowError,
    Timestamps,
    Version,
    col,
    rel,
)
from oxidite.errors import ValidationError

pytestmark = pytest.mark.anyio


class Page(Model, Version, SoftDeletes, Timestamps, table="versioned_pages"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(min_length=1)


async def test_a_version_that_the_program_has_set_is_counted_as_any(db: Database) -> None:
    await db.push(Page)
    page = await Page.create(title="a")
    page.version, page.title = 77, "b"
    await page.save()
    assert page.version == (await Page.get(page.id)).version == 2
    page.version, page.title = 77, "c"
    assert await Page.update_many([page]) == 1
    assert page.version == (await Page.get(page.id)).version == 3


async def test_an_object_that_could_not_be_deleted_does_not_seem_to_be(db: Database) -> None:
    await db.push(Page)
    page = await Page.create(title="a")
    other = await Page.get(page.id)
    other.title = "b"
    await other.save()
    with pytest.raises(StaleRowError):
        await page.delete()
    assert page.deleted_at is None
    other.title = ""
    with pytest.raises(ValidationError):
        await other.delete()
    assert other.deleted_at is None
    await other.refresh()
    await other.delete()
    await other.restore()
    assert (other.version, other.deleted_at) == (4, None)


class Twig(Model, Version, table="versioned_twigs"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str]


async def test_a_row_that_somebody_else_has_changed_is_not_deleted(db: Database) -> None:
    await db.push(Twig)
    leaf = await Twig.create(title="a")
    other = await Twig.get(leaf.id)
    other.title = "b"
    await other.save()
    with pytest.raises(StaleRowError):
        await leaf.delete()
    assert (await Twig.get(leaf.id)).title == "b"
    await leaf.refresh()
    await leaf.delete()
    assert await Twig.count() == 0
    await other.delete()  # gone already is no error, as without a version


async def test_what_is_gone_cannot_be_read_again_with_a_version_either(db: Database) -> None:
    await db.push(Twig)
    leaf = await Twig.create(title="a")
    await Twig.query().delete()
    with pytest.raises(RowNotFoundError, match="not there any more"):
        await leaf.refresh()


class Part(Model, Version, table="versioned_parts"):
    owner: Col[int] = col(pk=True)
    name: Col[str] = col(pk=True)
    text: Col[str] = col(default="")


async def test_many_are_not_deleted_if_somebody_else_has_changed_one(db: Database) -> None:
    await db.push(Twig)
    leaves = await Twig.create_many(Twig(title=str(each)) for each in range(250))
    other = await Twig.get(leaves[230].id)
    other.title = "b"
    await other.save()
    for some in (leaves, leaves[230:231]):
        with pytest.raises(StaleRowError, match=f"of {len(some)} rows of versioned_twigs"):
            await Twig.delete_many(some)
        assert await Twig.count() == 250
    await leaves[230].refresh()
    await leaves[3].delete()
    gone = Twig(title="gone")
    await gone.save()
    await Twig.where(Twig.id == gone.id).delete()
    # One that is gone already is no error, as without a version.
    assert await Twig.delete_many([*leaves[:3], *leaves[4:], gone]) == 249
    assert await Twig.count() == 0
    assert await Twig.delete_many([other]) == 0


async def test_many_of_a_key_of_two_columns_are_compared_too(db: Database) -> None:
    await db.push(Part)
    parts = await Part.create_many([Part(owner=1, name="a"), Part(owner=2, name="b")])
    await Part.create(owner=1, name="b")
    other = await Part.get(2, "b")
    other.text = "x"
    await other.save()
    with pytest.raises(StaleRowError, match="1 or more of 2"):
        await Part.delete_many(parts)
    await parts[1].refresh()
    assert await Part.delete_many(parts) == 2
    assert await Part.count() == 1


async def test_many_that_seem_to_be_deleted_are_compared_when_they_are_for_good(
    db: Database,
) -> None:
    await db.push(Page)
    pages = await Page.create_many([Page(title="a"), Page(title="b")])
    await (await Page.get(pages[0].id)).delete()
    with pytest.raises(StaleRowError):
        await Page.delete_many(pages, force=True)
    assert await Page.query().with_deleted().count() == 2


async def test_touching_a_row_leaves_its_version(db: Database) -> None:
    class Book(Model, Version, Timestamps, table="versioned_books"):
        id: Col[int] = col(pk=True, init=False)

    class Sheet(Model, table="versioned_sheets"):
        id: Col[int] = col(pk=True, init=False)
        text: Col[str]
        book_id: Col[int] = col(references=Book.id)
        book: BelongsTo[Book] = rel(touch=True)

    await db.push(Book, Sheet)
    book = await Book.create()
    sheet = await Sheet.create(text="a", book_id=book.id)
    sheet.text = "b"
    await sheet.save()
    await sheet.delete()
    there = await Book.get(book.id)
    assert there.version == 1
    assert there.updated_at > book.updated_at
    # Who had read it before is not told that it was changed.
    await book.delete()
