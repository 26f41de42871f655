"""What is checked whenever a row is saved, and what the database refuses, told as errors of fields."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, Meta, Struct

from oxidite import FieldError, ValidationError
from oxidite.config import Secret
from oxidite.db import (
    CheckError,
    Col,
    Database,
    MissingReferenceError,
    Model,
    ModelError,
    NotNullError,
    SoftDeletes,
    UniqueError,
    check,
    col,
    index,
    validates,
)


class Level(enum.Enum):
    LOW = 1
    HIGH = 5


class Point(Struct):
    x: int


class Everything(Model, table="checked"):
    id: Col[int] = col(pk=True, init=False)
    ge: Col[int | None] = col(default=None, ge=3)
    gt: Col[float | None] = col(default=None, gt=3)
    le: Col[Decimal | None] = col(default=None, le=3)
    lt: Col[date | None] = col(default=None, lt=date(2026, 1, 1))
    step: Col[int | None] = col(default=None, multiple_of=5)
    short: Col[str | None] = col(default=None, max_length=3)
    long: Col[bytes | None] = col(default=None, min_length=3)
    shape: Col[str | None] = col(default=None, pattern=r"^\d+$")
    small: Col[int | None] = col(default=None, bits=16)
    middle: Col[int | None] = col(default=None, bits=32)
    big: Col[int | None] = col(default=None)
    exact: Col[Decimal | None] = col(default=None, precision=5, scale=2)
    meta: Col[Annotated[str, Meta(min_length=2, max_length=4)] | None] = col(default=None)
    both: Col[Annotated[int, Meta(ge=1, lt=9)]] = col(default=1)
    level: Col[Level | None] = col(default=None)
    word: Col[Literal["a", "b"] | None] = col(default=None)
    number: Col[Literal[1, 2] | None] = col(default=None)
    json: Col[Point | None] = col(default=None, json=True)
    secret: Col[Secret[str] | None] = col(default=None, min_length=3)
    moment: Col[datetime | None] = col(default=None)
    flag: Col[bool | None] = col(default=None)


RIGHT: list[dict[str, Any]] = [
    {},
    {"ge": 3, "gt": 3.1, "le": Decimal(3), "lt": date(2025, 12, 31), "step": -10},
    {"short": "abc", "long": b"abc", "shape": "12", "small": 2**15 - 1, "middle": -(2**31)},
    {"big": 2**63 - 1, "exact": Decimal("999.99"), "meta": "ab", "both": 8, "gt": 4},
    {"exact": Decimal("1E+2"), "level": Level.HIGH, "word": "b", "number": 2, "json": Point(1)},
    {"secret": Secret("abc"), "moment": datetime(2026, 1, 1, tzinfo=UTC), "flag": True},
    {"exact": Decimal("-1.500"), "meta": "abcd"},
]
WRONG: list[tuple[str, Any, str]] = [
    ("ge", 2, "ge"),
    ("gt", 3.0, "gt"),
    ("le", Decimal("3.01"), "le"),
    ("lt", date(2026, 1, 1), "lt"),
    ("step", 7, "multiple_of"),
    ("short", "abcd", "max_length"),
    ("long", b"ab", "min_length"),
    ("shape", "1x", "pattern"),
    ("small", 2**15, "type"),
    ("middle", -(2**31) - 1, "type"),
    ("big", 2**63, "type"),
    ("exact", Decimal("1.005"), "type"),
    ("exact", Decimal(1000), "type"),
    ("exact", Decimal("NaN"), "type"),
    ("exact", Decimal("Infinity"), "type"),
    ("meta", "a", "min_length"),
    ("meta", "abcde", "max_length"),
    ("both", 9, "lt"),
    ("both", None, "missing"),
    ("level", 1, "type"),
    ("word", "c", "type"),
    ("number", 3, "type"),
    ("number", True, "type"),
    ("json", {"x": "1"}, "type"),
    ("json", object(), "type"),
    ("secret", "abc", "type"),
    ("secret", Secret("ab"), "min_length"),
    ("secret", Secret(3), "type"),
    ("moment", datetime(2026, 1, 1), "type"),  # noqa: DTZ001 - that is the point
    ("lt", datetime(2025, 1, 1, tzinfo=UTC), "type"),
    ("flag", 1, "type"),
    ("big", True, "type"),
    ("gt", float("nan"), "type"),
    ("shape", "1\0", "type"),
    ("shape", "\ud800", "type"),
    ("short", b"abc", "type"),
]


@pytest.mark.parametrize("values", RIGHT)
async def test_what_is_right_comes_back(db: Database, values: dict[str, Any]) -> None:
    await db.push(Everything)
    made = await Everything.create(**values)
    found = await Everything.get(made.id)
    assert {name: getattr(found, name) for name in values} == values
    assert found.changed() == []


@pytest.mark.parametrize(("name", "value", "code"), WRONG)
async def test_what_is_wrong_is_refused(name: str, value: Any, code: str) -> None:
    async with Database.from_url("sqlite://") as db:
        await db.push(Everything)
        with pytest.raises(ValidationError) as caught:
            await Everything.create(**{name: value})
        assert [(e.pointer, e.code) for e in caught.value.errors] == [(f"/{name}", code)]
        made = await Everything.create()
        setattr(made, name, value)
        with pytest.raises(ValidationError):
            await made.save()
        assert await Everything.count() == 1


class Stay(
    Model,
    SoftDeletes,
    table="stays",
    indexes=[
        index("room", "comes", unique=True),
        index(lambda stay: stay.guest.lower(), unique=True, name="one_guest"),
        index("leaves", where=lambda stay: stay.nights > 3, name="long_ones"),
    ],
    checks=[
        check(
            "leaves > comes", name="in_order", message="must be after it comes", columns=["leaves"]
        ),
        check(lambda stay: stay.nights <= 30, name="not_for_ever"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    room: Col[int] = col(name="room_number", ge=1, check=True)
    guest: Col[str]
    comes: Col[date] = col(default=date(2026, 1, 1))
    leaves: Col[date] = col(default=date(2026, 1, 2))
    nights: Col[int] = col(default=1)
    host_id: Col[int | None] = col(default=None, references="stays.id")

    @validates("guest")
    def guest_is_known(self) -> None:
        if self.guest == "nobody":
            raise ValueError("must be somebody")

    @validates("comes", "nights")
    def is_not_too_long(self) -> None:
        if self.nights > 20 and self.comes.month == 1:
            raise ValueError("must be short in winter")

    @validates()
    def whole(self) -> None:
        if self.guest == "two":
            raise ValidationError(
                [
                    FieldError("body", "no", pointer="/guest"),
                    FieldError("body", "no", pointer="/room"),
                ]
            )
        if self.guest == "whole":
            raise ValueError("is not right as a whole")


async def _errors(**values: Any) -> set[tuple[str | None, str, str]]:
    with pytest.raises(ValidationError) as caught:
        await Stay.create(**{"room": 1, "guest": "x", **values})
    return {(e.pointer, e.code, e.message) for e in caught.value.errors}


async def test_checks_of_the_models_own(db: Database) -> None:
    await db.push(Stay)
    assert await _errors(guest="nobody") == {("/guest", "invalid", "must be somebody")}
    assert await _errors(guest="nobody", nights=21) == {
        ("/guest", "invalid", "must be somebody"),
        ("/comes", "invalid", "must be short in winter"),
    }
    assert await _errors(guest="nobody", nights="x") == {
        ("/guest", "invalid", "must be somebody"),
        ("/nights", "type", "must be an int, not a str"),
    }
    assert await _errors(guest="whole") == {("", "invalid", "is not right as a whole")}
    assert {pointer for pointer, _, _ in await _errors(guest="two")} == {"/guest", "/room"}

    stay = await Stay.create(room=1, guest="x")
    stay.guest = "nobody"
    with pytest.raises(ValidationError):
        await stay.save()
    assert await Stay.where(Stay.guest == "x").count() == 1


async def test_they_are_inherited() -> None:
    class Checked:
        __slots__ = ()

        @validates()
        def never(self) -> None:
            raise ValueError("never")

    class Mixed(Model, Checked, table="mixed"):
        id: Col[int] = col(pk=True, init=False)

    class Below(Mixed, table="below"):
        pass

    async with Database.from_url("sqlite://") as db:
        await db.push(Mixed, Below)
        for model in (Mixed, Below):
            with pytest.raises(ValidationError) as caught:
                await model.create()
            assert [error.message for error in caught.value.errors] == ["never"]


async def _refused(kind: type[ValidationError], **values: Any) -> set[tuple[str | None, str, str]]:
    with pytest.raises(kind) as caught:
        await Stay.create(**{"room": 1, "guest": "x", **values})
    return {(e.pointer, e.code, e.message) for e in caught.value.errors}


async def test_what_is_unique(db: Database) -> None:
    await db.push(Stay)
    first = await Stay.create(room=1, guest="Ann")
    together = "are taken together: room, comes"
    assert await _refused(UniqueError) == {
        ("/room", "unique", together),
        ("/comes", "unique", together),
    }
    assert await _refused(UniqueError, room=2, guest="aNN") == {("/guest", "unique", "is taken")}
    await first.delete()
    await Stay.create(room=1, guest="ann")


async def test_what_breaks_a_rule_of_the_table(db: Database) -> None:
    await db.push(Stay)
    assert await _refused(CheckError, leaves=date(2025, 1, 1)) == {
        ("/leaves", "check", "must be after it comes")
    }
    assert await _refused(
        CheckError, nights=31, comes=date(2026, 2, 1), leaves=date(2026, 4, 1)
    ) == {("", "check", "breaks a rule")}


async def test_what_refers_to_nothing(db: Database) -> None:
    await db.push(Stay)
    assert await _refused(MissingReferenceError, host_id=99) == {
        ("/host_id", "reference", "refers to nothing")
    }
    host = await Stay.create(room=1, guest="host")
    await Stay.create(room=2, guest="x", host_id=host.id)
    with pytest.raises(MissingReferenceError) as caught:
        await host.force_delete()
    assert [(e.pointer, e.message) for e in caught.value.errors] == [("", "is still referred to")]
    assert await Stay.count() == 2


async def test_what_the_model_has_as_well_is_told_in_its_words(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.push(Stay)
    # Another program may write what ours would refuse: here nothing is checked before.
    monkeypatch.setattr("oxidite.db.writes.saving.check_object", lambda *_: None)
    assert await _refused(CheckError, room=0) == {("/room", "ge", "must be 1 or more")}
    assert await _refused(NotNullError, room=None) == {("/room", "not_null", "is missing")}


@pytest.mark.parametrize("name", ["save", "where", "out", "apply", "before_save", "query"])
def test_a_column_is_not_called_as_a_method(name: str) -> None:
    metaclass: Any = type(Model)
    body = {"__annotations__": {name: Col[int]}, "__module__": __name__}
    with pytest.raises(ModelError, match=f"a model has a {name} of its own"):
        metaclass("Odd", (Model,), body, table="odd")


def test_an_index_on_nothing_is_refused() -> None:
    from oxidite.db.tables.table import indexes_of

    class Odd(Model, table="odd", indexes=[index("nope")]):
        id: Col[int] = col(pk=True, init=False)

    with pytest.raises(ModelError, match="an index is on 'nope', which is none of its columns"):
        list(indexes_of(Odd.__table__))


def test_indexes_are_called_after_what_they_are_on_and_never_the_same() -> None:
    from oxidite.db.tables.table import indexes_of

    class One(Model, table="ones", indexes=[index(lambda one: one.id + 1), index("id")]):
        id: Col[int] = col(pk=True, init=False)

    assert [each.name for each in indexes_of(One.__table__)] == ["ix_ones_add_id", "ix_ones_id"]

    later, latest = index(lambda one: one.id + 1), index(lambda one: one.id + 2)

    class Two(Model, table="twos", indexes=[later, latest]):
        id: Col[int] = col(pk=True, init=False)

    with pytest.raises(ModelError, match="two indexes are called 'ix_twos_add_id'"):
        list(indexes_of(Two.__table__))


class Bounded(Model, table="bounded"):
    id: Col[int] = col(pk=True, init=False)
    whole: Col[int] = col(default=5, ge=3, lt=100, check=True)
    exact: Col[Decimal] = col(default=Decimal(5), ge=3, le=Decimal("100.5"), check=True)
    real: Col[float] = col(default=5.0, gt=2.5, check=True)
    day: Col[date] = col(default=date(2026, 1, 1), ge=date(2025, 1, 1), check=True)
    moment: Col[datetime] = col(
        default=datetime(2026, 1, 1, tzinfo=UTC), lt=datetime(2027, 1, 1, tzinfo=UTC), check=True
    )
    took: Col[timedelta] = col(
        default=timedelta(hours=1), le=timedelta(days=1, seconds=1.5), check=True
    )
    text: Col[str] = col(default="abc", min_length=3, max_length=5, check=True)
    level: Col[Level] = col(default=Level.LOW)


OUTSIDE: list[tuple[str, Any, str]] = [
    ("whole", 2, "ge"),
    ("whole", 100, "lt"),
    ("exact", Decimal("2.99"), "ge"),
    ("exact", Decimal("100.51"), "le"),
    ("real", 2.5, "gt"),
    ("day", date(2024, 12, 31), "ge"),
    ("moment", datetime(2027, 1, 1, tzinfo=UTC), "lt"),
    ("took", timedelta(days=1, seconds=1.6), "le"),
    ("text", "ab", "min_length"),
    ("level", SimpleNamespace(value=3), "type"),
]


async def test_the_database_keeps_the_rules_too(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.push(Bounded)
    await Bounded.create(exact=Decimal("12.5"), took=timedelta(days=1, seconds=1.5))
    monkeypatch.setattr("oxidite.db.writes.saving.check_object", lambda *_: None)
    for name, value, code in OUTSIDE:
        with pytest.raises(CheckError) as caught:
            await Bounded.create(**{name: value})
        assert [(e.pointer, e.code) for e in caught.value.errors] == [(f"/{name}", code)]


class Priced(Model, table="priced"):
    id: Col[int] = col(pk=True, init=False)
    price: Col[Decimal] = col(precision=4, scale=2)


class Numbered(Model, table="numbered"):
    id: Col[int] = col(pk=True, init=False)
    word: Col[str] = col(min_length=1)
    number: Col[int] = col(gt=0, bits=16)
    note: Col[str | None] = col(max_length=4)
    doubled: Col[int | None] = col(computed="number * 2", init=False)


def test_of_many_each_is_judged_as_it_is_alone() -> None:
    from oxidite.db.rules.rules import check_object
    from oxidite.db.tables.table import Table
    from oxidite.db.writes.checking import check_all, is_made

    table: Table = Numbered.__table__
    words: list[Any] = ["a", "", "\0", "\ud800", 1, None, UNSET]
    numbers: list[Any] = [1, 0, 2**15, True, 1.0]
    many = [
        Numbered(word=word, number=number, note=note)
        for word in words
        for number in numbers
        for note in (None, "x", "too long")
    ]
    for place, one in enumerate(many):
        if place % 3:
            one.id = place if place % 2 else "key"  # type: ignore[assignment]  # the point
    alone: list[str] = []
    for place, one in enumerate(many):
        try:
            check_object(one, [each for each in table.columns if not is_made(each, one)])
        except ValidationError as exc:
            alone += [f"/{place}{each.pointer} {each.message}" for each in exc.errors]
    with pytest.raises(ValidationError) as caught:
        check_all(table, many)
    assert [f"{each.pointer} {each.message}" for each in caught.value.errors] == alone
    assert len({each.partition("/")[0] for each in alone}) < len(many) < len(alone)


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        *(("99.99", True), ("-99.99", True), ("1.5", True), ("1.500", True), ("1E+1", True)),
        *(("-0", True), ("100", False), ("99.999", False), ("1.005", False), ("1E-300", False)),
        *(("1E+300", False), ("NaN", False), ("-Infinity", False)),
    ],
)
def test_digits_that_have_no_place_are_refused_for_one_and_for_many(
    text: str, *, is_right: bool
) -> None:
    from oxidite.db.rules.rules import check_object
    from oxidite.db.writes.checking import check_all

    one = Priced(price=Decimal(text))
    many = [Priced(price=Decimal(1)), one]
    if is_right:
        check_object(one, [Priced.price])
        check_all(Priced.__table__, many)
        return
    with pytest.raises(ValidationError):
        check_object(one, [Priced.price])
    with localcontext(prec=1), pytest.raises(ValidationError) as caught:
        check_all(Priced.__table__, many)
    assert [each.pointer for each in caught.value.errors] == ["/1/price"]


class Loose(Model, table="loose"):
    id: Col[int] = col(pk=True, init=False)
    data: Col[Any] = col(json=True, default=None)


@pytest.mark.parametrize(
    "wrong", [float("nan"), [1, None, float("inf")], {"a": {"b": -float("inf")}}]
)
async def test_numbers_that_json_has_not_are_refused(db: Database, wrong: Any) -> None:
    await db.push(Loose)
    with pytest.raises(ValidationError) as caught:
        await Loose.create(data=wrong)
    assert [(e.pointer, e.message) for e in caught.value.errors] == [
        ("/data", "must have finite numbers only")
    ]
    right = {"null": [None, 1.5, "NaN"]}
    assert (await Loose.get((await Loose.create(data=right)).id)).data == right
