"""Seeds run in order, each as a whole, and again without harm."""

from __future__ import annotations

import pytest

from oxidite.db import Col, Database, Model, QueryError, UniqueError, col
from oxidite.db import seeds as module
from oxidite.db.seeds import Seeded, run_seeds, seed, seeds


class Role(Model, table="seeded_roles"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_defined", {})


async def test_seeds_run_in_order(db: Database) -> None:
    await db.push(Role)

    @seed(order=2)
    async def last() -> None:
        await Role.create(name="last")

    @seed
    async def first() -> None:
        if not await Role.where(Role.name == "first").exists():
            await Role.create(name="first")

    @seed(order=1, name="middle")
    async def named(db: Database) -> None:
        async with db.transaction():
            await Role.create(name="middle")

    reported: list[Seeded] = []
    done = await run_seeds(db, report=reported.append)
    assert [each.name.rpartition(".")[2] for each in done] == ["first", "middle", "last"]
    assert reported == done
    assert all(each.seconds > 0 for each in done)
    assert await Role.order_by(Role.id).select(Role.name).all() == [
        ("first",),
        ("middle",),
        ("last",),
    ]
    await run_seeds(db, first)  # it looks first, so it may run again
    assert await Role.count() == 3
    assert [each.name for each in seeds()][1] == "middle"


async def test_one_that_fails_leaves_nothing_of_its_own(db: Database) -> None:
    await db.push(Role)

    @seed
    async def good() -> None:
        await Role.create(name="good")

    @seed
    async def bad() -> None:
        await Role.create(name="half")
        await Role.create(name="good")

    with pytest.raises(UniqueError):
        await run_seeds(db)
    assert await Role.query().select(Role.name).all() == [("good",)]


async def test_some_can_be_chosen(db: Database) -> None:
    await db.push(Role)

    @seed(name="one")
    async def one() -> None:
        await Role.create(name="one")

    @seed(name="two")
    async def two() -> None:
        await Role.create(name="two")

    assert [each.name for each in await run_seeds(db, only=["two"])] == ["two"]
    with pytest.raises(QueryError, match=r"no seed 'tow'. Known: one, two"):
        await run_seeds(db, only=["tow"])
    assert await Role.count() == 1


async def test_a_seed_that_is_defined_again_takes_the_place(db: Database) -> None:
    await db.push(Role)
    for name in ("old", "new"):

        @seed(name="roles")
        async def roles(name: str = name) -> None: ...

    assert len(seeds()) == 1


def test_what_is_no_seed_is_refused() -> None:
    with pytest.raises(QueryError, match="not async"):

        @seed  # type: ignore[arg-type]  # that is the mistake
        def sync() -> None: ...

    with pytest.raises(QueryError, match="takes nothing, or the database"):

        @seed  # type: ignore[arg-type]  # as above
        async def two(db: Database, other: int) -> None: ...
