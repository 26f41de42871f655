from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from oxidite import (
    Depends,
    Form,
    NotFoundError,
    Oxidite,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    TextResponse,
    Upload,
)
from oxidite.errors import ConfigError, OxiditeError
from oxidite.http import Handler
from oxidite.protocols import inflight
from oxidite.testing import Client

Message = MutableMapping[str, Any]

BOUND = 3.0  # seconds until a wait counts as a hang


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)


async def settled(event: asyncio.Event) -> None:
    async with asyncio.timeout(BOUND):
        await event.wait()


def _fail(error: Exception) -> None:
    raise error


class Item(Struct):
    name: str
    count: int = 0


class Database:
    """A resource that says whether it is open."""

    def __init__(self, name: str = "real") -> None:
        self.name = name
        self.log: list[str] = []

    async def __aenter__(self) -> Database:
        self.log.append("open")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.log.append("close")


class TestExchange:
    async def test_what_is_sent_arrives_and_what_is_answered_comes_back(self) -> None:
        app = Oxidite()

        @app.post("/items/{name}")
        async def create(request: Request, name: str, page: int, item: Item) -> Response:
            return TextResponse(
                f"{name} {page} {item.name} {request.headers['x-one']} {request.client}",
                201,
                headers={"x-two": "2"},
            )

        async with Client(app, headers={"x-one": "1"}, client=("10.0.0.1", 7)) as client:
            response = await client.post(
                "/items/a%20b", params={"page": 3}, json={"name": "é", "count": 1}
            )
        assert (response.status_code, response.headers["x-two"]) == (201, "2")
        assert response.text == "a b 3 é 1 Address(host='10.0.0.1', port=7)"

    async def test_forms_and_files_are_sent(self) -> None:
        app = Oxidite()

        class Sent(Struct):
            title: str
            file: Upload

        @app.post("/")
        async def create(form: Form[Sent]) -> str:
            return f"{form.title} {form.file.filename} {(await form.file.read()).decode()}"

        async with Client(app) as client:
            response = await client.post(
                "/", data={"title": "x"}, files={"file": ("a.txt", b"hello")}
            )
        assert response.text == "x a.txt hello"

    async def test_a_body_is_streamed_up(self) -> None:
        app, got = Oxidite(), list[bytes]()
        first = asyncio.Event()

        @app.post("/")
        async def receive(request: Request) -> int:
            async for chunk in request.stream():
                got.append(chunk)
                first.set()
            return len(got)

        async def produce() -> AsyncIterator[bytes]:
            yield b"one"
            await settled(first)  # the application has it before the next is made
            yield b"two"

        async with Client(app) as client:
            assert (await client.post("/", content=produce())).json() == 2
        assert got == [b"one", b"two"]

    async def test_a_response_is_streamed_down(self) -> None:
        app, read = Oxidite(), asyncio.Event()

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                yield b"one"
                await settled(read)  # the reader has it before the next is made
                yield b"two"

            return StreamingResponse(produce())

        got = list[bytes]()
        async with Client(app) as client, client.stream("GET", "/") as response:
            assert response.status_code == 200
            async for chunk in response.aiter_raw():
                got.append(chunk)
                read.set()
        assert got == [b"one", b"two"]

    async def test_the_reader_sets_the_pace(self) -> None:
        app, made = Oxidite(), list[int]()

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                for index in range(200):
                    made.append(index)
                    yield b"x" * 100

            return StreamingResponse(produce())

        async with Client(app) as client, client.stream("GET", "/") as response:
            read = 0
            async for _ in response.aiter_raw():
                read += 1
                assert len(made) <= read + 3
        assert len(made) == 200

    async def test_head_has_no_body(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> str:
            return "hello"

        async with Client(app) as client:
            response = await client.head("/")
        assert (response.content, response.headers["content-length"]) == (b"", "5")

    async def test_cookies_are_kept_between_requests(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(request: Request) -> Response:
            response = TextResponse(
                ",".join(f"{k}={v}" for k, v in sorted(request.cookies.items()))
            )
            if request.query.get("forget"):
                response.delete_cookie("a")
            else:
                response.set_cookie("a", "1")
            return response

        async with Client(app, cookies={"given": "2"}) as client:
            assert (await client.get("/")).text == "given=2"
            assert (await client.get("/?forget=1")).text == "a=1,given=2"
            assert (await client.get("/")).text == "given=2"

    async def test_a_secure_cookie_needs_https(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(request: Request) -> Response:
            response = TextResponse(f"{request.scheme} {request.cookies.get('a')}")
            response.set_cookie("a", "1", secure=True)
            return response

        for scheme, kept in (("http", None), ("https", "1")):
            async with Client(app, base_url=f"{scheme}://testserver") as client:
                await client.get("/")
                assert (await client.get("/")).text == f"{scheme} {kept}"

    async def test_redirects_are_followed_when_asked(self) -> None:
        app = Oxidite()

        @app.get("/old")
        async def old() -> Response:
            return RedirectResponse("/new?x=1")

        @app.get("/new")
        async def new(x: int) -> int:
            return x

        async with Client(app) as client:
            response = await client.get("/old")
            assert (response.status_code, response.headers["location"]) == (303, "/new?x=1")
            assert (await client.get("/old", follow_redirects=True)).text == "1"
        async with Client(app, follow_redirects=True) as client:
            assert (await client.get("/old")).text == "1"

    async def test_repeated_headers_come_back_as_such(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(request: Request) -> Response:
            response = TextResponse(",".join(request.headers.get_all("x")))
            response.headers.add("link", "</a>")
            response.headers.add("link", "</b>")
            return response

        async with Client(app) as client:
            response = await client.get("/", headers=[("x", "1"), ("x", "2")])
        assert response.headers.get_list("link") == ["</a>", "</b>"]
        assert response.text == "1,2"


class TestErrors:
    def application(self, **options: Any) -> Oxidite:
        app = Oxidite(debug=False, **options)

        @app.get("/")
        async def show() -> str:
            raise ValueError("not expected")

        @app.get("/missing")
        async def missing() -> str:
            raise NotFoundError

        return app

    async def test_what_no_handler_expected_is_raised_in_the_test(self) -> None:
        async with Client(self.application()) as client:
            with pytest.raises(ValueError, match="not expected") as caught:
                await client.get("/")
        assert "show" in [entry.name for entry in caught.traceback]

    async def test_it_is_answered_as_in_production_when_asked(self) -> None:
        async with Client(self.application(), raise_errors=False) as client:
            response = await client.get("/")
        assert response.status_code == 500
        assert "not expected" not in response.text

    async def test_an_expected_error_is_an_answer(self) -> None:
        async with Client(self.application()) as client:
            assert (await client.get("/missing")).status_code == 404
            assert (await client.get("/nowhere")).status_code == 404

    async def test_one_that_an_error_handler_answers_is_not_raised(self) -> None:
        app = self.application(
            error_handlers={ValueError: lambda _, __: TextResponse("sorry", 418)}
        )
        async with Client(app) as client:
            assert (await client.get("/")).text == "sorry"

    async def test_the_client_goes_on_after_one(self) -> None:
        async with Client(self.application()) as client:
            for _ in range(3):
                with pytest.raises(ValueError, match="not expected"):
                    await client.get("/")
                assert (await client.get("/missing")).status_code == 404

    async def test_those_of_two_requests_at_once_are_not_mixed_up(self) -> None:
        app = Oxidite(debug=False)

        @app.get("/{number}")
        async def show(number: int) -> int:
            await asyncio.sleep(0)
            if number % 2:
                raise ValueError(f"number {number}")
            return number

        async with Client(app) as client:
            got = await asyncio.gather(
                *(client.get(f"/{number}") for number in range(50)), return_exceptions=True
            )
        for number, answer in enumerate(got):
            if number % 2:
                assert isinstance(answer, ValueError)
                assert str(answer) == f"number {number}"
            else:
                assert isinstance(answer, httpx2.Response)
                assert answer.json() == number

    @pytest.mark.parametrize("raise_errors", [True, False])
    async def test_a_stream_that_breaks_is_raised_where_it_is_read(
        self, raise_errors: bool
    ) -> None:
        app = Oxidite(debug=False)

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                yield b"half"
                raise ValueError("midway")

            return StreamingResponse(produce())

        async with (
            Client(app, raise_errors=raise_errors) as client,
            client.stream("GET", "/") as response,
        ):
            assert response.status_code == 200
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"half"
            with pytest.raises(ValueError, match="midway"):
                await anext(chunks)

    async def test_one_after_the_last_byte_is_raised_unless_it_shall_be_as_in_production(
        self,
    ) -> None:
        async def late(
            scope: Message,
            receive: Callable[[], Awaitable[Message]],
            send: Callable[[Message], Awaitable[None]],
        ) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"all"})
                raise ValueError("too late for the client")

        app = Oxidite(debug=False)
        app.mount("/", late)
        async with Client(app) as client:
            with pytest.raises(ValueError, match="too late"):
                await client.get("/")
        async with Client(app, raise_errors=False) as client:
            assert (await client.get("/")).text == "all"

    async def test_one_that_waits_for_the_client_to_leave_after_its_answer_is_told(self) -> None:
        async def waits(
            scope: Message,
            receive: Callable[[], Awaitable[Message]],
            send: Callable[[Message], Awaitable[None]],
        ) -> None:
            if scope["type"] == "http":
                while (await receive())["more_body"]:
                    pass
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"all"})
                assert (await receive())["type"] == "http.disconnect"

        app = Oxidite()
        app.mount("/", waits)
        async with asyncio.timeout(BOUND), Client(app) as client:
            assert (await client.get("/")).text == "all"

    async def test_an_application_that_writes_on_after_the_end_is_told(self) -> None:
        async def babbles(
            scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]
        ) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"all"})
                await send({"type": "http.response.body", "body": b"more"})

        app = Oxidite()
        app.mount("/", babbles)
        async with asyncio.timeout(BOUND), Client(app) as client:
            with pytest.raises(RuntimeError, match="after the end"):
                await client.get("/")

    async def test_an_application_that_never_answers_is_an_error_that_says_so(self) -> None:
        async def silent(scope: Message, receive: Any, send: Any) -> None:
            """Return without a word."""

        app = Oxidite()
        app.mount("/", silent)
        async with Client(app) as client:
            with pytest.raises((RuntimeError, OxiditeError), match="without a response"):
                await client.get("/")

    async def test_an_application_that_stops_half_way_does_not_end_cleanly(self) -> None:
        async def half(
            scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]
        ) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"half", "more_body": True})

        app = Oxidite()
        app.mount("/", half)
        async with Client(app) as client:
            with pytest.raises(RuntimeError, match="without the end of its response"):
                await client.get("/")


