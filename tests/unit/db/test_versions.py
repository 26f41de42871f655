"""Models with a version: it is counted by us, and what failed leaves no trace in the object."""

from __future__ import annotations

import pytest

from oxidite.db import (
    Col,
    Database,
    Model,
    RowNotFoundError,
    SoftDeletes,
    StaleRowError,
    Timestamps,
    Version,
    col,
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


class Leaf(Model, Version, table="versioned_leaves"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str]


async def test_a_row_that_somebody_else_has_changed_is_not_deleted(db: Database) -> None:
    await db.push(Leaf)
    leaf = await Leaf.create(title="a")
    other = await Leaf.get(leaf.id)
    other.title = "b"
    await other.save()
    with pytest.raises(StaleRowError):
        await leaf.delete()
    assert (await Leaf.get(leaf.id)).title == "b"
    await leaf.refresh()
    await leaf.delete()
    assert await Leaf.count() == 0
    await other.delete()  # gone already is no error, as without a version


async def test_what_is_gone_cannot_be_read_again_with_a_version_either(db: Database) -> None:
    await db.push(Leaf)
    leaf = await Leaf.create(title="a")
    await Leaf.query().delete()
    with pytest.raises(RowNotFoundError, match="not there any more"):
        await leaf.refresh()
