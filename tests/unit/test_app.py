from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from oxidite import (
    Controller,
    Depends,
    Json,
    NotFoundError,
    Oxidite,
    Request,
    Response,
    Router,
    State,
    TextResponse,
)
from oxidite.errors import ConfigError, RouteError
from oxidite.http import Handler, Middleware
from oxidite.http.request import MatchedRoute
from oxidite.routing.table import TrailingSlash
from oxidite.testing import Client

trail: ContextVar[tuple[str, ...]] = ContextVar("trail", default=())


def mark(name: str, log: list[str] | None = None) -> Middleware:
    """Make a middleware that notes when the request passes it, both ways."""

    async def middleware(request: Request, call_next: Handler) -> Response:
        if log is not None:
            log.append(f"> {name}")
        response = await call_next(request)
        if log is not None:
            log.append(f"< {name}")
        response.headers["x-trail"] = f"{name} {response.headers.get('x-trail', '')}".strip()
        return response

    return middleware


async def get(app: Oxidite, path: str = "/", **options: Any) -> Any:
    async with Client(app) as client:
        return await client.get(path, **options)


class Store:
    """A resource that notes when it is opened and closed."""

    def __init__(self, log: list[str] | None = None, name: str = "store") -> None:
        self.log = [] if log is None else log
        self.name = name
        self.fail_at = ""

    async def __aenter__(self) -> Store:
        if self.fail_at == "open":
            raise RuntimeError(f"{self.name} cannot be opened")
        self.log.append(f"{self.name} open")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.log.append(f"{self.name} close")
        if self.fail_at == "close":
            raise RuntimeError(f"{self.name} cannot be closed")


class OtherStore(Store):
    """A second store, told from the first by its type."""


