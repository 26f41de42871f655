"""Encrypted columns: what is in the database, what is read, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct

from oxidite import ValidationError
from oxidite.config import Secret
from oxidite.db import (
    Col,
    Database,
    DecryptionError,
    Keys,
    Model,
    ModelError,
    QueryError,
    SoftDeletes,
    UniqueError,
    col,
    reencrypt,
)
from oxidite.db.tables.table import indexes_of
from oxidite.errors import ConfigError

OLD, NEW = Keys.generate(), Keys.generate()
keys = Keys(OLD)


class Address(Struct):
    town: str


class Patient(Model, table="patients"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str | None] = col(default=None, encrypted=keys, max_length=40)
    email: Col[str] = col(encrypted=keys, searchable=True, unique=True)
    born: Col[date | None] = col(default=None, encrypted=keys)
    seen: Col[datetime | None] = col(default=None, encrypted=keys)
    weight: Col[Decimal | None] = col(default=None, encrypted=keys)
    number: Col[int | None] = col(default=None, encrypted=keys, ge=0)
    real: Col[float | None] = col(default=None, encrypted=keys)
    scan: Col[bytes | None] = col(default=None, encrypted=keys)
    uuid: Col[UUID | None] = col(default=None, encrypted=keys)
    home: Col[Address | None] = col(default=None, encrypted=keys, json=True)
    pin: Col[Secret[str] | None] = col(default=None, encrypted=keys)


async def _raw(db: Database, sql: str) -> list[tuple[Any, ...]]:
    async with db.driver.connection(write=True) as connection:
        return [tuple(row) for row in await connection.fetch(sql, ())]


def _use(*texts: str) -> None:
    """Have the columns use other keys, as after a new start of the program."""
    vars(keys).update(vars(Keys(texts)))
    vars(keys).pop("_keys", None)


@pytest.fixture(autouse=True)
def _one_key() -> None:
    _use(OLD)


async def test_every_kind_comes_back_and_none_can_be_read_there(db: Database) -> None:
    await db.push(Patient)
    values: dict[str, Any] = {
        "name": "Zoë \U0001f600",
        "email": "zoe@example.com",
        "born": date(1990, 2, 3),
        "seen": datetime(2026, 1, 2, tzinfo=UTC),
        "weight": Decimal("61.50"),
        "number": 2**63 - 1,
        "real": 0.5,
        "scan": bytes(range(256)),
        "uuid": UUID(int=5),
        "home": Address("Leer"),
        "pin": Secret("1234"),
    }
    made = await Patient.create(**values)
    found = await Patient.get(made.id)
    assert {name: getattr(found, name) for name in values} == values
    assert found.changed() == []

    (row,) = await _raw(db, "SELECT * FROM patients")
    stored = b"".join(
        each.encode() if isinstance(each, str) else bytes(each) for each in row[1:] if each
    )
    for plain in ("Zo\u00eb".encode(), b"zoe@example.com", b"1990", b"61.50", b"Leer", b"1234"):
        assert plain not in stored
    assert await Patient.where(Patient.name == None).count() == 0  # noqa: E711


async def test_a_searchable_one_is_found_and_unique(db: Database) -> None:
    await db.push(Patient)
    await Patient.create(email="a@x")
    await Patient.create(email="b@x")

    assert (await Patient.where(Patient.email == "a@x").one()).email == "a@x"
    assert await Patient.where(Patient.email != "a@x").count() == 1
    assert await Patient.where(Patient.email.in_(["a@x", "b@x", "c@x"])).count() == 2
    assert await Patient.where(Patient.email.not_in(["a@x", "b@x"])).count() == 0
    with pytest.raises(UniqueError) as caught:
        await Patient.create(email="a@x")
    assert [(e.pointer, e.code) for e in caught.value.errors] == [("/email", "unique")]
    one = await Patient.where(Patient.email == "a@x").one()
    one.email = "d@x"
    assert one.changed() == ["email", "email_index"]
    await one.save()
    assert await Patient.where(Patient.email == "d@x").exists()
    assert not await Patient.where(Patient.email == "a@x").exists()


async def test_equal_values_are_not_equal_there(db: Database) -> None:
    await db.push(Patient)
    await Patient.create(email="a@x", name="Same")
    await Patient.create(email="b@x", name="Same")
    rows = await _raw(db, "SELECT name FROM patients")
    assert rows[0] != rows[1]


async def test_a_new_key_writes_and_the_old_one_still_reads(db: Database) -> None:
    await db.push(Patient)
    await Patient.create(email="old@x", name="Old")
    _use(NEW, OLD)
    await Patient.create(email="new@x", name="New")

    assert {one.name for one in await Patient.all()} == {"Old", "New"}
    assert (await Patient.where(Patient.email == "old@x").one()).name == "Old"
    assert (await Patient.where(Patient.email == "new@x").one()).name == "New"
    rows = await _raw(db, "SELECT name FROM patients ORDER BY id")
    assert [keys.is_newest(bytes(sealed)) for (sealed,) in rows] == [False, True]

    _use(NEW)
    with pytest.raises(DecryptionError, match=r"patients\.name is encrypted with a key"):
        await Patient.all()


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        # Another byte at the end, nothing at all, one row's value in another column of it.
        ("UPDATE patients SET name = {changed}", "name"),
        ("UPDATE patients SET name = {empty}", "name"),
        ("UPDATE patients SET name = email", "name"),
    ],
)
async def test_what_was_tampered_with_is_refused(db: Database, sql: str, column: str) -> None:
    await db.push(Patient)
    await Patient.create(email="a@x", name="Ann")
    ((sealed,),) = await _raw(db, "SELECT name FROM patients")
    changed = (bytes(sealed)[:-1] + bytes([bytes(sealed)[-1] ^ 1])).hex()
    quoted = f"X'{changed}'" if db.dialect.name == "sqlite" else f"'\\x{changed}'"
    empty = "X''" if db.dialect.name == "sqlite" else "'\\x'"
    await _raw(db, sql.format(changed=quoted, empty=empty))

    with pytest.raises(DecryptionError, match=f"patients.{column}") as caught:
        await Patient.all()
    assert "Ann" not in str(caught.value)


async def test_one_that_is_copied_into_another_row_is_read_there(db: Database) -> None:
    # What the guide says that nobody is kept from.
    await db.push(Patient)
    ann = await Patient.create(email="a@x", name="Ann")
    await Patient.create(email="b@x", name="Ben")
    ((sealed,),) = await db.sql("SELECT name FROM patients WHERE id = :id", id=ann.id).all()
    await db.sql("UPDATE patients SET name = :name", name=bytes(sealed)).run()
    assert [one.name for one in await Patient.all()] == ["Ann", "Ann"]


async def test_the_rules_are_those_of_the_value(db: Database) -> None:
    await db.push(Patient)
    with pytest.raises(ValidationError) as caught:
        await Patient.create(email="x", name="n" * 41, number=-1, born="1990")  # type: ignore[arg-type]
    assert {(e.pointer, e.code) for e in caught.value.errors} == {
        ("/name", "max_length"),
        ("/number", "ge"),
        ("/born", "type"),
    }


def test_what_the_database_cannot_do_is_refused() -> None:
    for build in (
        lambda: Patient.name == "x",
        lambda: Patient.email < "x",
        lambda: Patient.email.like("x"),
        lambda: Patient.email.desc(),
        lambda: Patient.number + 1,
        lambda: Patient.email == Patient.email,
    ):
        with pytest.raises(QueryError, match="encrypted"):
            build()


def test_it_is_hidden_and_no_input() -> None:
    made = Patient(email="a@x")
    assert "a@x" not in repr(made)
    assert "email" not in Patient.Out.__struct_fields__
    assert "email" not in Patient.Create.__struct_fields__


def test_one_that_is_inherited_is_sealed_for_its_own_table() -> None:
    class Base(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)
        note: Col[str] = col(encrypted=keys)

    class One(Base, table="ones"):
        pass

    class Two(Base, table="twos"):
        pass

    to_db, from_db = One.note.kind.to_db, Two.note.kind.from_db
    assert to_db is not None
    assert from_db is not None
    with pytest.raises(DecryptionError, match=r"twos\.note"):
        from_db(to_db("x"))


class TestKeys:
    def test_a_wrong_one_is_refused_without_being_shown(self) -> None:
        for text in ("secret-text", "c2hvcnQ=", "ä"):
            with pytest.raises(ConfigError, match="32 bytes as base64") as caught:
                Keys(text).encrypt(b"x", b"c")
            assert text not in str(caught.value)
        with pytest.raises(ConfigError, match="no keys"):
            Keys(" ").encrypt(b"x", b"c")

    def test_they_come_as_text_a_secret_a_list_or_a_function(self) -> None:
        sealed = Keys(OLD).encrypt(b"x", b"c")
        for same in (Keys(f"{NEW}, {OLD}"), Keys(Secret(OLD)), Keys([NEW, OLD]), Keys(lambda: OLD)):
            assert same.decrypt(sealed, b"c") == b"x"
            assert OLD not in repr(same)

    def test_a_function_is_called_when_it_is_needed(self) -> None:
        def fail() -> str:
            raise KeyError

        lazy = Keys(fail)
        with pytest.raises(KeyError):
            lazy.encrypt(b"", b"")

    def test_the_index_of_one_column_is_not_that_of_another(self) -> None:
        assert keys.index(b"x", b"a.b") != keys.index(b"x", b"a.c")
        assert keys.index(b"bx", b"a") != keys.index(b"x", b"ab")


def test_true_is_no_key() -> None:
    with pytest.raises(ModelError, match="encrypted= takes the keys"):

        class Odd(Model, table="odd"):
            id: Col[int] = col(pk=True, init=False)
            name: Col[str] = col(encrypted=True)  # type: ignore[call-overload]


def test_searchable_is_for_what_is_encrypted() -> None:
    with pytest.raises(ModelError, match="searchable= is for encrypted"):

        class Odd(Model, table="odd"):
            id: Col[int] = col(pk=True, init=False)
            name: Col[str] = col(searchable=True)


class Pair(Model, SoftDeletes, table="pairs"):
    a: Col[int] = col(pk=True)
    b: Col[int] = col(pk=True)
    word: Col[str | None] = col(encrypted=keys, searchable=True)


async def test_rows_are_encrypted_anew_for_a_new_key(db: Database) -> None:
    await db.push(Pair)
    made = [
        await Pair.create(a=n // 3, b=n % 3, word=None if n == 4 else f"w{n}") for n in range(8)
    ]
    await made[0].delete()
    _use(NEW, OLD)
    await Pair.create(a=9, b=9, word="new")

    assert await reencrypt(Pair, batch=2) == 7
    assert await reencrypt(Pair) == 0
    _use(NEW)
    assert {one.word for one in await Pair.query().with_deleted().all()} == {
        *(f"w{n}" for n in range(8) if n != 4),
        "new",
        None,
    }
    assert (await Pair.where(Pair.word == "w7").one()).b == 1


@pytest.mark.parametrize(
    "rule",
    [{"pk": True}, {"unique": True}, {"index": True}, {"check": True}, {"ignore_case": True}],
)
def test_what_the_database_would_have_to_read_is_refused(rule: dict[str, Any]) -> None:
    (name,) = rule
    declare: Any = col  # mypy knows `col` too well for arguments that come by name
    with pytest.raises(ModelError, match=f"{name}= cannot be kept"):

        class Odd(Model, table="odd"):
            word: Col[str] = declare(encrypted=keys, **rule)


def test_the_index_is_on_the_hash() -> None:
    names = {each.name: each.on for each in indexes_of(Patient.__table__)}
    assert names == {"uq_patients_email_index": ("email_index",)}
