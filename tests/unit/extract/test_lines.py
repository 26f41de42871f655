"""Bodies of JSON Lines, and where a stream of events goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from pydantic import BaseModel

from oxidite import Depends, Lines, Oxidite, StreamingResponse
from oxidite.encoding import encode_json
from oxidite.errors import RouteError
from oxidite.extract import LastEventID, MaxLine
from oxidite.protocols import inflight
from oxidite.testing import Client

BOUND = 3.0  # seconds until a wait counts as a hang
TYPE = {"content-type": "application/jsonl"}


class Item(Struct):
    name: str
    count: Annotated[int, Meta(ge=1)] = 1


class Model(BaseModel):
    number: int


class Holder(Struct):
    model: Model


def counting(**options: Any) -> Oxidite:
    """Return an application that adds up what it is sent."""
    app = Oxidite()

    @app.post("/", **options)
    async def total(items: Lines[Item]) -> int:
        return sum([item.count async for item in items])

    return app


async def post(app: Oxidite, body: Any, headers: dict[str, str] = TYPE) -> Any:
    async with Client(app) as client:
        return await client.post("/", content=body, headers=headers)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/jsonl",
        "application/x-ndjson",
        "application/ndjson; charset=utf-8",
        "Application/JSONL",
    ],
)
async def test_each_name_of_the_media_type_is_read(media_type: str) -> None:
    response = await post(
        counting(), b'{"name":"a"}\n{"name":"b","count":4}', {"content-type": media_type}
    )
    assert response.json() == 5


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}])
async def test_another_media_type_is_refused_with_those_there_are(headers: dict[str, str]) -> None:
    response = await post(counting(), b"", headers)
    assert response.status_code == 415
    assert (
        response.headers["accept"] == "application/jsonl, application/x-ndjson, application/ndjson"
    )


async def test_no_lines_are_none() -> None:
    assert (await post(counting(), b"")).json() == 0
    assert (await post(counting(), b"\n \n\r\n")).json() == 0


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 9))))
async def test_every_item_that_was_sent_arrives(sent: list[tuple[str, int]]) -> None:
    app, got = Oxidite(), list[tuple[str, int]]()

    @app.post("/")
    async def keep(items: Lines[Item]) -> None:
        got.extend([(item.name, item.count) async for item in items])

    body = b"\n".join(encode_json(Item(*each)) for each in sent)
    await post(app, body)
    assert got == sent


async def test_an_item_is_there_before_the_next_was_sent() -> None:
    app, arrived = Oxidite(), asyncio.Event()

    @app.post("/")
    async def first(items: Lines[Item]) -> list[str]:
        names = []
        async for item in items:
            names.append(item.name)
            arrived.set()
        return names

    async def body() -> AsyncIterator[bytes]:
        yield b'{"name":"a"}\n{"na'
        async with asyncio.timeout(BOUND):
            await arrived.wait()
        yield b'me":"b"}'

    assert (await post(app, body())).json() == ["a", "b"]


async def test_what_is_wrong_is_told_with_the_line_and_a_pointer() -> None:
    response = await post(counting(), b'{"name":"a"}\n\n{"name":1,"count":0}\n{"name":')
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {
            "in": "body",
            "pointer": "#/2/name",
            "detail": "Line 3: Expected `str`, got `int`.",
            "code": "type",
        },
        {
            "in": "body",
            "pointer": "#/2/count",
            "detail": "Line 3: Expected `int` >= 1.",
            "code": "constraint",
        },
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "Input data was truncated."),
        (b'{"name":"a"} {"name":"b"}', "JSON is malformed: trailing characters (byte 14)."),
        (b'{"name":"\xff"}', "The data is not valid UTF-8."),
        (b'{"x":' + b"[" * 100_000, "The data is nested too deeply."),
        (b"NaN", "JSON is malformed: invalid character (byte 0)."),
    ],
)
async def test_what_is_not_json_is_told_with_the_line(line: bytes, why: str) -> None:
    response = await post(counting(), b'{"name":"a"}\n' + line + b"\n")
    assert response.status_code == 400
    problem = response.json()
    assert (problem["code"], problem["line"]) == ("invalid_json", 2)
    assert problem["detail"].startswith("Line 2 of the request body is not valid JSON. ")
    assert problem["detail"].endswith(why)


async def test_a_model_is_an_item_too() -> None:
    app = Oxidite()

    @app.post("/")
    async def total(items: Lines[Model]) -> int:
        return sum([item.number async for item in items])

    assert (await post(app, b'{"number":1}\n{"number":2}')).json() == 3
    response = await post(app, b'{"number":1}\n{"number":"x"}')
    assert response.json()["errors"][0]["pointer"] == "#/1/number"


async def test_a_line_has_a_limit() -> None:
    app = Oxidite()

    @app.post("/")
    async def total(items: Annotated[Lines[Item], MaxLine(20)]) -> int:
        return len([item async for item in items])

    assert (await post(app, b'{"name":"12345678"} \n' * 100)).json() == 100
    response = await post(app, b'{"name":"1"}\n{"name":"12345678901"}')
    assert response.status_code == 413
    assert response.json()["detail"] == "Line 2 is longer than the 20 bytes allowed for one line."


async def test_a_line_without_end_is_not_collected() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    response = await post(counting(max_body=2**40), endless())
    assert response.status_code == 413
    assert "Line 1 is longer than the 1048576 bytes" in response.json()["detail"]
    assert sent < 2 * 1024 * 1024


async def test_the_body_has_the_limit_of_the_route() -> None:
    line = b'{"name":"a"}\n'
    assert (await post(counting(max_body=len(line) * 3), line * 3)).json() == 3
    response = await post(counting(max_body=len(line) * 3), iter_async(line, 4))
    assert response.status_code == 413


async def iter_async(line: bytes, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield line


async def test_what_is_not_read_is_closed_with_the_request() -> None:
    app, kept = Oxidite(), list[Any]()

    @app.post("/")
    async def first(items: Lines[Item]) -> str:
        kept.append(items)
        return (await anext(items)).name

    assert (await post(app, b'{"name":"a"}\n{"name":"b"}')).text == "a"
    with pytest.raises(StopAsyncIteration):
        await anext(kept[0])


async def test_a_stream_may_be_made_of_them() -> None:
    app = Oxidite()

    @app.post("/")
    async def names(items: Lines[Item]) -> Lines[str]:
        async for item in items:
            yield item.name

    @app.post("/response")
    async def response(items: Lines[Item]) -> StreamingResponse:
        async def text() -> AsyncIterator[str]:
            async for item in items:
                yield item.name

        return StreamingResponse(text())

    async with Client(app) as client:
        body = b'{"name":"a"}\n{"name":"b"}'
        assert (await client.post("/", content=body, headers=TYPE)).text == '"a"\n"b"\n'
        assert (await client.post("/response", content=body, headers=TYPE)).text == "ab"
        assert (await client.post("/", content=b'{"name":1}', headers=TYPE)).status_code == 422


async def test_the_body_is_described_by_its_items() -> None:
    (step,) = counting().routes[0].plan.steps
    described = step.extractor.describe()
    assert (described.source, described.type) == ("body", AsyncIterator[Item])
    assert described.media_types[0] == "application/jsonl"


def refusal(handler: Callable[..., object], method: str = "post") -> str:
    with pytest.raises(RouteError) as caught:
        getattr(Oxidite(), method)("/")(handler)
    return caught.value.message


def test_lines_need_a_body() -> None:
    async def show(items: Lines[Item]) -> None: ...

    assert "'items' reads the request body, but requests of this method have none" in refusal(
        show, "get"
    )


def test_lines_are_one_body_of_one_type() -> None:
    async def maybe(items: Lines[Item] | None) -> None: ...
    async def twice(items: Lines[Item], more: Lines[Item]) -> None: ...
    async def unknown(items: Lines[Holder]) -> None: ...

    assert "write Lines[...] and nothing around it" in refusal(maybe)
    assert "'items' and 'more' both read the request body" in refusal(twice)
    assert "'items' cannot be decoded" in refusal(unknown)


class TestLastEventID:
    async def test_it_is_what_the_client_saw_last(self) -> None:
        app = Oxidite()

        def position(last: LastEventID) -> str | None:
            return last

        @app.get("/")
        async def show(last: LastEventID, same: str | None = Depends(position)) -> list[str | None]:
            return [last, same]

        async with Client(app) as client:
            assert (await client.get("/")).json() == [None, None]
            for sent, got in [(b"7", "7"), ("é".encode(), "é"), (b"\xff", "\ufffd"), (b"", "")]:
                response = await client.get("/", headers=[(b"last-event-id", sent)])
                assert response.json() == [got, got]

    def test_it_is_text(self) -> None:
        async def show(last: LastEventID | int) -> None: ...

        assert "'last' is the id of an event, which is text" in refusal(show, "get")

    def test_it_is_described_as_a_header(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(last: LastEventID) -> None: ...

        described = app.routes[0].plan.steps[0].extractor.describe()
        assert (described.source, described.name, described.required) == (
            "header",
            "last-event-id",
            False,
        )


async def test_a_body_that_is_read_slowly_while_the_answer_goes_out_arrives_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Somebody watches for the client to leave meanwhile, and reads on for that.
    monkeypatch.setattr(inflight, "SWEEP", 0.001)
    app = Oxidite(max_body=10**9)

    @app.post("/")
    async def sizes(items: Lines[Item]) -> Lines[int]:
        async for item in items:
            yield len(item.name)
            await asyncio.sleep(0.01)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield encode_json(Item("x" * 50_000)) + b"\n"

    response = await post(app, body())
    assert response.text == "50000\n" * 10
