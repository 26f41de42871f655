"""Extractors of an application's own."""

from __future__ import annotations

from typing import Annotated

from oxidite import Oxidite, Request, UnauthorizedError, ValidationError
from oxidite.errors import FieldError
from oxidite.extract import Context, Description, Extractor, Marker, Parameter
from oxidite.testing import Client


class Agent:
    """The name of the client, without waiting for anything."""

    def extract(self, request: Request) -> str:
        value = request.headers.get("user-agent", "")
        if not value:
            raise ValidationError([FieldError("header", "who?", name="user-agent", code="missing")])
        return value.partition("/")[0]

    def describe(self) -> Description:
        return Description("header", str, "user-agent")


class Body:
    """The size of the body, which has to be waited for."""

    def __init__(self, least: int = 0) -> None:
        self.least = least

    async def extract(self, request: Request) -> int:
        size = len(await request.body())
        if size < self.least:
            raise ValidationError([FieldError("body", "too short", pointer="", code="short")])
        return size

    def describe(self) -> Description:
        return Description("body", int)


class Token:
    def extract(self, request: Request) -> str:
        if "authorization" not in request.headers:
            raise UnauthorizedError("Who are you?", headers={"www-authenticate": "Bearer"})
        return request.headers["authorization"]

    def describe(self) -> Description:
        return Description("header", str, "authorization")


class Upper:
    """A marker: what it makes depends on the parameter it stands at."""

    def bind(self, parameter: Parameter) -> Extractor[str]:
        return _Upper(parameter.name)


class _Upper:
    def __init__(self, name: str) -> None:
        self.name = name

    def extract(self, request: Request) -> str:
        return request.query.get(self.name, "").upper()

    def describe(self) -> Description:
        return Description("query", str, self.name)


def application() -> Oxidite:
    app = Oxidite()

    @app.post("/")
    async def handler(
        agent: Annotated[str, Agent()],
        size: Annotated[int, Body(least=2)],
        word: Annotated[str, Upper()],
        number: int = 1,
    ) -> list[object]:
        return [agent, size, word, number]

    @app.get("/sync")
    def in_thread(agent: Annotated[str, Agent()], *, word: Annotated[str, Upper()]) -> list[str]:
        return [agent, word]

    @app.get("/token")
    async def token(number: int, token: Annotated[str, Token()]) -> list[object]:
        return [number, token]

    return app


def test_what_they_are_follows_from_their_methods() -> None:
    assert isinstance(Agent(), Extractor)
    assert isinstance(Body(), Extractor)
    assert isinstance(Upper(), Marker)
    assert not isinstance(Upper(), Extractor)


async def test_they_make_arguments_of_any_handler() -> None:
    async with Client(application(), headers={"user-agent": "test/1"}) as client:
        response = await client.post("/?word=abc", content=b"four")
        in_thread = await client.get("/sync?word=x")

    assert response.json() == ["test", 4, "ABC", 1]
    assert in_thread.json() == ["test", "X"]


async def test_their_errors_come_together_with_all_others() -> None:
    async with Client(application(), headers={"user-agent": ""}) as client:
        response = await client.post("/?number=x", content=b"a")

    assert response.status_code == 422
    assert [e["code"] for e in response.json()["errors"]] == ["missing", "short", "type"]


async def test_any_other_error_of_theirs_is_the_answer() -> None:
    async with Client(application()) as client:
        alone = await client.get("/token?number=1")
        beside = await client.get("/token?number=x")

    assert (alone.status_code, alone.headers["www-authenticate"]) == (401, "Bearer")
    assert beside.status_code == 401


def test_they_are_told_what_is_known_of_the_route() -> None:
    seen: list[Parameter] = []

    class Spy:
        def bind(self, parameter: Parameter) -> Extractor[str]:
            seen.append(parameter)
            return _Upper("x")

    async def handler(word: Annotated[str, Spy()], other: Annotated[int, Spy()] = 3) -> None: ...

    Oxidite().put("/{id:int}")(handler)

    assert [(each.name, each.type, each.required) for each in seen] == [
        ("word", str, True),
        ("other", int, False),
    ]
    assert seen[0].function is handler
    assert isinstance(seen[0].context, Context)
    assert seen[0].context.path_params == {"id": int}
    assert seen[0].context.has_body
