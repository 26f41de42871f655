"""Vectors in rows: kept, refused, and found by how far they are, as plain Python finds them."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from msgspec import Meta, Struct
from tests.unit.db.conftest import KINDS, vectors_url

from oxidite import Json, Oxidite
from oxidite.db import (
    Col,
    Database,
    HasMany,
    History,
    Keys,
    Model,
    ModelError,
    QueryError,
    SoftDeletes,
    Tenancy,
    Vector,
    VectorMetric,
    alias,
    col,
    filter_by,
    index,
    rel,
)
from oxidite.db.factories import Factory
from oxidite.db.sql.schema import create_statements
from oxidite.db.values.dialects import MARIADB, POSTGRESQL, SQLITE
from oxidite.errors import ValidationError
from oxidite.openapi import OpenAPI
from oxidite.testing import Client

tenancy = Tenancy[int]()
SIZE = 8


class Doc(Model, SoftDeletes, table="vector_docs"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str] = col(default="")
    cosine: Col[Vector | None] = col(dimensions=SIZE, default=None)
    l2: Col[Vector | None] = col(dimensions=SIZE, default=None, metric="l2")
    inner_product: Col[Vector | None] = col(dimensions=SIZE, default=None, metric="inner_product")
    notes: HasMany[Note] = rel(fk="doc_id")


class Note(Model, table="vector_notes"):
    id: Col[int] = col(pk=True, init=False)
    doc_id: Col[int] = col(references=Doc.id)
    text: Col[str]


class Place(Model, table="vector_places"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, max_length=20)
    at: Col[Vector] = col(dimensions=2, metric="l2")


class Line(Model, table="vector_lines", scope=tenancy.by("tenant_id")):
    tenant_id: Col[int] = col(pk=True, init=False, default_factory=tenancy.current)
    place: Col[int] = col(pk=True)
    at: Col[Vector] = col(dimensions=2, metric="l2")


class Moved(Model, History, table="vector_moved"):
    id: Col[int] = col(pk=True, init=False)
    at: Col[Vector] = col(dimensions=2, metric="l2")


class Told(Model, table="vector_told"):
    id: Col[int] = col(pk=True, init=False)
    at: Col[Vector] = col(dimensions=2, comment="Where it is.")
    maybe: Col[Vector | None] = col(dimensions=3, default=None)
    secret: Col[Vector | None] = col(dimensions=2, default=None, hidden=True)


METRICS: list[VectorMetric] = ["cosine", "l2", "inner_product"]
SEARCHING = [kind for kind in KINDS if getattr(kind, "values", (kind,))[0] != "mariadb"]


@pytest.fixture(params=KINDS)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database that keeps vectors."""
    async with vectors_url(request.param, tmp_path) as url, Database.from_url(url) as found:
        yield found