class TestMiddleware:
    async def test_the_first_is_outermost_and_app_group_route_follow(self) -> None:
        log = list[str]()
        app = Oxidite(middleware=[mark("app1", log), mark("app2", log)])
        outer = app.group("/a", middleware=[mark("outer", log)])
        inner = outer.group("/b", middleware=[mark("inner", log)])

        @inner.get("/c", middleware=[mark("route1", log), mark("route2", log)])
        async def show() -> str:
            log.append("handler")
            return "x"

        response = await get(app, "/a/b/c")
        names = ["app1", "app2", "outer", "inner", "route1", "route2"]
        assert log == [f"> {n}" for n in names] + ["handler"] + [f"< {n}" for n in names[::-1]]
        assert response.headers["x-trail"] == " ".join(names)

    async def test_that_of_a_group_and_of_a_route_stays_there(self) -> None:
        app = Oxidite()
        group = app.group("/g", middleware=[mark("group")])

        @group.get("/one", middleware=[mark("one")])
        async def one() -> str:
            return "x"

        @group.get("/two")
        async def two() -> str:
            return "x"

        @app.get("/out")
        async def out() -> str:
            return "x"

        async with Client(app) as client:
            assert (await client.get("/g/one")).headers["x-trail"] == "group one"
            assert (await client.get("/g/two")).headers["x-trail"] == "group"
            assert "x-trail" not in (await client.get("/out")).headers

    async def test_that_of_the_application_sees_what_no_route_answers(self) -> None:
        app = Oxidite(middleware=[mark("app")])

        @app.get("/")
        async def show() -> str:
            return "x"

        async with Client(app) as client:
            for method, path, status in (
                ("GET", "/nowhere", 404),
                ("POST", "/", 405),
                ("OPTIONS", "/", 204),
                ("GET", "/%00", 400),
            ):
                response = await client.request(method, path)
                assert (response.status_code, response.headers["x-trail"]) == (status, "app")

    async def test_that_of_a_group_does_not_see_what_no_route_of_it_answers(self) -> None:
        app = Oxidite()
        app.group("/g", middleware=[mark("group")])
        assert "x-trail" not in (await get(app, "/g/nowhere")).headers

    async def test_one_router_under_two_prefixes_has_its_middleware_in_both(self) -> None:
        app, router = Oxidite(), Router("/r", middleware=[mark("router")])

        @router.get("/")
        async def show(request: Request) -> str:
            return request.path

        app.include(router, "/v1")
        app.include(router, "/v2")
        async with Client(app) as client:
            for version in ("v1", "v2"):
                response = await client.get(f"/{version}/r")
                assert (response.text, response.headers["x-trail"]) == (f"/{version}/r", "router")

    async def test_a_controller_has_that_of_its_router(self) -> None:
        class Pages(Controller):
            routes = Router("/pages", middleware=[mark("pages")])

            @routes.get("/", middleware=[mark("index")])
            async def index(self) -> str:
                return "x"

        app = Oxidite(middleware=[mark("app")])
        app.include(Pages)
        assert (await get(app, "/pages")).headers["x-trail"] == "app pages index"

    async def test_one_that_answers_itself_keeps_the_rest_from_running(self) -> None:
        async def shut(request: Request, call_next: Handler) -> Response:
            return TextResponse("shut", 503)

        log = list[str]()
        app = Oxidite(middleware=[mark("outer", log), shut, mark("inner", log)])
        response = await get(app)
        assert (response.status_code, response.text) == (503, "shut")
        assert log == ["> outer", "< outer"]

    async def test_one_may_replace_the_answer(self) -> None:
        async def replace(request: Request, call_next: Handler) -> Response:
            inner = await call_next(request)
            return TextResponse(inner.body.decode().upper(), inner.status)

        app = Oxidite(middleware=[replace])

        @app.get("/", status=201)
        async def show() -> str:
            return "hello"

        response = await get(app)
        assert (response.status_code, response.text) == (201, "HELLO")
        assert response.headers["content-length"] == "5"

    async def test_an_object_with_a_call_is_one_too(self) -> None:
        class Counting:
            def __init__(self) -> None:
                self.count = 0

            async def __call__(self, request: Request, call_next: Handler) -> Response:
                self.count += 1
                return await call_next(request)

        counting = Counting()
        app = Oxidite(middleware=[counting])
        await get(app)
        assert counting.count == 1

    async def test_the_route_is_known_to_those_of_the_application(self) -> None:
        seen = list[tuple[MatchedRoute | None, object]]()

        async def label(request: Request, call_next: Handler) -> Response:
            before = request.route
            response = await call_next(request)
            assert request.route is not None
            seen.append((before, (request.route.path, request.route.tags, request.route.meta)))
            return response

        app = Oxidite(middleware=[label])

        @app.get("/posts/{id:int}", tags=["posts"], meta={"public": True})
        async def show(id: int) -> int:
            return id

        await get(app, "/posts/1")
        route, facts = seen[0]
        assert facts == ("/posts/{id:int}", ("posts",), {"public": True})
        assert route is not None
        assert route.path == "/posts/{id:int}"

    async def test_one_that_changes_the_path_or_the_method_changes_the_route(self) -> None:
        async def rewrite(request: Request, call_next: Handler) -> Response:
            override = request.headers.get("x-method")
            if override is not None:
                request.method = override
            request.path = request.path.removeprefix("/old")
            return await call_next(request)

        app = Oxidite(middleware=[rewrite])

        @app.get("/posts/{id:int}", max_body=5)
        async def show(id: int) -> str:
            return f"show {id}"

        @app.delete("/posts/{id:int}")
        async def remove(id: int) -> str:
            return f"remove {id}"

        @app.post("/old/posts", max_body=2)
        async def hidden() -> str:
            return "hidden"

        @app.post("/posts")
        async def create(body: Json[str]) -> str:
            return body

        async with Client(app) as client:
            assert (await client.get("/posts/1")).text == "show 1"
            assert (await client.get("/old/posts/2")).text == "show 2"
            assert (await client.get("/posts/3", headers={"x-method": "DELETE"})).text == "remove 3"
            assert (await client.post("/old/posts", json="long")).text == "long"
            gone = await client.get("/old/none")
            assert (gone.status_code, gone.json()["code"]) == (404, "not_found")

    @pytest.mark.parametrize("path", ["/nothing", "/posts/x", "/posts/%00"])
    async def test_without_a_route_there_is_none_to_see(self, path: str) -> None:
        seen = list[object]()

        async def look(request: Request, call_next: Handler) -> Response:
            seen.append(request.route)
            return await call_next(request)

        app = Oxidite(middleware=[look])

        @app.get("/posts/{id:int}")
        async def show(id: int) -> int:
            return id

        async with Client(app) as client:
            response = await client.get(path)
        assert response.status_code == (400 if "%00" in path else 404)
        assert seen == [None]

    @pytest.mark.parametrize("trailing_slash", ["strict", "ignore", "redirect"])
    async def test_the_route_seen_first_is_the_one_that_answers(
        self, trailing_slash: TrailingSlash
    ) -> None:
        seen = list[object]()

        async def look(request: Request, call_next: Handler) -> Response:
            seen.append(request.route and request.route.name)
            return await call_next(request)

        app = Oxidite(middleware=[look], trailing_slash=trailing_slash)

        @app.get("/posts")
        async def index() -> str:
            return "index"

        @app.get("/of/{name:path}")
        async def rest(name: str) -> str:
            return name

        async with Client(app) as client:
            assert (await client.head("/posts")).status_code == 200
            assert (await client.get("/of/a/b")).text == "a/b"
            answer = await client.get("/posts/")
        assert answer.status_code == {"strict": 404, "ignore": 200, "redirect": 308}[trailing_slash]
        assert seen == ["index", "rest", "index" if trailing_slash == "ignore" else None]

    async def test_what_is_set_inside_is_seen_outside(self) -> None:
        seen = list[tuple[str, ...]]()

        async def outer(request: Request, call_next: Handler) -> Response:
            trail.set((*trail.get(), "outer"))
            response = await call_next(request)
            seen.append(trail.get())
            return response

        async def inner(request: Request, call_next: Handler) -> Response:
            trail.set((*trail.get(), "inner"))
            return await call_next(request)

        async def dependency() -> AsyncIterator[str]:
            trail.set((*trail.get(), "dependency"))
            yield "x"

        app = Oxidite(middleware=[outer, inner])

        @app.get("/")
        async def show(value: str = Depends(dependency)) -> str:
            trail.set((*trail.get(), "handler"))
            return ""

        await get(app)
        assert seen == [("outer", "inner", "dependency", "handler")]
        assert trail.get() == ()

    async def test_everything_runs_in_the_task_of_the_server(self) -> None:
        tasks = list[object]()

        async def note(request: Request, call_next: Handler) -> Response:
            tasks.append(asyncio.current_task())
            return await call_next(request)

        app = Oxidite(middleware=[note] * 3)

        @app.get("/", middleware=[note])
        async def show(request: Request) -> str:
            tasks.append(asyncio.current_task())
            tasks.append(request.task)
            return "x"

        await get(app)
        assert len(tasks) == 6
        assert len(set(tasks)) == 1

    async def test_they_are_folded_once_and_not_for_every_request(self) -> None:
        nexts = list[Handler]()

        async def note(request: Request, call_next: Handler) -> Response:
            nexts.append(call_next)
            return await call_next(request)

        app = Oxidite(middleware=[note])
        group = app.group("/g", middleware=[note])

        @group.get("/", middleware=[note])
        async def show() -> str:
            return "x"

        async with Client(app) as client:
            for _ in range(3):
                await client.get("/g")
        assert nexts[:3] == nexts[3:6] == nexts[6:]
        assert len(set(nexts)) == 3

    async def test_one_may_try_again(self) -> None:
        tries = list[int]()

        async def twice(request: Request, call_next: Handler) -> Response:
            response = await call_next(request)
            return await call_next(request) if response.status == 503 else response

        app = Oxidite(middleware=[twice])

        @app.post("/")
        async def show(request: Request) -> Response:
            tries.append(len(await request.body()))
            return TextResponse("x", 503 if len(tries) == 1 else 200)

        async with Client(app) as client:
            assert (await client.post("/", content=b"abc")).status_code == 200
        assert tries == [3, 3]

    async def test_state_is_for_those_that_come_after(self) -> None:
        async def user(request: Request, call_next: Handler) -> Response:
            request.state["user"] = "ann"
            return await call_next(request)

        app = Oxidite(middleware=[user])

        @app.get("/")
        async def show(request: Request) -> str:
            return str(request.state["user"])

        assert (await get(app)).text == "ann"

    async def test_one_that_changes_the_path_changes_the_route(self) -> None:
        async def rewrite(request: Request, call_next: Handler) -> Response:
            request.path = "/new"
            return await call_next(request)

        app = Oxidite(middleware=[rewrite])

        @app.get("/new")
        async def new() -> str:
            return "new"

        assert (await get(app, "/old")).text == "new"

    async def test_a_sync_function_is_refused_with_a_500_that_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def sync(request: Request, call_next: Handler) -> Response:
            return TextResponse("x")

        wrong: Any = sync
        async with Client(Oxidite(middleware=[wrong]), raise_errors=False) as client:
            assert (await client.get("/")).status_code == 500
        assert "await" in caplog.text


