"""How a WebSocket route is registered, and what else its path answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from msgspec import Struct

from oxidite import Controller, Oxidite, Request, Router
from oxidite.errors import RouteError
from oxidite.routing import Version, Versioning
from oxidite.testing import Client, WebSocketDeniedError
from oxidite.websocket import WebSocket, WebSocketOptions

Message = MutableMapping[str, Any]


class Note(Struct):
    text: str


class Other(Struct):
    """Nothing tells it from a note."""


async def answer(app: Oxidite, path: str) -> str:
    async with Client(app) as client, client.websocket(path) as socket:
        return await socket.receive_text()


class TestRoutes:
    async def test_a_page_and_a_websocket_share_a_path(self) -> None:
        app = Oxidite()

        @app.get("/news")
        async def page() -> str:
            return "page"

        @app.websocket("/news")
        async def news(socket: WebSocket) -> None:
            await socket.send("news")

        assert await answer(app, "/news") == "news"
        async with Client(app) as client:
            assert (await client.get("/news")).text == "page"
            response = await client.delete("/news")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS")

    async def test_each_version_has_its_own(self) -> None:
        app = Oxidite(versioning=Versioning([Version("1"), Version("2"), Version("3")], path=True))

        @app.websocket("/news", versions="1")
        async def old(socket: WebSocket) -> None:
            await socket.send("old")

        @app.websocket("/news", versions="2-3")
        async def new(socket: WebSocket) -> None:
            await socket.send("new")

        assert await answer(app, "/v1/news") == "old"
        assert await answer(app, "/v2/news") == "new"
        assert await answer(app, "/v3/news") == "new"

    async def test_a_version_that_does_not_exist_is_refused(self) -> None:
        app = Oxidite(versioning=Versioning([Version("1")], path=True))

        @app.websocket("/news", versions="4")
        async def news(socket: WebSocket) -> None:
            await socket.send("never")

        with pytest.raises(RouteError, match="news"):
            app.routes  # noqa: B018 - it is made when it is asked for

    @pytest.mark.parametrize(
        ("method", "status"), [("GET", 426), ("HEAD", 426), ("POST", 405), ("OPTIONS", 204)]
    )
    async def test_a_path_with_nothing_but_a_websocket_says_so(
        self, method: str, status: int
    ) -> None:
        app = Oxidite()

        @app.websocket("/news/{id:int}")
        async def news(id: int, socket: WebSocket) -> None:
            await socket.send("news")

        async with Client(app) as client:
            response = await client.request(method, "/news/3")
        assert response.status_code == status
        if status == 426:
            assert response.headers["upgrade"] == "websocket"
        else:
            assert response.headers["allow"] == "GET, HEAD, OPTIONS"

    async def test_no_method_of_a_request_reaches_it(self) -> None:
        app, ran = Oxidite(), list[str]()

        @app.websocket("/news")
        async def news(socket: WebSocket) -> None:
            ran.append("ran")

        async with Client(app) as client:
            response = await client.request("WEBSOCKET", "/news")
        assert response.status_code == 426
        assert ran == []

    async def test_a_page_is_no_websocket(self) -> None:
        app, ran = Oxidite(), list[str]()

        @app.get("/page/{id:int}")
        async def page(id: int) -> None:
            ran.append("ran")

        async with Client(app) as client:
            with pytest.raises(WebSocketDeniedError) as caught:
                async with client.websocket("/page/3"):
                    pass
        assert caught.value.response.status_code == 404
        assert ran == []

    async def test_groups_hosts_and_slashes_are_those_of_any_route(self) -> None:
        app = Oxidite(trailing_slash="ignore")
        group = app.group("/rooms/{room}", host="{tenant}.example.com", name="rooms")

        @group.websocket("/talk")
        async def talk(tenant: str, room: str, socket: WebSocket) -> None:
            await socket.send(f"{tenant} {room}")

        async with (
            Client(app, base_url="http://acme.example.com") as client,
            client.websocket("/rooms/den/talk/") as socket,
        ):
            assert await socket.receive_text() == "acme den"
        assert app.url("rooms.talk", tenant="acme", room="den") == "/rooms/den/talk"
        assert [(route.methods, route.name) for route in app.routes] == [
            (("WEBSOCKET",), "rooms.talk")
        ]

    async def test_a_slash_too_many_is_redirected(self) -> None:
        app = Oxidite(trailing_slash="redirect")

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        async with Client(app) as client:
            with pytest.raises(WebSocketDeniedError) as caught:
                async with client.websocket("/talk/"):
                    pass
        assert caught.value.response.status_code == 308
        assert caught.value.response.headers["location"] == "../talk"

    async def test_a_controller_may_have_some(self) -> None:
        class Rooms(Controller):
            routes = Router("/rooms")

            def __init__(self, prefix: str = "room") -> None:
                self.prefix = prefix

            @routes.websocket("/{id:int}")
            async def enter(self, id: int, socket: WebSocket) -> None:
                await socket.send(f"{self.prefix} {id}")

        app = Oxidite()
        app.include(Rooms)
        assert await answer(app, "/rooms/3?prefix=hall") == "hall 3"

    async def test_the_types_of_its_messages_can_be_read(self) -> None:
        app = Oxidite()

        @app.websocket("/notes")
        async def notes(socket: WebSocket[Note, str]) -> None: ...

        described = [step.extractor.describe() for step in app.routes[0].plan.steps]
        assert [(each.source, each.type) for each in described] == [
            ("websocket", WebSocket[Note, str])
        ]
        assert app.routes[0].is_websocket
        assert not app.routes[0].complete

    async def test_another_application_has_its_own(self) -> None:
        async def other(
            scope: Message,
            receive: Callable[[], Awaitable[Message]],
            send: Callable[[Message], Awaitable[None]],
        ) -> None:
            if scope["type"] == "websocket":
                assert (await receive())["type"] == "websocket.connect"
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.send", "text": scope["path"]})

        app = Oxidite()
        app.mount("/other", other)
        assert await answer(app, "/other/talk") == "/other/talk"


class TestRefusedAtRegistration:
    def refused(
        self, handler: Callable[..., object], options: WebSocketOptions | None = None
    ) -> str:
        with pytest.raises(RouteError) as caught:
            Oxidite().websocket("/talk", **(options or {}))(handler)
        assert "test_routes.py" in caught.value.message
        return caught.value.message

    def test_a_handler_without_a_websocket(self) -> None:
        async def talk() -> None: ...

        assert "takes no WebSocket" in self.refused(talk)

    def test_a_handler_in_a_thread(self) -> None:
        def talk(socket: WebSocket) -> None: ...

        assert "not async" in self.refused(talk)

    def test_a_body(self) -> None:
        async def talk(socket: WebSocket, note: Note) -> None: ...

        assert "have no body" in self.refused(talk)

    def test_messages_that_nothing_decodes(self) -> None:
        async def talk(socket: WebSocket[Note | Other, str]) -> None: ...

        assert "cannot be decoded" in self.refused(talk)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"origins": "https://a.example"}, "is one text"),
            ({"origins": ["a.example"]}, "is not an origin"),
            ({"origins": ["https://a.example/path"]}, "is not an origin"),
            ({"origins": ["https://a.example:x"]}, "is not an origin"),
            ({"subprotocols": "chat"}, "is one text"),
            ({"subprotocols": ["a b"]}, "is not a name"),
            ({"subprotocols": {"chat": "xml"}}, "not a format"),
            ({"format": "xml"}, "not a format"),
            ({"idle": 0}, "idle=0 is not a number above 0"),
            ({"rate": "5"}, "rate='5' is not a number above 0"),
            ({"max_message": True}, "max_message=True"),
            ({"max_mesage": 5}, "Did you mean 'max_message'?"),
            ({"status": 201}, "no option 'status' of a WebSocket"),
        ],
    )
    def test_options_that_cannot_work(self, options: WebSocketOptions, says: str) -> None:
        async def talk(socket: WebSocket) -> None: ...

        assert says in self.refused(talk, options)

    def test_a_websocket_in_another_route(self) -> None:
        async def talk(socket: WebSocket) -> None: ...

        with pytest.raises(RouteError, match=r"only routes of @app\.websocket have"):
            Oxidite().get("/talk")(talk)

    def test_a_websocket_as_a_method(self) -> None:
        async def talk(request: Request) -> None: ...

        with pytest.raises(RouteError, match=r"Use @app.websocket\('/talk'\)"):
            Oxidite().route("/talk", ["websocket"])(talk)

    def test_what_is_not_callable(self) -> None:
        with pytest.raises(RouteError, match="not callable"):
            Oxidite().websocket("/talk")(None)  # type: ignore[type-var]  # the point

    def test_a_path_that_is_none(self) -> None:
        async def talk(socket: WebSocket) -> None: ...

        with pytest.raises(RouteError, match=r"test_routes\.py"):
            Oxidite().websocket("talk/{")(talk)

    def test_two_on_one_path(self) -> None:
        app = Oxidite()

        @app.websocket("/talk")
        async def one(socket: WebSocket) -> None: ...

        @app.websocket("/talk")
        async def two(socket: WebSocket) -> None: ...

        with pytest.raises(RouteError, match="WEBSOCKET /talk is registered twice"):
            _ = app.routes

    def test_a_controller_whose_handler_takes_none(self) -> None:
        class Rooms(Controller):
            routes = Router("/rooms")

            @routes.websocket("/")
            async def enter(self) -> None: ...

        app = Oxidite()
        app.include(Rooms)
        with pytest.raises(RouteError, match="takes no WebSocket"):
            _ = app.routes

    def test_options_of_the_application_that_cannot_work(self) -> None:
        app = Oxidite(websocket={"idle": -1})

        @app.websocket("/talk")
        async def talk(socket: WebSocket) -> None: ...

        with pytest.raises(RouteError, match="idle=-1"):
            _ = app.routes

    def test_an_option_of_the_application_that_there_is_not(self) -> None:
        wrong: Any = {"idel": 60}
        with pytest.raises(
            RouteError, match=r"no option 'idel' of a WebSocket\. Did you mean 'idle'"
        ):
            Oxidite(websocket=wrong)
