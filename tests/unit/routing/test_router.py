from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from oxidite import Controller, Depends, Handler, Oxidite, Request, Response, Router
from oxidite.errors import RouteError
from oxidite.extract.base import location
from oxidite.testing import Client

Message = MutableMapping[str, Any]


class Store:
    """A resource."""

    def __init__(self) -> None:
        self.made: list[str] = []

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def current_user(request: Request) -> str:
    return request.headers.get("x-user", "nobody")


class Posts(Controller):
    routes = Router("/posts", tags=["posts"], name="posts")

    def __init__(self, store: Store, user: str = Depends(current_user)) -> None:
        self.store = store
        self.user = user
        store.made.append(user)

    @routes.get("/")
    async def index(self) -> str:
        return f"posts of {self.user}"

    @routes.get("/{id:int}")
    async def show(self, id: int, full: bool = False) -> str:
        return f"{id} {full} {self.user}"

    @routes.post("/{id:int}")
    def change(self, id: int) -> str:
        return f"changed {id}"


def tag(word: str) -> Callable[[Request, Handler], Awaitable[Response]]:
    """Make a middleware that writes ``word`` before what is inside."""

    async def middleware(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        response.headers["x-way"] = f"{word} {response.headers.get('x-way', '')}".strip()
        return response

    return middleware


async def test_a_group_has_prefix_name_tags_and_middleware_for_its_routes() -> None:
    app = Oxidite(middleware=[tag("app")])
    admin = app.group("/admin", middleware=[tag("group")], tags=["internal"], name="admin")
    inner = admin.group("/users", middleware=[tag("inner")], tags=["people"], name="users")

    @inner.get("/{id:int}", name="one", tags=["x"], middleware=[tag("route")], meta={"right": 1})
    async def show(id: int) -> str:
        return str(id)

    (route,) = app.routes
    assert (route.path, route.name) == ("/admin/users/{id:int}", "admin.users.one")
    assert route.tags == ("internal", "people", "x")
    assert route.meta == {"right": 1}
    async with Client(app) as client:
        response = await client.get("/admin/users/3")
        missing = await client.get("/nope")

    assert response.headers["x-way"] == "app group inner route"
    assert missing.headers["x-way"] == "app"


async def test_a_router_may_be_included_in_several_places() -> None:
    shared = Router("/ping", name="ping")

    @shared.get("")
    async def ping(request: Request) -> str:
        return request.path

    app = Oxidite()
    app.include(shared)
    app.include(shared, "/v1")

    async with Client(app) as client:
        assert (await client.get("/ping")).text == "/ping"
        assert (await client.get("/v1/ping")).text == "/v1/ping"


async def test_a_parameter_may_stand_in_the_prefix() -> None:
    app = Oxidite()
    team = Router("/teams/{team}")

    @team.get("/members/{id:int}")
    async def member(team: str, id: int) -> str:
        return f"{team} {id}"

    outer = Router("/{org}")

    @outer.get("/x")
    async def x(org: int) -> str:
        return repr(org)

    app.include(team)
    app.include(outer, "/o/{area}")

    async with Client(app) as client:
        assert (await client.get("/teams/core/members/3")).text == "core 3"
        assert (await client.get("/o/a/7/x")).text == "7"
        assert (await client.get("/o/a/b/x")).status_code == 404


async def test_routes_added_later_are_answered_too() -> None:
    app = Oxidite()
    group = app.group("/g")
    assert app.routes == ()

    @app.get("/a")
    async def a() -> str:
        return "a"

    @group.get("/b")
    async def b() -> str:
        return "b"

    async with Client(app) as client:
        assert (await client.get("/a")).text == "a"
        assert (await client.get("/g/b")).text == "b"


def test_a_router_cannot_be_part_of_itself() -> None:
    outer, inner = Router("/o"), Router("/i")
    outer.include(inner)

    for outside, inside in ((outer, outer), (inner, outer)):
        with pytest.raises(RouteError, match="cannot be part of itself"):
            outside.include(inside)


def test_only_routers_and_controllers_are_included() -> None:
    class NoController:
        pass

    with pytest.raises(RouteError, match="NoController' is neither a Router nor a Controller"):
        Oxidite().include(NoController)  # type: ignore[arg-type]

    class Numbers(Controller):
        routes = Router("/numbers")

    with pytest.raises(RouteError, match="A controller is given as its class"):
        Oxidite().include(Numbers())  # type: ignore[arg-type]


def test_a_handler_stays_what_it_was() -> None:
    app = Oxidite()

    async def handler() -> str:
        return ""

    assert app.get("/a")(handler) is handler
    assert app.route("/b", ["get", "POST"])(handler) is handler
    assert [route.methods for route in app.routes] == [("GET",), ("GET", "POST")]


async def test_anything_that_can_be_called_may_answer() -> None:
    async def greet(word: str, name: str) -> str:
        return f"{word} {name}"

    class Greeter:
        async def __call__(self, name: str) -> str:
            return f"Hi {name}"

        def bye(self, name: str) -> str:
            return f"Bye {name}"

    app = Oxidite()
    app.get("/partial/{name}", name="partial")(partial(greet, "Hello"))
    app.get("/object/{name}", name="object")(Greeter())
    app.get("/method/{name}")(Greeter().bye)

    async with Client(app) as client:
        assert (await client.get("/partial/Ann")).text == "Hello Ann"
        assert (await client.get("/object/Ann")).text == "Hi Ann"
        assert (await client.get("/method/Ann")).text == "Bye Ann"
    assert app.url("object", name="Ann") == "/object/Ann"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
async def test_every_method_has_its_decorator(method: str) -> None:
    app = Oxidite()

    async def answer(request: Request) -> str:
        return request.method

    getattr(app, method)("/x")(answer)

    async with Client(app) as client:
        assert (await client.request(method, "/x")).text == method.upper()


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("GET", r"methods='GET' is one text. Write \['GET'\]"),
        ([], r"methods=\[\] are no methods"),
        (["GET", "A B"], r"methods=\['GET', 'A B'\] are no methods"),
        (["*"], r"are no methods"),
        ([""], r"are no methods"),
    ],
)
def test_methods_that_are_none_are_refused(methods: Any, message: str) -> None:
    async def handler() -> str:
        return ""

    with pytest.raises(RouteError, match=message):
        Oxidite().route("/x", methods)(handler)


