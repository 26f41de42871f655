"""Hidden columns: the program has their values, and nothing that leaves it has."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Struct

from oxidite import Events, Lines, Oxidite, Rows, StreamingResponse
from oxidite.config import Secret
from oxidite.db import Col, ConstraintError, Database, Model, ModelError, Timestamps, col
from oxidite.encoding import encode_json, encode_msgpack, to_plain
from oxidite.testing import Client

WORD = "correct horse"


class Login(Model, Timestamps, table="logins"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col()
    password: Col[str] = col(hidden=True, min_length=3)
    token: Col[Secret[str] | None] = col(default=None, max_length=10)
    seen: Col[list[str]] = col(json=True, hidden=True, default_factory=list)


class Plain(Model, table="plains"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


class Wrapped(Struct):
    login: Login
    many: list[Login]


@pytest.fixture
async def login(db: Database) -> Login:
    await db.push(Login)
    return await Login.create(name="a", password=WORD, token=Secret("t0ken"), seen=["x"])


async def test_they_are_read_and_written_as_any_other(login: Login) -> None:
    found = await Login.where(Login.password == WORD).one()
    assert (found.password, found.seen) == (WORD, ["x"])
    assert found.token is not None
    assert found.token.reveal() == "t0ken"
    assert found.changed() == []

    found.password = "other"
    found.seen.append("y")
    assert found.changed() == ["password", "seen"]
    await found.save()
    again = await Login.get(login.id)
    assert (again.password, again.seen) == ("other", ["x", "y"])
    assert (await login.refresh()).password == "other"


def _as_struct(function: Any, one: Any) -> object:
    return function(one)  # type checkers do not see that a model is a struct


def _every_form(value: Any) -> list[bytes]:
    return [
        encode_json(value),
        encode_msgpack(value),
        msgspec.json.encode(value),
        msgspec.msgpack.encode(value),
        repr(to_plain(value)).encode(),
        repr(msgspec.to_builtins(value)).encode(),
        repr(value).encode(),
        str(value).encode(),
        f"{value}".encode(),
    ]


async def test_nothing_that_is_encoded_or_printed_has_them(
    login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    found = await Login.get(login.id)
    forms = [
        data
        for one in (login, found)
        for value in (one, [one], (one, one), {"x": one}, Wrapped(login=one, many=[one]))
        for data in _every_form(value)
    ]
    forms += [pickle.dumps(found), encode_json(found.out()), repr(found.out()).encode()]
    forms.append(repr(_as_struct(msgspec.structs.asdict, found)).encode())
    forms.append(repr(_as_struct(msgspec.structs.astuple, found)).encode())
    logging.getLogger("test").warning("%s %r", found, [found])
    forms.append(caplog.text.encode())

    assert len(forms) > 90
    for data in forms:
        assert b"name" in data or b"'a'" in data
        for secret in (WORD, "password", "t0ken", "seen"):
            assert secret.encode() not in data, data


def _application(made: Login) -> Oxidite:
    app = Oxidite()

    @app.get("/one")
    async def one() -> Login:
        return await Login.get(made.id)

    @app.get("/many")
    async def many() -> list[Login]:
        return await Login.all()

    @app.get("/dictionary")
    async def dictionary() -> dict[str, list[tuple[Login, int]]]:
        return {"login": [(made, 1)]}

    @app.get("/nested")
    async def nested() -> Wrapped:
        return Wrapped(login=made, many=[made])

    @app.get("/untyped")
    async def untyped() -> Any:
        return {"login": [made]}

    @app.get("/out")
    async def out() -> Login.Out:
        return made.out()

    _add_streams(app, made)
    return app


def _add_streams(app: Oxidite, made: Login) -> None:
    @app.get("/lines")
    async def lines() -> Lines[Login]:
        yield made

    @app.get("/events")
    async def events() -> Events[Login]:
        yield made

    @app.get("/rows")
    async def rows() -> Rows[Login]:
        yield made

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield encode_json(made)

        return StreamingResponse(parts(), content_type="application/json")


PATHS = (
    "one",
    "many",
    "dictionary",
    "nested",
    "untyped",
    "out",
    "lines",
    "events",
    "rows",
    "stream",
)


async def test_no_response_has_them(db: Database) -> None:
    await db.push(Login)
    made = await Login.create(name="visible", password=WORD, token=Secret("t0ken"))
    async with Client(_application(made)) as client:
        for path in PATHS:
            answer = await client.get(f"/{path}")
            assert answer.status_code == 200, path
            assert "visible" in answer.text, path
            for secret in (WORD, "password", "t0ken", "seen"):
                assert secret not in answer.text, path


async def test_no_document_has_them() -> None:
    from oxidite.openapi import OpenAPI

    app = Oxidite(plugins=[OpenAPI()])

    @app.get("/login")
    async def show() -> Login:
        raise NotImplementedError

    @app.post("/logins")
    async def make(data: Login.Create) -> Login.Out:
        raise NotImplementedError

    async with Client(app) as client:
        document = (await client.get("/openapi.json")).text
    assert '"name"' in document
    assert "LoginCreate" in document
    for word in ("password", "token", "seen"):
        assert word not in document


def test_they_are_arguments_of_the_constructor() -> None:
    made = Login(name="a", password=WORD)
    assert (made.password, made.token, made.seen) == (WORD, None, [])
    with pytest.raises(TypeError, match="Missing required argument 'password'"):
        Login(name="a")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="name"):
        Login(password=WORD)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="nope"):
        Login(name="a", password=WORD, nope=1)  # type: ignore[call-arg]


def test_what_was_pickled_comes_back_without_them() -> None:
    made = pickle.loads(pickle.dumps(Login(name="a", password=WORD)))
    assert made.name == "a"
    assert made.password is UNSET
    assert copy.copy(Login(name="a", password=WORD)).name == "a"


def test_they_are_inherited() -> None:
    class Base(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)
        pin: Col[str] = col(hidden=True)

    class Card(Base, table="cards"):
        name: Col[str]

    card = Card(name="x", pin="1234")
    assert card.pin == "1234"
    assert repr(Card.pin) == "<column cards.pin>"
    assert msgspec.json.encode(card) == b'{"name":"x"}'


def test_one_may_be_shown_that_would_be_hidden() -> None:
    class Shown(Model, table="shown"):
        id: Col[int] = col(pk=True, init=False)
        open: Col[str] = col(hidden=False)

    assert not Shown.open.is_hidden
    assert Login.token.is_hidden
    assert Login.password.is_hidden


async def test_a_hidden_value_is_in_no_error(db: Database, login: Login) -> None:
    from oxidite import ValidationError

    class Keyed(Struct):
        kind: str

    class Holder(Model, table="holders"):
        id: Col[int] = col(pk=True, init=False)
        key: Col[Keyed] = col(json=True, hidden=True)

    await db.push(Holder)
    login.seen = [WORD, 3]  # type: ignore[list-item]
    login.password = "x"
    with pytest.raises(ValidationError) as caught:
        await login.save()
    text = repr([error.to_dict() for error in caught.value.errors]) + str(caught.value)
    assert WORD not in text
    assert {error.pointer for error in caught.value.errors} == {"/password", "/seen"}


def test_a_model_without_them_is_made_by_msgspec_alone() -> None:
    assert Plain.__table__.make is Plain
    assert "__call__" not in vars(type(Plain))
    assert "__call__" in vars(type(Login))


def test_a_secret_of_what_no_column_holds_is_refused() -> None:
    with pytest.raises(ModelError, match="no column holds"):

        class Odd(Model, table="odd"):
            id: Col[int] = col(pk=True, init=False)
            what: Col[Secret[object]]


def test_what_a_base_shows_is_not_hidden_below() -> None:
    class Open(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)
        pin: Col[str]

    with pytest.raises(ModelError, match="pin cannot be hidden"):

        class Closed(Open, table="closed"):
            pin: Col[str] = col(hidden=True)


def test_what_a_base_hides_may_be_shown_below() -> None:
    class Closed(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)
        pin: Col[str] = col(hidden=True)

    class Open(Closed, table="opened"):
        pin: Col[str]

    assert msgspec.json.encode(Open(pin="1")) == b'{"pin":"1"}'


async def test_no_traceback_has_them(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(Model, table="named"):
        id: Col[int] = col(pk=True, init=False)
        name: Col[str] = col(unique=True)
        password: Col[str] = col(hidden=True, unique=True)

    await db.push(Named)
    await Named.create(name="a", password=WORD)
    monkeypatch.setattr("oxidite.db.writes.saving.check_object", lambda *_: None)
    for name, password in (("a", "x" + WORD), ("b", WORD), (None, WORD + "x")):
        with pytest.raises(ConstraintError) as caught:
            await Named.create(name=name, password=password)  # type: ignore[arg-type]
        text = "".join(traceback.format_exception(caught.value))
        assert "1 error in the request" in text
        assert WORD not in text