@pytest.fixture(params=SEARCHING)
async def searching(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """One that compares them, too."""
    async with vectors_url(request.param, tmp_path) as url, Database.from_url(url) as found:
        yield found


@contextlib.contextmanager
def refused(pointer: str, message: str) -> Any:
    with pytest.raises(ValidationError) as failed:
        yield
    assert [(each.pointer, each.message) for each in failed.value.errors] == [(pointer, message)]


class TestKept:
    async def test_it_is_read_as_it_was_written(self, db: Database) -> None:
        await db.push(Place)
        values = [0.1, -3.4e38]
        made = await Place.create(name="a", at=Vector(values))
        found = await Place.get(made.id)
        assert found.at == Vector(values)
        assert found.at is not made.at
        assert found.changed() == []
        assert made.changed() == []
        found.at = Vector([1e-45, -0.0])
        assert found.changed() == ["at"]
        await found.save()
        (row,) = await Place.where(Place.at == Vector([1e-45, 0])).select(Place.at).all()
        assert row == (Vector([1e-45, 0]),)
        assert await Place.where(Place.at != Vector([1, 2])).count() == 1

    async def test_many_are_written_in_every_way(self, db: Database) -> None:
        await db.push(Place)
        rows = [Place(name=f"{each}", at=Vector([each, 0.5])) for each in range(40)]
        await Place.create_many(rows)
        assert await Place.load_many([Place(name="loaded", at=Vector([-1, 0]))]) == 1
        for one in rows:
            one.at = Vector([one.at[0], 0.25])
        await Place.update_many(rows)
        assert {each.at for each in await Place.where(Place.name != "loaded").all()} == {
            Vector([each, 0.25]) for each in range(40)
        }
        await Place.upsert([Place(name="3", at=Vector([3, 3]))], on=[Place.name])
        assert (await Place.where(Place.name == "3").one()).at == Vector([3, 3])
        await Place.where(Place.name == "3").update(at=Vector([4, 4]))
        both = [Vector([4, 4]), Vector([-1, 0]), Vector([9, 9])]
        assert await Place.where(Place.at.in_(both)).count() == 2
        streamed = [place.at async for place in Place.where(Place.name == "3").stream()]
        assert streamed == [Vector([4, 4])]

    async def test_sql_of_ones_own_takes_and_gives_it(self, db: Database) -> None:
        class Row(Struct):
            name: str
            at: Vector

        await db.push(Place)
        await Place.create(name="a", at=Vector([1, 2]))
        query = db.sql("SELECT name, at FROM vector_places WHERE at = :at", at=Vector([1, 2]))
        assert await query.into(Row).all() == [Row("a", Vector([1, 2]))]
        (place,) = await db.sql("SELECT * FROM vector_places").into(Place).all()
        assert place.at == Vector([1, 2])

    async def test_what_is_hidden_is_kept_all_the_same(self, db: Database) -> None:
        await db.push(Told)
        made = await Told.create(at=Vector([1, 0]), secret=Vector([0, 1]))
        found = await Told.get(made.id)
        assert found.secret == Vector([0, 1])
        assert "secret" not in msgspec.to_builtins(found, enc_hook=list)


class TestRefused:
    BAD: ClassVar[list[tuple[list[float], str]]] = [
        ([1.0] * 7, "must have 8 dimensions, not 7"),
        ([], "must have 8 dimensions, not 0"),
        ([math.nan] + [0.0] * 7, "must be made of finite numbers of 32 bits"),
        ([1.0] * 7 + [math.inf], "must be made of finite numbers of 32 bits"),
        ([1.0] * 7 + [1e39], "must be made of finite numbers of 32 bits"),
        (
            [0.0] * 7 + [-0.0],
            "must not be all zeros, as that has no direction for the metric cosine",
        ),
    ]

    @pytest.mark.parametrize(("values", "message"), BAD)
    async def test_a_vector_that_does_not_fit(
        self, values: list[float], message: str, tmp_path: Path
    ) -> None:
        async with Database.from_url(f"sqlite:///{tmp_path / 'a.db'}") as db:
            await db.push(Doc)
            with refused("/cosine", message):
                await Doc.create(cosine=Vector(values))
            with refused("/0/cosine", message):
                await Doc.create_many([Doc(cosine=Vector(values))])
            with refused("/cosine", message):
                await Doc.query().update(cosine=Vector(values))
            with refused("/cosine", message):
                Doc.cosine.distance(values)
            with refused("/cosine", message):
                Doc.nearest(Doc.cosine, Vector(values))
            assert await Doc.count() == 0

    async def test_zeros_have_other_distances(self, searching: Database) -> None:
        await searching.push(Doc, Note)
        zeros = Vector([0.0] * SIZE)
        await Doc.create(l2=zeros, inner_product=zeros)
        assert [far for _, far in await Doc.nearest(Doc.l2, zeros).all()] == [0]
        assert [far for _, far in await Doc.nearest(Doc.inner_product, zeros).all()] == [0]

    async def test_what_is_no_vector(self, tmp_path: Path) -> None:
        async with Database.from_url(f"sqlite:///{tmp_path / 'a.db'}") as db:
            await db.push(Place)
            with refused("/at", "must be a Vector, not a list"):
                await Place.create(name="a", at=[1.0, 2.0])  # type: ignore[arg-type]  # what is to fail
            with pytest.raises(QueryError, match="no column of vectors"):
                Place.nearest(Place.name, [1, 2])  # type: ignore[arg-type]  # as above
            with pytest.raises(QueryError, match="that is no vector"):
                Place.at.distance(Place.name)  # type: ignore[arg-type]  # as above
            for bad in ("text", b"1234", [1, "2"], 5, None):
                with pytest.raises(QueryError, match="The distance of"):
                    Place.at.distance(bad)  # type: ignore[arg-type]  # as above
            with pytest.raises(QueryError, match="limit"):
                Place.nearest(Place.at, [1, 2], limit=-1)
            with pytest.raises(QueryError, match="cannot be compared with text"):
                filter_by({"at": "5"}, allow=[Place.at])

    async def test_mariadb_says_that_it_cannot(self, tmp_path: Path) -> None:
        async with vectors_url("mariadb", tmp_path) as url, Database.from_url(url) as db:
            await db.push(Place)
            for query in (
                Place.nearest(Place.at, [1, 2]),
                Place.where(Place.at.distance([1, 2]) < 1),
                Place.order_by(Place.at.distance([1, 2])),
            ):
                with pytest.raises(QueryError, match=r"from version 11\.7 on.*vector\.distance"):
                    await query.all()

    @pytest.mark.parametrize("kind", ["memory", "mariadb"])
    async def test_the_database_keeps_the_length(self, kind: str, tmp_path: Path) -> None:
        async with vectors_url(kind, tmp_path) as url, Database.from_url(url) as db:
            await db.push(Place)
            with pytest.raises(ValidationError):
                await db.sql("INSERT INTO vector_places (name, at) VALUES ('a', x'0000')").run()


DECLARED: dict[str, tuple[Callable[[], Any], str]] = {
    "no dimensions": (lambda: col(), "1 to 16,000"),
    "none": (lambda: col(dimensions=0), "1 to 16,000"),
    "too many": (lambda: col(dimensions=16_001), "1 to 16,000"),
    "no number": (lambda: col(dimensions=True), "1 to 16,000"),
    "metric": (lambda: col(dimensions=3, metric="l1"), "metric='l1' is none of cosine, l2"),  # type: ignore[call-overload]  # what is to fail
    "unique": (lambda: col(dimensions=3, unique=True), "unique= is not for a Vector"),
    "key": (lambda: col(dimensions=3, pk=True), "pk= is not for a Vector"),
    "length": (lambda: col(dimensions=3, max_length=3), "max_length= is not for a Vector"),
    "encrypted": (lambda: col(dimensions=3, encrypted=Keys("k" * 40)), "encrypted= is not for"),
}


@pytest.mark.parametrize("name", DECLARED)
def test_what_cannot_be_said_of_a_column(name: str) -> None:
    make, message = DECLARED[name]
    with pytest.raises(ModelError, match=message):

        class Bad(Model, table="vector_bad"):
            id: Col[int] = col(pk=True, init=False)
            at: Col[Vector] = make()


def test_what_is_said_of_vectors_alone() -> None:
    with pytest.raises(ModelError, match="are for a column of the type Vector"):

        class Sized(Model, table="vector_sized"):
            id: Col[int] = col(pk=True, init=False)
            at: Col[list[float]] = col(json=True, dimensions=3)

    with pytest.raises(ModelError, match="the type of a column itself"):

        class Listed(Model, table="vector_listed"):
            id: Col[int] = col(pk=True, init=False)
            at: Col[list[Vector]] = col(array=True)


# Distances, beside those of plain Python.


def chosen(by: random.Random) -> Vector:
    """Of few values, so that there are ties."""
    while True:
        made = Vector([by.choice((-2.0, -1.0, 0.0, 0.5, 1.0)) for _ in range(SIZE)])
        if any(made):
            return made


def near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
async def test_the_order_is_that_of_plain_python(searching: Database, metric: VectorMetric) -> None:
    await searching.push(Doc, Note)
    by = random.Random(metric)
    given: list[dict[str, Any]] = [
        {metric: chosen(by) if number % 7 else None} for number in range(150)
    ]
    rows = [Doc(**each) for each in given]
    await Doc.create_many(rows)
    column = getattr(Doc, metric)
    for _ in range(5):
        to = chosen(by)
        far = {
            row.id: getattr(row, metric).distance(to, metric=metric)
            for row in rows
            if getattr(row, metric) is not None
        }
        found = await Doc.nearest(column, to, limit=200).all()
        assert {doc.id for doc, _ in found} == far.keys()
        assert all(near(distance, far[doc.id]) for doc, distance in found)
        # Those that are equally far come in any order; one more column makes it one.
        told = [distance for _, distance in found]
        assert told == sorted(told)
        whole = await Doc.order_by(column.distance(to), Doc.id).select(Doc.id).all()
        ids = [number for (number,) in whole]
        assert set(ids[: len(far)]) == far.keys()
        assert ids[len(far) :] == sorted({row.id for row in rows} - far.keys())
        assert all(
            far[one] < far[other] or near(far[one], far[other])
            for one, other in pairwise(ids[: len(far)])
        )
        ten = await Doc.nearest(column, to).all()
        assert [distance for _, distance in ten] == told[:10]


class TestFound:
    async def places(self, db: Database) -> None:
        await db.push(Place)
        await Place.create_many([Place(name=f"{each}", at=Vector([each, 0])) for each in range(20)])

    async def test_no_rows(self, searching: Database) -> None:
        await searching.push(Place, Doc, Note)
        assert await Place.nearest(Place.at, [0, 0]).all() == []
        await Doc.create(text="without one")
        assert await Doc.nearest(Doc.l2, [0.0] * SIZE).all() == []
        assert await Doc.nearest(Doc.l2, [0.0] * SIZE).count() == 0
        assert await Doc.where(Doc.l2.distance([0.0] * SIZE) < 9).count() == 0

    async def test_it_is_a_query_as_any(self, searching: Database) -> None:
        await self.places(searching)
        query = Place.nearest(Place.at, [10, 0], limit=5)
        assert {place.name for place, _ in await query.all()} == {"8", "9", "10", "11", "12"}
        assert await query.count() == 5
        assert await query.exists()
        assert not await query.where(Place.name == "x").exists()
        first = await query.first()
        assert first is not None
        assert (first[0].name, first[1]) == ("10", 0.0)
        more = query.order_by(Place.id).offset(1)
        assert [place.name for place, _ in await more.all()] == ["9", "11", "8", "12", "7"]
        odd = Place.where(Place.name.in_(["1", "3", "5"])).nearest(Place.at, [4.5, 0], limit=2)
        assert [place.name for place, _ in await odd.all()] == ["5", "3"]
        page = await Place.nearest(Place.at, [0, 0], limit=20).page(number=2, size=3)
        assert [place.name for place, _ in page.items] == ["3", "4", "5"]
        streamed = [place.name async for place, _ in query.stream()]
        assert streamed[0] == "10"
        with pytest.raises(QueryError, match="leave one of them out"):
            query.select(Place.name)
        with pytest.raises(QueryError):
            await query.keyset()

    async def test_a_distance_is_an_expression_as_any(self, searching: Database) -> None:
        await self.places(searching)
        far = Place.at.distance([3, 4])
        near_by = Place.where(far <= 5).order_by(far.desc(), Place.id)
        rows = await near_by.select(Place.name, far).all()
        assert rows[0] == ("0", 5.0)
        assert [name for name, _ in rows] == ["0", "6", "1", "5", "2", "4", "3"]
        (twice,) = await Place.where(Place.name == "3").select(far * 2.0).all()
        assert twice == (8.0,)
        Other = alias(Place, "other")  # noqa: N806 - a model
        pairs = Place.query().join(
            Other, on=(Other.at.distance(Place.at) < 1.5) & (Other.id > Place.id)
        )
        assert await pairs.count() == 19
        point = Place.where(Place.name == "7").select(Place.at)
        nearest = Place.order_by(Place.at.distance(point.scalar()), Place.id).limit(3)
        assert [place.name for place in await nearest.all()] == ["7", "6", "8"]

    async def test_what_seems_to_be_deleted_is_not_found(self, searching: Database) -> None:
        await searching.push(Doc, Note)
        for number in (1, 2, 3):
            await Doc.create(text=f"{number}", l2=Vector([number] * SIZE))
        await Doc.where(Doc.text == "1").delete()
        query = Doc.nearest(Doc.l2, [0.0] * SIZE)
        assert [doc.text for doc, _ in await query.all()] == ["2", "3"]
        assert [doc.text for doc, _ in await query.with_deleted().all()] == ["1", "2", "3"]

    async def test_each_tenant_finds_its_own(self, searching: Database) -> None:
        await searching.push(Line)
        for tenant in (1, 2):
            with tenancy.of(tenant):
                await Line.create_many(
                    [Line(place=each, at=Vector([each + tenant / 2, 0])) for each in range(5)]
                )
        with tenancy.of(1):
            found = await Line.nearest(Line.at, [2, 0], limit=3).all()
            assert [(line.tenant_id, line.place) for line, _ in found[:2]] in (
                [(1, 1), (1, 2)],
                [(1, 2), (1, 1)],
            )
            assert {line.tenant_id for line, _ in found} == {1}

    async def test_relations_are_loaded_with_it(self, searching: Database) -> None:
        await searching.push(Doc, Note)
        doc = await Doc.create(text="a", l2=Vector([1] * SIZE))
        await Note.create(doc_id=doc.id, text="of it")
        query = Doc.query().with_(Doc.notes).nearest(Doc.l2, [0.0] * SIZE)
        ((one, far),) = await query.all()
        assert [note.text for note in await one.notes] == ["of it"]
        assert far == pytest.approx(math.sqrt(SIZE))
        with pytest.raises(QueryError, match="already"):
            Doc.query().with_count(Doc.notes).nearest(Doc.l2, [0.0] * SIZE)

    async def test_a_transaction_finds_what_it_has_written(self, searching: Database) -> None:
        await searching.push(Place)
        async with searching.transaction():
            await Place.create(name="a", at=Vector([1, 1]))
            assert len(await Place.nearest(Place.at, [1, 1]).all()) == 1


# What a client gives and sees.


class Searched(Struct):
    at: Annotated[list[float], Meta(min_length=2, max_length=2)]


def application(db: Database) -> Oxidite:
    app = Oxidite(resources=[db], plugins=[OpenAPI()])

    @app.post("/told", status=201)
    async def create(data: Json[Told.Create]) -> Told:
        return await Told.create_from(data)

    @app.patch("/told/{id:int}")
    async def change(id: int, data: Json[Told.Patch]) -> Told.Out:
        told = await Told.get(id)
        return (await told.apply(data).save()).out()

    @app.post("/search")
    async def search(data: Json[Searched]) -> list[tuple[Told, float]]:
        return await Told.nearest(Told.at, data.at).all()

    return app


async def test_a_client_gives_and_gets_a_list_of_numbers() -> None:
    db = Database.from_url("sqlite://")
    async with Client(application(db)) as client:
        await db.push(Told)
        made = await client.post("/told", json={"at": [1, 0.5]})
        assert made.status_code == 201
        assert made.json() == {"id": 1, "at": [1.0, 0.5], "maybe": None}
        changed = await client.patch("/told/1", json={"maybe": [1, 2, 3]})
        assert changed.json() == {"id": 1, "at": [1.0, 0.5], "maybe": [1.0, 2.0, 3.0]}
        changed = await client.patch("/told/1", json={"maybe": None})
        assert changed.json()["maybe"] is None
        found = await client.post("/search", json={"at": [1, 0.5]})
        ((row, far),) = found.json()
        assert row == {"id": 1, "at": [1.0, 0.5], "maybe": None}
        assert far == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("data", "pointers"),
    [
        ({"at": [1]}, {"/at"}),
        ({"at": [1, 2, 3], "maybe": [1]}, {"/at", "/maybe"}),
        ({"at": [1, "2"]}, {"/at/1"}),
        ({"at": "text"}, {"/at"}),
        ({"at": None}, {"/at"}),
        ({"at": [0, 0]}, {"/at"}),
        ({"at": [1, 1e39]}, {"/at"}),
        ({}, {"/at"}),
    ],
)
async def test_what_a_client_gets_wrong_is_told(data: object, pointers: set[str]) -> None:
    db = Database.from_url("sqlite://")
    async with Client(application(db)) as client:
        await db.push(Told)
        answer = await client.post("/told", json=data)
        assert answer.status_code == 422
        assert {each["pointer"].removeprefix("#") for each in answer.json()["errors"]} == pointers
        assert (await client.post("/search", json={"at": [0, 0]})).status_code == 422


