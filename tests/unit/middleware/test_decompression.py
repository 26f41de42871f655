from __future__ import annotations

import asyncio
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import File, FormData, Oxidite, Request, Response, Upload
from oxidite.errors import ConfigError, MissingExtraError
from oxidite.extract import Form
from oxidite.http import Handler
from oxidite.middleware import InvalidContentCodingError, decompression
from oxidite.middleware.decode import PIECE, decoder_of
from oxidite.servers import choose_interface
from oxidite.testing import Client

brotli = import_module("brotli")
zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

TEXT = b'{"name":"Walnut desk","tags":["wood","wood","wood"]}' * 50
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


def application(max_body: int = 100_000_000, **options: float) -> Oxidite:
    app = Oxidite(middleware=[decompression(**options)], max_body=max_body)  # type: ignore[arg-type]  # numbers

    @app.post("/")
    async def echo(request: Request) -> Response:
        fields = request.headers
        length = fields.get("content-length", "none")
        return Response(
            await request.body(),
            headers={"x-length": length, "x-coding": fields.get("content-encoding", "none")},
        )

    @app.post("/json")
    async def json(data: dict[str, int]) -> int:
        return sum(data.values())

    @app.post("/form")
    async def form(data: Form[FormData]) -> list[str]:
        return sorted(data)

    @app.post("/stream")
    async def stream(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    return app


async def post(
    app: Oxidite, body: bytes, coding: str, path: str = "/", content_type: str = "text/plain"
) -> tuple[int, bytes, dict[str, str]]:
    headers = {"content-encoding": coding, "content-type": content_type}
    async with Client(app) as client:
        response = await client.post(path, content=body, headers=headers)
    return response.status_code, response.content, dict(response.headers)


@pytest.mark.parametrize("coding", ENCODE)
async def test_a_handler_reads_what_was_meant(coding: str) -> None:
    status, body, fields = await post(application(), ENCODE[coding](TEXT), coding.upper())

    assert (status, body) == (200, TEXT)
    assert (fields["x-coding"], fields["x-length"]) == ("none", "none")


async def test_every_way_to_read_a_body_reads_it() -> None:
    app = application()
    json = gzip.compress(b'{"a":1,"b":2}')
    form = gzip.compress(b"a=1&b=2")

    assert (await post(app, json, "gzip", "/json", "application/json"))[1] == b"3"
    kind = "application/x-www-form-urlencoded"
    assert (await post(app, form, "gzip", "/form", kind))[1] == b'["a","b"]'
    assert (await post(app, gzip.compress(TEXT), "x-gzip", "/stream"))[1] == b"%d" % len(TEXT)


async def test_a_body_that_is_not_encoded_is_not_touched() -> None:
    async with Client(application()) as client:
        plain = await client.post("/", content=TEXT)
        identity = await client.post("/", content=TEXT, headers={"content-encoding": "identity"})
        empty = await client.post("/", headers={"content-encoding": "gzip"})

    assert plain.content == identity.content == TEXT
    assert plain.headers["x-length"] == str(len(TEXT))
    assert (empty.status_code, empty.content) == (200, b"")


async def test_two_codings_come_off_in_their_order_and_three_are_too_many() -> None:
    twice = gzip.compress(brotli.compress(TEXT))
    app = application()

    assert (await post(app, twice, "br, gzip"))[:2] == (200, TEXT)
    assert (await post(app, twice, "gzip, br"))[0] == 400
    assert (await post(app, gzip.compress(twice), "br, gzip, gzip"))[0] == 415


async def test_what_is_not_known_is_415_and_says_what_is() -> None:
    for coding in ("compress", "gzip2", "zst\xe4", "a" * 1_000_000):
        async with Client(application()) as client:
            response = await client.post(
                "/", content=b"x", headers=[(b"content-encoding", coding.encode("latin-1"))]
            )

        assert response.status_code == 415
        assert response.json()["code"] == "unsupported_content_coding"
        assert response.headers["accept-encoding"] == "zstd, br, gzip, deflate"


@pytest.mark.parametrize("coding", ENCODE)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"not at all",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:1],
        lambda data: data + b"\xff more",
    ],
    ids=["other", "cut", "half", "begun", "more"],
)
async def test_a_body_that_is_not_what_it_says_is_400(
    coding: str, spoil: Callable[[bytes], bytes]
) -> None:
    status, body, _ = await post(application(), spoil(ENCODE[coding](TEXT)), coding)

    assert status == 400
    assert b"invalid_content_coding" in body


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_several_members_are_one_body(coding: str) -> None:
    parts = ENCODE[coding](b"one ") + ENCODE[coding](b"") + ENCODE[coding](b"two")

    assert (await post(application(), parts, coding))[1] == b"one two"


