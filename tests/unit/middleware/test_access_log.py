from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import Oxidite, Request, Response, StreamingResponse
from oxidite.clock import TravelClock, use
from oxidite.errors import ConfigError
from oxidite.http import Handler, Middleware
from oxidite.middleware import AccessEntry, access_log, request_id
from oxidite.middleware.access.line import json_line, masked_query, text_line
from oxidite.middleware.access.writer import LineWriter
from oxidite.testing import Client


def application(*middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=middleware)

    @app.get("/posts/{id:int}")
    async def show(id: int) -> dict[str, int]:
        return {"id": id}

    @app.get("/reset/{token}")
    async def reset(token: str) -> str:
        return "reset"

    @app.get("/broken")
    async def broken() -> None:
        raise LookupError("nothing")

    @app.get("/health")
    async def health() -> str:
        return "well"

    add_streams(app)
    return app


def add_streams(app: Oxidite) -> None:
    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes | str]:
            yield b"12345"
            yield "é"

        return StreamingResponse(parts())

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"12345"
            raise LookupError("half")

        return StreamingResponse(parts())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"12345"
            await asyncio.Event().wait()

        return StreamingResponse(parts())


class Log(io.StringIO):
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def entry(self) -> dict[str, Any]:
        [entry] = self.entries()
        return entry


async def test_a_relative_path_is_meant_from_where_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    app = application(access_log(to=Path("access.log")))
    monkeypatch.chdir(tmp_path / "elsewhere")

    async with Client(app) as client:
        await client.get("/posts/7")

    assert "/posts/7" in (tmp_path / "access.log").read_text()


async def test_a_request_is_a_line_of_json() -> None:
    log = Log()
    app = application(request_id(), access_log("json", to=log))

    with use(TravelClock(datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC))):
        async with Client(app) as client:
            response = await client.get("/posts/7?page=2")

    entry = log.entry()
    assert entry.pop("duration") > 0
    assert entry == {
        "time": "2026-05-04T03:02:01.500Z",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/posts/7",
        "query": "page=2",
        "version": "1.1",
        "status": 200,
        "bytes": 8,
        "outcome": "complete",
        "route": "/posts/{id:int}",
        "request_id": response.headers["x-request-id"],
        "trace_id": response.headers["x-request-id"],
    }


async def test_a_request_is_a_line_of_text() -> None:
    log = Log()

    with use(TravelClock(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC))):
        async with Client(application(access_log(to=log, headers=["User-Agent"]))) as client:
            await client.get("/posts/7?page=2", headers={"user-agent": 'a "b"'})

    assert re.fullmatch(
        r'2026-05-04T03:02:01\.000Z 127\.0\.0\.1 "GET /posts/7\?page=2 HTTP/1\.1" 200 8B \d+\.\dms '
        r'route=/posts/\{id:int\} user-agent="a \\"b\\""\n',
        log.getvalue(),
    )


async def test_a_line_may_look_as_one_likes() -> None:
    log = Log()

    def line(entry: AccessEntry) -> str:
        return f"{entry.status} {entry.path}"

    async with Client(application(access_log(line, to=log))) as client:
        await client.get("/health")

    assert log.getvalue() == "200 /health\n"


async def test_failures_are_logged_with_what_they_were() -> None:
    log = Log()
    app = application(access_log("json", to=log))

    async with Client(app, raise_errors=False) as client:
        await client.get("/broken")
        await client.get("/nowhere")

    broken, nowhere = log.entries()
    assert (broken["status"], broken["error"]) == (500, "LookupError")
    assert nowhere["status"] == 404
    assert "route" not in nowhere


@pytest.mark.parametrize(
    ("method", "path", "size"),
    [("HEAD", "/posts/7", 0), ("OPTIONS", "/health", 0), ("GET", "/health", 4)],
)
async def test_the_bytes_are_those_of_the_body_that_was_sent(
    method: str, path: str, size: int
) -> None:
    log = Log()

    async with Client(application(access_log("json", to=log))) as client:
        await client.request(method, path)

    assert log.entry()["bytes"] == size


