"""Bodies that are made of several arguments, of files with rules, or of items one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Struct

from oxidite import File, Form, Oxidite, Request, Upload
from oxidite.extract import Description
from oxidite.openapi import OpenAPI
from oxidite.openapi.base import JSON


class Items:
    def extract(self, request: Request) -> object:
        return request.stream()

    def describe(self) -> Description:
        return Description("body", AsyncIterator[Point], media_types=("application/jsonl",))


class Point(Struct):
    x: int


class Profile(Struct):
    name: str
    avatar: Annotated[Upload, File(max_size=1000, types=["image/png", "image/gif"])]
    more: Annotated[list[Upload], File(max_size=10, max_files=3)] = []


def media(app: Oxidite, media_type: str = "multipart/form-data", spec: str = "3.1") -> JSON:
    body = OpenAPI(spec=spec).build(app).content["paths"]["/"]["post"]["requestBody"]  # type: ignore[arg-type]
    assert list(body["content"]) == [media_type]
    found: JSON = body["content"][media_type]
    return found


def test_the_rules_of_files_are_limits_of_the_schema_and_types_of_the_encoding() -> None:
    app = Oxidite()

    @app.post("/")
    async def handler(profile: Form[Profile]) -> None: ...

    assert media(app)["encoding"] == {"avatar": {"contentType": "image/png, image/gif"}}
    schemas = OpenAPI().build(app).content["components"]["schemas"]
    properties = schemas["Profile"]["properties"]
    assert properties["avatar"]["maxLength"] == 1000
    assert properties["more"]["maxItems"] == 3
    assert properties["more"]["items"]["maxLength"] == 10


def test_files_that_are_arguments_are_fields_of_one_form() -> None:
    app = Oxidite()

    @app.post("/")
    async def handler(
        avatar: Annotated[Upload, File(max_size=9, types=["image/*"])],
        other: Upload | None = None,
    ) -> None: ...

    document = OpenAPI().build(app).content
    responses = document["paths"]["/"]["post"]["responses"]
    assert responses["413"]["$ref"].endswith("/FormLimitError_PayloadTooLargeError")
    assert responses["415"]["$ref"].endswith("/UnsupportedFileError_UnsupportedMediaTypeError")
    found = media(app)
    assert found["schema"]["required"] == ["avatar"]
    assert found["schema"]["properties"]["avatar"]["maxLength"] == 9
    assert found["schema"]["properties"]["other"]["format"] == "binary"
    assert found["encoding"] == {"avatar": {"contentType": "image/*"}}


def test_a_body_that_is_read_item_by_item_has_their_schema() -> None:
    app = Oxidite()

    @app.post("/")
    async def handler(items: Annotated[object, Items()]) -> None: ...

    point = {"$ref": "#/components/schemas/Point"}
    assert media(app, "application/jsonl", "3.2") == {"itemSchema": point}
    assert media(app, "application/jsonl")["x-item-schema"] == point
