from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeAlias, TypedDict

import attrs
import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic import BaseModel

from oxidite import Body, Form, FormData, Json, Oxidite, Query, Request, Upload
from oxidite.testing import Client


class Line(Struct):
    sku: str
    count: Annotated[int, Meta(ge=1)] = 1


class Order(Struct):
    lines: list[Line]
    note: str | None = None


class Cat(Struct, tag="cat"):
    lives: int


class Dog(Struct, tag="dog"):
    tricks: list[str]


class Patch(Struct):
    title: str | UnsetType = UNSET
    note: str | UnsetType | None = UNSET


class Tags(Struct):
    name: str
    tags: list[str] | None = None
    few: Annotated[list[int], Meta(max_length=2)] = []
    on: bool = False


class Files(Struct):
    title: str
    file: Upload
    more: list[Upload] = []


@dataclasses.dataclass
class Point:
    x: int


class Options(TypedDict):
    size: int


@attrs.define
class Box:
    width: int


class Model(BaseModel):
    number: int
    tags: list[str] = []


AnyJson: TypeAlias = Json[Any]
JSON = {"content-type": "application/json"}


def echo(type_: Any, method: str = "post") -> Oxidite:
    """Make an application that answers with the ``repr`` of its body."""
    app = Oxidite(debug=False)

    async def handler(data: object) -> str:
        return repr(data)

    handler.__annotations__["data"] = type_
    app.route("/", [method])(handler)
    return app


@pytest.mark.parametrize("method", ["post", "put", "patch"])
@pytest.mark.parametrize(
    ("type_", "plain", "value"),
    [
        (Line, {"sku": "a"}, Line("a")),
        (Point, {"x": 1}, Point(1)),
        (Options, {"size": 1}, {"size": 1}),
        (Box, {"width": 1}, Box(1)),
        (Model, {"number": 1}, Model(number=1)),
        (list[Line], [{"sku": "a"}], [Line("a")]),
        (list[Model], [{"number": 1}], [Model(number=1)]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict, {"a": 1}, {"a": 1}),
        (Cat | Dog, {"type": "dog", "tricks": []}, Dog([])),
        (Line | None, {"sku": "a"}, Line("a")),
        (Annotated[Line, Meta(description="a line")], {"sku": "a"}, Line("a")),
        (Json[int], 3, 3),
        (Json[list[int]], [1], [1]),
        (AnyJson, {"a": None}, {"a": None}),
        (Annotated[Json[list[int]], Meta(max_length=1)], [1], [1]),
    ],
)
async def test_data_is_read_from_a_json_body(
    type_: object, plain: object, value: object, method: str
) -> None:
    async with Client(echo(type_, method)) as client:
        response = await client.request(method, "/", json=plain)

    assert (response.status_code, response.text) == (200, repr(value))


async def test_what_is_not_in_a_patch_is_unset_and_null_is_null() -> None:
    app = Oxidite()

    @app.patch("/")
    async def change(data: Patch) -> list[str]:
        return ["unset" if value is UNSET else repr(value) for value in (data.title, data.note)]

    async with Client(app) as client:
        assert (await client.patch("/", json={})).json() == ["unset", "unset"]
        assert (await client.patch("/", json={"note": None})).json() == ["unset", "None"]
        assert (await client.patch("/", json={"title": "t"})).json() == ["'t'", "unset"]
        assert (await client.patch("/", json={"title": None})).status_code == 422


async def test_every_error_of_the_body_has_its_pointer_and_those_of_the_query_come_too() -> None:
    app = Oxidite(debug=False)

    @app.post("/{id:int}")
    async def create(id: int, data: Order, dry: bool = False) -> None: ...

    async with Client(app) as client:
        response = await client.post(
            "/1?dry=perhaps", json={"lines": [{"sku": "a"}, {"count": 0}], "note": 3}
        )

    assert response.status_code == 422
    assert response.json()["detail"] == "4 errors in the request."
    assert [
        (e["in"], e.get("pointer") or e.get("parameter"), e["code"])
        for e in response.json()["errors"]
    ] == [
        ("body", "#/lines/1/sku", "missing"),
        ("body", "#/lines/1/count", "constraint"),
        ("body", "#/note", "type"),
        ("query", "dry", "type"),
    ]


async def test_a_body_of_another_kind_altogether_is_an_error_of_the_whole() -> None:
    async with Client(echo(Line)) as client:
        response = await client.post("/", json=[1])

    (error,) = response.json()["errors"]
    assert (error["in"], error["pointer"], error["code"]) == ("body", "#", "type")


