# These look at files of a few bytes, and nobody waits for it.
# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
import errno
import gc
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from oxidite import FileResponse, Oxidite, Request, Response
from oxidite.clock import TravelClock
from oxidite.concurrency import ThreadPool
from oxidite.http import Handler
from oxidite.http.dates import format_timestamp
from oxidite.http.files import FileChangedError
from oxidite.http.files.file import SMALL, look
from oxidite.http.files.ranges import Range
from oxidite.http.files.reader import CHUNK, read
from oxidite.testing import Client

LONG_AGO = 1_700_000_000
SMALL_BODY = bytes(range(100))
LARGE_BODY = os.urandom(2 * CHUNK + 1000)


def write(path: Path, content: bytes, *, mtime: float = LONG_AGO) -> Path:
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "small.txt", SMALL_BODY)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return write(tmp_path / "large.bin", LARGE_BODY)


@pytest.fixture(params=["small", "large"])
def file(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def serving(make: Callable[[], object]) -> Client:
    app = Oxidite()

    @app.route("/", ["GET", "POST"])
    async def handler() -> object:
        return make()

    return Client(app, raise_errors=False)


async def test_a_file_is_sent_with_all_that_is_known_of_it(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        response = await client.get("/")

    assert response.status_code == 200
    assert response.content == file.read_bytes()
    assert response.headers["content-length"] == str(file.stat().st_size)
    assert response.headers["last-modified"] == format_timestamp(LONG_AGO)
    assert response.headers["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', response.headers["etag"])
    assert "content-disposition" not in response.headers


async def test_head_tells_the_same_without_the_content(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        get, head = await client.get("/"), await client.head("/")

    assert head.headers == get.headers
    assert head.content == b""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.JS", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a.unheard-of", "application/octet-stream"),
        ("txt", "application/octet-stream"),
    ],
)
async def test_the_type_comes_from_the_name(tmp_path: Path, name: str, kind: str) -> None:
    path = write(tmp_path / name, b"x")

    async with serving(lambda: FileResponse(path)) as client:
        assert (await client.get("/")).headers["content-type"] == kind


async def test_type_and_headers_may_be_given(small: Path) -> None:
    def make() -> Response:
        return FileResponse(
            small,
            content_type="text/x-log",
            headers={"cache-control": "no-store", "etag": '"mine"'},
        )

    async with serving(make) as client:
        response = await client.get("/")
        again = await client.get("/", headers={"if-none-match": '"mine"'})

    assert response.headers["content-type"] == "text/x-log"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["etag"] == '"mine"'
    assert again.status_code == 304


async def test_a_download_has_its_own_name_or_another(small: Path) -> None:
    name = ["", "naïve.txt"]

    async with serving(lambda: FileResponse(small, download=name[0] or True)) as client:
        own = await client.get("/")
        name.reverse()
        other = await client.get("/")

    assert own.headers["content-disposition"] == 'attachment; filename="small.txt"'
    assert "filename*=UTF-8''na%C3%AFve.txt" in other.headers["content-disposition"]


async def test_a_tag_may_be_left_out(small: Path) -> None:
    async with serving(lambda: FileResponse(small, etag=False)) as client:
        response = await client.get("/")
        since = await client.get(
            "/", headers={"if-modified-since": response.headers["last-modified"]}
        )

    assert "etag" not in response.headers
    assert since.status_code == 304


async def test_a_tag_changes_with_the_file(small: Path) -> None:
    async with serving(lambda: FileResponse(small)) as client:
        first = await client.get("/")
        write(small, SMALL_BODY, mtime=LONG_AGO + 0.25)
        touched = await client.get("/", headers={"if-none-match": first.headers["etag"]})
        write(small, SMALL_BODY[1:])
        shorter = await client.get("/", headers={"if-none-match": first.headers["etag"]})

    assert touched.status_code == 200
    assert shorter.status_code == 200
    assert len({first.headers["etag"], touched.headers["etag"], shorter.headers["etag"]}) == 3


async def test_a_tag_is_weak_until_the_clock_has_moved_on(small: Path, clock: TravelClock) -> None:
    write(small, SMALL_BODY, mtime=clock.timestamp() - 0.5)
    async with serving(lambda: FileResponse(small)) as client:
        young = await client.get("/")
        part = await client.get(
            "/",
            headers={"range": "bytes=0-1", "if-range": young.headers["last-modified"]},
        )
        await clock.advance(1.0)
        old = await client.get("/", headers={"if-none-match": young.headers["etag"]})

    assert young.headers["etag"].startswith('W/"')
    assert part.status_code == 200
    assert old.status_code == 304
    assert old.headers["etag"] == young.headers["etag"].removeprefix("W/")


async def test_the_last_change_is_never_in_the_future(small: Path, clock: TravelClock) -> None:
    write(small, SMALL_BODY, mtime=clock.timestamp() + 1000)
    async with serving(lambda: FileResponse(small)) as client:
        response = await client.get("/")

    assert response.headers["last-modified"] == format_timestamp(int(clock.timestamp()))
    assert response.headers["etag"].startswith("W/")


# Conditions. The table of them is in test_conditional.py.


async def test_what_the_client_has_is_not_sent_again(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        first = await client.get("/")
        again = await client.get("/", headers={"if-none-match": first.headers["etag"]})
        head = await client.head("/", headers={"if-none-match": first.headers["etag"]})

    assert again.status_code == head.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-length" not in again.headers
    assert "content-type" not in again.headers


async def test_a_condition_that_fails_is_412(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        response = await client.get("/", headers={"if-match": '"other"'})

    assert response.status_code == 412
    assert response.json()["code"] == "precondition_failed"


async def test_what_was_posted_or_has_another_status_has_no_conditions(small: Path) -> None:
    status = [200, 404]

    async with serving(lambda: FileResponse(small, status[0])) as client:
        posted = await client.post("/", headers={"if-none-match": "*", "range": "bytes=0-1"})
        status.reverse()
        missing = await client.get("/", headers={"if-none-match": "*", "range": "bytes=0-1"})

    assert (posted.status_code, posted.content) == (200, SMALL_BODY)
    assert (missing.status_code, missing.content) == (404, SMALL_BODY)


# Ranges. Those of the field are in test_ranges.py.


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=90-", 90, None), ("bytes=-7", -7, None), ("bytes=0-", 0, None)],
)
async def test_a_part_is_sent_with_its_place(
    file: Path, field: str, start: int, stop: int | None
) -> None:
    content = file.read_bytes()

    async with serving(lambda: FileResponse(file)) as client:
        response = await client.get("/", headers={"range": field})

    assert response.status_code == 206
    assert response.content == content[start:stop]
    first = content.index(content[start:stop])
    last = first + len(response.content) - 1
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["etag"]


async def test_several_parts_are_sent_in_one_message(file: Path) -> None:
    content = file.read_bytes()

    async with serving(lambda: FileResponse(file)) as client:
        response = await client.get("/", headers={"range": "bytes=50-59, 0-9, -5"})

    assert response.status_code == 206
    kind = response.headers["content-type"]
    boundary = kind.removeprefix("multipart/byteranges; boundary=").encode()
    _, *parts, end = response.content.split(b"--" + boundary)
    assert end == b"--\r\n"
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
    assert bodies == [content[50:60], content[:10], content[-5:]]
    assert f"content-range: bytes 0-9/{len(content)}".encode() in parts[1]
    assert response.headers["content-length"] == str(len(response.content))
    assert "content-range" not in response.headers


async def test_several_large_parts_are_read_as_they_are_sent(large: Path) -> None:
    async with serving(lambda: FileResponse(large)) as client:
        response = await client.get("/", headers={"range": "bytes=0-399999, 400001-"})

    assert response.status_code == 206
    assert LARGE_BODY[:400_000] in response.content
    assert response.content.count(LARGE_BODY[400_001:]) == 1
    assert response.headers["content-length"] == str(len(response.content))


async def test_parts_that_are_one_are_sent_as_one(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        response = await client.get("/", headers={"range": "bytes=5-9, 0-5"})

    assert response.content == file.read_bytes()[:10]
    assert response.headers["content-range"].startswith("bytes 0-9/")


async def test_a_part_that_does_not_exist_is_416(file: Path) -> None:
    size = file.stat().st_size

    async with serving(lambda: FileResponse(file)) as client:
        response = await client.get("/", headers={"range": f"bytes={size}-"})

    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{size}"
    assert response.json()["code"] == "range_not_satisfiable"


async def test_ten_thousand_ranges_are_416(large: Path) -> None:
    field = "bytes=" + ",".join(f"{n}-" for n in range(10_000))

    async with serving(lambda: FileResponse(large)) as client:
        response = await client.get("/", headers={"range": field})

    assert response.status_code == 416
    assert response.json()["detail"] == "Ask for at most 32 ranges at once."


async def test_a_part_of_another_state_is_the_whole(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        first = await client.head("/")
        fits = await client.get(
            "/", headers={"range": "bytes=0-1", "if-range": first.headers["etag"]}
        )
        other = await client.get("/", headers={"range": "bytes=0-1", "if-range": '"other"'})
        not_again = await client.get(
            "/", headers={"range": "bytes=0-1", "if-none-match": first.headers["etag"]}
        )

    assert fits.status_code == 206
    assert (other.status_code, other.content) == (200, file.read_bytes())
    assert not_again.status_code == 304


async def test_ranges_are_of_content_so_head_has_none(file: Path) -> None:
    async with serving(lambda: FileResponse(file)) as client:
        response = await client.head("/", headers={"range": "bytes=0-1"})

    assert response.status_code == 200
    assert response.headers["content-length"] == str(file.stat().st_size)


async def test_an_empty_file_is_sent_and_has_no_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "empty.txt", b"")

    async with serving(lambda: FileResponse(path)) as client:
        response = await client.get("/", headers={"range": "bytes=0-"})

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "0"


# Files that are not there, or are none.


@pytest.mark.parametrize("name", ["missing", "small.txt/x", "x" * 300, "a\x00b", "loop", "."])
async def test_what_is_no_file_is_404(tmp_path: Path, small: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")

    async with serving(lambda: FileResponse(tmp_path / name)) as client:
        response = await client.get("/")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
    assert str(tmp_path) not in response.text


async def test_a_pipe_and_a_socket_are_404_and_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        names = ["pipe", "socket"]
        async with serving(lambda: FileResponse(tmp_path / names.pop())) as client:
            assert (await client.get("/")).status_code == 404
            assert (await client.get("/")).status_code == 404


def refusing(code: int) -> Callable[..., int]:
    """An ``os.open`` that fails. The tests may run as root, who may read everything."""

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return refuse


async def test_what_may_not_be_read_is_404_and_told_to_who_runs_the_server(
    small: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(lambda: FileResponse(small)) as client:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refusing(errno.EACCES))
            response = await client.get("/")

    assert response.status_code == 404
    assert str(small) in caplog.text


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
async def test_a_disk_that_fails_is_not_a_missing_file(
    monkeypatch: pytest.MonkeyPatch, small: Path, code: int
) -> None:
    async with serving(lambda: FileResponse(small)) as client:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refusing(code))
            response = await client.get("/")

    assert response.status_code == 500


async def test_a_file_that_is_cut_short_while_it_is_sent_breaks_the_connection(
    large: Path,
) -> None:
    async with (
        serving(lambda: FileResponse(large)) as client,
        client.stream("GET", "/") as response,
    ):
        chunks = response.aiter_raw()
        got = await anext(chunks)
        os.truncate(large, len(got))
        with pytest.raises(FileChangedError, match="ended at byte"):
            # One piece was read ahead.
            got += await anext(chunks) + await anext(chunks)

    assert response.headers["content-length"] == str(len(LARGE_BODY))
    assert got == LARGE_BODY[: len(got)]


async def test_a_file_that_grows_while_it_is_sent_is_sent_as_it_was(large: Path) -> None:
    async with (
        serving(lambda: FileResponse(large)) as client,
        client.stream("GET", "/") as response,
    ):
        os.truncate(large, len(LARGE_BODY) + 10)
        got = b"".join([chunk async for chunk in response.aiter_raw()])

    assert got == LARGE_BODY


async def test_a_file_that_was_replaced_is_not_sent_under_the_tag_of_the_old_one(
    large: Path, tmp_path: Path
) -> None:
    async def replacing(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        write(tmp_path / "new", LARGE_BODY[::-1]).replace(large)
        return response

    app = Oxidite(middleware=[replacing])

    @app.get("/")
    async def handler() -> FileResponse:
        return FileResponse(large)

    async with Client(app, raise_errors=False) as client:
        with pytest.raises(FileChangedError, match="replaced"):
            await client.get("/")


async def test_a_file_that_vanished_breaks_the_connection(large: Path) -> None:
    async def removing(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        large.unlink()
        return response

    app = Oxidite(middleware=[removing])

    @app.get("/")
    async def handler() -> FileResponse:
        return FileResponse(large)

    async with Client(app, raise_errors=False) as client:
        with pytest.raises(FileChangedError, match="cannot be opened any more"):
            await client.get("/")


def open_files(path: Path) -> int:
    links = list(Path("/proc/self/fd").iterdir())
    return sum(link.exists() and link.samefile(path) for link in links)


async def test_who_goes_away_leaves_no_file_open(large: Path) -> None:
    async with serving(lambda: FileResponse(large)) as client:
        async with client.stream("GET", "/") as response:
            await anext(response.aiter_raw())
            assert open_files(large) == 1
        assert open_files(large) == 0


async def test_a_file_that_is_closed_while_a_thread_opens_it_is_closed_by_the_thread(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, closed = threading.Event(), threading.Event()
    real = os.open

    def slow(path: str, flags: int) -> int:
        opening.set()
        assert closed.wait(5)
        return real(path, flags)

    file = look(str(large))
    monkeypatch.setattr(os, "open", slow)
    async with ThreadPool() as threads:
        pieces = read(file, (Range(0, file.size),), threads)
        waiting = asyncio.ensure_future(anext(pieces))
        await asyncio.to_thread(opening.wait, 5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        closed.set()
    gc.collect()

    assert open_files(large) == 0


# Around it.


async def test_middleware_sees_what_will_be_sent(file: Path) -> None:
    seen: list[tuple[int, str | None, str | None]] = []

    async def looking(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        seen.append((response.status, response.content_type, response.headers.get("etag")))
        response.headers["x-seen"] = "yes"
        return response

    app = Oxidite(middleware=[looking])

    @app.get("/")
    async def handler() -> FileResponse:
        return FileResponse(file, content_type="text/x")

    @app.get("/missing")
    async def missing() -> FileResponse:
        return FileResponse(file.parent / "missing")

    async with Client(app) as client:
        first = await client.get("/")
        again = await client.get("/", headers={"if-none-match": first.headers["etag"]})
        part = await client.get("/", headers={"range": "bytes=0-1"})
        none = await client.get("/missing")

    assert [status for status, _, _ in seen] == [200, 304, 206, 404]
    assert seen[0] == (200, "text/x", first.headers["etag"])
    for response in (first, again, part, none):
        assert response.headers["x-seen"] == "yes"


async def test_middleware_may_send_something_else_of_it(large: Path) -> None:
    async def shouting(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        assert isinstance(response, FileResponse)
        content = response.content

        async def changed() -> AsyncIterator[bytes | str]:
            async for chunk in content:
                yield bytes(chunk)[::-1] if isinstance(chunk, bytes) else chunk

        response.content = changed()
        return response

    app = Oxidite(middleware=[shouting])

    @app.get("/")
    async def handler() -> FileResponse:
        return FileResponse(large)

    async with Client(app) as client:
        got = (await client.get("/")).content

    assert got != LARGE_BODY
    assert sorted(got) == sorted(LARGE_BODY)


async def test_a_middleware_or_an_error_handler_may_answer_with_a_file(file: Path) -> None:
    async def closed(request: Request, call_next: Handler) -> Response:
        if request.path == "/closed":
            return FileResponse(file, 503, headers={"retry-after": "10"})
        if request.path == "/gone":
            return FileResponse(file.parent / "gone")
        return await call_next(request)

    def page(request: Request, error: Exception) -> Response:
        return FileResponse(file, 404)

    app = Oxidite(middleware=[closed], error_handlers={404: page})

    async with Client(app) as client:
        answers = [await client.get(path) for path in ("/closed", "/nothing", "/gone")]
        head = await client.head("/closed")

    assert [each.status_code for each in answers] == [503, 404, 404]
    assert all(each.content == file.read_bytes() for each in answers)
    assert answers[0].headers["retry-after"] == "10"
    assert head.headers["content-length"] == str(file.stat().st_size)


async def test_a_response_that_the_handler_keeps_can_be_returned_again(file: Path) -> None:
    kept = FileResponse(file, download=True)
    kept.set_cookie("a", "1")
    kept.headers.add("set-cookie", "b=2")

    async with serving(lambda: kept) as client:
        part = await client.get("/", headers={"range": "bytes=0-1"})
        whole = await client.get("/")
        again = await client.get("/", headers={"if-none-match": whole.headers["etag"]})
        write(file, b"new")
        new = await client.get("/")

    assert [each.status_code for each in (part, whole, again, new)] == [206, 200, 304, 200]
    assert len(whole.content) == int(whole.headers["content-length"])
    assert "content-range" not in whole.headers
    assert len(whole.headers.get_list("set-cookie")) == 2
    assert new.content == b"new"


async def test_a_file_that_nobody_looked_at_cannot_be_iterated(small: Path) -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        aiter(FileResponse(small).content)


async def test_a_file_of_the_limit_is_read_at_once_and_a_larger_one_in_pieces(
    tmp_path: Path,
) -> None:
    names = ["limit", "larger"]
    write(tmp_path / "limit", bytes(SMALL))
    write(tmp_path / "larger", bytes(SMALL + 1))
    complete: list[bool] = []

    async def looking(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        complete.append(response.complete)
        return response

    app = Oxidite(middleware=[looking])

    @app.get("/{name}")
    async def handler(name: str) -> FileResponse:
        return FileResponse(tmp_path / name)

    async with Client(app) as client:
        sizes = [len((await client.get(f"/{name}")).content) for name in names]

    assert sizes == [SMALL, SMALL + 1]
    assert complete == [True, False]


async def test_a_signed_address_opens_a_file_and_an_expired_or_altered_one_does_not(
    file: Path, clock: TravelClock
) -> None:
    app = Oxidite(secret="0123456789abcdef0123456789abcdef")

    @app.get("/files/{name}", middleware=[app.url.require_signature])
    async def download(name: str) -> FileResponse:
        return FileResponse(file.parent / name, download=True)

    async with Client(app) as client:
        url = app.url.signed(app.url(download, name=file.name), ttl=60)
        good = await client.get(url)
        part = await client.get(url, headers={"range": "bytes=0-1"})
        altered = await client.get(url.replace(file.name, "other.txt"))
        bare = await client.get(url.partition("?")[0])
        await clock.advance(61)
        expired = await client.get(url)

    assert (good.status_code, good.content) == (200, file.read_bytes())
    assert part.status_code == 206
    assert [each.status_code for each in (altered, bare, expired)] == [403, 403, 403]
    assert expired.json()["code"] == "expired_signature"
    assert altered.json()["code"] == "bad_signature"
