from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Struct

from oxidite import Depends, File, Form, FormData, Name, Oxidite, Request, Response, Upload
from oxidite.errors import RouteError
from oxidite.http import FormLimits
from oxidite.http.types import Handler
from oxidite.testing import Client, LiveServer

PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = Annotated[Upload, File(max_size=1000, types=["image/png", "image/jpeg"])]


class Profile(Struct):
    name: str
    photo: PICTURE
    more: Annotated[list[Upload], File(max_files=2, types=["image/*"])] = []
    letter: Annotated[Upload, File(max_size=10)] | None = None


def application() -> Oxidite:
    app = Oxidite(max_body=100_000)

    @app.post("/one")
    async def one(photo: PICTURE) -> list[object]:
        return [photo.filename, photo.raw_filename, photo.sniffed, photo.content_type, photo.size]

    @app.post("/plain")
    async def plain(photo: Upload, note: Annotated[Upload | None, Name("the-note")] = None) -> str:
        return f"{photo.filename} {note and note.filename}"

    @app.post("/list")
    async def many(photos: Annotated[list[Upload], File(max_size=1000, max_files=3)]) -> int:
        return sum(photo.size for photo in photos)

    @app.post("/some")
    async def some(photos: list[PICTURE] | None = None) -> int:
        return -1 if photos is None else len(photos)

    @app.post("/struct")
    async def struct(form: Form[Profile]) -> list[object]:
        return [form.name, form.photo.sniffed, len(form.more), form.letter is None]

    @app.post("/both")
    async def both(form: Form[FormData], photo: PICTURE) -> list[str]:
        return [*form, photo.filename]

    return app


async def post(path: str, *files: Any, **data: str) -> tuple[int, Any]:
    async with Client(application()) as client:
        answer = await client.post(path, files=list(files), data=data)
        return answer.status_code, answer.json() if answer.content[:1] in b"{[" else answer.text


def png(name: str, size: int = 8, filename: str = "a.png") -> tuple[str, Any]:
    return name, (filename, PNG.ljust(size, b"x"), "image/png")


async def test_a_file_is_an_argument() -> None:
    assert await post("/one", png("photo", 1000, "../a.png")) == (
        200,
        ["a.png", "../a.png", "image/png", "image/png", 1000],
    )
    assert await post("/plain", png("photo"), png("the-note", 9, "n.txt")) == (200, "a.png n.txt")
    assert await post("/plain", png("photo")) == (200, "a.png None")


async def test_a_list_takes_all_files_of_a_name() -> None:
    assert await post("/list", *[png("photos", 10)] * 3) == (200, "30")
    assert await post("/some", png("photos"), png("photos")) == (200, "2")
    assert await post("/some", png("other")) == (200, "-1")


async def test_a_field_of_a_form_is_checked_too() -> None:
    status, body = await post("/struct", png("photo"), png("more"), png("more"), name="Ann")
    assert (status, body) == (200, ["Ann", "image/png", 2, True])


async def test_a_form_may_be_read_by_several_arguments() -> None:
    assert await post("/both", png("photo"), a="1") == (200, ["a", "photo", "a.png"])


@pytest.mark.parametrize(
    ("path", "files", "status", "code", "pointer"),
    [
        ("/one", [png("photo", 1001)], 413, "form_limit", "#/photo"),
        ("/one", [("photo", ("a.png", b"<svg>", "image/png"))], 415, "unsupported_file", "#/photo"),
        ("/one", [("photo", ("a.png", b"", "image/png"))], 415, "unsupported_file", "#/photo"),
        ("/one", [png("photo"), png("photo")], 413, "form_limit", "#/photo"),
        ("/one", [png("other")], 422, "validation", "#/photo"),
        ("/one", [("photo", (None, b"text"))], 422, "validation", "#/photo"),
        ("/list", [("photos", (None, b"text"))], 422, "validation", "#/photos/0"),
        ("/list", [png("photos"), png("photos", 1001)], 413, "form_limit", "#/photos/1"),
        ("/list", [png("photos")] * 4, 413, "form_limit", "#/photos"),
        ("/some", [png("photos"), png("photos", 1001)], 413, "form_limit", "#/photos/1"),
        ("/struct", [png("photo", 1001)], 413, "form_limit", "#/photo"),
        ("/struct", [png("more"), ("more", ("b", b"b"))], 415, "unsupported_file", "#/more/1"),
        ("/struct", [png("letter", 11)], 413, "form_limit", "#/letter"),
        ("/both", [png("photo", 1001)], 413, "form_limit", "#/photo"),
    ],
)
async def test_what_is_wrong_is_said_with_the_field(
    path: str, files: list[Any], status: int, code: str, pointer: str
) -> None:
    found, body = await post(path, *files)
    assert (found, body["code"]) == (status, code)
    assert pointer in [error["pointer"] for error in body["errors"]]


