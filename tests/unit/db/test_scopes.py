"""Scopes: rows that are not to be seen are not, and a statement that forgets it is refused."""

from __future__ import annotations

import asyncio

import pytest

from oxidite.db import (
    Col,
    Condition,
    Database,
    DeleteStatement,
    Join,
    MissingTenantError,
    Model,
    OtherTenantError,
    QueryError,
    RowNotFoundError,
    SelectStatement,
    Statement,
    Tenancy,
    UpdateStatement,
    col,
    some,
)
from oxidite.errors import OxiditeError

tenancy = Tenancy[int]()


class Invoice(Model, table="invoices", scope=tenancy.by("tenant_id")):
    id: Col[int] = col(pk=True, init=False)
    tenant_id: Col[int] = col(init=False, default_factory=tenancy.current)
    amount: Col[int] = col(default=0)


def _is_public(model: type[Page]) -> Condition:
    return model.public == True  # noqa: E712 - a condition


class Page(Model, table="pages", scope=_is_public):
    id: Col[int] = col(pk=True, init=False)
    public: Col[bool]


@pytest.fixture
async def invoices(db: Database) -> dict[int, Invoice]:
    await db.push(Invoice, Page)
    made: dict[int, Invoice] = {}
    for tenant in (1, 2):
        with tenancy.of(tenant):
            made[tenant] = await Invoice.create(amount=tenant)
            await Invoice.create(amount=10 * tenant)
    return made


async def test_each_sees_its_own(invoices: dict[int, Invoice]) -> None:
    with tenancy.of(1):
        assert {one.amount for one in await Invoice.all()} == {1, 10}
        assert await Invoice.count() == 2
        assert await Invoice.where(Invoice.amount > 1).exists()
        assert await Invoice.where(Invoice.amount == 2).first() is None
        assert await Invoice.get_or_none(invoices[2].id) is None
        with pytest.raises(RowNotFoundError):
            await Invoice.get(invoices[2].id)
        with tenancy.of(2):
            assert (await Invoice.get(invoices[2].id)).amount == 2
        assert await Invoice.count() == 2
    assert await Invoice.unscoped().count() == 4


async def test_without_a_tenant_nothing_is_seen_or_made(invoices: dict[int, Invoice]) -> None:
    for build in (Invoice.query, Invoice, lambda: Invoice.where(Invoice.amount > 1)):
        with pytest.raises(MissingTenantError):
            build()
    with pytest.raises(MissingTenantError):
        await Invoice.get(1)
    invoices[1].amount = 7
    for write in (invoices[1].save, invoices[1].delete, invoices[1].refresh):
        with pytest.raises(MissingTenantError):
            await write()
    assert await Invoice.unscoped().count() == 4


async def test_a_row_of_another_is_not_written(invoices: dict[int, Invoice]) -> None:
    with tenancy.of(2):
        invoices[1].amount = 77
        with pytest.raises(OtherTenantError):
            await invoices[1].save()
        with pytest.raises(OtherTenantError):
            await invoices[1].delete()
        with pytest.raises(RowNotFoundError):
            await invoices[1].refresh()
        # Nor by saying that it is one's own.
        invoices[1].tenant_id = 2
        with pytest.raises(RowNotFoundError):
            await invoices[1].save()
        made = Invoice(amount=1)
        made.tenant_id = 1
        with pytest.raises(OtherTenantError):
            await made.save()
    found = await Invoice.unscoped().where(Invoice.id == invoices[1].id).one()
    assert (found.amount, found.tenant_id) == (1, 1)


async def test_tasks_do_not_mix(invoices: dict[int, Invoice]) -> None:
    async def amounts(tenant: int) -> set[int]:
        with tenancy.of(tenant):
            await asyncio.sleep(0)
            return {one.amount for one in await Invoice.all()}

    assert [*await asyncio.gather(amounts(1), amounts(2))] == [{1, 10}, {2, 20}]


async def test_a_scope_is_any_condition(invoices: dict[int, Invoice]) -> None:
    await Page.create(public=True)
    hidden = await Page.create(public=False)
    assert await Page.count() == 1
    assert await Page.unscoped().count() == 2
    assert await Page.get_or_none(hidden.id) is None


async def test_a_statement_that_forgets_it_is_refused(
    db: Database, invoices: dict[int, Invoice]
) -> None:
    table, page = Invoice.__table__, Page.__table__
    condition = Invoice.amount > 0
    with tenancy.of(1):
        scope = table.scoped()
        joined = Join(table, table.key, Invoice.id == Page.id)
        forgetful: list[Statement] = [
            SelectStatement(table=table, source=table.key),
            SelectStatement(table=table, source=table.key, where=(condition,)),
            SelectStatement(table=table, source=table.key, where=(some([*scope, condition]),)),
            SelectStatement(table=table, source=table.key, where=(~scope[0],)),
            SelectStatement(table=page, source=page.key, joins=(joined,), where=page.scoped()),
            UpdateStatement(table=table, columns=(), exprs=(), where=(condition,)),
            DeleteStatement(table=table, where=()),
        ]
        for statement in forgetful:
            with pytest.raises(QueryError, match="leaves out the scope of invoices"):
                db.plans.get(statement)
        whole = SelectStatement(
            table=page, source=page.key, joins=(joined,), where=(*page.scoped(), *scope)
        )
        await db.fetch(whole)


def test_it_is_an_error_of_the_program_and_not_of_the_client() -> None:
    for error in (MissingTenantError(), OtherTenantError()):
        assert isinstance(error, OxiditeError)
        assert getattr(error, "status", 500) == 500