async def test_the_path_is_that_which_came() -> None:
    async def rewrite(request: Request, call_next: Handler) -> Response:
        request.path = "/health"
        return await call_next(request)

    log = Log()

    async with Client(application(access_log("json", to=log), rewrite)) as client:
        await client.get("/old")

    assert log.entry()["path"] == "/old"


# Streams.


async def test_a_stream_is_logged_when_it_has_ended() -> None:
    log = Log()

    async with Client(application(access_log("json", to=log))) as client:
        assert (await client.get("/stream")).content == "12345é".encode()

    entry = log.entry()
    assert (entry["status"], entry["bytes"], entry["outcome"]) == (200, 7, "complete")


async def test_a_stream_whose_reader_leaves_is_cut() -> None:
    log = Log()

    async with Client(application(access_log("json", to=log))) as client:
        response = await client.send(client.build_request("GET", "/endless"), stream=True)
        assert await anext(response.aiter_bytes()) == b"12345"
        await response.aclose()

    entry = log.entry()
    assert (entry["status"], entry["bytes"], entry["outcome"]) == (200, 5, "cut")


async def test_a_stream_that_raises_has_failed() -> None:
    log = Log()

    async with Client(application(access_log("json", to=log))) as client:
        with pytest.raises((LookupError, RuntimeError)):
            await client.get("/half")

    entry = log.entry()
    assert (entry["status"], entry["bytes"], entry["outcome"]) == (200, 5, "failed")


async def test_the_head_of_a_stream_has_no_bytes() -> None:
    log = Log()

    async with Client(application(access_log("json", to=log))) as client:
        await client.head("/stream")

    entry = log.entry()
    assert (entry["status"], entry["outcome"]) == (200, "complete")
    assert entry.get("bytes", 0) == 0


async def test_a_mounted_application_is_logged_with_its_status() -> None:
    inner = Oxidite()

    @inner.get("/tea", status=418)
    async def tea() -> str:
        return "tea"

    log = Log()
    app = application(access_log("json", to=log))
    app.mount("/inner", inner)

    async with Client(app) as client:
        await client.get("/inner/tea")

    assert log.entry()["status"] == 418


async def test_a_request_that_is_cancelled_is_logged_without_a_status() -> None:
    log = Log()
    app = application(access_log("json", to=log))
    waiting = asyncio.Event()

    @app.get("/wait")
    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    async with Client(app) as client:
        request = asyncio.ensure_future(client.get("/wait"))
        await waiting.wait()
        request.cancel()
        await asyncio.wait([request])

    entry = log.entry()
    assert entry["outcome"] == "cancelled"
    assert "status" not in entry


# What is left out, and what is masked.


async def test_excluded_paths_are_not_logged() -> None:
    log = Log()

    async with Client(
        application(access_log("json", to=log, exclude=["/health", "/posts/*"]))
    ) as client:
        for path in ("/health", "/posts/1", "/posts/2", "/reset/x"):
            await client.get(path)

    assert log.entry()["route"] == "/reset/{token}"


async def test_a_share_is_logged_and_every_failure() -> None:
    log = Log()
    app = application(access_log("json", to=log, sample=0.0))

    async with Client(app, raise_errors=False) as client:
        for path in ("/health", "/broken", "/health", "/nowhere"):
            await client.get(path)

    assert [entry["status"] for entry in log.entries()] == [500, 404]


async def test_half_of_them_is_about_half() -> None:
    log = Log()

    async with Client(application(access_log("json", to=log, sample=0.5))) as client:
        for _ in range(400):
            await client.get("/health")

    assert 120 < len(log.entries()) < 280  # eight standard deviations


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ("token=abc", "token=[redacted]"),
        ("a=1&access_token=abc&b=2", "a=1&access_token=[redacted]&b=2"),
        ("PASSWORD=x", "PASSWORD=[redacted]"),
        ("user%5Bpass%77ord%5D=x", "user%5Bpass%77ord%5D=[redacted]"),
        ("signature=abc=def", "signature=[redacted]"),
        ("api-key=1;2", "api-key=[redacted]"),
        ("Code=x", "Code=[redacted]"),
        ("token", "token"),
        ("page=token", "page=token"),
        ("", ""),
        ("&&=&", "&&=&"),
    ],
)
def test_the_secrets_of_a_query_are_masked(query: str, masked: str) -> None:
    assert masked_query(query, {"code"}) == masked