async def test_documents_say_how_many_numbers_there_are() -> None:
    db = Database.from_url("sqlite://")
    async with Client(application(db)) as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    three = {**numbers, "type": ["array", "null"], "minItems": 3, "maxItems": 3}
    assert schemas["Told"]["properties"]["at"] == {**numbers, "description": "Where it is."}
    assert schemas["Told"]["properties"]["maybe"].items() >= three.items()
    assert schemas["ToldCreate"]["properties"]["at"] == {**numbers, "description": "Where it is."}
    assert "secret" not in schemas["Told"]["properties"]


async def test_factories_make_vectors() -> None:
    class Places(Factory[Place]):
        pass

    async with Database.from_url("sqlite://") as db:
        await db.push(Place)
        made = await Places().create()
        assert len((await Place.get(made.id)).at) == 2


# Indexes.


class Indexed(
    Model,
    table="vector_indexed",
    indexes=[index("l2", using="ivfflat", where="id > 0", name="ix_lists")],
):
    id: Col[int] = col(pk=True, init=False)
    cosine: Col[Vector] = col(dimensions=3, index=True)
    l2: Col[Vector] = col(dimensions=3, metric="l2", name="select")
    product: Col[Vector] = col(dimensions=3, metric="inner_product", index=True)


def test_an_index_is_one_for_the_metric() -> None:
    made = "\n".join(create_statements([Indexed.__table__], POSTGRESQL))
    assert made.startswith("CREATE EXTENSION IF NOT EXISTS vector\n")
    assert "USING hnsw (cosine vector_cosine_ops)" in made
    assert "USING hnsw (product vector_ip_ops)" in made
    assert 'USING ivfflat ("select" vector_l2_ops) WHERE id > 0' in made
    for dialect in (SQLITE, MARIADB):
        assert "INDEX" not in "\n".join(create_statements([Indexed.__table__], dialect))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (index("at", using="gin"), "using hnsw or ivfflat, not gin"),
        (index("at", unique=True), "not unique"),
        (index("at", "id"), "of one column"),
        (index("large"), "2,000 dimensions at most"),
    ],
)
def test_what_is_no_index_of_vectors(declared: Any, message: str) -> None:
    class Bad(Model, table="vector_bad_index", indexes=[declared]):
        id: Col[int] = col(pk=True, init=False)
        at: Col[Vector] = col(dimensions=3)
        large: Col[Vector] = col(dimensions=2001)

    for dialect in (SQLITE, POSTGRESQL):
        with pytest.raises(ModelError, match=message):
            create_statements([Bad.__table__], dialect)


