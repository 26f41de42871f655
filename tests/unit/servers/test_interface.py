"""``oxidite.servers.interface``: which interface, and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping

import pytest

from oxidite import Handler, JSONResponse, Oxidite, Request, Response, StreamingResponse
from oxidite.errors import ConfigError
from oxidite.servers import choose_interface
from oxidite.servers.interface import may_stream
from oxidite.websocket import WebSocket


def complete_app() -> Oxidite:
    app = Oxidite()

    @app.get("/")
    async def index() -> dict[str, int]:
        return {}

    @app.get("/json")
    async def json() -> JSONResponse:
        return JSONResponse({})

    return app


def test_an_application_of_complete_responses_may_not_stream() -> None:
    assert may_stream(complete_app()) == ""


def test_a_route_that_may_stream_is_named_with_its_place() -> None:
    app = complete_app()

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse([])

    interface, reason = choose_interface(app, rsgi=True)

    assert interface == "asgi"
    assert reason.startswith("GET /events (")
    assert "test_interface.py:" in reason
    assert reason.endswith("events()) may stream")


def test_a_route_that_promises_complete_responses_is_believed() -> None:
    app = complete_app()

    @app.get("/raw", complete=True)
    async def raw() -> Response:
        return Response(b"")

    assert may_stream(app) == ""


async def add_header(request: Request, call_next: Handler) -> Response:
    return await call_next(request)


class Timing:
    complete = True

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        return await call_next(request)


def test_a_middleware_is_not_known_to_be_complete() -> None:
    app = Oxidite(middleware=[Timing(), add_header])

    assert may_stream(app) == "the middleware add_header may stream"


def test_a_middleware_that_says_it_is_complete_is_believed() -> None:
    assert may_stream(Oxidite(middleware=[Timing()])) == ""


def test_a_middleware_of_a_route_counts() -> None:
    app = Oxidite()

    @app.get("/", middleware=[add_header])
    async def index() -> str:
        return ""

    assert may_stream(app) == "GET / passes add_header, which may stream"


async def other(
    scope: MutableMapping[str, object],
    receive: Callable[[], Awaitable[MutableMapping[str, object]]],
    send: Callable[[MutableMapping[str, object]], Awaitable[None]],
) -> None: ...


def test_a_mounted_application_may_stream() -> None:
    app = complete_app()
    app.mount("/old", other)

    assert may_stream(app) == "other is mounted at /old"


def test_a_foreign_application_may_stream() -> None:
    assert may_stream(other) == "it is a function, not an Oxidite application"


def test_complete_responses_choose_the_faster_interface() -> None:
    assert choose_interface(complete_app(), rsgi=True)[0] == "rsgi"
    assert "with complete bodies" in choose_interface(complete_app(), rsgi=True)[1]


def test_a_server_without_the_faster_interface_gets_the_other() -> None:
    assert choose_interface(complete_app(), rsgi=False) == (
        "asgi",
        "the server has nothing faster",
    )


def test_what_is_wanted_overrules_the_choice() -> None:
    app = complete_app()
    assert choose_interface(app, rsgi=True, wanted="asgi") == ("asgi", "it was asked for")

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse([])

    interface, reason = choose_interface(app, rsgi=True, wanted="rsgi")
    assert interface == "rsgi"
    assert reason.startswith("it was asked for, although GET /events")


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(ConfigError, match="Only Granian speaks RSGI"):
        choose_interface(complete_app(), rsgi=False, wanted="rsgi")
    with pytest.raises(ConfigError, match="it is a function, not an Oxidite application"):
        choose_interface(other, rsgi=True, wanted="rsgi")


def test_a_websocket_is_not_for_the_faster_interface() -> None:
    app = complete_app()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None: ...

    interface, reason = choose_interface(app, rsgi=True)
    assert interface == "asgi"
    assert reason.startswith("/talk (")
    assert reason.endswith("is a WebSocket")
    with pytest.raises(ConfigError, match=r"RSGI is not for WebSockets.*Use --interface asgi"):
        choose_interface(app, rsgi=True, wanted="rsgi")