async def test_the_secrets_of_paths_and_fields_are_masked() -> None:
    log = Log()
    names = ["authorization", "cookie", "referer", "x-code", "x-absent", "accept"]
    middleware = access_log("json", to=log, headers=names, redact=["X-Code"])
    headers = {
        "authorization": "Bearer abc",
        "cookie": "session=abc",
        "referer": "https://a.example/?token=abcdef",
        "x-code": "abc",
        "accept": "*/*",
    }

    async with Client(application(middleware)) as client:
        await client.get("/reset/abc?password=abc", headers=headers)

    assert "abc" not in log.getvalue()
    assert log.entry()["path"] == "/reset/{token}"
    assert log.entry()["headers"]["accept"] == "*/*"
    assert "x-absent" not in log.entry()["headers"]


ENTRY = AccessEntry(
    0.0, 0.001, "::1", "GET", "/", "", "1.1", 200, 0, "complete", None, (), None, None, None, None
)


@given(st.text(), st.text(), st.text(), st.text())
def test_nothing_that_comes_begins_a_line_or_moves_a_cursor(
    method: str, path: str, query: str, agent: str
) -> None:
    forged = AccessEntry(
        0.0, 0.001, path, method, path, query, query, 200, 0, "complete", path, (), None, path, None,
        {"user-agent": agent},
    )  # fmt: skip

    for line in (text_line(forged, ()), json_line(forged, ())):
        assert line.isascii()
        assert line.isprintable()
    assert json.loads(json_line(forged, ()))["path"] == path
    assert json.loads(json_line(forged, ()))["method"] == method


def test_a_quote_does_not_end_what_is_quoted() -> None:
    forged = AccessEntry(
        0.0, 0.001, "::1", "GET", '/" 200 0B', "", "1.1", 404, 0, "cut", None, (), "E", "x", None, None
    )  # fmt: skip

    assert '"GET /\\" 200 0B HTTP/1.1" 404 0B 1.0ms cut error=E id=x' in text_line(forged, ())


# Off the path.


class Blocked(io.StringIO):
    """Takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.free.wait(10)
        return super().write(text)


async def test_a_log_that_nobody_reads_holds_no_request_up_and_says_what_is_missing() -> None:
    log = Blocked()

    async with Client(application(access_log(to=log, queue=10))) as client:
        await client.get("/health")
        await asyncio.to_thread(log.reached.wait, 10)
        for _ in range(25):
            assert (await client.get("/health")).status_code == 200
        log.free.set()

    lines = log.getvalue().splitlines()
    assert len(lines) == 12
    assert lines[1] == "(15 lines were lost here)"


async def test_a_log_that_takes_nothing_any_more_does_not_keep_the_application_from_stopping(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxidite.middleware.access.writer._LAST_GRACE", 0.05)
    log = Blocked()

    async with Client(application(access_log(to=log))) as client:
        await client.get("/health")
        await asyncio.to_thread(log.reached.wait, 10)
        await client.get("/health")

    assert "1 lines could not be written" in caplog.text
    log.free.set()


class Full(Log):
    """A disk that is full for a while."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.failed = threading.Event()

    def write(self, text: str) -> int:
        if self.failures:
            self.failures -= 1
            self.failed.set()
            raise OSError(28, "No space left on device")
        return super().write(text)


async def test_a_disk_that_is_full_breaks_nothing_and_what_is_lost_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Full(1)

    async with Client(application(access_log("json", to=log))) as client:
        assert (await client.get("/health")).status_code == 200
        await asyncio.to_thread(log.failed.wait, 10)
        assert (await client.get("/posts/1")).status_code == 200

    lost, entry = log.entries()
    assert lost == {"lost_lines": 1}
    assert entry["path"] == "/posts/1"
    assert "No space left on device" in caplog.text