@pytest.mark.parametrize("type_", [Line, Model, Body[Line], AnyJson])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'sku': 1}", b'{"sku": NaN}', b'{"sku": "\xff"}', b"\x00", b'{"sku": "a"} x'],
)
async def test_a_body_that_is_not_json_is_a_bad_request(type_: Any, body: bytes) -> None:
    async with Client(echo(type_)) as client:
        response = await client.post("/", content=body, headers=JSON)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "invalid_json"
    assert response.json()["detail"].startswith("The request body is not valid JSON. ")


@pytest.mark.parametrize("type_", [AnyJson, Line, Model, dict[str, Any]])
@pytest.mark.parametrize("opening", [b"[", b'{"sku":', b'{"number":'])
async def test_a_body_nested_too_deeply_is_a_bad_request(type_: Any, opening: bytes) -> None:
    async with Client(echo(type_)) as client:
        response = await client.post("/", content=opening * 90_000, headers=JSON)

    # What is of the wrong kind before it is too deep may be told instead.
    assert response.status_code in (400, 422)
    if type_ == AnyJson:
        assert response.status_code == 400
        assert "nested too deeply" in response.json()["detail"]


async def test_malformed_json_beside_a_wrong_parameter_is_reported_with_it() -> None:
    app = Oxidite()

    @app.post("/")
    async def create(number: int, data: Line) -> None: ...

    async with Client(app) as client:
        response = await client.post("/?number=x", content=b"{", headers=JSON)

    assert response.status_code == 422
    assert [(e["in"], e["code"]) for e in response.json()["errors"]] == [
        ("query", "type"),
        ("body", "invalid_json"),
    ]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/merge-patch+json",
        "application/vnd.api+json",
    ],
)
async def test_every_json_type_is_accepted(content_type: str) -> None:
    async with Client(echo(Line)) as client:
        response = await client.post(
            "/", content=b'{"sku": "a"}', headers={"content-type": content_type}
        )

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("type_", "content_type", "accepted"),
    [
        (Line, "text/plain", "application/json"),
        (Line, "application/x-www-form-urlencoded", "application/json"),
        (Line, "application/msgpack", "application/json"),
        (Line, "application/jsonp", "application/json"),
        (Line, "text/json", "application/json"),
        (Line, "nonsense", "application/json"),
        (
            Form[Line],
            "application/json",
            "application/x-www-form-urlencoded, multipart/form-data",
        ),
        (
            Form[FormData],
            "text/plain",
            "application/x-www-form-urlencoded, multipart/form-data",
        ),
    ],
)
async def test_another_content_type_is_refused_with_those_that_are_accepted(
    type_: Any, content_type: str, accepted: str
) -> None:
    async with Client(echo(type_)) as client:
        response = await client.post(
            "/", content=b'{"sku": "a"}', headers={"content-type": content_type}
        )

    assert response.status_code == 415
    assert response.headers["accept"] == accepted
    assert response.json()["code"] == "unsupported_media_type"


async def test_a_body_without_a_content_type_is_refused() -> None:
    async with Client(echo(Line)) as client:
        response = await client.post("/", content=b'{"sku": "a"}')

    assert response.status_code == 415


async def test_one_type_is_read_from_json_a_form_and_messagepack() -> None:
    plain = {"sku": "a", "count": 3}

    async with Client(echo(Body[Line])) as client:
        answers = [
            await client.post("/", json=plain),
            await client.post("/", data={"sku": "a", "count": "3"}),
            await client.post("/", data=plain, files={"unused": b""}),
            *[
                await client.post(
                    "/", content=msgspec.msgpack.encode(plain), headers={"content-type": type_}
                )
                for type_ in (
                    "application/msgpack",
                    "application/x-msgpack",
                    "application/vnd.msgpack",
                )
            ],
        ]
        refused = await client.post("/", content=b"sku: a", headers={"content-type": "text/yaml"})

    assert [answer.text for answer in answers] == [repr(Line("a", 3))] * 6
    assert refused.status_code == 415


async def test_malformed_messagepack_is_a_bad_request() -> None:
    async with Client(echo(Body[Line])) as client:
        for body in (b"", b"\x82\xa3", b"\xc1", b"\x91" * 90_000, b"\x81\x80\x01"):
            response = await client.post(
                "/", content=body, headers={"content-type": "application/msgpack"}
            )
            assert response.status_code in (400, 422), body[:5]
            if response.status_code == 400:
                assert response.json()["code"] == "invalid_body"


