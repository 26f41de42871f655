"""Hooks and observers: when they are called, in what order, and what happens when they fail."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

import pytest

from oxidite import ValidationError
from oxidite.db import (
    Change,
    Col,
    Database,
    Lifecycle,
    Model,
    ModelError,
    SoftDeletes,
    col,
    observe,
)

LOG: list[str] = []


class Cup(Model, table="cups"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(min_length=2)
    slug: Col[str] = col(init=False, default="")

    async def before_save(self) -> None:
        LOG.append("before_save")
        self.slug = self.name.lower()

    def before_create(self) -> None:
        LOG.append("before_create")

    def before_update(self) -> None:
        LOG.append("before_update")

    async def before_delete(self) -> None:
        LOG.append("before_delete")

    async def after_create(self) -> None:
        LOG.append(f"after_create {self.id is not None}")

    def after_update(self) -> None:
        LOG.append("after_update")

    def after_save(self) -> None:
        LOG.append("after_save")

    def after_delete(self) -> None:
        LOG.append("after_delete")

    async def after_commit(self, change: Change, /) -> None:
        LOG.append(f"after_commit {change}")


@pytest.fixture(autouse=True)
def _empty() -> None:
    LOG.clear()


async def test_they_are_called_in_order(db: Database) -> None:
    await db.push(Cup)
    cup = await Cup.create(name="Tea")
    assert LOG == [
        "before_save",
        "before_create",
        "after_create True",
        "after_save",
        "after_commit create",
    ]
    assert (await Cup.get(cup.id)).slug == "tea"
    LOG.clear()
    cup.name = "Milk"
    await cup.save()
    assert LOG == [
        "before_save",
        "before_update",
        "after_update",
        "after_save",
        "after_commit update",
    ]
    LOG.clear()
    await cup.save()
    assert LOG == ["before_save"]
    LOG.clear()
    await cup.delete()
    assert LOG == ["before_delete", "after_delete", "after_commit delete"]


async def test_what_is_wrong_stops_before_what_comes_after(db: Database) -> None:
    await db.push(Cup)
    with pytest.raises(ValidationError):
        await Cup.create(name="x")
    assert LOG == ["before_save", "before_create"]


async def test_after_commit_waits_for_the_outermost_commit(db: Database) -> None:
    await db.push(Cup)
    async with db.transaction():
        async with db.transaction():
            await Cup.create(name="Tea")
        assert "after_save" in LOG
        assert "after_commit create" not in LOG
    assert LOG.count("after_commit create") == 1


async def test_after_commit_is_not_called_for_what_was_undone(db: Database) -> None:
    await db.push(Cup)

    async def fail() -> None:
        async with db.transaction():
            await Cup.create(name="Tea")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert "after_save" in LOG
    assert "after_commit create" not in LOG


class Plate(Model, SoftDeletes, table="plates"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


async def test_an_observer_from_outside(db: Database) -> None:
    class Bowl(Plate, table="bowls"):
        pass

    @observe(Bowl, "before_save")
    def name_it(bowl: Bowl) -> None:
        bowl.name += "!"

    @observe(Bowl, "after_commit")
    async def tell(bowl: Bowl, change: Change) -> None:
        LOG.append(f"{bowl.name} {change}")

    await db.push(Bowl, Plate)
    bowl = await Bowl.create(name="x")
    await bowl.delete()
    assert LOG == ["x! create", "x! delete"]
    LOG.clear()
    await Plate.create(name="y")
    assert LOG == []


async def test_those_of_a_base_are_called_for_what_inherits(db: Database) -> None:
    class Base(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)

        def before_create(self) -> Awaitable[None] | None:
            LOG.append("base")
            return None

    class Early(Base, table="early"):
        name: Col[str] = col(default="")

    @observe(Base, "after_save")
    def seen(one: Base) -> None:
        LOG.append(type(one).__name__)

    class Late(Base, table="late"):
        name: Col[str] = col(default="")

        def before_create(self) -> None:
            super().before_create()
            LOG.append("late")

    await db.push(Early, Late)
    await Early.create()
    await Late.create()
    assert LOG == ["base", "Early", "base", "late", "Late"]


async def test_one_that_fails_afterwards_undoes_the_row(db: Database) -> None:
    class Dish(Model, table="dishes"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str]

        async def after_save(self) -> None:
            if self.name == "bad":
                raise KeyError(self.name)

    await db.push(Dish)
    dish = Dish(name="bad")
    with pytest.raises(KeyError):
        await dish.save()
    assert await Dish.count() == 0

    dish.name = "good"
    await dish.save()
    assert await Dish.count() == 1
    dish.name = "bad"
    with pytest.raises(KeyError):
        await dish.save()
    assert (await Dish.get(dish.id)).name == "good"
    assert dish.changed() == ["name"]


async def test_one_that_fails_before_keeps_the_row_from_being_made(db: Database) -> None:
    class Fork(Model, table="forks"):
        id: Col[int] = col(pk=True, init=False)

        def before_create(self) -> None:
            raise PermissionError

    await db.push(Fork)
    with pytest.raises(PermissionError):
        await Fork.create()
    assert await Fork.count() == 0


async def test_one_that_fails_after_the_commit_is_logged(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    class Knife(Model, table="knives"):
        id: Col[int] = col(pk=True, init=False)

        def after_commit(self, change: Change, /) -> None:
            raise KeyError(change)

    await db.push(Knife)
    with caplog.at_level(logging.ERROR):
        await Knife.create()
    assert await Knife.count() == 1
    assert "KeyError" in caplog.text


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ModelError, match="no event 'after_lunch'"):
        observe(Plate, "after_lunch")  # type: ignore[call-overload]


def test_a_model_without_hooks_has_none() -> None:
    assert not Plate.__hooks__  # type: ignore[attr-defined]
    assert Cup.__hooks__  # type: ignore[attr-defined]


class Sluggish(Lifecycle):
    __slots__ = ()

    def before_save(self) -> None:
        super().before_save()
        LOG.append(f"slug of {getattr(self, 'name', None)}")


async def test_those_of_mixins_are_called_wherever_they_stand(db: Database) -> None:
    class After(Model, Sluggish, table="after"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str]

        def before_save(self) -> None:
            super().before_save()
            LOG.append("own")

    class Alone(Model, Sluggish, table="alone"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str]

    class Before(Sluggish, Model, table="before"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str]

    await db.push(After, Alone, Before)
    await After.create(name="a")
    await Alone.create(name="b")
    await Before.create(name="c")
    assert LOG == ["slug of a", "own", "slug of b", "slug of c"]


def test_a_mixin_whose_hook_would_be_lost_is_refused() -> None:
    class Lost:
        __slots__ = ()

        def after_save(self) -> Awaitable[object] | None:
            raise NotImplementedError

    with pytest.raises(ModelError, match=r"Lost\.after_save would never be called"):

        class Odd(Model, Lost, table="odd"):
            id: Col[int] = col(pk=True, init=False)