def test_an_unknown_option_of_a_route_is_refused_with_what_it_may_have_been() -> None:
    async def handler() -> str:
        return ""

    options: dict[str, Any] = {"statuss": 201}
    with pytest.raises(RouteError) as caught:
        Oxidite().post("/x", **options)(handler)

    assert f"test_router.py:{handler.__code__.co_firstlineno} " in caught.value.message
    assert "handler(): there is no option 'statuss' of a route. Did you mean 'status'?" in (
        caught.value.message
    )


def test_something_that_cannot_be_called_is_no_handler() -> None:
    handler: Any = 3
    with pytest.raises(RouteError, match="3 cannot answer '/x': it is not callable"):
        Oxidite().get("/x")(handler)


def test_a_bad_path_is_refused_with_the_place_of_its_handler() -> None:
    async def handler() -> str:
        return ""

    with pytest.raises(RouteError) as caught:
        Oxidite().get("/{id:imt}")(handler)

    assert f"test_router.py:{handler.__code__.co_firstlineno} " in caught.value.message
    assert "there is no converter 'imt'" in caught.value.message


# Controllers.


def with_posts(store: Store) -> Oxidite:
    app = Oxidite(resources=[store])
    app.include(Posts)
    return app


async def test_a_controller_is_made_once_for_each_request() -> None:
    store = Store()

    async with Client(with_posts(store)) as client:
        first = await client.get("/posts", headers={"x-user": "ann"})
        second = await client.get("/posts/3?full=true", headers={"x-user": "bob"})
        third = await client.post("/posts/3")

    assert (first.text, second.text) == ("posts of ann", "3 True bob")
    assert third.text == "changed 3"
    assert store.made == ["ann", "bob", "nobody"]


def test_a_controllers_routes_have_its_name_and_tags() -> None:
    app = with_posts(Store())

    assert [route.name for route in app.routes] == ["posts.index", "posts.show", "posts.change"]
    assert {route.tags for route in app.routes} == {("posts",)}
    assert app.url(Posts.show, id=3) == "/posts/3"
    assert app.url("posts.show", id=3, full=True) == "/posts/3?full=true"


async def test_all_errors_of_controller_and_handler_come_at_once() -> None:
    class Pages(Controller):
        routes = Router("/pages")

        def __init__(self, size: int) -> None:
            self.size = size

        @routes.get("/")
        async def index(self, number: int) -> str:
            return ""

    app = Oxidite()
    app.include(Pages)

    async with Client(app) as client:
        response = await client.get("/pages?size=x")

    assert [(e["parameter"], e["code"]) for e in response.json()["errors"]] == [
        ("size", "type"),
        ("number", "missing"),
    ]


async def test_a_controller_needs_no_constructor() -> None:
    class Plain(Controller):
        routes = Router("/plain")

        @routes.get("/")
        async def index(self) -> str:
            return type(self).__name__

    app = Oxidite()
    app.include(Plain)

    async with Client(app) as client:
        assert (await client.get("/plain")).text == "Plain"


async def test_a_controllers_constructor_says_what_a_parameter_of_the_path_is() -> None:
    class Comments(Controller):
        routes = Router("/posts/{post_id}/comments")

        def __init__(self, post_id: int) -> None:
            self.post_id = post_id

        @routes.get("/{id}")
        async def show(self, id: int) -> list[int]:
            return [self.post_id, id]

    app = Oxidite()
    app.include(Comments)

    assert [route.path for route in app.routes] == ["/posts/{post_id:int}/comments/{id:int}"]
    async with Client(app) as client:
        assert (await client.get("/posts/1/comments/2")).json() == [1, 2]
        assert (await client.get("/posts/x/comments/2")).status_code == 404