async def test_a_form_fills_lists_numbers_and_booleans() -> None:
    async with Client(echo(Form[Tags])) as client:
        full = await client.post(
            "/", data={"name": "n", "tags": ["a", "b"], "few": ["1", "2"], "on": "true"}
        )
        one = await client.post("/", data={"name": "n", "tags": "a", "few": "1"})
        none = await client.post("/", data={"name": "n"})

    assert full.text == repr(Tags("n", ["a", "b"], [1, 2], on=True))
    assert one.text == repr(Tags("n", ["a"], [1]))
    assert none.text == repr(Tags("n"))


async def test_a_field_of_a_form_that_is_there_twice_is_refused() -> None:
    async with Client(echo(Form[Tags])) as client:
        twice = await client.post("/", data={"name": ["n", "m"], "tags": ["a", "b"]})
        unknown = await client.post("/", data={"name": "n", "other": ["a", "b"]})
        parts = await client.post("/", files=[("name", (None, "n")), ("name", (None, "m"))])

    for refused in (twice, parts):
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert (error["in"], error["pointer"], error["code"]) == ("body", "#/name", "repeated")
    assert unknown.text == repr(Tags("n"))


async def test_errors_of_a_form_have_pointers_too() -> None:
    async with Client(echo(Form[Tags])) as client:
        response = await client.post("/", data={"few": ["1", "x"], "on": "perhaps"})

    assert [(e["pointer"], e["code"]) for e in response.json()["errors"]] == [
        ("#/name", "missing"),
        ("#/few/1", "type"),
        ("#/on", "type"),
    ]


async def test_a_pydantic_model_is_filled_from_a_form() -> None:
    async with Client(echo(Form[Model])) as client:
        response = await client.post("/", data={"number": "3", "tags": ["a"]})
        wrong = await client.post("/", data={"number": "x"})

    assert response.text == repr(Model(number=3, tags=["a"]))
    assert wrong.json()["errors"][0]["pointer"] == "#/number"


async def test_files_of_a_form_are_fields_of_its_struct() -> None:
    app = Oxidite()

    @app.post("/")
    async def upload(data: Form[Files]) -> list[object]:
        return [
            data.title,
            data.file.filename,
            (await data.file.read()).decode(),
            [each.filename for each in data.more],
        ]

    async with Client(app) as client:
        response = await client.post(
            "/",
            data={"title": "t"},
            files=[
                ("file", ("a.txt", b"content")),
                ("more", ("b.txt", b"")),
                ("more", ("c.txt", b"")),
            ],
        )
        text = await client.post("/", data={"title": "t", "file": "no file"})

    assert response.json() == ["t", "a.txt", "content", ["b.txt", "c.txt"]]
    assert text.status_code == 422
    assert text.json()["errors"][0]["pointer"] == "#/file"


async def test_the_fields_of_a_form_may_be_taken_as_they_came() -> None:
    app = Oxidite()

    @app.post("/")
    async def raw(form: Form[FormData]) -> list[str]:
        return [str(value) for value in form.get_all("a")]

    async with Client(app) as client:
        assert (await client.post("/", data={"a": ["1", "2"]})).json() == ["1", "2"]


@pytest.mark.parametrize("type_", ["Json[Line] | None", "Line | None", "Body[Line] | None"])
async def test_a_body_with_a_default_may_be_absent(type_: str) -> None:
    app = Oxidite()

    async def handler(data: Any = None) -> str:
        return repr(data)

    handler.__annotations__["data"] = eval(type_)  # an annotation, as it is written
    app.post("/")(handler)

    async with Client(app) as client:
        assert (await client.post("/")).text == "None"
        assert (await client.post("/", json={"sku": "a"})).text == repr(Line("a"))
        assert (await client.post("/", content=b"null", headers=JSON)).text == "None"
        assert (await client.post("/", content=b"x")).status_code == 415


async def test_the_body_may_be_read_by_a_dependency_and_by_the_request_too() -> None:
    app = Oxidite()

    @app.post("/")
    async def create(data: Line, request: Request) -> list[object]:
        return [data, await request.json(), len(await request.body())]

    async with Client(app) as client:
        response = await client.post("/", json={"sku": "a"})

    assert response.json() == [{"sku": "a", "count": 1}, {"sku": "a"}, len(b'{"sku":"a"}')]


# Size.


