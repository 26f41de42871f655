"""Two tenants in one database: every way of reading and writing, and none of them leads to the other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oxidite import Handler, Oxidite, Request, Response
from oxidite.db import (
    BelongsTo,
    Col,
    CursorPage,
    Database,
    HasMany,
    HasOne,
    InsertStatement,
    ManyToMany,
    MissingTenantError,
    Model,
    OtherTenantError,
    Page,
    QueryError,
    RowNotFoundError,
    SelectStatement,
    SoftDeletes,
    StaleRowError,
    Statement,
    Tenancy,
    Timestamps,
    UniqueError,
    Version,
    alias,
    col,
    excluded,
    exists,
    fn,
    optional,
    rel,
)
from oxidite.db.web import Bound
from oxidite.errors import ValidationError
from oxidite.testing import Client

tenancy = Tenancy[int]()


class Owned(Model, abstract=True, scope=tenancy.by("tenant_id")):
    tenant_id: Col[int] = col(init=False, index=True, default_factory=tenancy.current)


class Firm(Owned, Timestamps, SoftDeletes, table="t_firms"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    bills: HasMany[Bill] = rel(fk="firm_id", on_soft_delete="cascade")
    lines: HasMany[Line] = rel(through="bills")
    seal: HasOne[Seal | None] = rel()
    tags: ManyToMany[Tag, Tagged] = rel()
    parent_id: Col[int | None] = col(default=None, references="t_firms.id")
    parent: BelongsTo[Firm | None] = rel(fk="parent_id")
    branches: HasMany[Firm] = rel(fk="parent_id")


class Bill(Owned, Version, SoftDeletes, table="t_bills"):
    id: Col[int] = col(pk=True, init=False)
    amount: Col[int] = col(ge=0)
    firm_id: Col[int] = col(references=Firm.id)
    firm: BelongsTo[Firm | None] = rel(touch=True)
    lines: HasMany[Line] = rel()


class Line(Owned, table="t_lines"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    bill_id: Col[int] = col(references=Bill.id)


class Seal(Owned, table="t_seals"):
    id: Col[int] = col(pk=True, init=False)
    code: Col[str] = col(unique=True)
    hits: Col[int] = col(default=0)
    firm_id: Col[int | None] = col(default=None, references=Firm.id)


class Tag(Owned, table="t_tags"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


class Tagged(Owned, table="t_tagged"):
    firm_id: Col[int] = col(pk=True, references=Firm.id)
    tag_id: Col[int] = col(pk=True, references=Tag.id)
    role: Col[str] = col(default="")


class Note(Model, table="t_notes"):
    """It belongs to nobody: what it refers to does."""

    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    firm_id: Col[int | None] = col(default=None, references=Firm.id)
    firm: BelongsTo[Firm | None] = rel()


ALL: list[Any] = [Firm, Bill, Line, Seal, Tag, Tagged, Note]


@pytest.fixture
async def firms(db: Database) -> dict[int, Firm]:
    """Each tenant has a firm with one of everything; what is of tenant 2 is called theirs.

    All their rows refer to each other across the border, as rows do that were once written without one:
    whatever follows a reference comes to it.
    """
    await db.push(*ALL)
    made: dict[int, Firm] = {}
    for tenant, name in ((1, "mine"), (2, "theirs")):
        with tenancy.of(tenant):
            firm = made[tenant] = await Firm.create(name=name)
            bill = await Bill.create(amount=tenant, firm_id=firm.id)
            await Line.create(text=name, bill_id=bill.id)
            await Seal.create(code=name, firm_id=firm.id)
            tag = await Tag.create(name=name)
            await Tagged.create(firm_id=firm.id, tag_id=tag.id)
    with tenancy.of(2):
        # Of tenant 2, and belonging to the firm of tenant 1.
        bill = await Bill.create(amount=22, firm_id=made[1].id)
        await Line.create(text="theirs", bill_id=bill.id)
        await Firm.create(name="theirs", parent_id=made[1].id)
        tag = await Tag.create(name="theirs")
        await Tagged.create(firm_id=made[1].id, tag_id=tag.id)
        await Seal.create(code="theirs too", firm_id=made[1].id)
    with tenancy.of(1):
        mine = await Bill.where(Bill.amount == 1).one()
    with tenancy.of(2):
        await Line.create(text="theirs", bill_id=mine.id)
    await Note.create(text="a", firm_id=made[1].id)
    await Note.create(text="b", firm_id=made[2].id)
    return made


async def _whole() -> list[list[tuple[Any, ...]]]:
    """Return all that tenant 2 has, to be compared with what it has later."""
    return [
        [
            tuple(getattr(one, column.name) for column in model.__table__.columns)
            for one in await model.unscoped()
            .where(model.tenant_id == 2)
            .with_deleted()
            .order_by(*model.__table__.pk)
            .all()
        ]
        for model in ALL
        if model is not Note
    ]


# Reading.


async def test_queries(firms: dict[int, Firm]) -> None:
    with tenancy.of(1):
        assert [one.name for one in await Firm.all()] == ["mine"]
        assert await Firm.count() == 1
        assert await Firm.where(Firm.name == "theirs").exists() is False
        assert await Firm.where(Firm.id == firms[2].id).first() is None
        assert await Firm.where((Firm.name == "theirs") | (Firm.name == "mine")).count() == 1
        assert await Firm.get_or_none(firms[2].id) is None
        assert [one.name async for one in Firm.query().stream()] == ["mine"]
        assert [[one.name for one in part] async for part in Firm.query().chunk(1)] == [["mine"]]
        assert (await Firm.query().keyset()).items[0].name == "mine"
        page = await Firm.query().page()
        assert ([one.name for one in page.items], page.total) == (["mine"], 1)
        assert await Bill.query().select(fn.sum(Bill.amount)).one() == (1,)
        assert await Bill.query().group_by(Bill.firm_id).select(fn.count()).all() == [(1,)]
        billed = Bill.query().select(Bill.firm_id)
        assert await Firm.where(Firm.id.in_(billed)).count() == 1
        assert await Firm.where(exists(Bill.where(Bill.firm_id == firms[2].id))).count() == 0
        united = Firm.where(Firm.name == "theirs").union(Firm.where(Firm.name == "mine"))
        assert [one.name for one in await united.all()] == ["mine"]
        assert len(await Firm.query().cte("mine_only").query().all()) == 1
        assert len(await Firm.query().subquery("mine_only").query().all()) == 1


async def test_a_get_of_many_at_once(firms: dict[int, Firm]) -> None:
    async def name(tenant: int, key: int) -> str | None:
        with tenancy.of(tenant):
            found = await Firm.get_or_none(key)
            return None if found is None else found.name

    keys = [firms[1].id, firms[2].id]
    found = await asyncio.gather(*(name(tenant, key) for tenant in (1, 2) for key in keys))
    assert found == ["mine", None, None, "theirs"]


async def test_joins_and_aliases(firms: dict[int, Firm]) -> None:
    with tenancy.of(1):
        joined = Firm.query().join(Bill, on=Bill.firm_id == Firm.id).select(Firm.name, Bill.amount)
        assert await joined.all() == [("mine", 1)]
        outer = Note.query().left_join(Firm, on=Note.firm_id == Firm.id)
        found = await outer.select(Note.text, optional(Firm)).order_by(Note.text).all()
        assert [(text, firm and firm.name) for text, firm in found] == [("a", "mine"), ("b", None)]
        crossed = await Note.query().cross_join(Tag).select(Tag.name).distinct().all()
        assert crossed == [("mine",)]
        Other = alias(Firm, "other")  # noqa: N806 - a model
        assert await Other.where(Other.name == "theirs").count() == 0
        assert (await Other.get(firms[1].id)).name == "mine"
        assert await Other.get_or_none(firms[2].id) is None
        beside = Firm.query().join(Other, on=Other.parent_id == Firm.id).select(Other.name)
        assert await beside.all() == []
        named = Bill.query().subquery("bills")
        through = Firm.query().join(named, on=named[Bill.firm_id] == Firm.id)
        assert await through.select(named[Bill.amount]).all() == [(1,)]
        for query in (Note.query(), Firm.query()):
            with pytest.raises(QueryError, match="full join"):
                query.full_join(Firm, on=Note.firm_id == Firm.id)
    everything = Note.query().join(Firm, on=Note.firm_id == Firm.id, unscoped=True)
    assert len(await everything.select(Firm.name).all()) == 2
    with pytest.raises(MissingTenantError):
        Note.query().join(Firm, on=Note.firm_id == Firm.id)


async def test_relations(firms: dict[int, Firm]) -> None:
    with tenancy.of(1):
        loads = (
            Firm.bills.with_(Bill.lines, Bill.firm),
            Firm.lines,
            Firm.seal,
            Firm.tags,
            Firm.branches,
        )
        for firm in (
            await Firm.with_(*loads).one(),
            (await Firm.with_(*loads).page()).items[0],
            await anext(Firm.with_(*loads).stream()),
        ):
            assert [each.amount for each in firm.bills.value] == [1]
            assert [each.text for each in firm.bills.value[0].lines.value] == ["mine"]
            assert [each.text for each in firm.lines.value] == ["mine"]
            assert firm.seal.value is not None
            assert firm.seal.value.code == "mine"
            assert [each.name for each in firm.tags.value] == ["mine"]
            assert firm.branches.value == []
        firm = await Firm.query().one()
        assert [each.amount for each in await firm.bills] == [1]
        assert [each.text for each in await firm.lines] == ["mine"]
        assert [each.name for each in await firm.tags] == ["mine"]
        assert [each.role for _, each in await firm.tags.pairs()] == [""]
        assert await firm.tags.pivots().count() == 1
        assert await firm.bills.count() == 1
        assert await firm.lines.count() == 1
        assert await firm.bills.where(Bill.amount > 1).all() == []
        assert await firm.bills.order_by(Bill.amount).all() == await firm.bills
        notes = await Note.order_by(Note.text).with_(Note.firm).all()
        assert [note.firm.value and note.firm.value.name for note in notes] == ["mine", None]
        note = await Note.where(Note.text == "b").one()
        assert await note.firm is None
        part = await Firm.with_(Firm.bills.limit(5).order_by(Bill.amount.desc())).one()
        assert [each.amount for each in part.bills.value] == [1]


async def test_conditions_over_relations(firms: dict[int, Firm]) -> None:
    with tenancy.of(1):
        assert await Firm.where(Firm.bills.any(Bill.amount == 22)).count() == 0
        assert await Firm.where(Firm.bills.any(Bill.amount == 1)).count() == 1
        assert await Firm.where(Firm.bills.none(Bill.amount == 22)).count() == 1
        assert await Firm.where(Firm.bills.every(Bill.amount == 1)).count() == 1
        assert await Firm.where(Firm.bills.any(Bill.lines.any(Line.text == "theirs"))).count() == 0
        assert await Firm.where(Firm.lines.any(Line.text == "theirs")).count() == 0
        assert await Firm.where(Firm.tags.any(Tag.name == "theirs")).count() == 0
        assert await Firm.where(Firm.branches.any()).count() == 0
        assert await Firm.where(Firm.seal.has(Seal.code == "theirs too")).count() == 0
        assert await Note.where(Note.firm.has(Firm.name == "theirs")).count() == 0
        counted = await Firm.query().with_count(Firm.bills, Firm.lines, Firm.tags).all()
        assert [each[1:] for each in counted] == [(1, 1, 1)]
        assert await Firm.order_by(Firm.bills.count()).count() == 1
    with pytest.raises(MissingTenantError):
        Note.firm.has()
    free = Firm.unscoped().where(Firm.bills.unscoped().any(Bill.amount == 22))
    assert [one.name for one in await free.all()] == ["mine"]
    loaded = await Firm.unscoped().order_by(Firm.id).with_(Firm.lines.unscoped()).first()
    assert loaded is not None
    assert sorted(each.text for each in loaded.lines.value) == ["mine", "theirs", "theirs"]


async def test_what_forgets_a_scope_inside_is_refused(db: Database, firms: dict[int, Firm]) -> None:
    table, note = Bill.__table__, Note.__table__
    bare = SelectStatement(table=table, source=table.key, columns=(Bill.firm_id,))
    with tenancy.of(1):
        forgetful: list[Statement] = [
            SelectStatement(table=note, source=note.key, where=(exists(bare),)),
            SelectStatement(table=note, source=note.key, where=(~exists(bare),)),
            SelectStatement(
                table=note,
                source=note.key,
                order=(fn.count().over().asc(),),
                having=(exists(bare),),
            ),
            InsertStatement(
                table=table,
                columns=("amount",),
                rows=[[1]],
                conflict=("id",),
                update=("amount",),
                exprs=(excluded(Bill.amount),),
            ),
        ]
        for statement in forgetful:
            with pytest.raises(QueryError, match="leaves out the scope of t_bills"):
                db.plans.get(statement)


# Writing.


async def test_mass_changes(firms: dict[int, Firm]) -> None:
    before = await _whole()
    with tenancy.of(1):
        assert await Bill.query().update(amount=7) == 1
        assert await Bill.where(Bill.amount >= 0).delete() == 1
        assert await Bill.query().restore() == 1
        assert await Line.query().delete() == 1
        for change in (Bill.tenant_id.to(2), Bill.tenant_id.to(Bill.tenant_id + 1)):
            with pytest.raises(OtherTenantError):
                await Bill.query().update(change)
        assert await Bill.query().update(tenant_id=1, amount=3) == 1
    assert await _whole() == before


async def test_objects_of_another_are_not_written(firms: dict[int, Firm]) -> None:
    with tenancy.of(2):
        theirs = await Bill.where(Bill.amount == 2).one()
        line = await Line.order_by(Line.id).first()
        seal = await Seal.where(Seal.code == "theirs").one()
    assert line is not None
    before = await _whole()
    with tenancy.of(1):
        theirs.amount, line.text = 100, "changed"
        written: list[tuple[Any, Any]] = [(Bill, theirs), (Line, line)]
        for model, one in written:
            for refused in (
                one.save(),
                one.delete(),
                one.force_delete(),
                model.update_many([one]),
                model.delete_many([one]),
                model.delete_many([one], force=True),
            ):
                with pytest.raises(OtherTenantError):
                    await refused
        # Nor by saying that it is one's own.
        theirs.tenant_id, line.tenant_id, seal.tenant_id = 1, 1, 1
        with pytest.raises(StaleRowError):
            await Bill.update_many([theirs])
        with pytest.raises(RowNotFoundError):
            await Line.update_many([line])
        with pytest.raises(RowNotFoundError):
            await seal.increment(Seal.hits, 1)
        assert await Line.delete_many([line]) == 0
        # Nor given away.
        mine = await Line.query().one()
        mine.tenant_id = 2
        for refused in (mine.save(), Line.update_many([mine])):
            with pytest.raises(OtherTenantError):
                await refused
        other = Line(text="x", bill_id=theirs.id)
        other.tenant_id = 2
        made: list[Any] = [other.save(), Line.create_many([other]), Line.load_many([other])]
        for refused in made:
            with pytest.raises(OtherTenantError):
                await refused
    assert await _whole() == before


async def test_upserts(firms: dict[int, Firm]) -> None:
    before = await _whole()
    with tenancy.of(1):
        for write in (
            lambda: Seal.upsert(Seal(code="theirs", hits=9), on=[Seal.code]),
            lambda: Seal.upsert(
                [Seal(code="new"), Seal(code="theirs", hits=9)], on=[Seal.code], update=[Seal.hits]
            ),
            lambda: Seal.update_or_create(Seal(code="theirs", hits=9), on=[Seal.code]),
            lambda: Seal.get_or_create(Seal(code="theirs"), on=[Seal.code]),
        ):
            with pytest.raises(UniqueError) as told:
                await write()
            assert told.value.errors[0].message == "is taken"
        assert await Seal.where(Seal.code == "new").exists() is False
        left = await Seal.upsert(Seal(code="theirs", hits=9), on=[Seal.code], update=[])
        assert len(left.skipped) == 1
        for change in (Seal.tenant_id.to(2), Seal.tenant_id.to(Seal.tenant_id + 1)):
            with pytest.raises(OtherTenantError):
                await Seal.upsert(Seal(code="mine"), on=[Seal.code], update=[change])
        done = await Seal.upsert(
            [Seal(code="mine", hits=3), Seal(code="third")],
            on=[Seal.code],
            update=[Seal.hits.to(Seal.hits + excluded(Seal.hits)), Seal.tenant_id],
        )
        assert [one.hits for one in done.updated] == [3]
        found, is_new = await Seal.get_or_create(Seal(code="mine"), on=[Seal.code])
        assert (found.hits, is_new) == (3, False)
    assert await _whole() == before
    with pytest.raises(MissingTenantError):
        Seal(code="x")


async def test_relations_that_write(firms: dict[int, Firm]) -> None:
    before = await _whole()
    with tenancy.of(2):
        tag = await Tag.order_by(Tag.id).first()
    assert tag is not None
    with tenancy.of(1):
        firm = await Firm.query().one()
        mine = (await firm.tags)[0]
        assert await firm.tags.detach(tag) == 0
        assert await firm.tags.detach_all() == 1
        assert (await firm.tags.sync([mine], role="x")).attached == 1
        assert (await firm.tags.sync([])).detached == 1
        assert (await firm.tags.toggle(mine)).attached == 1
        made = await firm.bills.create(amount=5)
        assert made.tenant_id == 1
        # What is marked with it is one's own.
        await firm.delete()
        assert await Bill.count() == 0
        await firm.restore()
        assert await Bill.count() == 2
        # A bill that refers to a firm of another tenant does not touch it.
        bill = await Bill.where(Bill.amount == 5).one()
        bill.firm_id = firms[2].id
        await bill.save()
    assert await _whole() == before


async def test_handlers(db: Database, firms: dict[int, Firm]) -> None:
    async def tenant(request: Request, call_next: Handler) -> Response:
        with tenancy.of(int(request.headers["x-tenant"])):
            return await call_next(request)

    app = Oxidite(middleware=[tenant])

    @app.get("/firms/{firm}")
    async def show(firm: Bound[Firm]) -> Firm:
        return firm

    @app.get("/firms")
    async def index(after: str | None = None) -> CursorPage[Firm]:
        return await Firm.query().keyset(after=after, limit=1)

    @app.get("/pages")
    async def pages() -> Page[Firm]:
        return await Firm.with_(Firm.bills).page()

    async with Client(app) as client:
        one, other = ({"x-tenant": str(tenant)} for tenant in (1, 2))
        assert (await client.get(f"/firms/{firms[1].id}", headers=one)).status_code == 200
        assert (await client.get(f"/firms/{firms[2].id}", headers=one)).status_code == 404
        assert "theirs" not in (await client.get("/pages", headers=one)).text
        # The cursor of another tenant is a place in an order, and shows nothing of the other.
        cursor = (await client.get("/firms", headers=other)).json()["next"]
        answer = await client.get("/firms", headers=one, params={"after": cursor})
        assert "theirs" not in answer.text


async def test_one_that_is_wrong_is_told_with_its_place(firms: dict[int, Firm]) -> None:
    with tenancy.of(1):
        bills = [Bill(amount=1, firm_id=firms[1].id), Bill(amount=-1, firm_id=firms[1].id)]
        with pytest.raises(ValidationError) as told:
            await Bill.create_many(bills)
        assert told.value.errors[0].pointer == "/1/amount"
        made = await Bill.create_many([Bill(amount=1, firm_id=firms[1].id) for _ in range(50)])
        assert len({one.id for one in made}) == 50
        assert await Bill.load_many(Bill(amount=1, firm_id=firms[1].id) for _ in range(3)) == 3
        for one in made:
            one.amount += 1
        assert await Bill.update_many(made) == 50
        assert await Bill.delete_many(made) == 50
        line = await Line.create(text="x", bill_id=made[0].id)
        assert await Line.delete_many([line], force=True) == 1
