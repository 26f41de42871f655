from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest

from oxidite import Depends, Oxidite, Request, Response, StreamingResponse
from oxidite.errors import ConfigError
from oxidite.http import Handler, Middleware
from oxidite.middleware import StreamTimeoutError, timeout
from oxidite.testing import Client

SOON = 0.02
LATER = 30.0


async def for_ever() -> None:
    await asyncio.Event().wait()


def application(middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=[middleware])

    @app.get("/fast")
    async def fast() -> str:
        return "fast"

    @app.get("/slow")
    async def slow() -> None:
        await for_ever()

    return app


async def test_what_takes_too_long_is_answered_with_504() -> None:
    async with Client(application(timeout(SOON))) as client:
        assert (await client.get("/fast")).text == "fast"
        response = await client.get("/slow")

    assert response.status_code == 504
    assert response.json()["code"] == "timeout"
    assert response.json()["detail"] == "The answer took longer than the 0.02 s it may take."


async def test_it_is_really_cancelled_and_its_clean_up_runs() -> None:
    done: list[str] = []
    app = application(timeout(SOON))

    async def connection() -> AsyncIterator[str]:
        try:
            yield "connection"
        except asyncio.CancelledError:
            done.append("rolled back")
            raise

    @app.get("/cleaned")
    async def cleaned(used: str = Depends(connection)) -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            done.append("closed")

    async with Client(app) as client:
        assert (await client.get("/cleaned")).status_code == 504
        assert (await client.get("/fast")).status_code == 200

    assert done == ["closed", "rolled back"]


async def test_a_time_out_of_the_handler_s_own_is_an_error_of_its_own() -> None:
    app = application(timeout(LATER))

    @app.get("/own")
    async def own() -> None:
        async with asyncio.timeout(0):
            await for_ever()

    async with Client(app, raise_errors=False) as client:
        assert (await client.get("/own")).status_code == 500


async def test_a_cancellation_of_somebody_else_s_is_not_a_time_out() -> None:
    app = application(timeout(LATER))

    @app.get("/cancelled")
    async def cancelled() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with Client(app, raise_errors=False) as client:
        assert (await client.get("/cancelled")).status_code == 500


async def test_a_client_that_leaves_is_not_a_time_out(caplog: pytest.LogCaptureFixture) -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()
    begun = asyncio.Event()
    app = application(timeout(LATER))

    @app.get("/left")
    async def left() -> None:
        try:
            begun.set()
            await for_ever()
        finally:
            ended.put_nowait("cancelled")

    async with Client(app) as client:
        request = asyncio.ensure_future(client.get("/left"))
        await begun.wait()
        request.cancel()
        assert await ended.get() == "cancelled"
        await asyncio.wait([request])

    assert caplog.records == []


async def test_a_handler_that_swallows_it_is_reported_and_answered_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = application(timeout(SOON))

    @app.get("/swallows/{id}")
    async def swallows(id: str) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await for_ever()
        return "as if nothing had been"

    async with Client(app) as client:
        response = await client.get("/swallows/7")
        assert (await client.get("/fast")).status_code == 200

    assert response.status_code == 504
    assert "the handler of GET /swallows/{id} caught the CancelledError" in caplog.text


async def test_a_clean_up_that_fails_is_logged_as_that(caplog: pytest.LogCaptureFixture) -> None:
    app = application(timeout(SOON))

    @app.get("/fails")
    async def fails() -> None:
        try:
            await for_ever()
        finally:
            raise LookupError("in the clean-up")

    async with Client(app, raise_errors=False) as client:
        assert (await client.get("/fails")).status_code == 504

    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


async def test_a_stream_of_such_a_handler_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[bool] = []
    app = application(timeout(SOON))

    class Content:
        def __aiter__(self) -> AsyncIterator[bytes]:
            raise NotImplementedError

        async def aclose(self) -> None:
            closed.append(True)

    @app.get("/swallows")
    async def swallows() -> Response:
        with contextlib.suppress(asyncio.CancelledError):
            await for_ever()
        return StreamingResponse(Content())

    async with Client(app) as client:
        assert (await client.get("/swallows")).status_code == 504

    assert closed == [True]
    assert "caught the CancelledError" in caplog.text