async def test_a_history_keeps_vectors(db: Database) -> None:
    await db.push(Moved)
    moved = await Moved.create(at=Vector([1, 2]))
    moved.at = Vector([3, 4])
    await moved.save()
    assert [each.row.at for each in await moved.history()] == [Vector([3, 4]), Vector([1, 2])]
    await moved.revert_to((await moved.history())[-1])
    assert (await Moved.get(moved.id)).at == Vector([1, 2])


async def test_postgresql_uses_the_index(tmp_path: Path) -> None:
    async with vectors_url("postgresql", tmp_path) as url:
        options = "&options=-c%20enable_seqscan%3Doff%20-c%20enable_sort%3Doff"
        async with Database.from_url(f"{url}{options}") as db:
            await db.push(Indexed)
            by = random.Random(5)
            rows = [Vector([by.uniform(-1, 1) for _ in range(3)]) for _ in range(300)]
            await Indexed.create_many([Indexed(cosine=r, l2=r, product=r) for r in rows])
            for column, metric, name in (
                (Indexed.cosine, "cosine", "ix_vector_indexed_cosine"),
                (Indexed.l2, "l2", "ix_lists"),
                (Indexed.product, "inner_product", "ix_vector_indexed_product"),
            ):
                to = Vector([0.5, -0.25, 1])
                query = Indexed.where(Indexed.id > 0).nearest(column, to, limit=5)
                assert name in await query.explain()
                found = [far for _, far in await query.all()]
                wanted = sorted(r.distance(to, metric=metric) for r in rows)  # type: ignore[arg-type]  # a metric
                if metric != "l2":  # lists that were made of nothing find part of them
                    assert found == pytest.approx(wanted[:5], abs=1e-6)
                assert found == sorted(found)
