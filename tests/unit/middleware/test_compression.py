from __future__ import annotations

import asyncio
import gzip
import os
import sys
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import NotFoundError, Oxidite, Request, Response, StreamingResponse
from oxidite.errors import ConfigError, MissingExtraError
from oxidite.http import Handler
from oxidite.http.negotiation import accepted_codings
from oxidite.middleware import Coding, compression, cors
from oxidite.middleware.codings import available, encoding
from oxidite.servers import choose_interface
from oxidite.testing import Client

brotli = import_module("brotli")
zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

TEXT = "All of this is said again and again. " * 100
ALL: tuple[Coding, ...] = ("zstd", "br", "gzip")


def decode(coding: str, data: bytes) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    decompress = {"br": brotli.decompress, "zstd": zstd.decompress}[coding]
    return bytes(decompress(data))


async def raw(client: Client, path: str, accept: str | None = "gzip", **headers: str) -> Raw:
    """Return a response as it came: the client would decode it."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["accept-encoding"] = "" if accept is None else accept
    async with client.stream(sent.pop("method", "GET"), path, headers=sent) as response:
        body = b"".join([chunk async for chunk in response.aiter_raw()])
        return Raw(response.status_code, dict(response.headers), body)


class Raw:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def coding(self) -> str | None:
        return self.headers.get("content-encoding")


@pytest.fixture
def app() -> Oxidite:
    app = Oxidite(middleware=[compression()])

    @app.get("/text")
    async def text() -> str:
        return TEXT

    @app.get("/json")
    async def json() -> list[str]:
        return [TEXT]

    @app.get("/small")
    async def small() -> str:
        return "small"

    return app


@pytest.mark.parametrize("coding", ALL)
async def test_a_body_is_sent_in_the_coding_that_the_client_reads(
    app: Oxidite, coding: Coding
) -> None:
    async with Client(app) as client:
        response = await raw(client, "/text", coding)

    assert response.coding == coding
    assert decode(coding, response.body) == TEXT.encode()
    assert response.headers["content-length"] == str(len(response.body))
    assert len(response.body) < len(TEXT) / 10
    assert response.headers["vary"] == "accept-encoding"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_body_is_sent_as_it_is_to_who_cannot_decode(app: Oxidite) -> None:
    async with Client(app) as client:
        response = await raw(client, "/text", None)

    assert response.coding is None
    assert response.body == TEXT.encode()
    assert response.headers["vary"] == "accept-encoding"


def choose(accept: str | None) -> str | None:
    return next(iter(accepted_codings(accept, ALL)), None)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip;q=0, br", "br"),
        ("gzip;q=0", None),
        ("deflate", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("gzip, *;q=0", "gzip"),
        ("zstd;q=0, *", "br"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("gzip; q=0.8 , br ; q=0.9", "br"),
        ("gzip;q=2, br;q=0.1", "br"),
        ("gzip;q=high", None),
        (" , ,gzip", "gzip"),
        ("gzip;level=9", None),
        (f"{'a,' * 31}gzip", "gzip"),
        (f"{'a,' * 32}gzip", None),
    ],
)
def test_the_client_says_what_it_likes_best(accept: str | None, chosen: str | None) -> None:
    assert choose(accept) == chosen


@given(st.text(st.characters(max_codepoint=255), max_size=400))
def test_any_field_is_read_and_what_is_excluded_is_not_chosen(accept: str) -> None:
    assert choose(accept) in (*ALL, None)
    assert choose(f"gzip;q=0,br;q=0,zstd;q=0,{accept}") is None


def test_a_field_of_a_megabyte_is_read_in_no_time() -> None:
    assert choose("gzip;" + " " * 1_000_000) is None
    assert choose("a" * 1_000_000 + ",gzip") == "gzip"
    assert choose(",".join(["gzip;q=0.1"] * 100_000)) == "gzip"


# What stays as it is.


@pytest.mark.parametrize(
    "response",
    [
        Response(TEXT.encode(), content_type="image/png"),
        Response(TEXT.encode(), content_type="application/zip"),
        Response(TEXT.encode()),
        Response(TEXT, headers={"content-encoding": "gzip"}),
        Response(TEXT, headers={"cache-control": "public, No-Transform"}),
        Response(TEXT, 206, headers={"content-range": "bytes 0-3699/9999"}),
        Response(TEXT, headers={"content-digest": "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ==:"}),
        Response(b"", 304),
    ],
    ids=lambda response: str(dict(response.headers)),
)
async def test_what_may_not_change_does_not(response: Response) -> None:
    app = Oxidite(middleware=[compression(min_size=0)])

    @app.get("/")
    async def home() -> Response:
        return response

    before = dict(response.headers)
    async with Client(app) as client:
        answer = await raw(client, "/")

    assert answer.body == response.body
    assert {**answer.headers, **before} == answer.headers
    assert "vary" not in answer.headers


async def test_a_small_body_is_not_worth_it(app: Oxidite) -> None:
    async with Client(app) as client:
        response = await raw(client, "/small")

    assert response.coding is None
    assert "vary" not in response.headers


async def test_a_body_that_would_grow_stays() -> None:
    noise = os.urandom(3000)
    app = Oxidite(middleware=[compression()])

    @app.get("/")
    async def home() -> Response:
        return Response(noise, content_type="text/plain")

    async with Client(app) as client:
        response = await raw(client, "/")

    assert response.body == noise
    assert response.coding is None
    assert response.headers["vary"] == "accept-encoding"


async def test_a_route_may_say_no() -> None:
    app = Oxidite(middleware=[compression()])

    @app.get("/", meta={"compress": False})
    async def home() -> str:
        return TEXT

    async with Client(app) as client:
        assert (await raw(client, "/")).coding is None


@pytest.mark.parametrize(
    ("content_type", "compressed"),
    [
        ("text/html; charset=utf-8", True),
        ("TEXT/CSV", True),
        ("application/problem+json", True),
        ("application/vnd.api+json;ext=1", True),
        ("image/svg+xml", True),
        ("application/wasm", True),
        ("image/jpeg", False),
        ("video/mp4", False),
        ("application/octet-stream", False),
        ("nonsense", False),
    ],
)
async def test_the_type_tells_whether_it_is_worth_it(content_type: str, compressed: bool) -> None:
    app = Oxidite(middleware=[compression()])

    @app.get("/")
    async def home() -> Response:
        return Response(TEXT.encode(), content_type=content_type)

    async with Client(app) as client:
        for _ in range(2):  # the second time it is remembered
            assert ((await raw(client, "/")).coding == "gzip") is compressed


# What else changes with the body.


async def test_head_has_the_fields_of_get(app: Oxidite) -> None:
    async with Client(app) as client:
        get = await raw(client, "/text")
        head = await raw(client, "/text", method="HEAD")

    assert head.headers == get.headers
    assert head.body == b""


async def test_a_strong_etag_becomes_weak_also_in_the_304() -> None:
    app = Oxidite(middleware=[compression()])

    @app.get("/", etag="strong")
    async def home() -> str:
        return TEXT

    async with Client(app) as client:
        first = await raw(client, "/")
        plain = await raw(client, "/", None)
        again = await raw(client, "/", if_none_match=first.headers["etag"])
        other = await raw(client, "/", if_none_match=plain.headers["etag"])

    assert first.headers["etag"] == "W/" + plain.headers["etag"]
    assert (again.status, again.headers["etag"]) == (304, first.headers["etag"])
    assert again.headers["vary"] == "accept-encoding"
    # Who has it uncompressed may ask for ranges of it, for which the tag must stay strong.
    assert (other.status, other.headers["etag"]) == (304, plain.headers["etag"])


async def test_ranges_and_a_length_that_hold_no_more_are_taken_out() -> None:
    app = Oxidite(middleware=[compression()])

    @app.get("/")
    async def home() -> Response:
        headers = {"accept-ranges": "bytes", "content-length": str(len(TEXT)), "etag": 'W/"1"'}
        return Response(TEXT, headers=headers)

    async with Client(app) as client:
        response = await raw(client, "/")

    assert "accept-ranges" not in response.headers
    assert response.headers["content-length"] == str(len(response.body))
    assert response.headers["etag"] == 'W/"1"'


async def test_a_response_that_the_handler_keeps_is_not_changed() -> None:
    kept = Response(TEXT)
    app = Oxidite(middleware=[compression()])

    @app.get("/")
    async def home() -> Response:
        return kept

    async with Client(app) as client:
        assert (await raw(client, "/", "br")).coding == "br"
        assert (await raw(client, "/", "gzip")).coding == "gzip"
        assert (await raw(client, "/", None)).body == TEXT.encode()


async def test_an_error_stays_the_error_it_was() -> None:
    seen: list[Exception | None] = []

    async def look(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        seen.append(response.error)
        return response

    app = Oxidite(middleware=[look, compression()])

    @app.get("/nowhere")
    async def nowhere() -> None:
        raise NotFoundError(TEXT)

    async with Client(app) as client:
        response = await raw(client, "/nowhere")

    assert response.status == 404
    assert response.coding == "gzip"
    assert type(seen[0]).__name__ == "NotFoundError"


async def test_a_large_body_is_compressed_in_a_thread() -> None:
    app = Oxidite(middleware=[compression()])

    @app.get("/")
    async def home() -> str:
        return TEXT * 1000

    async with Client(app) as client:
        assert gzip.decompress((await raw(client, "/")).body) == (TEXT * 1000).encode()
        # Started for it: an application without sync handlers has no thread of its own.
        assert any(thread.name.startswith("oxidite") for thread in threading.enumerate())


# Streams.


def stream_of(*pieces: bytes | str, **options: object) -> Oxidite:
    app = Oxidite(middleware=[compression()])

    async def content() -> AsyncIterator[bytes | str]:
        for piece in pieces:
            yield piece

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(content(), content_type="text/plain", headers={"etag": '"1"'})

    return app


@pytest.mark.parametrize("coding", ALL)
async def test_a_stream_is_compressed_whatever_its_pieces(coding: Coding) -> None:
    pieces: list[bytes | str] = ["a", b"", TEXT, b"b" * 300_000, TEXT.encode(), ""]
    async with Client(stream_of(*pieces)) as client:
        response = await raw(client, "/", coding)

    whole = b"".join(p.encode() if isinstance(p, str) else p for p in pieces)
    assert decode(coding, response.body) == whole
    assert response.headers["etag"] == 'W/"1"'
    assert "content-length" not in response.headers


@pytest.mark.parametrize("coding", ALL)
async def test_an_empty_stream_is_an_empty_body(coding: Coding) -> None:
    async with Client(stream_of()) as client:
        assert decode(coding, (await raw(client, "/", coding)).body) == b""


@pytest.mark.parametrize("coding", ALL)
async def test_an_event_arrives_before_the_next_one_is_made(coding: Coding) -> None:
    app = Oxidite(middleware=[compression()])
    go_on = asyncio.Event()

    async def events() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await go_on.wait()
        yield "data: second\n\n"

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(events(), content_type="text/event-stream")

    decoders = {
        "gzip": zlib.decompressobj(31).decompress,
        "br": brotli.Decompressor().process,
        "zstd": zstd.ZstdDecompressor().decompress,
    }
    read = decoders[coding]
    async with (
        Client(app) as client,
        client.stream("GET", "/", headers={"accept-encoding": coding}) as response,
    ):
        pieces = response.aiter_raw()
        assert read(await anext(pieces)) == b"data: first\n\n"
        go_on.set()
        assert read(await anext(pieces)) == b"data: second\n\n"


@pytest.mark.parametrize("coding", ALL)
async def test_a_long_stream_costs_a_bounded_memory(coding: Coding) -> None:
    app = Oxidite(middleware=[compression()])
    piece = os.urandom(32_000).hex()

    async def content() -> AsyncIterator[str]:
        for _ in range(400):
            yield piece

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(content(), content_type="text/plain")

    size = 0
    async with Client(app) as client:
        tracemalloc.start()
        try:
            headers = {"accept-encoding": coding}
            async with client.stream("GET", "/", headers=headers) as response:
                async for chunk in response.aiter_raw():
                    size += len(chunk)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert size > 30_000
    assert peak < 3_000_000  # of 25 MB


async def test_a_client_that_leaves_ends_the_stream_below() -> None:
    closed = asyncio.Event()
    app = Oxidite(middleware=[compression()])

    async def content() -> AsyncIterator[str]:
        try:
            while True:
                yield TEXT
        finally:
            closed.set()

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(content(), content_type="text/plain")

    async with Client(app) as client:
        async with client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as response:
            await anext(response.aiter_raw())
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_stream_that_fails_has_no_end_that_looks_whole() -> None:
    app = Oxidite(middleware=[compression()])

    async def content() -> AsyncIterator[str]:
        yield TEXT
        raise LookupError("half-way")

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(content(), content_type="text/plain")

    got: list[bytes] = []

    async def read(client: Client) -> None:
        async with client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as response:
            async for piece in response.aiter_raw():
                got.append(piece)  # noqa: PERF401 - it breaks off

    async with Client(app, raise_errors=False) as client:
        with pytest.raises(LookupError):
            await read(client)

    decoder = zlib.decompressobj(31)
    assert decoder.decompress(b"".join(got)) == TEXT.encode()
    assert not decoder.eof


async def test_a_stream_of_lines_is_closed_also_for_head() -> None:
    closed: list[bool] = []

    class Lines:
        def __aiter__(self) -> Lines:
            return self

        async def __anext__(self) -> str:
            raise AssertionError("nobody reads the body of HEAD")

        async def aclose(self) -> None:
            closed.append(True)

    app = Oxidite(middleware=[compression()])

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(Lines(), content_type="text/plain")

    async with Client(app) as client:
        response = await raw(client, "/", method="HEAD")

    assert response.coding == "gzip"
    assert closed == [True]


async def test_a_sync_stream_is_compressed_too() -> None:
    app = Oxidite(middleware=[compression()])

    def rows() -> Iterator[str]:
        for number in range(1000):
            yield f"{number}\n"

    @app.get("/")
    async def home() -> StreamingResponse:
        return StreamingResponse(rows(), content_type="text/csv")

    async with Client(app) as client:
        response = await raw(client, "/")

    assert gzip.decompress(response.body).count(b"\n") == 1000


async def test_a_mounted_application_compresses_for_itself(app: Oxidite) -> None:
    outer = Oxidite(middleware=[compression()])
    inner = Oxidite()

    @inner.get("/")
    async def home() -> str:
        return TEXT

    outer.mount("/plain", inner)
    outer.mount("/own", app)
    async with Client(outer) as client:
        assert (await raw(client, "/plain/")).coding is None
        own = await raw(client, "/own/text")

    assert gzip.decompress(own.body) == TEXT.encode()


def test_complete_bodies_stay_complete(app: Oxidite) -> None:
    assert choose_interface(app, rsgi=True)[0] == "rsgi"


# BREACH.


@pytest.mark.parametrize(
    ("headers", "compressed"),
    [
        ({}, True),
        ({"authorization": "Bearer token"}, True),
        ({"cookie": "id=1", "sec-fetch-site": "same-origin"}, True),
        ({"cookie": "id=1", "sec-fetch-site": "none"}, True),
        ({"cookie": "id=1", "sec-fetch-site": "cross-site"}, False),
        ({"cookie": "id=1", "sec-fetch-site": "same-site"}, False),
        ({"cookie": "id=1"}, False),
        ({"authorization": "Basic YTpi"}, False),
        ({"authorization": "basic YTpi", "sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site"}, True),
    ],
    ids=str,
)
async def test_secrets_are_not_compressed_at_the_wish_of_another_site(
    app: Oxidite, headers: dict[str, str], compressed: bool
) -> None:
    async with Client(app) as client:
        response = await raw(client, "/text", **headers)

    assert (response.coding == "gzip") is compressed
    assert response.headers["vary"] == "accept-encoding"


async def test_the_guard_can_be_left_out() -> None:
    app = Oxidite(middleware=[compression(breach_guard=False)])

    @app.get("/")
    async def home() -> str:
        return TEXT

    async with Client(app) as client:
        assert (await raw(client, "/", cookie="id=1")).coding == "gzip"


# Setting it up.


async def test_codings_and_levels_can_be_chosen() -> None:
    app = Oxidite(middleware=[compression(encodings=["gzip", "br"], levels={"gzip": 1})])

    @app.get("/")
    async def home() -> str:
        return TEXT

    async with Client(app) as client:
        response = await raw(client, "/", "zstd, br, gzip")

    assert response.body == zlib.compress(TEXT.encode(), 1, 31)


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="no coding 'deflate'"):
        compression(encodings=["deflate"])  # type: ignore[list-item]  # that is the mistake
    with pytest.raises(ConfigError, match="Levels of gzip are from 1 to 9"):
        compression(levels={"gzip": 10})
    with pytest.raises(ConfigError, match="only gzip"):
        compression(encodings=["gzip"], levels={"br": 4})
    with pytest.raises(ConfigError, match="leaves nothing"):
        compression(encodings=[])
    with pytest.raises(ConfigError, match="Write a list"):
        compression(encodings="gzip")  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(ConfigError, match="not negative"):
        compression(min_size=-1)


def test_without_the_extra_there_is_gzip_and_asking_for_more_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if they were not installed: an import of them fails.
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, zstd.__name__, None)

    assert available() == ("gzip",)
    assert compression() is not None
    with pytest.raises(MissingExtraError, match=r"pip install 'oxidite\[compress\]'"):
        compression(encodings=["br"])


@pytest.mark.parametrize("coding", ALL)
@given(pieces=st.lists(st.binary(max_size=2000), max_size=8))
def test_what_was_pushed_can_be_read_at_once(coding: Coding, pieces: list[bytes]) -> None:
    encoder = encoding(coding, None).encoder()
    sent = [encoder.push(piece) for piece in pieces if piece]

    assert decode(coding, b"".join([*sent, encoder.finish()])) == b"".join(pieces)


async def test_cors_and_compression_both_say_what_they_depend_on() -> None:
    app = Oxidite(middleware=[compression(), cors(["https://a.example", "https://b.example"])])

    @app.get("/")
    async def home() -> str:
        return TEXT

    async with Client(app) as client:
        assert (await raw(client, "/")).headers["vary"] == "origin, accept-encoding"