async def test_a_body_that_is_no_form_is_refused() -> None:
    async with Client(application()) as client:
        answer = await client.post("/one", json={"photo": "x"})
        assert (answer.status_code, answer.headers["accept"]) == (415, "multipart/form-data")
        assert (await client.post("/some")).text == "-1"
        assert (await client.post("/one", data={"photo": "x"})).status_code == 422


async def test_a_body_has_room_for_the_files_of_its_route() -> None:
    app = application()
    by_path = {route.path: route.max_body for route in app.routes}
    assert by_path["/one"] == 101_000
    assert by_path["/list"] == 103_000
    assert by_path["/some"] == 100_000 + 100 * 1000
    assert by_path["/struct"] is None  # `more` has no limit of its own
    assert by_path["/plain"] is None


async def test_a_limit_of_the_body_that_was_said_stays() -> None:
    app = Oxidite()

    @app.post("/", max_body=500)
    async def one(photo: PICTURE) -> int:
        return photo.size

    async with Client(app) as client:
        answer = await client.post("/", files=[png("photo", 600)])
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_an_announced_length_over_the_limit_is_refused_unread() -> None:
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        taken += 1
        yield b"x"

    app = application()
    async with Client(app) as client:
        headers = {"content-type": "multipart/form-data; boundary=b", "content-length": "101001"}
        answer = await client.post("/one", content=body(), headers=headers)
    assert (answer.status_code, taken) == (413, 0)


async def test_rules_hold_for_a_form_that_a_middleware_has_read() -> None:
    async def reading(request: Request, call_next: Handler) -> Response:
        await request.form(FormLimits(max_files=5))
        return await call_next(request)

    app = Oxidite(middleware=[reading])

    @app.post("/")
    async def one(photo: PICTURE) -> int:
        return photo.size

    async with Client(app) as client:
        assert (await client.post("/", files=[png("photo")])).text == "8"
        answer = await client.post("/", files=[("photo", ("a", b"text"))])
        assert answer.status_code == 415


async def test_a_dependency_takes_files_and_a_stand_in_keeps_its_rules() -> None:
    app = Oxidite()

    async def picture(photo: PICTURE) -> int:
        return photo.size

    async def stand_in(photo: Annotated[Upload, File(max_size=3, types=["text/plain"])]) -> int:
        return -photo.size

    @app.post("/")
    async def one(size: Annotated[int, Depends(picture)]) -> int:
        return size

    assert {name: rule.max_size for name, rule in app.routes[0].files.items()} == {"photo": 1000}
    async with Client(app) as client:
        assert (await client.post("/", files=[png("photo")])).text == "8"
        assert (await client.post("/", files=[png("photo", 1001)])).status_code == 413

    app = Oxidite()

    async def anything(request: Request) -> int:
        return 0

    @app.post("/")
    async def two(size: Annotated[int, Depends(anything)]) -> int:
        return size

    async with Client(app, dependencies={anything: stand_in}) as client:
        assert (await client.post("/", files=[("photo", ("a", b"abc"))])).text == "-3"
        assert (await client.post("/", files=[("photo", ("a", b"abcd"))])).status_code == 413
        assert (await client.post("/", files=[png("photo", 3)])).status_code == 413
        assert (await client.post("/", files=[("photo", ("a", b"\0"))])).status_code == 415


def refused(register: Callable[[Oxidite], object], match: str) -> None:
    with pytest.raises((RouteError, ValueError, TypeError), match=match):
        register(Oxidite())


def test_what_cannot_work_is_said_when_it_is_registered() -> None:
    async def number(photo: Annotated[int, File()]) -> None: ...
    async def file(photo: Upload) -> None: ...
    async def data(photo: Upload, body: dict[str, int]) -> None: ...

    refused(lambda app: app.post("/")(number), "Its type is Upload or list")
    refused(lambda app: app.get("/")(file), "requests of this method have no body")
    refused(lambda app: app.post("/")(data), "'photo' and 'body' both read the request body")
    refused(lambda _: File(max_size=-1), "not negative")
    refused(lambda _: File(types="image/png"), r"Write \['image/png'\]")
    refused(lambda _: File(types=["png"]), "a media type is such as")


def test_a_client_that_goes_away_leaves_no_open_file() -> None:
    app = Oxidite(max_body=100_000_000)
    ended = threading.Event()

    async def watch(request: Request, call_next: Handler) -> Response:
        try:
            return await call_next(request)
        finally:
            ended.set()

    @app.post("/", middleware=[watch])
    async def one(photo: Upload) -> int:
        return photo.size

    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="photo"; filename="g"\r\n\r\n'
    )
    with LiveServer(app) as server:
        before = _temporary_files()
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(head + b"x" * 20_000_000)
        assert ended.wait(10)
        assert _temporary_files() == before


def _temporary_files() -> int:
    """Count the open files of this process that have no name any more."""
    found = 0
    for number in Path("/proc/self/fd").iterdir():
        try:
            found += "(deleted)" in str(number.readlink())
        except OSError:  # closed in between
            continue
    return found