class Source:
    """A body that notes how much of it was taken."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.chunks):
            self.taken += 1
            yield b"x" * 1000


@pytest.mark.parametrize(
    ("type_", "content_type"),
    [
        (Line, "application/json"),
        (Model, "application/json"),
        (Form[Line], "application/x-www-form-urlencoded"),
        (Form[Line], "multipart/form-data; boundary=b"),
        (Form[FormData], "multipart/form-data; boundary=b"),
        (Body[Line], "application/msgpack"),
    ],
)
async def test_a_body_that_is_announced_too_large_is_refused_unread(
    type_: Any, content_type: str
) -> None:
    source = Source(100)

    async with Client(echo(type_)) as client:
        response = await client.post(
            "/",
            content=source,
            headers={"content-type": content_type, "content-length": str(2 * 1024 * 1024)},
        )

    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    assert source.taken == 0


@pytest.mark.parametrize(
    ("type_", "content_type"),
    [
        (Line, "application/json"),
        (Form[Line], "application/x-www-form-urlencoded"),
        (Body[Line], "application/msgpack"),
    ],
)
async def test_a_body_that_grows_too_large_is_cut_off(type_: Any, content_type: str) -> None:
    source = Source(1_000_000)

    async with Client(echo(type_)) as client:
        response = await client.post("/", content=source, headers={"content-type": content_type})

    assert response.status_code == 413
    assert source.taken < 1100


async def test_a_body_of_the_wrong_type_is_refused_unread() -> None:
    source = Source(100)

    async with Client(echo(Line)) as client:
        response = await client.post("/", content=source, headers={"content-type": "text/plain"})

    assert response.status_code == 415
    assert source.taken == 0


@pytest.mark.parametrize("length", ["-1", "1.5", "0x10", "1_0", "9" * 30, "+5", ""])
async def test_a_content_length_that_is_no_number_is_a_bad_request(length: str) -> None:
    async with Client(echo(Line)) as client:
        response = await client.post(
            "/", content=Source(1), headers={**JSON, "content-length": length}
        )

    assert response.status_code == 400


async def test_a_query_struct_and_a_body_stand_beside_each_other() -> None:
    app = Oxidite()

    @app.post("/")
    async def create(options: Query[Options], data: Line, tag: list[str]) -> list[object]:
        return [options, data, tag]

    async with Client(app) as client:
        response = await client.post("/?size=3&tag=a&tag=b", json={"sku": "a"})

    assert response.json() == [{"size": 3}, {"sku": "a", "count": 1}, ["a", "b"]]


class Stay(Struct, tag_field="kind", tag=1):
    nights: int
    guests: list[int] = []


class Visit(Struct, tag_field="kind", tag=2):
    nights: str


async def test_a_form_may_be_one_of_several_by_its_tag() -> None:
    app = Oxidite()

    @app.post("/")
    async def add(data: Body[Stay | Visit]) -> Stay | Visit:
        return data

    async with Client(app) as client:

        async def sent(**data: Any) -> Any:
            response = await client.post("/", data=data)
            answer = response.json()
            if response.status_code == 200:
                return answer
            return [(each["pointer"], each["code"]) for each in answer["errors"]]

        assert await sent(kind="1", nights="2", guests=["7", "8"]) == {
            "kind": 1,
            "nights": 2,
            "guests": [7, 8],
        }
        assert await sent(kind="2", nights="2") == {"kind": 2, "nights": "2"}
        assert await sent(kind="1", nights="two") == [("#/nights", "type")]
        assert await sent(kind="2", nights=["2", "3"]) == [("#/nights", "repeated")]
        assert await sent(kind=["1", "2"], nights="2") == [("#/kind", "repeated")]
        assert await sent(nights="2") == [("#/kind", "missing")]
        assert await sent(kind="3", nights="2") == [("#/kind", "invalid")]
        same = await client.post("/", json={"kind": 2, "nights": "2"})
        assert same.json() == {"kind": 2, "nights": "2"}


async def test_a_form_that_may_be_left_out_has_numbers_lists_and_files_too() -> None:
    app = Oxidite()

    @app.post("/tags")
    async def tags(data: Form[Tags | None] = None) -> Tags | None:
        return data

    @app.post("/files")
    async def files(data: Form[Files | None] = None) -> list[str]:
        return [] if data is None else [each.filename for each in [data.file, *data.more]]

    async with Client(app) as client:
        answer = await client.post("/tags", data={"name": "a", "tags": ["x"], "few": ["1", "2"]})
        assert answer.json() == {"name": "a", "tags": ["x"], "few": [1, 2], "on": False}
        twice = await client.post("/tags", data={"name": ["a", "b"]})
        assert twice.json()["errors"][0]["code"] == "repeated"
        assert (await client.post("/tags")).status_code == 204
        uploads = [("file", ("1.txt", b"1")), ("more", ("2.txt", b"2"))]
        sent = await client.post("/files", data={"title": "t"}, files=uploads)
        assert sent.json() == ["1.txt", "2.txt"]