# Bombs.


def bomb(coding: str, size: int) -> bytes:
    if coding == "gzip":
        encoder = zlib.compressobj(9, zlib.DEFLATED, 31)
        block = b"\0" * 1_000_000
        return b"".join(encoder.compress(block) for _ in range(size // 1_000_000)) + encoder.flush()
    if coding == "br":
        return bytes(brotli.compress(b"\0" * size, quality=1))
    return ENCODE[coding](b"\0" * size)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
async def test_a_bomb_is_refused_soon_and_costs_little_memory(coding: str) -> None:
    data = bomb(coding, 100_000_000)
    assert len(data) < 150_000
    app = application()
    await post(app, ENCODE[coding](TEXT), coding)  # what is imported or made once
    tracemalloc.start()
    try:
        status, body, _ = await post(app, data, coding)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert status == 413
    assert b"100 times as large" in body or b"bytes allowed here" in body
    assert peak < 25_000_000


async def test_a_bomb_in_a_bomb_is_refused() -> None:
    data = gzip.compress(bomb("gzip", 100_000_000))
    assert len(data) < 10_000

    assert (await post(application(), data, "gzip, gzip"))[0] == 413


async def test_a_body_may_become_as_large_as_is_allowed_and_no_larger() -> None:
    app = application(max_size=100_000)

    assert (await post(app, gzip.compress(b"x" * 100_000), "gzip"))[0] == 200
    assert (await post(app, gzip.compress(b"x" * 100_001), "gzip"))[0] == 413


async def test_what_the_route_accepts_holds_for_what_comes_out() -> None:
    app = application(max_body=50_000)

    assert (await post(app, gzip.compress(b"x" * 50_000), "gzip"))[0] == 200
    assert (await post(app, gzip.compress(b"x" * 50_001), "gzip"))[0] == 413


def form_of(size: int) -> bytes:
    """A multipart form with one file, compressed."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return gzip.compress(head + b"x" * size + b"\r\n--b--\r\n")


@pytest.mark.parametrize(
    ("path", "size", "status", "code"),
    [
        ("/upload", 2000, 200, None),
        ("/upload", 2001, 413, "form_limit"),
        ("/parts", 4000, 200, None),
        ("/parts", 5000, 413, "payload_too_large"),
        ("/upload", 50_000_000, 413, "payload_too_large"),
        ("/parts", 50_000_000, 413, "payload_too_large"),
    ],
)
async def test_uploads_keep_their_limits_when_they_are_decoded(
    path: str, size: int, status: int, code: str | None
) -> None:
    app = Oxidite(middleware=[decompression()], max_body=5000)

    @app.post("/upload")
    async def upload(file: Annotated[Upload, File(max_size=2000)]) -> int:
        return file.size

    @app.post("/parts")
    async def parts(request: Request) -> int:
        return sum([len(chunk) async for part in request.parts() async for chunk in part])

    body = form_of(size)
    tracemalloc.start()
    try:
        found, answer, _ = await post(app, body, "gzip", path, "multipart/form-data; boundary=b")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    told = msgspec.json.decode(answer)
    assert (found, told if code is None else told["code"]) == (status, code or size)
    assert peak < 4_000_000


async def test_a_ratio_matters_only_beyond_a_megabyte() -> None:
    app = application(max_ratio=10)

    assert (await post(app, gzip.compress(b"x" * 1_000_000), "gzip"))[0] == 200
    status, body, _ = await post(app, gzip.compress(b"x" * 2_000_000), "gzip")
    assert (status, b"more than 10 times" in body) == (413, True)


async def test_a_window_that_wants_much_memory_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27}
    encoder = zstd.ZstdCompressor(options=options)
    data = encoder.compress(TEXT) + encoder.flush()

    assert (await post(application(), data, "zstd"))[0] == 400


async def test_others_get_their_turn_while_much_is_decoded() -> None:
    app = application(max_size=60_000_000, max_ratio=1e9)
    data = bomb("gzip", 50_000_000)
    app.get("/")(lambda: "home")
    order: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield data

    async with Client(app) as client:

        async def large() -> None:
            await client.post("/", content=pieces(), headers={"content-encoding": "gzip"})
            order.append("large")

        async def small() -> None:
            await client.get("/nowhere")
            order.append("small")

        await asyncio.gather(large(), small())

    assert order == ["small", "large"]


# Around it.


async def test_a_middleware_that_read_the_body_before_is_no_trouble() -> None:
    async def reads(request: Request, call_next: Handler) -> Response:
        await request.body()
        return await call_next(request)

    app = Oxidite(middleware=[reads, decompression()])

    @app.post("/")
    async def echo(request: Request) -> bytes:
        return await request.body()

    assert (await post(app, gzip.compress(TEXT), "gzip"))[1] == TEXT


async def test_a_mounted_application_decodes_its_own() -> None:
    outer = Oxidite(middleware=[decompression()])
    outer.mount("/inner", application())

    assert (await post(outer, gzip.compress(TEXT), "gzip", "/inner/"))[1] == TEXT


def test_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="more than 0"):
        decompression(max_size=0)
    with pytest.raises(ConfigError, match="no coding 'compress'"):
        decompression(encodings=["compress"])
    with pytest.raises(ConfigError, match="Write a list"):
        decompression(encodings="gzip")
    monkeypatch.setitem(sys.modules, "brotli", None)
    with pytest.raises(MissingExtraError, match=r"oxidite\[compress\]"):
        decompression(encodings=["br"])


async def test_without_the_extra_there_are_gzip_and_deflate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, zstd.__name__, None)
    app = application()

    assert (await post(app, gzip.compress(TEXT), "gzip"))[1] == TEXT
    assert (await post(app, brotli.compress(TEXT), "br"))[2]["accept-encoding"] == "gzip, deflate"


def test_complete_bodies_stay_complete() -> None:
    app = Oxidite(middleware=[decompression()])

    @app.post("/")
    async def home() -> str:
        return "home"

    assert choose_interface(app, rsgi=True)[0] == "rsgi"


def decoded(coding: str, chunks: list[bytes]) -> list[bytes]:
    decoder = decoder_of(coding)()
    pieces = [piece for chunk in chunks for piece in decoder.pieces(chunk)]
    if not decoder.is_complete:
        raise InvalidContentCodingError
    return pieces


@pytest.mark.parametrize("coding", ENCODE)
@given(data=st.data(), block=st.binary(max_size=300), times=st.integers(0, 2000))
def test_however_it_is_cut_it_becomes_the_same_in_small_pieces(
    coding: str, data: st.DataObject, block: bytes, times: int
) -> None:
    whole = block * times
    sent = ENCODE[coding](whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    chunks = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    pieces = decoded(coding, chunks)

    assert b"".join(pieces) == whole
    assert max(map(len, pieces), default=0) <= 4 * PIECE


@pytest.mark.parametrize("coding", ENCODE)
@given(st.binary(max_size=200))
def test_whatever_comes_is_decoded_or_refused(coding: str, sent: bytes) -> None:
    try:
        pieces = decoded(coding, [sent])
    except InvalidContentCodingError:
        return
    assert len(b"".join(pieces)) < 1000 * len(sent) + 1