async def test_a_line_that_cannot_be_made_takes_no_other_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def line(entry: AccessEntry) -> str:
        if entry.path == "/posts/1":
            raise LookupError(entry.path)
        return entry.path

    log = Log()

    async with Client(application(access_log(line, to=log))) as client:
        for path in ("/health", "/posts/1", "/posts/2"):
            assert (await client.get(path)).status_code == 200

    assert sorted(log.getvalue().splitlines()) == ["(1 line was lost here)", "/health", "/posts/2"]
    assert "a line of the access log cannot be made: LookupError('/posts/1')" in caplog.text


async def test_a_line_that_one_makes_oneself_is_one_line() -> None:
    log = Log()

    def line(entry: AccessEntry) -> str:
        return f"{entry.path} é"

    async with Client(application(access_log(line, to=log))) as client:
        await client.get("/a%0Aforged%1B[2J%E2%80%A8%7F")

    assert log.getvalue() == "/a\\x0aforged\\x1b[2J\\u2028\\x7f é\n"


async def test_standard_output_is_where_it_goes_unless_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with Client(application(access_log())) as client:
        await client.get("/health")

    assert '"GET /health HTTP/1.1" 200 4B' in capsys.readouterr().out


async def test_a_file_that_was_renamed_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    app = application(access_log("json", to=path))

    async with Client(app) as client:
        await client.get("/health")
    path.rename(tmp_path / "access.log.1")
    async with Client(app) as client:
        await client.get("/posts/1")

    assert json.loads((tmp_path / "access.log.1").read_text())["path"] == "/health"
    assert json.loads(path.read_text())["path"] == "/posts/1"
    assert path.stat().st_mode & 0o007 == 0


async def test_a_file_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\n")

    async with Client(application(access_log(to=path))) as client:
        await client.get("/health")

    assert path.read_text().startswith("before\n20")


def test_half_a_line_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = tmp_path / "access.log"
    writer = LineWriter[str](path, str, lambda count: f"lost {count}", size=10)
    before, limit = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (7, before[1]))
        writer.put("12345")
        writer.put("67890")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, limit)
    writer.put("abc")

    assert path.read_text() == "12345\n6\nlost 1\nabc\n"


async def test_one_log_serves_two_applications_until_both_have_stopped() -> None:
    log = Log()
    middleware = access_log("json", to=log)
    first, second = application(middleware), application(middleware)

    async with Client(first) as one:
        async with Client(second) as two:
            await two.get("/health")
            await one.get("/health")
        await one.get("/health")

    assert len(log.entries()) == 3


async def test_an_application_that_was_not_opened_is_logged_at_once() -> None:
    log = Log()
    app = application(access_log("json", to=log))

    await app.handle(Request.of("GET", "/health"))

    assert log.entry()["path"] == "/health"


def test_no_thread_stays_behind() -> None:
    assert [each for each in threading.enumerate() if each.name == "oxidite-lines"] == []


def test_a_process_that_is_copied_writes_its_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    writer = LineWriter[str](path, str, str, size=10)
    writer.put("parent")
    child = os.fork()
    if child == 0:
        writer.put("child")
        os._exit(0)
    os.waitpid(child, 0)

    assert path.read_text() == "parent\nchild\n"


def test_what_makes_no_sense_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="is not a share"):
        access_log(sample=2)
    with pytest.raises(ConfigError, match="neither 'text', 'json' nor"):
        access_log("xml")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError, match="is not a path"):
        access_log(exclude=["health"])


async def test_the_log_stands_inside_of_the_request_id() -> None:
    app = application(access_log(to=io.StringIO()), request_id())

    with pytest.raises(ConfigError, match="request_id has to stand outside of access_log"):
        async with app.running():
            raise AssertionError


def test_a_failure_of_the_log_is_an_error_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    writer = LineWriter[str](Path("/nowhere/at/all.log"), str, str, size=10)

    for _ in range(3):
        writer.put("line")

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