class TestLeaving:
    async def test_leaving_a_stream_cancels_what_makes_it(self) -> None:
        app, ended = Oxidite(), asyncio.Event()

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            return StreamingResponse(produce())

        async with asyncio.timeout(BOUND), Client(app) as client:
            async with client.stream("GET", "/") as response:
                assert await anext(response.aiter_raw()) == b"first"
            assert ended.is_set(), "leaving waits until the application has noticed"

    async def test_cancelling_a_request_is_leaving(self) -> None:
        app, began, ended = Oxidite(), asyncio.Event(), asyncio.Event()

        @app.get("/")
        async def show(request: Request) -> str:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return "never"

        async with asyncio.timeout(BOUND), Client(app) as client:
            task = asyncio.get_running_loop().create_task(client.get("/"))
            await settled(began)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ended.is_set()

    async def test_an_endless_stream_that_never_waits_can_be_left(self) -> None:
        app, ended = Oxidite(), asyncio.Event()

        @app.get("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"x"
                finally:
                    ended.set()

            return StreamingResponse(produce())

        async with asyncio.timeout(BOUND), Client(app) as client:
            async with client.stream("GET", "/") as response:
                assert await anext(response.aiter_raw()) == b"x"
            assert ended.is_set()

    async def test_background_work_goes_on_and_closing_waits_for_it(self) -> None:
        app, go, done = Oxidite(), asyncio.Event(), asyncio.Event()

        async def later() -> None:
            await go.wait()
            done.set()

        @app.get("/")
        async def show(request: Request) -> str:
            request.after_response(later)
            return "x"

        async with Client(app) as client:
            assert (await client.get("/")).text == "x"
            assert not done.is_set()
            asyncio.get_running_loop().call_soon(go.set)
        assert done.is_set()

    async def test_nothing_of_a_request_is_left_running(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show() -> str:
            return "x"

        before = asyncio.all_tasks()
        async with Client(app) as client:
            for _ in range(5):
                await client.get("/")
            assert asyncio.all_tasks() == before
            assert len(app.in_flight) == 0


class TestRunning:
    async def test_resources_are_open_inside_and_closed_after(self) -> None:
        database = Database()
        app = Oxidite(resources=[database])

        @app.get("/")
        async def show(database: Database) -> str:
            return database.name

        for _ in range(2):
            async with Client(app) as client:
                assert (await client.get("/")).text == "real"
        assert database.log == ["open", "close"] * 2

    async def test_they_are_closed_when_the_test_fails(self) -> None:
        database = Database()
        with pytest.raises(ZeroDivisionError):
            async with Client(Oxidite(resources=[database])):
                raise ZeroDivisionError
        assert database.log == ["open", "close"]

    async def test_a_resource_of_the_test_stands_in_and_the_real_one_is_not_opened(self) -> None:
        real, fake = Database(), Database("fake")
        app = Oxidite(resources=[real])

        @app.get("/")
        async def show(database: Database) -> str:
            return database.name

        async with Client(app, resources={Database: fake}) as client:
            assert (await client.get("/")).text == "fake"
        assert (real.log, fake.log) == ([], [])
        async with Client(app) as client:
            assert (await client.get("/")).text == "real"

    async def test_it_may_stand_in_for_one_that_nobody_added(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(database: Database) -> str:
            return database.name

        async with Client(app, resources={Database: Database("fake")}) as client:
            assert (await client.get("/")).text == "fake"

    async def test_a_dependency_of_the_test_stands_in(self) -> None:
        app = Oxidite()

        async def current_user() -> str:
            raise AssertionError("not in a test")

        async def fake_user(request: Request) -> AsyncIterator[str]:
            yield f"fake {request.path}"

        @app.get("/")
        async def show(user: str = Depends(current_user)) -> str:
            return user

        async with Client(app, dependencies={current_user: fake_user}) as client:
            assert (await client.get("/")).text == "fake /"
        async with Client(app) as client:
            with pytest.raises(AssertionError, match="not in a test"):
                await client.get("/")

    async def test_a_start_that_fails_leaves_no_trace(self) -> None:
        @contextlib.asynccontextmanager
        async def broken() -> AsyncIterator[None]:
            _fail(ConnectionError("no database"))
            yield

        app = Oxidite(resources=[broken()])
        with pytest.raises(ConnectionError):
            async with Client(app, resources={Database: Database("fake")}):
                pytest.fail("it did not start")
        assert not app.lifespan.is_open
        assert not app.lifespan.offers(Database)
        assert app.render_error.observers == []

    async def test_a_second_client_shares_what_is_open(self) -> None:
        database = Database()
        app = Oxidite(resources=[database])

        @app.get("/")
        async def show(database: Database) -> str:
            return database.name

        async with Client(app) as first:
            async with Client(app) as second:
                assert (await second.get("/")).text == "real"
            assert (await first.get("/")).text == "real"
            assert database.log == ["open"]
        assert database.log == ["open", "close"]

    async def test_two_applications_run_side_by_side(self) -> None:
        one, two = Oxidite(), Oxidite()
        for app, name in ((one, "one"), (two, "two")):

            @app.get("/")
            async def show(name: str = name) -> str:
                return name

        async with Client(one) as first, Client(two) as second:
            answers = await asyncio.gather(first.get("/?name=1"), second.get("/"))
        assert [answer.text for answer in answers] == ["1", "two"]

    async def test_an_application_that_cannot_start_says_why(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(database: Database) -> str:
            return database.name

        with pytest.raises(ConfigError, match="'database'"):
            async with Client(app):
                pytest.fail("it did not start")


class TestConcurrency:
    async def test_two_hundred_requests_at_once_keep_apart(self) -> None:
        current: ContextVar[int] = ContextVar("current", default=-1)
        arrived, opened, closed = list[int](), set[int](), list[int]()
        everybody = asyncio.Event()

        async def mark(request: Request, call_next: Handler) -> Response:
            number = int(request.params.get("number") or request.path.rpartition("/")[2])
            assert current.get() == -1, "a request begins with a context of its own"
            current.set(number)
            response = await call_next(request)
            response.headers["x-number"] = str(current.get())
            return response

        async def session(request: Request) -> AsyncIterator[list[int]]:
            number = current.get()
            opened.add(number)
            yield [number]
            closed.append(number)
            assert current.get() == number

        app = Oxidite(middleware=[mark])

        @app.get("/{number}")
        async def show(
            request: Request, number: int, mine: list[int] = Depends(session)
        ) -> dict[str, object]:
            request.state["number"] = number
            arrived.append(number)
            if len(arrived) == 200:
                everybody.set()
            await settled(everybody)  # all are in their handlers at the same time
            return {
                "number": number,
                "context": current.get(),
                "dependency": mine[0],
                "state": request.state["number"],
            }

        async with Client(app) as client:
            answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(200)))
        for number, answer in enumerate(answers):
            assert answer.headers["x-number"] == str(number)
            assert set(answer.json().values()) == {number}
        assert sorted(closed) == sorted(opened) == list(range(200))
        assert len(app.in_flight) == 0

    async def test_sync_handlers_see_the_context_of_their_request(self) -> None:
        current: ContextVar[str] = ContextVar("current")

        async def mark(request: Request, call_next: Handler) -> Response:
            current.set(request.path)
            return await call_next(request)

        app = Oxidite(middleware=[mark])

        @app.get("/{name}")
        def show(name: str) -> str:
            return current.get()

        async with Client(app) as client:
            answers = await asyncio.gather(*(client.get(f"/{name}") for name in "abcdefgh"))
        assert [answer.text for answer in answers] == [f"/{name}" for name in "abcdefgh"]