def test_a_controller_and_its_method_that_disagree_of_the_path_are_refused() -> None:
    class Comments(Controller):
        routes = Router("/posts/{post_id}")

        def __init__(self, post_id: int) -> None:
            self.post_id = post_id

        @routes.get("/")
        async def show(self, post_id: str) -> str:
            return post_id

    app = Oxidite()
    app.include(Comments)

    with pytest.raises(RouteError) as caught:
        _ = app.routes
    assert f"Comments(): 'post_id' is int, but str at {location(Comments.show)}" in (
        caught.value.message
    )


def test_a_method_without_its_controller_is_refused() -> None:
    app = Oxidite()
    app.include(Posts.routes)

    with pytest.raises(RouteError, match=r"index\(\) is a method. Include its class"):
        _ = app.table


def test_a_mistake_in_a_controllers_method_is_told_when_the_application_starts() -> None:
    class Wrong(Controller):
        routes = Router("/wrong")

        @routes.get("/{user_id}")
        async def show(self, userid: int) -> str:
            return ""

    app = Oxidite()
    app.include(Wrong)

    with pytest.raises(RouteError, match="Did you mean 'user_id'"):
        _ = app.table


# Mounted applications.


def echo(seen: list[str], *, state: dict[str, object] | None = None) -> Any:
    """Make an ASGI application that answers with what it is told, and notes its lifespan."""

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            seen.append("startup")
            scope["state"].update(state or {})
            await send({"type": "lifespan.startup.complete"})
            await receive()
            seen.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = f"{scope['root_path']}|{scope['path']}|{scope['state']}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


async def test_a_mounted_application_gets_the_rest_of_the_path() -> None:
    app = Oxidite()
    app.group("/v/{version}").mount("/sub", echo([]))

    async with Client(app) as client:
        for path, answer in {
            "/v/1/sub": "/v/1/sub|/v/1/sub/|{}",
            "/v/1/sub/": "/v/1/sub|/v/1/sub/|{}",
            "/v/1/sub/a/b": "/v/1/sub|/v/1/sub/a/b|{}",
            "/v/1/sub//x//y": "/v/1/sub|/v/1/sub//x//y|{}",
            "/v/1/sub/%2E%2E/x": "/v/1/sub|/v/1/sub/../x|{}",
        }.items():
            assert (await client.post(path)).text == answer
        assert (await client.get("/v/1/subway")).status_code == 404


async def test_an_application_mounted_at_the_root_gets_what_no_route_has() -> None:
    app = Oxidite()

    @app.get("/api")
    async def api() -> str:
        return "api"

    app.mount("/", echo([]))

    async with Client(app) as client:
        assert (await client.get("/")).text == "|/|{}"
        assert (await client.get("/x/y")).text == "|/x/y|{}"
        assert (await client.get("/api")).text == "api"
        assert (await client.head("/api")).headers["content-length"] == "3"
        assert (await client.options("/api")).headers["allow"] == "GET, HEAD, OPTIONS"
        assert (await client.post("/api")).status_code == 405


async def test_a_mounted_application_runs_its_own_lifespan_and_keeps_its_state() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[str]:
        seen.append("resource opened")
        yield "resource"
        seen.append("resource closed")

    app = Oxidite(resources=[resource()])
    inner = Router("/inner")
    inner.mount("/sub", echo(seen, state={"db": 1}))
    app.include(inner)

    async with Client(app) as client:
        assert (await client.get("/inner/sub/x")).text == "/inner/sub|/inner/sub/x|{'db': 1}"

    assert seen == ["resource opened", "startup", "shutdown", "resource closed"]


async def test_an_oxidite_application_is_mounted_with_its_own_resources() -> None:
    store = Store()
    inner = Oxidite(resources=[store])

    @inner.get("/{name}")
    async def show(name: str, store: Store) -> str:
        store.made.append(name)
        return name

    app = Oxidite()
    app.mount("/inner", inner)

    async with Client(app) as client:
        assert (await client.get("/inner/a")).text == "a"
        assert (await client.get("/inner/a/b")).status_code == 404
    assert store.made == ["a"]


def test_what_cannot_be_called_cannot_be_mounted() -> None:
    application: Any = "module:app"
    with pytest.raises(RouteError, match="'module:app' cannot be mounted at '/x'"):
        Oxidite().mount("/x", application)


def test_two_applications_at_one_prefix_are_refused() -> None:
    app = Oxidite()
    app.mount("/x", echo([]))
    app.mount("/x", echo([]))

    with pytest.raises(RouteError, match="registered twice"):
        _ = app.table


def test_a_decorator_without_its_path_is_refused_with_the_place_of_the_handler() -> None:
    async def show() -> None: ...

    decorator: Any = Oxidite().get
    with pytest.raises(RouteError) as caught:
        decorator(show)
    assert caught.value.message == (
        f"{location(show)} stands where the path belongs. Write it in brackets: @app.get('/posts')."
    )
    with pytest.raises(RouteError, match=r"^7 is given where the path belongs"):
        decorator(7)
