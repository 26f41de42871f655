from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from oxidite import Oxidite, Request, Response, Router
from oxidite.errors import ConfigError
from oxidite.http import Handler, MountedResponse
from oxidite.protocols.mounted import MountedLifespan
from oxidite.testing import Client

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BOUND = 3.0  # seconds until a wait counts as a hang


class Starlike:
    """An application with a lifespan, as frameworks write them: it shares state, and it can fail."""

    def __init__(self, *, fail_at: str = "", answers: bool = True) -> None:
        self.fail_at = fail_at
        self.answers = answers
        self.log: list[str] = []
        self.scopes: list[Message] = []

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[dict[str, object]]:
        self.log.append("open")
        if self.fail_at == "startup":
            raise RuntimeError("no database")
        yield {"db": "pool"}
        self.log.append("close")
        if self.fail_at == "shutdown":
            raise RuntimeError("still busy")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
        else:
            await self.answer(scope, send)

    async def live(self, scope: Message, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        started = False
        try:
            async with self.lifespan() as state:
                scope["state"].update(state)
                await send({"type": "lifespan.startup.complete"})
                started = True
                assert (await receive())["type"] == "lifespan.shutdown"
        except RuntimeError as exc:
            phase = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{phase}.failed", "message": str(exc)})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def answer(self, scope: Message, send: Send) -> None:
        body = f"{scope['root_path']} {scope['path']} {scope['state'].get('db')}".encode()
        await send(
            {
                "type": "http.response.start",
                "status": 203,
                "headers": [(b"content-type", b"text/plain"), (b"x-theirs", b"1")],
            }
        )
        await send({"type": "http.response.body", "body": body})


async def http_only(scope: Message, receive: Receive, send: Send) -> None:
    """An application that does not know the lifespan, and says so."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class TestLifespan:
    async def test_it_is_opened_and_closed_and_its_state_is_shared(self) -> None:
        app, state = Starlike(), dict[str, object]()
        async with MountedLifespan(app, state):
            assert app.log == ["open"]
            assert state == {"db": "pool"}
            assert app.scopes[0]["asgi"]["version"] == "3.0"
        assert app.log == ["open", "close"]
        assert state == {}

    async def test_it_can_be_opened_again(self) -> None:
        app = Starlike()
        mounted = MountedLifespan(app, {})
        for _ in range(2):
            async with mounted:
                pass
        assert app.log == ["open", "close"] * 2

    async def test_an_application_that_does_not_know_it_runs_without(self) -> None:
        async with MountedLifespan(http_only, {}):
            pass

    async def test_an_application_that_ignores_it_runs_without(self) -> None:
        async def ignores(scope: Message, receive: Receive, send: Send) -> None:
            """Return at once."""

        async with MountedLifespan(ignores, {}):
            pass

    async def test_one_that_ends_early_is_not_asked_to_stop(self) -> None:
        async def hasty(scope: Message, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})

        async with asyncio.timeout(BOUND), MountedLifespan(hasty, {}):
            await asyncio.sleep(0)

    async def test_one_that_ends_when_asked_without_an_answer_is_fine(self) -> None:
        async def silent(scope: Message, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()

        async with asyncio.timeout(BOUND), MountedLifespan(silent, {}):
            pass

    async def test_a_failed_start_says_which_application_and_why(self) -> None:
        with pytest.raises(ConfigError, match="Starlike did not start: no database"):
            async with MountedLifespan(Starlike(fail_at="startup"), {}):
                pytest.fail("it did not start")

    async def test_a_failed_start_leaves_nothing_running(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        stopped = asyncio.Event()

        async def lingers(scope: Message, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no"})
            try:
                await receive()
            finally:
                stopped.set()

        before = asyncio.all_tasks()
        for app in (lingers, Starlike(fail_at="startup")):
            with pytest.raises(ConfigError):
                await MountedLifespan(app, {}).__aenter__()
        async with asyncio.timeout(BOUND):
            await stopped.wait()
        assert asyncio.all_tasks() == before
        assert "never retrieved" not in caplog.text

    async def test_a_start_that_is_cancelled_leaves_nothing_running(self) -> None:
        began, stopped = asyncio.Event(), asyncio.Event()

        async def slow(scope: Message, receive: Receive, send: Send) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        task = asyncio.get_running_loop().create_task(MountedLifespan(slow, {}).__aenter__())
        async with asyncio.timeout(BOUND):
            await began.wait()
            task.cancel()
            await asyncio.wait((task,))
            await stopped.wait()

    async def test_a_failed_stop_is_not_kept_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        async def fails(scope: Message, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "rows were lost"})

        told = ""
        try:
            async with MountedLifespan(fails, {}):
                pass
        except Exception as exc:  # noqa: BLE001 - raised or logged, but told
            told = str(exc)
        assert "rows were lost" in told + caplog.text

    async def test_a_stop_that_raises_is_raised(self) -> None:
        with pytest.raises(RuntimeError, match="still busy"):
            async with MountedLifespan(Starlike(fail_at="shutdown"), {}):
                pass

    async def test_it_stays_in_one_task(self) -> None:
        tasks = list[asyncio.Task[Any] | None]()

        async def app(scope: Message, receive: Receive, send: Send) -> None:
            await receive()
            tasks.append(asyncio.current_task())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            tasks.append(asyncio.current_task())
            await send({"type": "lifespan.shutdown.complete"})

        async with MountedLifespan(app, {}):
            pass
        assert tasks[0] is tasks[1]


class TestMounting:
    async def test_path_and_root_path_are_handed_over(self) -> None:
        app, sub = Oxidite(), Starlike()
        app.mount("/sub", sub)
        async with Client(app) as client:
            for path, expected in (
                ("/sub", "/sub /sub/ pool"),
                ("/sub/", "/sub /sub/ pool"),
                ("/sub/a/b", "/sub /sub/a/b pool"),
                ("/sub/a//b/", "/sub /sub/a//b/ pool"),
                ("/sub/../x", "/sub /sub/../x pool"),
            ):
                response = await client.get(as_sent(path))
                assert (response.status_code, response.text) == (203, expected)
            assert (await client.get("/subway")).status_code == 404
        assert sub.log == ["open", "close"]

    async def test_the_root_path_of_the_server_stays_in_front(self) -> None:
        app, sub = Oxidite(), Starlike()
        app.mount("/sub", sub)
        got = await call(app, {"root_path": "/app", "path": "/app/sub/x"})
        assert got.body == b"/app/sub /app/sub/x None"

    async def test_one_mounted_in_one_mounted_knows_its_whole_prefix(self) -> None:
        app, middle, sub = Oxidite(), Oxidite(), Starlike()
        app.mount("/outer", middle)
        middle.mount("/inner", sub)
        async with Client(app) as client:
            response = await client.get("/outer/inner/x")
        assert response.text == "/outer/inner /outer/inner/x pool"
        assert sub.log == ["open", "close"]

    async def test_every_method_reaches_it(self) -> None:
        app, sub = Oxidite(), Starlike()
        app.mount("/sub", sub)
        async with Client(app) as client:
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"):
                assert (await client.request(method, "/sub/x")).status_code == 203
        assert [scope["method"] for scope in sub.scopes[1:]] == [
            "GET",
            "HEAD",
            "POST",
            "DELETE",
            "OPTIONS",
            "BREW",
        ]

    async def test_a_route_of_the_application_goes_before_the_mount(self) -> None:
        app = Oxidite()
        app.mount("/sub", Starlike())

        @app.get("/sub/own")
        async def own() -> str:
            return "own"

        async with Client(app) as client:
            assert (await client.get("/sub/own")).text == "own"
            assert (await client.get("/sub/other")).status_code == 203

    async def test_headers_set_by_middleware_are_added_to_its_own(self) -> None:
        async def brand(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            response.headers["x-ours"] = "2"
            response.set_cookie("a", "1")
            return response

        app = Oxidite(middleware=[brand])
        app.mount("/sub", Starlike())
        app.mount("/bare", http_only)
        async with Client(app) as client:
            response = await client.get("/sub/x")
            assert response.headers["x-theirs"] == "1"
            assert response.headers["x-ours"] == "2"
            assert response.headers["content-type"] == "text/plain"
            assert response.cookies["a"] == "1"
            assert (await client.get("/bare/x")).headers["x-ours"] == "2"

    async def test_its_status_is_there_when_it_has_answered(self) -> None:
        kept = list[Response]()

        async def keep(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            kept.append(response)
            return response

        app = Oxidite(middleware=[keep])
        app.mount("/sub", Starlike())
        async with Client(app) as client:
            await client.get("/sub/x")
        assert isinstance(kept[0], MountedResponse)
        assert kept[0].status == 203

    async def test_middleware_can_answer_in_its_place(self) -> None:
        async def shut(request: Request, call_next: Handler) -> Response:
            return Response("closed", 503)

        app, sub = Oxidite(middleware=[shut]), Starlike()
        app.mount("/sub", sub)
        async with Client(app) as client:
            assert (await client.get("/sub/x")).text == "closed"
        assert len(sub.scopes) == 1, "only its lifespan"

    async def test_the_body_of_the_request_is_its_to_read(self) -> None:
        app = Oxidite(max_body=3)
        app.mount("/echo", echo)
        async with Client(app) as client:
            assert (await client.post("/echo", content=b"x" * 100)).text == "x" * 100

    async def test_a_body_that_a_middleware_has_read_is_still_there(self) -> None:
        async def read(request: Request, call_next: Handler) -> Response:
            assert await request.body() == b"hello"
            return await call_next(request)

        app = Oxidite(middleware=[read])
        app.mount("/echo", echo)
        async with asyncio.timeout(BOUND), Client(app) as client:
            assert (await client.post("/echo", content=b"hello")).text == "hello"

    async def test_each_request_gets_a_state_of_its_own(self) -> None:
        async def mark(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                raise NotImplementedError
            seen = "seen" in scope["state"]
            scope["state"]["seen"] = True
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"yes" if seen else b"no"})

        app = Oxidite()
        app.mount("/m", mark)
        async with Client(app) as client:
            assert [(await client.get("/m")).text for _ in range(2)] == ["no", "no"]

    async def test_one_that_fails_to_start_keeps_the_application_from_starting(self) -> None:
        app, first = Oxidite(), Starlike()
        app.mount("/one", first)
        app.mount("/two", Starlike(fail_at="startup"))
        with pytest.raises(ConfigError, match="no database"):
            async with Client(app):
                pytest.fail("it did not start")
        assert first.log == ["open", "close"]
        assert not app.lifespan.is_open

    async def test_one_that_does_not_know_the_lifespan_answers_all_the_same(self) -> None:
        app = Oxidite()
        app.mount("/bare", http_only)
        async with Client(app) as client:
            assert (await client.get("/bare/x")).text == "/bare/x"

    async def test_mounts_open_after_the_resources_and_close_before_them(self) -> None:
        sub, log = Starlike(), list[str]()
        sub.log = log

        @contextlib.asynccontextmanager
        async def database() -> AsyncIterator[None]:
            log.append("db open")
            yield
            log.append("db close")

        app = Oxidite(resources=[database()])
        app.mount("/sub", sub)
        async with Client(app):
            pass
        assert log == ["db open", "open", "close", "db close"]

    async def test_a_mount_in_a_group_is_under_its_prefix_and_behind_its_middleware(self) -> None:
        async def mark(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            response.headers["x-group"] = "1"
            return response

        app, sub = Oxidite(), Starlike()
        app.group("/g", middleware=[mark]).mount("/sub", sub)
        async with Client(app) as client:
            response = await client.get("/g/sub/x")
        assert response.text == "/g/sub /g/sub/x pool"
        assert response.headers["x-group"] == "1"
        assert sub.log == ["open", "close"]

    async def test_a_router_included_twice_starts_its_mounts_once(self) -> None:
        app, sub, router = Oxidite(), Starlike(), Router()
        router.mount("/sub", sub)
        app.include(router, "/v1")
        app.include(router, "/v2")
        async with Client(app) as client:
            assert (await client.get("/v1/sub/x")).text == "/v1/sub /v1/sub/x pool"
            assert (await client.get("/v2/sub/x")).text == "/v2/sub /v2/sub/x pool"
        assert sub.log == ["open", "close"]

    async def test_one_mounted_at_two_places_has_one_lifespan(self) -> None:
        app, sub = Oxidite(), Starlike()
        app.mount("/a", sub)
        app.group("/g").mount("/b", sub)
        for _ in range(2):
            async with Client(app) as client:
                assert (await client.get("/a/x")).text == "/a /a/x pool"
                assert (await client.get("/g/b/x")).text == "/g/b /g/b/x pool"
            assert [mount.state for mount in app.mounts()] == [{}, {}]
        assert sub.log == ["open", "close"] * 2

    async def test_an_application_of_ours_at_two_places_starts(self) -> None:
        app, sub = Oxidite(), Oxidite()
        app.mount("/a", sub)
        app.mount("/b", sub)

        @sub.get("/")
        async def index() -> str:
            return "here"

        async with Client(app) as client:
            assert [(await client.get(each)).text for each in ("/a/", "/b/")] == ["here"] * 2

    async def test_one_that_raises_before_it_answers_is_a_500_of_ours(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                raise ValueError("hunter2")

        app = Oxidite(debug=False)
        app.mount("/sub", broken)
        async with Client(app, raise_errors=False) as client:
            response = await client.get("/sub/x")
        assert response.status_code == 500
        assert response.json()["error_id"]
        assert "hunter2" not in response.text
        assert "hunter2" in caplog.text

    async def test_one_that_raises_while_it_answers_breaks_the_connection(self) -> None:
        async def broken(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"half", "more_body": True})
                raise ValueError("then it broke")

        app = Oxidite()
        app.mount("/sub", broken)
        async with Client(app) as client:
            with pytest.raises(ValueError, match="then it broke"):
                await client.get("/sub/x")

    async def test_a_websocket_reaches_it_with_its_own_scope(self) -> None:
        app, sub = Oxidite(), Starlike()
        seen = list[Message]()

        async def socket(scope: Message, receive: Receive, send: Send) -> None:
            seen.append(scope)
            assert (await receive())["type"] == "websocket.connect"
            await send({"type": "websocket.accept"})

        app.mount("/ws", socket)
        app.mount("/sub", sub)
        sent = list[Message]()
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "path": "/ws/room",
            "raw_path": b"/ws/room",
            "query_string": b"",
            "headers": [],
            "subprotocols": ["x"],
        }
        await app(scope, _replay({"type": "websocket.connect"}), _collect(sent))
        assert [message["type"] for message in sent] == ["websocket.accept"]
        assert seen[0]["type"] == "websocket"
        assert (seen[0]["root_path"], seen[0]["path"]) == ("/ws", "/ws/room")
        assert "method" not in seen[0]
        assert seen[0]["subprotocols"] == ["x"]

    def test_what_cannot_be_called_cannot_be_mounted(self) -> None:
        nonsense: Any = "app"
        with pytest.raises(ConfigError, match="not an ASGI application"):
            Oxidite().mount("/sub", nonsense)


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answer with the body of the request."""
    if scope["type"] != "http":
        raise NotImplementedError
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def as_sent(path: str) -> str:
    # The client would remove the dots, as a browser does; an attacker's would not.
    return path.replace("..", "%2e%2e")


def _replay(*messages: Message) -> Receive:
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    return receive


def _collect(sent: list[Message]) -> Send:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


async def call(app: Oxidite, changes: Message) -> Response:
    """Send one request by hand and return what was answered."""
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        **changes,
    }
    sent = list[Message]()
    await app(scope, _replay({"type": "http.request"}), _collect(sent))
    return Response(b"".join(message.get("body", b"") for message in sent), sent[0]["status"])
