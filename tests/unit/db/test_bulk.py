"""Many objects at once: made, loaded, changed, deleted, on each kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import UNSET

from oxidite.db import (
    Col,
    Database,
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


class Bird(Model, table="birds"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, min_length=2, pattern="^[a-z0-9]+$")
    weight: Col[int] = col(default=0, ge=0)
    note: Col[str | None] = col(default=None)
    tags: Col[list[str]] = col(json=True, default_factory=list)


class Nest(Model, Timestamps, SoftDeletes, Version, table="nests"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)
    eggs: Col[int] = col(default=0)
    place: Col[str] = col(default="tree")


class Ring(Model, table="rings"):
    land: Col[str] = col(pk=True)
    number: Col[int] = col(pk=True)
    colors: Col[list[str]] = col(array=True, default_factory=list)


class Feather(Model, table="feathers"):
    id: Col[int] = col(pk=True, init=False)


@pytest.fixture
async def birds(db: Database) -> None:
    await db.push(Bird, Nest, Ring, Feather)


def some(count: int, start: int = 0) -> list[Bird]:
    return [Bird(name=f"bird{n}", weight=n, tags=[str(n)]) for n in range(start, start + count)]


SIZES = [1, 2, 33, 700]


@pytest.mark.usefixtures("birds")
class TestCreateMany:
    @pytest.mark.parametrize("count", SIZES)
    async def test_each_object_gets_the_key_of_its_own_row(self, count: int) -> None:
        await Bird.create(name="first")
        made = await Bird.create_many(some(count))

        found = {bird.id: bird for bird in await Bird.where(Bird.name != "first").all()}
        assert len(found) == count
        assert [bird.id for bird in made] == sorted(found)
        for bird in made:
            assert (found[bird.id].name, found[bird.id].tags) == (bird.name, bird.tags)
            assert bird.changed() == []

    async def test_they_can_be_saved_afterwards(self) -> None:
        made = await Bird.create_many(some(40))
        made[7].weight = 1000
        await made[7].save()

        assert (await Bird.where(Bird.weight == 1000).one()).name == "bird7"

    async def test_an_iterator_will_do_and_nothing_is_nothing(self) -> None:
        made = await Bird.create_many(Bird(name=f"it{n}") for n in range(3))

        assert [bird.name for bird in made] == ["it0", "it1", "it2"]
        assert await Bird.create_many([]) == []

    async def test_keys_that_are_given_are_kept(self) -> None:
        birds = some(40)
        birds[3].id = 1000
        birds[4].id = 1001
        await Bird.create_many(birds)

        assert (await Bird.get(1000)).name == "bird3"
        assert len({bird.id for bird in birds}) == 40
        assert (await Bird.get(birds[39].id)).name == "bird39"

    @pytest.mark.parametrize("count", SIZES)
    async def test_other_keys(self, count: int) -> None:
        await Nest.create_many([Nest(eggs=n) for n in range(count)])
        await Ring.create_many(
            [Ring(land="no", number=n, colors=["red", ""]) for n in range(count)]
        )

        assert await Nest.count() == count
        assert (await Ring.get("no", count - 1)).colors == ["red", ""]

    @pytest.mark.parametrize("count", [1, 3, 50])
    async def test_a_row_of_nothing_but_its_key(self, count: int) -> None:
        made = await Feather.create_many([Feather() for _ in range(count)])

        assert [feather.id for feather in made] == list(range(1, count + 1))

    async def test_all_that_is_wrong_is_told_with_its_place(self) -> None:
        birds = some(5)
        birds[1].name = "A"
        birds[4].weight = -1
        with pytest.raises(ValidationError) as caught:
            await Bird.create_many(birds)

        assert {(each.pointer, each.code) for each in caught.value.errors} == {
            ("/1/name", "min_length"),
            ("/4/weight", "ge"),
        }
        assert await Bird.count() == 0

    @pytest.mark.parametrize("count", [5, 200])
    async def test_all_or_none(self, count: int) -> None:
        await Bird.create(name=f"bird{count - 1}")
        birds = some(count)
        with pytest.raises(UniqueError) as caught:
            await Bird.create_many(birds)

        assert [each.pointer for each in caught.value.errors] == ["/name"]
        assert await Bird.count() == 1
        assert {getattr(bird, "id", UNSET) for bird in birds} == {UNSET}
        birds.pop()
        await Bird.create_many(birds)
        assert await Bird.count() == count

    async def test_inside_a_transaction_it_belongs_to_it(self, db: Database) -> None:
        with pytest.raises(KeyError):  # noqa: PT012 - what is undone
            async with db.transaction():
                await Bird.create_many(some(100))
                assert await Bird.count() == 100
                raise KeyError
        assert await Bird.count() == 0

    @pytest.mark.parametrize("count", [3, 200])
    async def test_what_is_undone_can_be_made_again(self, db: Database, count: int) -> None:
        birds, nests = some(count), [Nest() for _ in range(count)]
        with pytest.raises(KeyError):  # noqa: PT012 - what is undone
            async with db.transaction():
                await Bird.create_many(birds)
                await Nest.create_many(nests)
                assert [each.changed() for each in birds] == [[]] * count
                raise KeyError
        assert {getattr(bird, "id", UNSET) for bird in birds} == {UNSET}

        await Bird.create_many(birds)
        await Nest.create_many(nests)
        assert await Bird.count() == await Nest.count() == count
        with pytest.raises(QueryError, match="at 0 has a row already"):
            await Nest.create_many(nests)

    async def test_what_is_no_new_object_of_the_model_is_refused(self) -> None:
        bird = await Bird.create(name="old")
        with pytest.raises(QueryError, match="at 1 has a row already"):
            await Bird.create_many([Bird(name="new"), bird])
        with pytest.raises(QueryError, match="Bird was expected at 0, not Nest"):
            await Bird.create_many([Nest()])  # type: ignore[list-item]
        with pytest.raises(QueryError, match="no list of them"):
            await Bird.create_many(Bird(name="one"))  # type: ignore[arg-type]
        with pytest.raises(QueryError, match="abstract"):
            await Model.create_many([])

    async def test_any_number_has_few_plans(self, db: Database) -> None:
        before = len(db.plans)
        start = 0
        for count in (1, 2, 3, 5, 7, 31, 40, 99, 300):
            await Bird.create_many(some(count, start))
            start += count

        assert len(db.plans) - before <= (1 if db.dialect.unnests else 9)

    async def test_a_size_is_not_cut_off_without_a_word(self, db: Database) -> None:
        class Plate(Model, table="plates"):
            text: Col[str] = col(pk=True, max_length=5)

        await db.push(Plate)
        with pytest.raises(ValidationError):
            await Plate.create_many([Plate(text="123456")])


@pytest.mark.usefixtures("birds")
class TestLoadMany:
    async def test_rows_come_from_an_iterator_part_by_part(self) -> None:
        taken: list[int] = []

        def birds() -> Iterator[Bird]:
            for n in range(250):
                taken.append(n)
                yield Bird(name=f"b{n}", weight=n, tags=["x"])

        assert await Bird.load_many(birds(), chunk=100) == 250
        assert len(taken) == 250
        assert await Bird.count() == 250
        found = await Bird.where(Bird.name == "b249").one()
        assert (found.weight, found.tags, found.note) == (249, ["x"], None)

    async def test_an_async_iterator_too(self) -> None:
        async def nests() -> AsyncIterator[Nest]:
            for n in range(45):
                yield Nest(eggs=n)

        assert await Nest.load_many(nests(), chunk=20) == 45
        assert sorted(nest.eggs for nest in await Nest.query().all()) == list(range(45))

    async def test_all_or_none_and_the_place_is_told(self) -> None:
        birds = some(250)
        birds[230].weight = -3
        with pytest.raises(ValidationError) as caught:
            await Bird.load_many(birds, chunk=100)

        assert [each.pointer for each in caught.value.errors] == ["/230/weight"]
        assert await Bird.count() == 0

    async def test_what_the_database_refuses(self) -> None:
        await Bird.create(name="bird120")
        with pytest.raises(UniqueError):
            await Bird.load_many(some(250), chunk=100)
        assert await Bird.count() == 1

    async def test_keys_that_are_given_are_kept(self) -> None:
        birds = some(3)
        birds[1].id = 77
        await Bird.load_many(birds)

        assert (await Bird.get(77)).name == "bird1"
        assert await Bird.count() == 3

    async def test_a_chunk_of_none_is_refused(self) -> None:
        with pytest.raises(QueryError, match="chunk=0"):
            await Bird.load_many([], chunk=0)


@pytest.mark.usefixtures("birds")
class TestUpdateMany:
    @pytest.mark.parametrize("count", SIZES)
    async def test_what_has_changed_is_written(self, count: int) -> None:
        birds = await Bird.create_many(some(count))
        for bird in birds[::2]:
            bird.weight += 1000
        for bird in birds[::3]:
            bird.note = "\U0001f426"
            bird.tags.append("more")

        changed = len({*range(0, count, 2), *range(0, count, 3)})
        assert await Bird.update_many(birds) == changed
        assert await Bird.update_many(birds) == 0
        found = {bird.id: bird for bird in await Bird.query().all()}
        for n, bird in enumerate(birds):
            same = found[bird.id]
            assert (same.weight, same.note, same.tags) == (bird.weight, bird.note, bird.tags), n
            assert same.changed() == []

    async def test_others_may_have_changed_other_columns(self) -> None:
        birds = await Bird.create_many(some(2))
        await Bird.query().update(Bird.note.to("theirs"))
        birds[0].weight = 5
        await Bird.update_many(birds)

        assert [(b.weight, b.note) for b in await Bird.order_by(Bird.id).all()] == [
            (5, "theirs"),
            (1, "theirs"),
        ]

    async def test_the_change_is_noted(self) -> None:
        nests = await Nest.create_many([Nest(), Nest()])
        before = [nest.updated_at for nest in nests]
        nests[0].eggs = 3
        nests[1].place = "roof"
        await Nest.update_many(nests)

        found = [await Nest.get(nest.id) for nest in nests]
        assert [nest.version for nest in found] == [2, 2] == [nest.version for nest in nests]
        assert all(new.updated_at > old for new, old in zip(found, before, strict=True))
        nests[0].eggs = 4
        await nests[0].save()

    async def test_who_comes_second_is_told_and_nothing_is_written(self) -> None:
        nests = await Nest.create_many([Nest() for _ in range(40)])
        other = await Nest.get(nests[20].id)
        other.eggs = 9
        await other.save()
        for nest in nests:
            nest.eggs = 1
        with pytest.raises(StaleRowError, match="1 of 40 rows of nests"):
            await Nest.update_many(nests)

        assert sorted(nest.eggs for nest in await Nest.query().all()) == [0] * 39 + [9]
        assert {nest.version for nest in nests} == {1}

    async def test_a_row_that_is_gone(self) -> None:
        birds = await Bird.create_many(some(3))
        await Bird.where(Bird.id == birds[1].id).delete()
        for bird in birds:
            bird.weight = 7
        with pytest.raises(RowNotFoundError, match="1 of 3 rows of birds"):
            await Bird.update_many(birds)
        assert await Bird.where(Bird.weight == 7).count() == 0

    async def test_wrong_values_are_told_with_their_place(self) -> None:
        birds = await Bird.create_many(some(3))
        birds[2].weight = -1
        with pytest.raises(ValidationError) as caught:
            await Bird.update_many(birds)
        assert [each.pointer for each in caught.value.errors] == ["/2/weight"]

    async def test_an_array_is_a_column_as_any_other(self) -> None:
        rings = await Ring.create_many([Ring(land="no", number=n) for n in range(3)])
        for ring in rings:
            ring.colors = ["blue", str(ring.number)]
        await Ring.update_many(rings)

        assert (await Ring.get("no", 2)).colors == ["blue", "2"]

    async def test_a_key_can_be_changed(self) -> None:
        rings = await Ring.create_many([Ring(land="no", number=n) for n in range(3)])
        rings[1].number = 99
        await Ring.update_many(rings)

        assert sorted(ring.number for ring in await Ring.query().all()) == [0, 2, 99]

    async def test_two_objects_of_one_row_are_refused(self) -> None:
        birds = await Bird.create_many(some(2))
        same = await Bird.get(birds[0].id)
        with pytest.raises(QueryError, match="at 0 and 2 are of one row of birds"):
            await Bird.update_many([*birds, same])

    async def test_one_without_a_row_is_refused(self) -> None:
        with pytest.raises(QueryError, match="at 0 has no row"):
            await Bird.update_many([Bird(name="new")])


@pytest.mark.usefixtures("birds")
class TestDeleteMany:
    @pytest.mark.parametrize("count", SIZES)
    async def test_they_are_gone(self, count: int) -> None:
        birds = await Bird.create_many(some(count))
        await Bird.create(name="other")

        assert await Bird.delete_many(birds) == count
        assert [bird.name for bird in await Bird.query().all()] == ["other"]
        await Bird.create_many(birds)  # as new ones, with the keys they had
        assert await Bird.count() == count + 1

    async def test_one_that_is_gone_is_no_error(self) -> None:
        birds = await Bird.create_many(some(3))
        await Bird.where(Bird.id == birds[1].id).delete()

        assert await Bird.delete_many(birds) == 2
        assert await Bird.delete_many([]) == 0

    async def test_keys_of_several_columns(self) -> None:
        rings = await Ring.create_many([Ring(land=land, number=1) for land in ("no", "se", "fi")])

        assert await Ring.delete_many(rings[:2]) == 2
        assert [ring.land for ring in await Ring.query().all()] == ["fi"]

    async def test_those_that_only_seem_to_be(self) -> None:
        nests = await Nest.create_many([Nest() for _ in range(3)])

        assert await Nest.delete_many(nests[:2]) == 2
        assert await Nest.count() == 1
        assert await Nest.query().only_deleted().count() == 2
        assert await Nest.delete_many(nests, force=True) == 3
        assert await Nest.query().with_deleted().count() == 0

    async def test_what_could_not_be_deleted_is_not(self) -> None:
        nests = await Nest.create_many([Nest() for _ in range(3)])
        await Nest.where(Nest.id == nests[2].id).update(eggs=1)
        with pytest.raises(StaleRowError):
            await Nest.delete_many(nests)
        assert await Nest.count() == 3
        assert {nest.deleted_at for nest in nests} == {None}


async def test_an_object_that_nobody_checked_is_refused(db: Database) -> None:
    await db.push(Nest)
    wrong: Any = Nest()
    wrong.created_at = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValidationError) as caught:
        await Nest.create_many([Nest(), wrong])
    assert [(each.pointer, each.code) for each in caught.value.errors] == [
        ("/1/created_at", "type")
    ]


@pytest.mark.only_on("mariadb")
async def test_keys_that_only_the_last_insert_tells(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.push(Bird)
    less = replace(db.dialect, returning=frozenset(), locks_rows=True)
    monkeypatch.setattr(type(db.driver), "dialect", less)
    made = await Bird.create_many(some(40))

    found = {bird.id: bird.name for bird in await Bird.query().all()}
    assert [found[bird.id] for bird in made] == [bird.name for bird in made]


HOSTILE = 'x\'); DROP TABLE "odd"; -- :id $1 ? %s \\'


class Odd(Model, table='odd"; DROP TABLE birds; --'):
    id: Col[int] = col(pk=True, init=False, name='i"d')
    word: Col[str] = col(unique=True, name="from; DELETE")
    rank: Col[int] = col(default=0, name="select")


async def test_names_and_values_never_become_sql(db: Database) -> None:
    await db.push(Odd, Bird)
    await Bird.create(name="stays")
    odd = await Odd.create_many([Odd(word=f"{HOSTILE}{n}") for n in range(40)])
    await Odd.load_many([Odd(word=f"{HOSTILE}{n}") for n in range(40, 80)])
    odd[0].word = f"{HOSTILE}!"
    await Odd.update_many(odd)
    await Odd.delete_many(odd[1:3])
    done = await Odd.upsert(Odd(word=f"{HOSTILE}!", rank=3), on=[Odd.word])
    assert done.updated[0].id == odd[0].id
    assert await Odd.where(Odd.word == f"{HOSTILE}!").update(rank=Odd.rank + 1) == 1
    assert await done.updated[0].increment(Odd.rank, 1) == 5
    assert await Odd.where(Odd.word.in_([HOSTILE, f"{HOSTILE}79"])).delete() == 1
    assert [one.word async for one in Odd.where(Odd.rank == 5).stream()] == [f"{HOSTILE}!"]
    assert await Odd.count() == 77
    assert await Bird.count() == 1
