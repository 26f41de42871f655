"""Models with a version: it is counted by us, and what failed leaves no trace in the object."""

from __future__ import annotations

import pytest

from oxidite.db import Col, Database, Model, SoftDeletes, StaleRowError, Timestamps, Version, col
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