async def test_a_handler_that_goes_on_is_reported_while_it_does(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxidite.middleware.timeouts._PATIENCE", 0.01)
    app = application(timeout(SOON))

    @app.get("/goes-on")
    async def goes_on() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await for_ever()
        while "still running" not in caplog.text:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0)

    async with Client(app) as client:
        assert (await client.get("/goes-on")).status_code == 504

    assert (
        "the handler of GET /goes-on was cancelled after 0.02 s and is still running" in caplog.text
    )


async def test_the_innermost_decides() -> None:
    app = application(timeout(SOON))
    waits: list[asyncio.Event] = []

    async def longer(request: Request, call_next: Handler) -> Response:
        # Until the outer one would have ended it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * SOON):
                waits.append(asyncio.Event())
                await waits[-1].wait()
        return await call_next(request)

    @app.get("/longer", middleware=[timeout(LATER), longer])
    async def with_longer() -> str:
        return "longer"

    @app.get("/any", middleware=[timeout(None), longer])
    async def with_any() -> str:
        return "any"

    async with Client(app) as client:
        assert (await client.get("/longer")).text == "longer"
        assert (await client.get("/any")).text == "any"


async def test_a_route_may_have_less_time_than_the_others() -> None:
    app = application(timeout(LATER))

    @app.get("/less", middleware=[timeout(SOON)])
    async def less() -> None:
        await for_ever()

    async with Client(app) as client:
        assert (await client.get("/less")).status_code == 504


async def test_a_sync_handler_is_not_waited_for() -> None:
    app = application(timeout(SOON))
    free = threading.Event()

    @app.get("/sync")
    def sync() -> bool:
        return free.wait(10)

    async with Client(app) as client:
        assert (await client.get("/sync")).status_code == 504
        free.set()


# Streams.


def add_stream(app: Oxidite, *parts: str, log: list[str]) -> None:
    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def content() -> AsyncIterator[str]:
            try:
                for part in parts:
                    yield part
                if parts[-1] != "end":
                    await for_ever()
            finally:
                log.append("closed")

        return StreamingResponse(content())


async def test_a_stream_that_has_begun_has_all_the_time_it_wants() -> None:
    app = Oxidite(middleware=[timeout(SOON)])
    passed = asyncio.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def content() -> AsyncIterator[str]:
            yield "begin "
            asyncio.get_running_loop().call_later(2 * SOON, passed.set)
            await passed.wait()
            yield "end"

        return StreamingResponse(content())

    async with Client(app) as client:
        assert (await client.get("/")).text == "begin end"


async def test_a_stream_may_have_a_time_in_all() -> None:
    log: list[str] = []
    app = Oxidite(middleware=[timeout(LATER, total=SOON)])
    add_stream(app, "begin", log=log)

    async with Client(app) as client:
        response = await client.send(client.build_request("GET", "/stream"), stream=True)
        parts = response.aiter_text()
        assert await anext(parts) == "begin"
        with pytest.raises(StreamTimeoutError, match=r"longer than the 0\.02 s"):
            await anext(parts)
        await response.aclose()

    assert log == ["closed"]


async def test_a_stream_that_ends_in_time_is_whole() -> None:
    log: list[str] = []
    app = Oxidite(middleware=[timeout(LATER, total=LATER)])
    add_stream(app, "begin ", "end", log=log)

    async with Client(app) as client:
        assert (await client.get("/stream")).text == "begin end"
        assert (await client.head("/stream")).status_code == 200

    assert log == ["closed"]  # that of HEAD never began


async def test_a_stream_that_never_waits_is_broken_off_too() -> None:
    app = Oxidite(middleware=[timeout(None, total=SOON)])

    @app.get("/")
    async def torrent() -> StreamingResponse:
        async def content() -> AsyncIterator[bytes]:
            while True:
                yield b"x"

        return StreamingResponse(content())

    async with Client(app) as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        with pytest.raises(StreamTimeoutError):
            async for _ in response.aiter_bytes():
                pass
        await response.aclose()


async def test_a_time_out_in_the_content_itself_is_its_own() -> None:
    app = Oxidite(middleware=[timeout(None, total=LATER)])

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def content() -> AsyncIterator[bytes]:
            yield b"x"
            raise TimeoutError("mine")

        return StreamingResponse(content())

    async with Client(app) as client:
        with pytest.raises(TimeoutError, match="mine"):
            await client.get("/")


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="not a positive number of seconds"):
        timeout(seconds)
    with pytest.raises(ConfigError, match="not a positive number of seconds"):
        timeout(1, total=seconds)
