"""Handlers that yield: over the test client, from the signature to the clean-up."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Annotated, Any

import pytest
from msgspec import Struct
from pydantic import BaseModel

from oxidite import (
    Controller,
    Depends,
    Event,
    Events,
    Json,
    Lines,
    NotFoundError,
    Oxidite,
    Request,
    Response,
    Router,
    Rows,
    StreamingResponse,
)
from oxidite.errors import RouteError
from oxidite.extract import Streamed, streamed
from oxidite.http import Handler
from oxidite.http.streams import CSVStream, EventStream, JSONLines
from oxidite.middleware import compression, timeout
from oxidite.protocols import inflight
from oxidite.servers.interface import choose_interface
from oxidite.testing import Client

BOUND = 3.0  # seconds until a wait counts as a hang


class Tick(Struct):
    number: int


class Model(BaseModel):
    number: int


class Tock(Struct):
    word: str


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)


async def settled(event: asyncio.Event) -> None:
    async with asyncio.timeout(BOUND):
        await event.wait()


async def ticks(count: int = 2) -> AsyncIterator[Tick]:
    for number in range(count):
        yield Tick(number)


EVENTS = ':\n\ndata: {"number":0}\n\ndata: {"number":1}\n\n'
LINES = '{"number":0}\n{"number":1}\n'
ROWS = "number\r\n0\r\n1\r\n"


class TestForms:
    @pytest.mark.parametrize(
        ("form", "media_type", "body"),
        [
            (Events[Tick], "text/event-stream", EVENTS),
            (Lines[Tick], "application/jsonl", LINES),
            (Rows[Tick], "text/csv; charset=utf-8; header=present", ROWS),
        ],
    )
    @pytest.mark.parametrize(
        "kind", ["yields", "returns", "sync", "sync returns", "partial", "object"]
    )
    async def test_what_a_handler_yields_is_sent_in_the_form_of_its_annotation(
        self, form: Any, media_type: str, body: str, kind: str
    ) -> None:
        async def yields() -> Any:
            yield Tick(0)
            yield Tick(1)

        async def returns() -> Any:
            return ticks()

        def sync() -> Any:
            yield Tick(0)
            yield Tick(1)

        def sync_returns() -> Any:
            return iter([Tick(0), Tick(1)])

        class Endpoint:
            async def __call__(self) -> Any:
                yield Tick(0)
                yield Tick(1)

        handlers: dict[str, Callable[..., Any]] = {
            "yields": yields,
            "returns": returns,
            "sync": sync,
            "sync returns": sync_returns,
            "partial": functools.partial(yields),
            "object": Endpoint(),
        }
        for function in (yields, returns, sync, sync_returns, Endpoint.__call__):
            function.__annotations__["return"] = form
        app = Oxidite()
        app.get("/", name="stream")(handlers[kind])

        async with Client(app) as client:
            response = await client.get("/")
        assert response.headers["content-type"] == media_type
        assert response.text == body

    async def test_the_alias_may_stand_beside_another_type(self) -> None:
        app = Oxidite()

        @app.get("/lines")
        def lines() -> Annotated[Iterator[Tick], Lines]:
            yield Tick(0)

        @app.get("/events")
        async def events() -> Annotated[AsyncGenerator[Tick, None], Events]:
            yield Tick(0)

        async with Client(app) as client:
            assert (await client.get("/lines")).text == '{"number":0}\n'
            assert (await client.get("/events")).text == ':\n\ndata: {"number":0}\n\n'

    async def test_a_method_of_a_controller_may_yield(self) -> None:
        class Ticks(Controller):
            routes = Router("/ticks")

            @routes.get("/{count:int}")
            async def some(self, count: int) -> Lines[Tick]:
                for number in range(count):
                    yield Tick(number)

        app = Oxidite()
        app.include(Ticks)
        async with Client(app) as client:
            assert (await client.get("/ticks/2")).text == LINES

    async def test_the_status_is_that_of_the_route(self) -> None:
        app = Oxidite()

        @app.post("/", status=201)
        async def create(data: Json[Tick]) -> Lines[Tick]:
            yield data

        async with Client(app) as client:
            response = await client.post("/", json={"number": 3})
        assert (response.status_code, response.text) == (201, '{"number":3}\n')

    async def test_a_handler_may_return_another_response_instead(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def feed(done: bool = False) -> Events[Tick] | Response:
            return Response(status=204) if done else ticks()

        async with Client(app) as client:
            assert (await client.get("/")).text == EVENTS
            assert (await client.get("/?done=true")).status_code == 204

    async def test_an_empty_table_has_its_header(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def none() -> Rows[Tick]:
            return ticks(0)

        async with Client(app) as client:
            assert (await client.get("/")).text == "number\r\n"

    async def test_rows_of_mappings_have_the_columns_of_the_first(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def some() -> Rows[dict[str, int]]:
            yield {"a": 1}
            yield {"a": 2, "b": 3}

        async with Client(app) as client:
            assert (await client.get("/")).text == "a\r\n1\r\n2\r\n"

    async def test_so_have_rows_that_can_only_be_written(self) -> None:
        class Holder(Struct):
            model: Model

        app = Oxidite()

        @app.get("/")
        async def some() -> Rows[Holder]:
            yield Holder(Model(number=1))

        async with Client(app) as client:
            assert (await client.get("/")).text == 'model\r\n"{""number"":1}"\r\n'

    async def test_head_is_answered_without_the_stream(self) -> None:
        app, ended = Oxidite(), list[str]()

        @app.get("/")
        async def endless() -> Lines[Tick]:
            try:
                yield Tick(0)
                await asyncio.Event().wait()
            finally:
                ended.append("lines")

        async with Client(app) as client, asyncio.timeout(BOUND):
            response = await client.head("/")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "application/jsonl"
        assert ended == ["lines"]

    async def test_what_cannot_be_iterated_is_an_error_that_says_so(self) -> None:
        app = Oxidite()

        async def three() -> Any:
            return 3

        three.__annotations__["return"] = Lines[int]
        app.get("/")(three)
        async with Client(app) as client:
            with pytest.raises(
                TypeError, match=r"three\(\) returned a int, but its annotation says"
            ):
                await client.get("/")


class TestSync:
    async def test_each_step_runs_in_a_thread_one_at_a_time_in_one_context(self) -> None:
        app = Oxidite()
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
        threads = set[bool]()

        @app.get("/")
        def numbers() -> Annotated[Iterator[int], Lines]:
            token = variable.set(7)
            for _ in range(3):
                threads.add(threading.current_thread() is threading.main_thread())
                yield variable.get()
            variable.reset(token)
            yield variable.get()

        async with Client(app) as client:
            assert (await client.get("/")).text == "7\n7\n7\n0\n"
        assert threads == {False}

    async def test_a_client_that_goes_away_closes_it_after_the_step_that_runs(self) -> None:
        app = Oxidite()
        runs, go_on = threading.Event(), threading.Event()
        ended = asyncio.Event()
        log, loop = list[str](), asyncio.get_running_loop()

        @app.get("/")
        def blocks() -> Annotated[Iterator[str], Events]:
            try:
                yield "x"
                runs.set()
                go_on.wait(BOUND)
                log.append("step ended")
                yield "y"
            except GeneratorExit:
                log.append("closed")
                raise
            finally:
                loop.call_soon_threadsafe(ended.set)

        async with Client(app) as client:
            async with client.events("GET", "/") as events:
                async for _ in events:
                    break
                await asyncio.to_thread(runs.wait, BOUND)
                asyncio.get_running_loop().call_later(0.01, go_on.set)
            await settled(ended)
        assert log == ["step ended", "closed"]

    async def test_an_iterator_without_close_is_enough(self) -> None:
        app = Oxidite()

        @app.get("/")
        def words() -> Annotated[Iterator[str], Lines]:
            return iter(["a"])

        async with Client(app) as client:
            assert (await client.get("/")).text == '"a"\n'


class TestCleanUp:
    @pytest.mark.parametrize("form", [Events[Tick], Lines[Tick], Rows[Tick]])
    @pytest.mark.parametrize("kind", ["async", "sync"])
    async def test_a_client_that_goes_away_ends_the_handler_then_its_dependencies(
        self, form: Any, kind: str
    ) -> None:
        app, log = Oxidite(), list[str]()
        ended = asyncio.Event()

        def opened(name: str) -> Any:
            async def dependency() -> AsyncGenerator[str, None]:
                log.append(f"open {name}")
                try:
                    yield name
                finally:
                    log.append(f"close {name}")
                    if name == "stream":
                        ended.set()

            return dependency

        of_stream, of_request = opened("stream"), opened("request")
        of_handler = opened("handler")

        async def endless(
            a: str = Depends(of_stream, scope="stream"),
            b: str = Depends(of_request),
            c: str = Depends(of_handler, scope="handler"),
        ) -> Any:
            try:
                while True:
                    yield Tick(0)
                    await asyncio.sleep(0.001)
            finally:
                log.append("handler ends")

        def endless_sync(
            a: str = Depends(of_stream, scope="stream"),
            b: str = Depends(of_request),
            c: str = Depends(of_handler, scope="handler"),
        ) -> Any:
            try:
                while True:
                    yield Tick(0)
            finally:
                log.append("handler ends")

        handler: Any = endless if kind == "async" else endless_sync
        handler.__annotations__["return"] = form
        app.get("/")(handler)

        async with Client(app) as client:
            async with client.stream("GET", "/") as response:
                async for _ in response.aiter_bytes():
                    break
                assert "close handler" not in log
            await settled(ended)
        assert log == [
            *("open stream", "open request", "open handler"),
            *("handler ends", "close handler", "close request", "close stream"),
        ]

    @pytest.mark.parametrize("kind", ["response", "handler"])
    async def test_a_clean_up_is_not_interrupted_by_the_news_that_the_client_left(
        self, kind: str
    ) -> None:
        app, log = Oxidite(), list[str]()
        ended = asyncio.Event()

        async def endless() -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
                    await asyncio.sleep(0)
            finally:
                try:
                    await asyncio.sleep(20 * inflight.SWEEP)  # in which everybody has heard of it
                    log.append("clean")
                finally:
                    ended.set()

        @app.get("/response")
        async def response() -> StreamingResponse:
            return StreamingResponse(endless())

        @app.get("/handler")
        async def handler() -> Lines[str]:
            return endless()

        async with Client(app) as client:
            async with client.stream("GET", f"/{kind}") as got:
                async for _ in got.aiter_bytes():
                    break
            await settled(ended)
        assert log == ["clean"]

    async def test_a_stream_that_ends_closes_them_in_the_same_order(self) -> None:
        app, log = Oxidite(), list[str]()

        async def opened() -> AsyncGenerator[str, None]:
            yield "x"
            log.append("closed")

        @app.get("/")
        async def words(word: str = Depends(opened, scope="handler")) -> Events[str]:
            yield word
            log.append("ends")

        async with Client(app) as client:
            await client.get("/")
        assert log == ["ends", "closed"]

    async def test_a_dependency_sees_the_error_of_a_stream(self) -> None:
        app, seen = Oxidite(), list[str]()

        async def transaction() -> AsyncGenerator[None, None]:
            try:
                yield
            except LookupError as exc:
                seen.append(f"rolled back: {exc}")
                raise

        @app.get("/")
        async def fails(_: None = Depends(transaction, scope="handler")) -> Lines[int]:
            yield 1
            await asyncio.sleep(0)
            raise LookupError("gone")

        async with Client(app) as client:
            with pytest.raises(LookupError, match="gone"):
                await client.get("/")
        assert seen == ["rolled back: gone"]

    async def test_a_middleware_that_answers_otherwise_leaves_nothing_running(self) -> None:
        app, log = Oxidite(), list[str]()

        async def opened() -> AsyncGenerator[None, None]:
            yield
            log.append("dependency closed")

        async def instead(request: Request, call_next: Handler) -> Response:
            await call_next(request)
            return Response(b"instead")

        @app.get("/", middleware=[instead])
        async def endless(_: None = Depends(opened)) -> Lines[int]:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                log.append("handler ends")

        async with Client(app) as client, asyncio.timeout(BOUND):
            assert (await client.get("/")).text == "instead"
        assert log == ["handler ends", "dependency closed"]

    async def test_a_client_that_leaves_before_the_first_item_ends_the_handler(self) -> None:
        app, log = Oxidite(), list[str]()
        waits, ended = asyncio.Event(), asyncio.Event()

        async def opened() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                log.append("dependency closed")
                ended.set()

        @app.get("/")
        async def waiting(_: None = Depends(opened)) -> Lines[int]:
            try:
                waits.set()
                await asyncio.Event().wait()
            finally:
                log.append("handler ends")
            yield 1

        async with Client(app) as client:
            asking = asyncio.create_task(client.get("/"))
            await settled(waits)
            asking.cancel()
            await settled(ended)
        assert log == ["handler ends", "dependency closed"]


class TestErrors:
    @pytest.mark.parametrize("form", [Lines[Tick], Rows[Tick]])
    async def test_until_the_first_item_a_failure_has_an_answer_of_its_own(self, form: Any) -> None:
        app = Oxidite()

        async def missing(found: bool = False) -> Any:
            if not found:
                raise NotFoundError("no such list")
            yield Tick(1)

        missing.__annotations__["return"] = form
        app.get("/")(missing)
        async with Client(app) as client:
            response = await client.get("/")
            assert (await client.get("/?found=true")).status_code == 200
        assert (response.status_code, response.json()["detail"]) == (404, "no such list")

    async def test_events_begin_before_the_first_one(self) -> None:
        app, published = Oxidite(), asyncio.Event()

        @app.get("/")
        async def feed() -> Events[str]:
            await settled(published)
            yield "news"

        async with Client(app) as client, client.events("GET", "/") as events:
            published.set()
            assert [event.data async for event in events] == ["news"]

    @pytest.mark.parametrize("form", [Events[int], Lines[int]])
    async def test_a_stream_that_fails_half_way_does_not_look_complete(self, form: Any) -> None:
        app, got = Oxidite(), list[bytes]()

        async def half() -> Any:
            yield 1
            await asyncio.sleep(0)
            raise LookupError("gone")

        half.__annotations__["return"] = form
        app.get("/")(half)
        async with Client(app) as client, client.stream("GET", "/") as response:
            assert response.status_code == 200
            with pytest.raises(LookupError, match="gone"):
                await drain(response.aiter_bytes(), got)
        assert b"1\n" in b"".join(got)

    async def test_the_arguments_are_checked_first(self) -> None:
        app = Oxidite()

        @app.get("/{id:int}")
        async def some(id: int, limit: int, after: int = 0) -> Events[int]:
            yield id

        async with Client(app) as client:
            response = await client.get("/1?after=x")
        assert response.status_code == 422
        assert {e["parameter"] for e in response.json()["errors"]} == {"limit", "after"}


async def drain(chunks: AsyncIterator[bytes], into: list[bytes]) -> None:
    async for chunk in chunks:
        into.append(chunk)  # noqa: PERF401 - kept when it raises


class TestStopping:
    async def test_events_end_with_the_server_and_other_streams_run_on(self) -> None:
        app, go_on = Oxidite(), asyncio.Event()

        @app.get("/events")
        async def events() -> Events[int]:
            yield 1
            await asyncio.Event().wait()

        @app.get("/lines")
        async def lines() -> Lines[int]:
            yield 1
            await settled(go_on)
            yield 2

        async with (
            Client(app) as client,
            client.events("GET", "/events") as received,
            client.lines("GET", "/lines") as values,
            asyncio.timeout(BOUND),
        ):
            ends = aiter(received)
            assert (await anext(ends)).data == "1"
            app.in_flight.stopping.set()
            assert [event async for event in ends] == []
            go_on.set()
            assert [value async for value in values] == [1, 2]

    async def test_so_they_do_whatever_a_middleware_has_wrapped_around_them(self) -> None:
        ended = asyncio.Event()

        async def wrapped(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            assert isinstance(response, StreamingResponse)
            content = response.content

            async def passed() -> AsyncIterator[bytes | str]:
                async for chunk in content:
                    yield chunk

            return StreamingResponse(passed(), content_type="text/event-stream")

        app = Oxidite(middleware=[compression(), timeout(BOUND), wrapped])

        @app.get("/")
        async def events() -> Events[int]:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with Client(app) as client, client.events("GET", "/") as received:
            ends = aiter(received)
            assert (await anext(ends)).data == "1"
            app.in_flight.stopping.set()
            async with asyncio.timeout(BOUND):
                assert [event async for event in ends] == []
        assert ended.is_set()


BARE: Any = Event  # as somebody may write it who has no type checker


def refusal(handler: Callable[..., object]) -> str:
    """Return why a handler is refused where it is registered."""
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/")(handler)
    return caught.value.message


class TestRefused:
    def test_a_generator_that_does_not_say_how_it_is_sent(self) -> None:
        async def nothing() -> Any:
            yield 1

        del nothing.__annotations__["return"]

        async def bare() -> AsyncIterator[int]:
            yield 1

        def sync() -> Generator[int, None, None]:
            yield 1

        class Endpoint:
            async def __call__(self) -> AsyncIterator[int]:
                yield 1

        for handler in (nothing, bare, sync, functools.partial(bare), Endpoint()):
            message = refusal(handler)
            assert "yields, and its return annotation does not say how that is sent" in message
            assert "`-> Lines[Item]`" in message
        assert "test_streams.py" in refusal(bare)

    def test_a_generator_that_is_to_return_a_response(self) -> None:
        async def both() -> Any:
            yield 1

        both.__annotations__["return"] = EventStream[int]
        assert "yields, and its return annotation does not say" in refusal(both)

    @pytest.mark.parametrize("item", [int, str, str | None])
    def test_rows_of_scalars(self, item: Any) -> None:
        async def numbers() -> Any:
            yield 1

        numbers.__annotations__["return"] = Rows[item]
        assert "a row of CSV is a Struct, a dataclass, a model or a mapping." in refusal(numbers)

    def test_what_is_only_returned_is_no_parameter(self) -> None:
        async def takes(items: Events[int]) -> None: ...

        assert "'items' is marked with what a handler returns. Lines[...] is" in refusal(takes)

    def test_produces_beside_a_stream(self) -> None:
        app = Oxidite()

        @app.get("/", produces=["application/json"])
        async def numbers() -> Lines[int]:
            yield 1

        with pytest.raises(RouteError, match=r"numbers\(\): a stream has one form"):
            app.routes  # noqa: B018 - they are resolved here


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (Events[Tick], (Tick, "text/event-stream")),
        (Events[Event[Tick]], (Tick, "text/event-stream")),
        (Events[Event[Tick] | Event[Tock]], (Tick | Tock, "text/event-stream")),
        (Events[BARE], (object, "text/event-stream")),
        (Lines[Tick], (Tick, "application/jsonl")),
        (Rows[Tick], (Tick, "text/csv")),
        (Lines[Tick] | Response, (Tick, "application/jsonl")),
        (Annotated[Iterator[Tick], Lines], (Tick, "application/jsonl")),
        (Annotated[Generator[Tick, None, None], Rows], (Tick, "text/csv")),
        (Annotated[Lines[Tick], "extra"], (Tick, "application/jsonl")),
        (EventStream[Tick], (Tick, "text/event-stream")),
        (JSONLines[Tick], (Tick, "application/jsonl")),
        (CSVStream, (object, "text/csv")),
        (Annotated[EventStream[Tick], "extra"], (Tick, "text/event-stream")),
    ],
)
def test_what_a_return_annotation_says_of_a_stream(returns: Any, expected: tuple[Any, str]) -> None:
    found = streamed(returns)
    assert isinstance(found, Streamed)
    assert (found.item, found.media_type) == expected


@pytest.mark.parametrize(
    "returns", [int, Response, list[Tick], None, Tick | None, AsyncIterator[int]]
)
def test_and_of_no_stream_nothing(returns: Any) -> None:
    assert streamed(returns) is None


@pytest.mark.parametrize(
    "returns", [Events[Tick], Annotated[Iterator[Tick], Lines], JSONLines[Tick]]
)
def test_a_stream_is_not_served_over_an_interface_without_back_pressure(returns: Any) -> None:
    async def stream() -> Any: ...

    stream.__annotations__["return"] = returns
    app = Oxidite()
    app.get("/")(stream)
    assert not app.routes[0].complete
    assert choose_interface(app, rsgi=True)[0] == "asgi"
