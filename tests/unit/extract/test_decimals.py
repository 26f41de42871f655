"""A Decimal that comes from a client is a number: a comparison with one that is none may raise."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Generic, NewType, TypedDict, TypeVar
from urllib.parse import quote

import msgspec
import pytest
from msgspec import Struct

from oxidite import Body, Cookie, Form, Header, Lines, Oxidite, Query, Request
from oxidite.encoding import MismatchError, codec_for
from oxidite.encoding.finite import has_decimals
from oxidite.testing import Client
from oxidite.websocket import ClosedError, WebSocket

NO_NUMBERS = ("NaN", "sNaN", "-nan12", "Infinity", "-inf", " inf ")
T = TypeVar("T")
Price = NewType("Price", Decimal)


@dataclass
class Part:
    cost: Decimal | None = None


class Extra(TypedDict, total=False):
    weight: Price


class Box(Struct, Generic[T]):
    inside: T


class Item(Struct, rename="camel"):
    unit_price: Annotated[Decimal, "in euro"] = Decimal(1)
    parts: list[Part] = []
    extra: Extra = {}
    rates: dict[str, tuple[Decimal, ...]] = {}
    box: Box[Decimal] | None = None
    nested: Item | None = None
    name: str = ""


class Plain(Struct):
    name: str = ""
    size: float = 0.0
    next: Plain | None = None


def application() -> Oxidite:
    app = Oxidite()

    @app.get("/path/{price:str}")
    async def path(price: Decimal) -> bool:
        return price > 1

    @app.get("/query")
    async def query(price: Price | None = None, prices: Query[list[Decimal]] = []) -> bool:  # noqa: B006
        return max([price or Decimal(), *prices]) > 1

    @app.get("/whole")
    async def whole(item: Query[Part]) -> bool:
        return item.cost is not None and item.cost > 1

    @app.get("/header")
    async def header(price: Header[Decimal]) -> bool:
        return price > 1

    @app.get("/cookie")
    async def cookie(price: Cookie[Decimal]) -> bool:
        return price > 1

    @app.post("/form")
    async def form(item: Form[Part]) -> bool:
        return item.cost is not None and item.cost > 1

    @app.post("/body")
    async def body(item: Body[Item]) -> bool:
        return item.unit_price > 1

    @app.post("/json")
    async def json(request: Request) -> bool | str:
        try:
            return await request.json(Decimal) > 1
        except MismatchError:
            return "refused"

    return app


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("/path/{}", "path"),
        ("/query?price={}", "query"),
        ("/query?prices=1&prices={}", "query"),
        ("/whole?cost={}", "query"),
    ],
)
async def test_in_a_url(url: str, source: str, text: str) -> None:
    async with Client(application()) as client:
        response = await client.get(url.format(quote(text)))
        assert (await client.get(url.format("1e3"))).json() is True
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert (error["in"], error["detail"]) == (source, "Expected a finite number.")


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity"])
async def test_in_header_fields_cookies_and_forms(text: str) -> None:
    async with Client(application()) as client:
        for where, value in (("header", "price"), ("cookie", "cookie")):
            name = "price={}" if where == "cookie" else "{}"
            for sent, status in (("2.5", 200), (text, 422)):
                answer = await client.get(f"/{where}", headers={value: name.format(sent)})
                assert (where, answer.status_code) == (where, status)
        assert (await client.post("/form", data={"cost": "2.5"})).json() is True
        answer = await client.post("/form", data={"cost": text})
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["#/cost"]


@pytest.mark.parametrize("media_type", ["application/json", "application/msgpack"])
async def test_in_bodies_at_any_depth(media_type: str) -> None:
    wrong = {
        "unitPrice": "sNaN",
        "parts": [{"cost": "1"}, {"cost": "Infinity"}],
        "extra": {"weight": "NaN"},
        "rates": {"a/b": ["1", "-inf"]},
        "box": {"inside": "nan"},
        "nested": {"unitPrice": "NaN"},
        "name": "NaN",
    }
    right = {"unitPrice": "2", "parts": [{"cost": None}], "nested": {"name": "Infinity"}}
    encode = msgspec.json.encode if media_type == "application/json" else msgspec.msgpack.encode
    async with Client(application()) as client:
        headers = {"content-type": media_type}
        good = await client.post("/body", content=encode(right), headers=headers)
        bad = await client.post("/body", content=encode(wrong), headers=headers)
    assert (good.status_code, good.json()) == (200, True)
    assert bad.status_code == 422
    assert [(each["pointer"], each["detail"]) for each in bad.json()["errors"]] == [
        (f"#/{each}", "Expected a finite number.")
        for each in (
            "unitPrice",
            "parts/1/cost",
            "extra/weight",
            "rates/a~1b/1",
            "box/inside",
            "nested/unitPrice",
        )
    ]


async def test_a_number_of_messagepack_that_is_none() -> None:
    content = msgspec.msgpack.encode({"unitPrice": float("nan")})
    async with Client(application()) as client:
        answer = await client.post(
            "/body", content=content, headers={"content-type": "application/msgpack"}
        )
    assert answer.status_code == 422


async def test_in_what_a_handler_reads_itself() -> None:
    async with Client(application()) as client:
        answers = [
            (await client.post("/json", content=content)).text
            for content in (b'"2"', b'"s\\u004eaN"')
        ]
    assert answers == ["true", "refused"]


async def test_in_messages_and_lines() -> None:
    app = Oxidite()

    @app.websocket("/socket")
    async def talk(socket: WebSocket[Part, str]) -> None:
        async for part in socket:
            await socket.send(str(part.cost))

    @app.post("/lines")
    async def count(items: Lines[Part]) -> int:
        return len([each async for each in items if each.cost and each.cost > 1])

    headers = {"content-type": "application/jsonl"}
    async with Client(app) as client:
        for cost, status in (("2", 200), ("sNaN", 422)):
            line = b'{"cost": "%s"}' % cost.encode()
            assert (
                await client.post("/lines", content=line, headers=headers)
            ).status_code == status
        async with client.websocket("/socket") as socket:
            await socket.send('{"cost": "1.5"}')
            assert await socket.receive() == "1.5"
            await socket.send('{"cost": "NaN"}')
            with pytest.raises(ClosedError):
                await socket.receive()


def test_other_types_are_not_looked_at() -> None:
    assert type(codec_for(Plain, finite=True)) is type(codec_for(Plain))
    assert [has_decimals(each) for each in (Plain, int, list[str], dict[str, Plain])] == [False] * 4
    assert all(
        map(has_decimals, (Item, Price, Decimal | None, dict[str, list[Part]], Box[Decimal]))
    )


def test_what_the_program_wrote_itself_may_be_none() -> None:
    assert str(codec_for(Decimal).decode_json('"NaN"')) == "NaN"
