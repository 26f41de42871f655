"""What users of other frameworks complain about, by the numbers of the list, as promises kept here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import pydantic
import pytest
from msgspec import Struct

from oxidite import (
    Depends,
    ForbiddenError,
    Json,
    NotFoundError,
    Oxidite,
    Request,
    Response,
    StreamingResponse,
    TextResponse,
)
from oxidite.errors import RouteError
from oxidite.http import Handler
from oxidite.middleware.errors import ErrorHandler
from oxidite.protocols import inflight
from oxidite.routing.definition import RouteOptions
from oxidite.testing import Client

H = TypeVar("H", bound=Callable[..., object])

Message = MutableMapping[str, Any]

BOUND = 3.0  # seconds until a wait counts as a hang
LAYERS = pytest.mark.parametrize("layers", [1, 5, 20])
WHERE = pytest.mark.parametrize("where", ["app", "group", "route"])

current: ContextVar[str] = ContextVar("current", default="unset")


@pytest.fixture(autouse=True)
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)


async def settled(event: asyncio.Event) -> None:
    async with asyncio.timeout(BOUND):
        await event.wait()


async def nothing(request: Request, call_next: Handler) -> Response:
    """Do nothing: what a middleware costs when it does not even want anything."""
    return await call_next(request)


class Register(Protocol):
    """Registers a handler, as `app.route` does."""

    def __call__(
        self, path: str, method: str = "GET", *, cancel: bool | None = None
    ) -> Callable[[H], H]: ...


def behind(layers: int, where: str = "app") -> tuple[Oxidite, Register]:
    """Return an application and its `route`, with no-op middlewares in one place."""
    stack = [nothing] * layers
    app = Oxidite(debug=False, middleware=stack if where == "app" else [])
    group = app.group(middleware=stack if where == "group" else [])

    def route(path: str, method: str = "GET", *, cancel: bool | None = None) -> Callable[[H], H]:
        options: RouteOptions = {} if cancel is None else {"cancel": cancel}
        options["middleware"] = stack if where == "route" else []
        return group.route(path, [method], **options)

    return app, route


class TestOneMiddlewareModel:
    """1: the recommended middleware breaks context variables and background tasks."""

    @LAYERS
    @WHERE
    async def test_context_variables_set_inside_are_seen_outside(
        self, layers: int, where: str
    ) -> None:
        seen = list[str]()

        async def look(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            seen.append(current.get())
            return response

        app, route = behind(layers, where)
        app.middleware.insert(0, look)

        async def user() -> str:
            current.set("set by a dependency")
            return "x"

        @route("/handler")
        async def in_handler() -> None:
            current.set("set by the handler")

        @route("/dependency")
        async def in_dependency(value: str = Depends(user)) -> None:
            """Do nothing itself."""

        async with Client(app) as client:
            await client.get("/handler")
            await client.get("/dependency")
        assert seen == ["set by the handler", "set by a dependency"]

    @LAYERS
    @WHERE
    async def test_context_variables_set_outside_are_seen_inside_and_in_the_stream(
        self, layers: int, where: str
    ) -> None:
        async def tenant(request: Request, call_next: Handler) -> Response:
            current.set("tenant 7")
            return await call_next(request)

        app, route = behind(layers, where)
        app.middleware.insert(0, tenant)

        @route("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[str]:
                yield current.get()

            return StreamingResponse(produce())

        async with Client(app) as client:
            assert (await client.get("/")).text == "tenant 7"

    @LAYERS
    @WHERE
    async def test_background_work_runs_after_the_response_in_order(
        self, layers: int, where: str
    ) -> None:
        app, route = behind(layers, where)
        log, go, done = list[str](), asyncio.Event(), asyncio.Event()

        async def later(what: str) -> None:
            await go.wait()
            log.append(what)

        @route("/")
        async def show(request: Request) -> str:
            request.after_response(later, "one")
            request.after_response(later, "two")
            request.after_response(done.set)
            return "x"

        async with Client(app) as client:
            assert (await client.get("/")).text == "x"
            assert log == [], "the client has its answer first"
            go.set()
            await settled(done)
        assert log == ["one", "two"]

    @LAYERS
    @WHERE
    async def test_background_work_survives_a_client_that_leaves(
        self, layers: int, where: str
    ) -> None:
        app, route = behind(layers, where)
        began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def later() -> None:
            await go.wait()
            done.set()

        @route("/")
        async def show(request: Request) -> None:
            request.after_response(later)
            began.set()
            await asyncio.Event().wait()

        async with Client(app) as client:
            task = asyncio.get_running_loop().create_task(client.get("/"))
            await settled(began)
            task.cancel()
            await asyncio.wait((task,), timeout=BOUND)
            go.set()
            await settled(done)

    @LAYERS
    @WHERE
    async def test_a_stream_is_passed_on_as_it_is_made(self, layers: int, where: str) -> None:
        app, route = behind(layers, where)
        made, read = list[int](), asyncio.Event()

        @route("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                for index in range(3):
                    made.append(index)
                    yield b"%d" % index
                    await settled(read)
                    read.clear()

            return StreamingResponse(produce())

        got = list[bytes]()
        async with Client(app) as client, client.stream("GET", "/") as response:
            async for chunk in response.aiter_raw():
                got.append(chunk)
                assert len(made) == len(got), "nothing is collected on the way"
                read.set()
        assert got == [b"0", b"1", b"2"]

    @LAYERS
    async def test_a_slow_reader_holds_the_same_few_chunks(self, layers: int) -> None:
        app, route = behind(layers)
        made = list[int]()

        @route("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                for index in range(500):
                    made.append(index)
                    yield b"x" * 1000

            return StreamingResponse(produce())

        async with Client(app) as client, client.stream("GET", "/") as response:
            read = 0
            async for _ in response.aiter_raw():
                read += 1
                assert len(made) <= read + 3
        assert len(made) == 500

    @LAYERS
    @WHERE
    async def test_a_stream_that_breaks_never_looks_complete(self, layers: int, where: str) -> None:
        app, route = behind(layers, where)

        @route("/")
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                yield b"half"
                raise ValueError("midway")

            return StreamingResponse(produce())

        async with Client(app) as client:
            with pytest.raises(ValueError, match="midway"):
                await client.get("/")

    @LAYERS
    async def test_errors_pass_every_layer_as_responses(self, layers: int) -> None:
        seen = list[object]()

        async def look(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            seen.append((response.status, type(response.error)))
            return response

        app, route = behind(layers)
        app.middleware.insert(0, look)

        @route("/")
        async def show() -> str:
            raise ForbiddenError

        async with Client(app) as client:
            assert (await client.get("/")).status_code == 403
        assert seen == [(403, ForbiddenError)]


class TestClientsThatLeave:
    """2: one no-op middleware, and abandoned requests run on."""

    @LAYERS
    @WHERE
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_a_safe_handler_is_cancelled(self, layers: int, where: str, method: str) -> None:
        app, route = behind(layers, where)
        began, cancelled = asyncio.Event(), asyncio.Event()

        @route("/")
        async def show(request: Request) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                assert request.gone
                cancelled.set()

        async with Client(app) as client:
            task = asyncio.get_running_loop().create_task(client.request(method, "/"))
            await settled(began)
            task.cancel()
            await settled(cancelled)
            await asyncio.wait((task,), timeout=BOUND)
        assert task.cancelled()

    @LAYERS
    async def test_hundred_abandoned_requests_are_hundred_cancelled_ones(self, layers: int) -> None:
        app, route = behind(layers)
        began, cancelled = list[int](), list[int]()
        everybody, nobody = asyncio.Event(), asyncio.Event()

        @route("/{number}")
        async def show(number: int) -> None:
            began.append(number)
            if len(began) == 100:
                everybody.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(number)
                if len(cancelled) == 100:
                    nobody.set()

        loop = asyncio.get_running_loop()
        async with Client(app) as client:
            tasks = [loop.create_task(client.get(f"/{number}")) for number in range(100)]
            await settled(everybody)
            for task in tasks:
                task.cancel()
            await settled(nobody)
            await asyncio.wait(tasks, timeout=BOUND)
        assert sorted(cancelled) == list(range(100))

    @LAYERS
    @WHERE
    async def test_an_unsafe_one_runs_to_its_end(self, layers: int, where: str) -> None:
        app, route = behind(layers, where)
        began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @route("/", "POST")
        async def pay(request: Request) -> None:
            await request.body()
            began.set()
            await go.wait()
            done.set()

        @route("/canary")
        async def canary() -> None:
            began.set()
            await asyncio.Event().wait()

        loop = asyncio.get_running_loop()
        async with Client(app) as client:
            task = loop.create_task(client.post("/", content=b"x"))
            await settled(began)
            task.cancel()
            # Another that leaves at the same time is cancelled, so there was time for this one.
            began.clear()
            other = loop.create_task(client.get("/canary"))
            await settled(began)
            other.cancel()
            await asyncio.wait((other,), timeout=BOUND)
            assert other.done()
            assert not done.is_set()
            go.set()
            await settled(done)
            await asyncio.wait((task,), timeout=BOUND)

    @LAYERS
    @WHERE
    async def test_an_unsafe_one_that_asks_for_it_is_cancelled(
        self, layers: int, where: str
    ) -> None:
        app, route = behind(layers, where)
        began, cancelled = asyncio.Event(), asyncio.Event()

        @route("/", "POST", cancel=True)
        async def think(request: Request) -> None:
            await request.body()
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with Client(app) as client:
            task = asyncio.get_running_loop().create_task(client.post("/", content=b"x"))
            await settled(began)
            task.cancel()
            await settled(cancelled)
            await asyncio.wait((task,), timeout=BOUND)

    @LAYERS
    @WHERE
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_stream_is_closed(self, layers: int, where: str, method: str) -> None:
        # POST as well: that is how answers of language models are streamed.
        app, route = behind(layers, where)
        began, closed = asyncio.Event(), asyncio.Event()

        @route("/", method)
        async def show() -> Response:
            async def produce() -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    began.set()
                    await asyncio.Event().wait()
                finally:
                    closed.set()

            return StreamingResponse(produce())

        async def read(client: Client) -> None:
            async with client.stream(method, "/") as response:
                assert await anext(response.aiter_raw()) == b"first"
                await settled(began)

        async with Client(app) as client:
            task = asyncio.get_running_loop().create_task(read(client))
            await asyncio.wait((task,), timeout=BOUND)
            left = closed.is_set()
            if not left:
                # End it by hand, so that the failure is this one and not a hang.
                for request in (*app.in_flight.old, *app.in_flight.young):
                    assert request.task is not None
                    request.task.cancel()
                await asyncio.wait((task,), timeout=BOUND)
            assert left, "nobody reads it, and it runs on"


def noting(log: list[str], name: str) -> Callable[[], AsyncIterator[str]]:
    async def dependency() -> AsyncIterator[str]:
        log.append(f"{name} open")
        yield name
        log.append(f"{name} closed")

    return dependency


class TestCleanUp:
    """3: when the clean-up of a dependency runs was changed three times; streams lose their session."""

    async def test_each_scope_says_when_it_ends(self) -> None:
        app, log = Oxidite(), list[str]()

        @app.get("/")
        async def show(
            request: Request,
            h: str = Depends(noting(log, "handler"), scope="handler"),
            r: str = Depends(noting(log, "request"), scope="request"),
            s: str = Depends(noting(log, "stream"), scope="stream"),
            a: str = Depends(noting(log, "app"), scope="app"),
        ) -> Response:
            async def produce() -> AsyncIterator[bytes]:
                log.append("first byte")
                yield b"x"
                log.append("last byte")

            log.append("returned")
            return StreamingResponse(produce())

        async with Client(app) as client:
            await client.get("/")
            log.append("client left")
        assert log[4:] == [
            "returned",
            "handler closed",
            "first byte",
            "last byte",
            "request closed",
            "stream closed",
            "client left",
            "app closed",
        ]

    async def test_a_stream_uses_its_session_to_the_end(self) -> None:
        app = Oxidite()

        class Session:
            is_open = True

        async def session() -> AsyncIterator[Session]:
            opened = Session()
            yield opened
            opened.is_open = False

        @app.get("/")
        async def show(mine: Session = Depends(session)) -> Response:
            async def produce() -> AsyncIterator[str]:
                for _ in range(3):
                    await asyncio.sleep(0)
                    yield f"{mine.is_open} "

            return StreamingResponse(produce())

        async with Client(app) as client:
            assert (await client.get("/")).text == "True True True "

    async def test_what_goes_wrong_when_committing_is_told_to_the_client(self) -> None:
        app = Oxidite(debug=False)

        async def transaction() -> AsyncIterator[int]:
            yield 1
            raise RuntimeError("the commit failed")

        @app.post("/")
        async def create(value: int = Depends(transaction)) -> str:
            return "created"

        async with Client(app, raise_errors=False) as client:
            response = await client.post("/")
        assert response.status_code == 500
        assert "created" not in response.text


def test_a_name_that_is_almost_right_is_refused_at_start_with_the_right_one() -> None:
    """5: a typo gives an unrelated error."""
    app = Oxidite()

    async def show(post_idd: int) -> int:
        return post_idd

    with pytest.raises(RouteError, match="Did you mean 'post_id'"):
        app.get("/posts/{post_id}")(show)


class TestValidation:
    """8: a response is validated two or three times. 12: limits come after the upload."""

    async def test_a_response_is_encoded_and_not_validated_again(self) -> None:
        made = list[str]()

        class Post(Struct):
            title: str

            def __post_init__(self) -> None:
                made.append(self.title)

        app = Oxidite()

        @app.post("/")
        async def create(post: Json[Post]) -> Post:
            return post

        @app.get("/")
        async def index() -> list[Post]:
            return [Post("b"), Post("c")]

        async with Client(app) as client:
            assert (await client.post("/", json={"title": "a"})).json() == {"title": "a"}
            assert made == ["a"]
            assert len((await client.get("/")).json()) == 2
            assert made == ["a", "b", "c"]

    async def test_a_model_of_pydantic_is_made_once_too(self) -> None:
        made = list[str]()

        class Post(pydantic.BaseModel):
            title: str

            def model_post_init(self, context: object) -> None:
                made.append(self.title)

        app = Oxidite()

        @app.post("/")
        async def create(post: Post) -> Post:
            return post

        async with Client(app) as client:
            assert (await client.post("/", json={"title": "a"})).json() == {"title": "a"}
        assert made == ["a"]

    async def test_a_size_over_the_limit_is_refused_before_the_first_byte(self) -> None:
        app, sent = Oxidite(max_body=10), list[bytes]()

        @app.post("/")
        async def upload(request: Request) -> str:
            await request.form()
            return "x"

        async def produce() -> AsyncIterator[bytes]:
            sent.append(b"x")
            yield b"x" * 1_000_000

        async with Client(app) as client:
            response = await client.post(
                "/",
                content=produce(),
                headers={
                    "content-length": "1000000",
                    "content-type": "multipart/form-data; boundary=x",
                },
            )
        assert response.status_code == 413
        assert sent == []


class Order(Struct):
    sku: str
    count: int


class TestProblems:
    """9: the error body is home-made."""

    async def test_every_error_is_a_problem_document(self) -> None:
        app = Oxidite(debug=False, max_body=100)

        @app.post("/orders/{number:int}")
        async def create(number: int, order: Order, page: int = 1) -> Order:
            if number == 404:
                raise NotFoundError(f"No order {number}.")
            if number == 500:
                raise ValueError("hunter2")
            return order

        good = b'{"sku":"a","count":1}'
        asked: list[tuple[str, str, bytes, str, int, str]] = [
            ("GET", "/nowhere", b"", "", 404, "not_found"),
            ("GET", "/orders/1", b"", "", 405, "method_not_allowed"),
            ("POST", "/orders/404", good, "application/json", 404, "not_found"),
            ("POST", "/orders/1", b"{", "application/json", 400, "invalid_json"),
            ("POST", "/orders/1", b"{}", "application/json", 422, "validation"),
            ("POST", "/orders/1?page=x", good, "application/json", 422, "validation"),
            ("POST", "/orders/1", good, "text/plain", 415, "unsupported_media_type"),
            ("POST", "/orders/1", b"x" * 101, "application/json", 413, "payload_too_large"),
            ("POST", "/orders/500", good, "application/json", 500, "internal"),
        ]
        async with Client(app, raise_errors=False) as client:
            for method, path, body, kind, status, code in asked:
                headers = {"content-type": kind} if kind else {}
                response = await client.request(method, path, content=body, headers=headers)
                document = response.json()
                assert response.headers["content-type"] == "application/problem+json"
                assert response.status_code == document["status"] == status
                assert document["code"] == code
                assert {"type", "title", "detail"} <= document.keys()
                assert "hunter2" not in response.text

    async def test_all_errors_come_at_once_each_with_its_place(self) -> None:
        app = Oxidite()

        @app.post("/")
        async def create(order: Order, page: int, size: int = 10) -> Order:
            return order

        async with Client(app) as client:
            response = await client.post("/?size=x", json={"sku": 1})
        places = {
            (error["in"], error.get("pointer") or error.get("parameter"))
            for error in response.json()["errors"]
        }
        assert places == {
            ("body", "#/sku"),
            ("body", "#/count"),
            ("query", "page"),
            ("query", "size"),
        }

    async def test_an_application_may_have_errors_of_its_own_form(self) -> None:
        handler: ErrorHandler = lambda _, error: TextResponse(f"oops: {error}", 404)  # noqa: E731
        app = Oxidite(error_handlers={404: handler})
        async with Client(app) as client:
            assert (await client.get("/")).text == "oops: There is nothing here."


@pytest.mark.parametrize("root_path", ["", "/app", "/a/b"])
@pytest.mark.parametrize(
    ("path", "target"), [("/posts/", "/posts"), ("/drafts", "/drafts/"), ("/x/y/", "/x/y")]
)
async def test_a_slash_redirect_keeps_scheme_host_and_prefix(
    path: str, target: str, root_path: str
) -> None:
    """10: behind a proxy the redirect goes to http, or loses the prefix."""
    app = Oxidite(trailing_slash="redirect")

    @app.get("/posts")
    @app.get("/drafts/")
    @app.get("/x/y")
    async def show() -> str:
        return "x"

    async with Client(app, base_url=f"https://public.example{root_path}") as client:
        sent = list[Message]()

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        # What the application is told knows nothing of what the client sees.
        await app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "query_string": b"a=1&b=%2F",
                "headers": [(b"host", b"internal:8000")],
            },
            receive,
            send,
        )
        location = dict(sent[0]["headers"])[b"location"].decode()
        assert sent[0]["status"] == 308
        seen = client.base_url.join(f"https://public.example{root_path}{path}").join(location)
        assert str(seen) == f"https://public.example{root_path}{target}?a=1&b=%2F"


async def test_a_mounted_application_runs_its_own_lifespan() -> None:
    """11: mounted applications do not start; open since 2019."""
    log = list[str]()

    @contextlib.asynccontextmanager
    async def database(name: str) -> AsyncIterator[None]:
        log.append(f"{name} open")
        yield
        log.append(f"{name} close")

    outer = Oxidite(resources=[database("outer")])
    inner = Oxidite(resources=[database("inner")])

    @inner.get("/hello")
    async def hello() -> str:
        return "hello"

    outer.mount("/inner", inner)
    async with Client(outer) as client:
        assert log == ["outer open", "inner open"]
        assert (await client.get("/inner/hello")).text == "hello"
    assert log == ["outer open", "inner open", "inner close", "outer close"]