class TestResources:
    async def test_they_open_in_order_and_close_in_reverse(self) -> None:
        log = list[str]()
        app = Oxidite(resources=[Store(log, "a"), Store(log, "b"), Store(log, "c")])
        async with app.running():
            assert log == ["a open", "b open", "c open"]
        assert log[3:] == ["c close", "b close", "a close"]

    @pytest.mark.parametrize("failing", ["a", "b", "c"])
    async def test_a_start_that_fails_half_way_closes_what_was_opened(self, failing: str) -> None:
        log = list[str]()
        stores = [Store(log, name) for name in "abc"]
        for store in stores:
            store.fail_at = "open" if store.name == failing else ""
        app = Oxidite(resources=stores)
        with pytest.raises(RuntimeError, match=f"{failing} cannot be opened"):
            async with app.running():
                pytest.fail("it did not start")
        opened = "abc"[: "abc".index(failing)]
        assert log == [f"{n} open" for n in opened] + [f"{n} close" for n in opened[::-1]]
        assert not app.lifespan.is_open

    async def test_it_can_start_after_a_start_that_failed(self) -> None:
        store = Store()
        app = Oxidite(resources=[store])
        store.fail_at = "open"
        with pytest.raises(RuntimeError):
            async with app.running():
                pytest.fail("it did not start")
        store.fail_at = ""
        async with app.running():
            assert app.lifespan.get(Store) is store

    async def test_one_that_cannot_be_closed_keeps_no_other_open(self) -> None:
        log = list[str]()
        stores = [Store(log, name) for name in "abc"]
        stores[1].fail_at = "close"
        with pytest.raises(RuntimeError, match="b cannot be closed"):
            async with Oxidite(resources=stores).running():
                pass
        assert log[3:] == ["c close", "b close", "a close"]

    async def test_a_handler_gets_them_by_type(self) -> None:
        app = Oxidite(resources=[Store(name="first"), OtherStore(name="other")])

        @app.get("/")
        async def show(other: OtherStore, store: State[Store]) -> str:
            return f"{store.name} {other.name}"

        assert (await get(app)).text == "first other"

    async def test_what_opening_returns_is_what_handlers_get(self) -> None:
        class Connection:
            name = "connection"

        @contextlib.asynccontextmanager
        async def pool() -> AsyncIterator[Connection]:
            yield Connection()

        app = Oxidite(resources=[pool()])

        @app.get("/")
        async def show(connection: Connection) -> str:
            return connection.name

        assert (await get(app)).text == "connection"

    async def test_a_missing_one_is_refused_at_start_with_file_line_and_parameter(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(store: Store) -> str:
            return store.name

        line = show.__code__.co_firstlineno
        with pytest.raises(RouteError) as caught:
            async with app.running():
                pytest.fail("it did not start")
        message = caught.value.message
        assert f"{Path(__file__).name}:{line} " in message
        assert "show()" in message
        assert "'store'" in message
        assert "resources=" in message
        assert not app.lifespan.is_open

    async def test_a_missing_one_of_a_dependency_is_refused_too(self) -> None:
        app = Oxidite()

        async def deep(store: Store) -> str:
            return store.name

        async def middle(value: str = Depends(deep)) -> str:
            return value

        @app.get("/")
        async def show(value: str = Depends(middle)) -> str:
            return value

        with pytest.raises(RouteError, match=r"deep\(\).*'store'"):
            async with app.running():
                pytest.fail("it did not start")

    async def test_a_missing_one_of_a_controller_is_refused_too(self) -> None:
        class Pages(Controller):
            routes = Router("/pages")

            def __init__(self, store: Store) -> None:
                self.store = store

            @routes.get("/")
            async def index(self) -> str:
                return self.store.name

        app = Oxidite()
        app.include(Pages)
        with pytest.raises(RouteError, match="'store'"):
            async with app.running():
                pytest.fail("it did not start")

    async def test_what_was_opened_before_a_refused_start_is_closed(self) -> None:
        log = list[str]()
        app = Oxidite(resources=[Store(log)])

        @app.get("/")
        async def show(other: OtherStore) -> str:
            return other.name

        with pytest.raises(RouteError):
            async with app.running():
                pytest.fail("it did not start")
        assert log == ["store open", "store close"]

    async def test_two_of_one_type_are_refused_at_start(self) -> None:
        app = Oxidite(resources=[Store(name="a"), Store(name="b")])

        @app.get("/")
        async def show(store: Store) -> str:
            return store.name

        with pytest.raises(ConfigError, match="subclass"):
            async with app.running():
                pytest.fail("it did not start")

    async def test_a_default_stands_in_for_one_that_is_missing(self) -> None:
        app = Oxidite()

        @app.get("/")
        async def show(store: Store | None = None) -> str:
            return "none" if store is None else store.name

        assert (await get(app)).text == "none"

    async def test_one_cannot_be_added_while_it_runs(self) -> None:
        app = Oxidite()
        async with app.running():
            with pytest.raises(ConfigError, match="while the application runs"):
                app.lifespan.add(Store())

    async def test_it_cannot_run_twice_at_once(self) -> None:
        app = Oxidite()
        async with app.running():
            with pytest.raises(ConfigError, match="open already"):
                async with app.running():
                    pytest.fail("it started twice")
            assert app.lifespan.is_open

    async def test_a_dependency_of_the_application_is_made_once_and_closed_before_resources(
        self,
    ) -> None:
        log = list[str]()

        async def index(store: Store) -> AsyncIterator[str]:
            log.append("index open")
            yield "index"
            log.append("index close")

        app = Oxidite(resources=[Store(log)])

        @app.get("/")
        async def show(value: str = Depends(index, scope="app")) -> str:
            return value

        async with Client(app) as client:
            answers = await asyncio.gather(*(client.get("/") for _ in range(10)))
        assert {answer.text for answer in answers} == {"index"}
        assert log == ["store open", "index open", "index close", "store close"]


class TestRoutes:
    async def test_one_may_be_added_after_the_first_request(self) -> None:
        app = Oxidite()
        async with Client(app) as client:
            assert (await client.get("/late")).status_code == 404

            @app.get("/late")
            async def late() -> str:
                return "late"

            assert (await client.get("/late")).text == "late"

    async def test_one_may_be_added_to_a_router_before_the_start(self) -> None:
        app, router = Oxidite(), Router()
        app.include(router)
        assert app.routes == ()

        @router.get("/late")
        async def late() -> str:
            return "late"

        assert (await get(app, "/late")).text == "late"

    def test_one_registered_twice_is_refused_with_both_places(self) -> None:
        app = Oxidite()

        @app.get("/a/{id}")
        async def one(id: str) -> str:
            return id

        @app.get("/a/{name}")
        async def two(name: str) -> str:
            return name

        with pytest.raises(RouteError, match=r"one\(\) and .*two\(\)"):
            _ = app.routes

    @pytest.mark.parametrize("status", [0, 99, 101, 1000, "200"])
    def test_a_status_that_is_none_is_refused_where_it_is_written(self, status: Any) -> None:
        app = Oxidite()

        async def show() -> str:
            return "x"

        with pytest.raises((RouteError, ValueError), match="status"):
            app.get("/", status=status)(show)

    @pytest.mark.parametrize("method", ["GE T", "", "GET\r\nx: y", "GET\x00", "Ä", "A,B"])
    def test_a_method_that_is_no_token_is_refused_where_it_is_written(self, method: str) -> None:
        # It would end in the Allow field of every 405.
        app = Oxidite()

        async def show() -> str:
            return "x"

        with pytest.raises(RouteError, match="method"):
            app.route("/", [method])(show)

    async def test_methods_that_name_attributes_reach_nothing(self) -> None:
        # Starlette CVE-2026-48817
        class Pages(Controller):
            routes = Router("/pages")

            @routes.get("/")
            async def index(self) -> str:
                return "index"

            async def secret(self) -> str:
                return "secret"

        app = Oxidite()
        app.include(Pages)
        async with Client(app) as client:
            for method in ("SECRET", "__INIT__", "INDEX", "*", "HANDLE"):
                assert (await client.request(method, "/pages")).status_code == 405


class TestOptions:
    async def test_a_limit_of_the_application_holds_for_every_body(self) -> None:
        app = Oxidite(max_body=4)

        @app.post("/")
        async def read(request: Request) -> bytes:
            return await request.body()

        async with Client(app) as client:
            assert (await client.post("/", content=b"1234")).status_code == 200
            response = await client.post("/", content=b"12345")
            assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")

    @pytest.mark.parametrize(
        ("policy", "path", "status", "location"),
        [
            ("strict", "/a/", 404, None),
            ("strict", "/b", 404, None),
            ("ignore", "/a/", 200, None),
            ("ignore", "/b", 200, None),
            ("redirect", "/a/?x=1", 308, "../a?x=1"),
            ("redirect", "/b?x=1", 308, "./b/?x=1"),
            ("redirect", "/nowhere/", 404, None),
        ],
    )
    async def test_a_slash_at_the_end_is_what_the_policy_says(
        self, policy: Any, path: str, status: int, location: str | None
    ) -> None:
        app = Oxidite(trailing_slash=policy)

        @app.get("/a")
        @app.get("/b/")
        async def show() -> str:
            return "x"

        response = await get(app, path)
        assert (response.status_code, response.headers.get("location")) == (status, location)

    async def test_a_plugin_installs_itself_once(self) -> None:
        class Hello:
            name = "hello"
            installed = 0

            def install(self, app: Oxidite) -> None:
                Hello.installed += 1

                @app.get("/hello")
                async def hello() -> str:
                    return "hello"

                app.middleware.append(mark("plugin"))

        app = Oxidite(plugins=[Hello()])
        response = await get(app, "/hello")
        assert (response.text, response.headers["x-trail"]) == ("hello", "plugin")
        assert Hello.installed == 1

    def test_signing_without_a_secret_is_refused_outside_development(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OXIDITE_ENV", raising=False)
        with pytest.raises(ConfigError, match="secret"):
            Oxidite().signer("x")

    def test_in_development_the_secret_is_made_and_kept(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("OXIDITE_ENV", "development")
        monkeypatch.chdir(tmp_path)
        signed = Oxidite().signer("x").sign("a")

        assert (tmp_path / ".oxidite" / "secret").exists()
        assert Oxidite().signer("x").unsign(signed) == b"a"

    def test_two_purposes_do_not_take_each_others_signatures(self) -> None:
        app = Oxidite(secret="s" * 32)
        assert app.signer("a").sign("x") != app.signer("b").sign("x")


class TestHandle:
    """`app.handle` is the one door: a script or a test may use it without a server."""

    async def test_it_answers_a_request_in_memory(self) -> None:
        app = Oxidite()

        @app.post("/echo")
        async def echo(request: Request, times: int) -> str:
            return (await request.body()).decode() * times

        async with app.running():
            request = Request.of("POST", "/echo?times=2", body=b"ab", resources=app.lifespan)
            response = await app.handle(request)
        assert (response.status, response.body) == (200, b"abab")

    async def test_every_failure_is_a_response(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Oxidite(debug=False)

        @app.get("/missing")
        async def missing() -> str:
            raise NotFoundError

        @app.get("/broken")
        async def broken() -> str:
            raise ValueError

        with caplog.at_level(logging.CRITICAL):
            for path, status, error in (
                ("/missing", 404, NotFoundError),
                ("/nowhere", 404, NotFoundError),
                ("/broken", 500, ValueError),
            ):
                response = await app.handle(Request.of("GET", path))
                assert response.status == status
                assert isinstance(response.error, error)

    async def test_sync_handlers_do_not_hold_up_the_loop(self) -> None:
        app, go = Oxidite(), asyncio.Event()
        loop = asyncio.get_running_loop()

        @app.get("/")
        def blocking() -> str:
            future = asyncio.run_coroutine_threadsafe(_wait(go.wait), loop)
            future.result(3)
            return "x"

        async with Client(app) as client:
            task = loop.create_task(client.get("/"))
            loop.call_later(0.01, go.set)
            assert (await task).text == "x"


async def _wait(function: Callable[[], Awaitable[object]]) -> None:
    await function()
