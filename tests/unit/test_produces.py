"""Routes that answer in the media type the client asks for."""

from __future__ import annotations

import msgspec
import pytest

from oxidite import Oxidite, Response
from oxidite.errors import RouteError
from oxidite.testing import Client


class Point(msgspec.Struct):
    x: int


def make() -> tuple[Oxidite, list[str]]:
    app = Oxidite()
    calls: list[str] = []

    @app.get("/point", produces=("application/json", "application/msgpack"))
    async def point() -> Point:
        return Point(1)

    @app.post("/change", produces={"text/csv": lambda value: f"x\n{value.x}\n".encode()})  # type: ignore[attr-defined]
    async def change() -> Point:
        calls.append("changed")
        return Point(2)

    @app.get("/own", produces=("application/json",))
    async def own() -> Response:
        return Response(b"own", content_type="text/x-own")

    return app, calls


async def test_the_first_one_is_for_those_who_do_not_ask() -> None:
    async with Client(make()[0], headers={"accept": "*/*"}) as client:
        response = await client.get("/point")
        assert response.json() == {"x": 1}
        assert response.headers["content-type"] == "application/json"
        assert response.headers["vary"] == "accept"


async def test_accept_chooses() -> None:
    async with Client(make()[0]) as client:
        response = await client.get("/point", headers={"accept": "application/msgpack"})
        assert msgspec.msgpack.decode(response.content) == {"x": 1}
        assert response.headers["content-type"] == "application/msgpack"


async def test_an_encoder_of_your_own() -> None:
    async with Client(make()[0]) as client:
        response = await client.post("/change", headers={"accept": "text/*"})
        assert response.text == "x\n2\n"


async def test_what_nobody_can_read_changes_nothing() -> None:
    app, calls = make()
    async with Client(app) as client:
        response = await client.post("/change", headers={"accept": "application/json"})
        assert response.status_code == 406
        assert response.json()["detail"] == "Available here: text/csv."
        assert calls == []


async def test_a_response_stays_what_it_is() -> None:
    async with Client(make()[0], headers={"accept": "*/*"}) as client:
        assert (await client.get("/own")).headers["content-type"] == "text/x-own"


def test_a_media_type_without_an_encoder_is_refused_at_the_start() -> None:
    app = Oxidite()

    @app.get("/", produces=("text/csv",))
    async def index() -> Point:
        return Point(1)

    with pytest.raises(RouteError, match=r"index\(\): nothing encodes text/csv"):
        _ = app.routes
