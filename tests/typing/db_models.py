"""What a type checker makes of what a model class says beyond its columns.

Each mistake has an ignore comment that names the code, and both checkers report one that is not needed.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, assert_type
from uuid import UUID

from msgspec import Meta, Struct

from oxidite import Json, Oxidite
from oxidite.config import Secret
from oxidite.db import (
    Cast,
    Change,
    Col,
    Column,
    Condition,
    Keys,
    Model,
    Select,
    Tenancy,
    Timestamps,
    check,
    col,
    computed,
    index,
    observe,
    prune,
    ulid,
    uuid7,
    validates,
)

app = Oxidite()
keys = Keys("")
tenancy = Tenancy[int]()


@dataclass
class Money:
    cents: int


money: Cast[Money, int] = Cast(Money, int, lambda value: value.cents, Money)


class Order(
    Model,
    Timestamps,
    table="typed_orders",
    indexes=[index("email", lambda order: order.email.lower(), unique=True, name="x")],
    checks=[check(lambda order: order.tenant > 0, name="y", columns=["tenant"])],
    scope=tenancy.by("tenant"),
    prune_after=timedelta(days=3),
):
    id: Col[UUID] = col(pk=True, default_factory=uuid7)
    code: Col[str] = col(default_factory=ulid)
    email: Col[str] = col(encrypted=keys, searchable=True)
    token: Col[Secret[str] | None] = col(default=None, hidden=True)
    price: Col[Money] = col(cast=money)
    name: Col[Annotated[str, Meta(max_length=5)]] = col()
    tenant: Col[int] = col(init=False, default_factory=tenancy.current)

    @computed
    def shout(self) -> str:
        return f"{self.name}!"

    @validates("name")
    def check_name(self) -> None:
        raise ValueError

    async def before_save(self) -> None: ...

    def after_create(self) -> None: ...

    async def after_commit(self, change: Change, /) -> None:
        assert_type(change, Change)


class NewOrder(Struct):
    name: str


@observe(Order, "after_commit")
async def committed(order: Order, change: Change) -> None: ...


@observe(Order, "before_save")
def before(order: Order) -> None: ...


@app.post("/orders")
async def create(data: Json[Order.Create]) -> Order.Out:
    made = await Order.create_from(data, tenant=3)
    assert_type(made, Order)
    return made.out()


@app.patch("/orders/{id}")
async def change(id: UUID, data: Json[Order.Patch]) -> Order:
    return await (await Order.get(id)).apply(data).save()


async def valid() -> None:
    order = Order(email="x", price=Money(3), name="x")
    assert_type(order.shout, str)
    assert_type(order.token, Secret[str] | None)
    assert_type(order.price, Money)
    assert_type(order.name, str)
    assert_type(Order.email, Column[str, str])
    assert_type(Order.price, Column[Money, Money])
    assert_type(Order.email == "x", Condition)
    assert_type(Order.unscoped(), Select[Order])
    assert_type(await Order.create_from(NewOrder("x")), Order)
    assert_type(order.apply(NewOrder("x")), Order)
    assert_type(await prune(Order), int)
    assert_type(tenancy.current(), int)
    Order.Create(name="x")
    Order.where(Order.price == Money(3), Order.token == Secret("x"))


async def mistakes() -> None:
    Order(email="x", price=3, name="x")  # type: ignore[arg-type]
    Order.where(Order.price == 3)  # type: ignore[arg-type]
    Order.where(Order.token == "x")  # type: ignore[arg-type]
    await Order.create_from({"name": "x"})  # type: ignore[arg-type]
    Order(email="x", price=Money(3), name="x").apply("x")  # type: ignore[arg-type]
    tenancy.of("x")  # type: ignore[arg-type]

    @observe(Order, "before_save")  # type: ignore[arg-type]
    def wrong(order: NewOrder) -> None: ...

    observe(Order, "after_lunch")  # type: ignore[call-overload]

    class Bad(Model, table="bad"):
        def before_save(self) -> int:  # type: ignore[override]
            return 3

        def after_save(self) -> Awaitable[int]:  # any awaitable is one
            raise NotImplementedError
