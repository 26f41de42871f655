"""``oxidite routes``."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any

from tests.unit.cli.conftest import Command

SHOP = """
    from oxidite import Oxidite, Router, StreamingResponse

    async def timing(request, call_next):
        return await call_next(request)

    def limit(rate):
        async def middleware(request, call_next):
            return await call_next(request)
        return middleware

    async def old(scope, receive, send): ...

    app = Oxidite(middleware=[timing])
    api = Router("/api", name="api", host="api.example.com", tags=["public"])

    @app.get("/")
    async def index() -> str: ...

    @api.route("/users/{id:int}", ["GET", "PUT"], name="user", middleware=[limit(5)])
    async def user(id: int) -> StreamingResponse: ...

    app.include(api)
    app.mount("/old", old)
"""


def test_a_line_for_each_route(oxidite: Command) -> None:
    oxidite.write("shop.py", SHOP)
    done = oxidite("routes", "shop.py")
    rows = [line.split("  ") for line in done.out.splitlines()]

    assert (done.code, done.err) == (0, "")
    assert [[cell.strip() for cell in row if cell] for row in rows] == [
        ["METHODS", "PATH", "NAME", "HANDLER", "MIDDLEWARE"],
        ["GET", "/", "index", "shop.py:17 index()", "1"],
        ["GET PUT", "api.example.com/api/users/{id:int}", "api.user", "shop.py:20 user()", "2"],
        ["ANY", "/old", "old", "(mounted)", "1"],
        ["ANY", "/old/{mounted_path:path}", "old", "(mounted)", "1"],
    ]


def test_a_path_has_the_type_that_only_a_dependency_declares(oxidite: Command) -> None:
    source = """
        from typing import Annotated
        from oxidite import Depends, Oxidite

        app = Oxidite()

        async def load(post_id: int) -> str: ...

        @app.get("/posts/{post_id}")
        async def show(post: Annotated[str, Depends(load)]) -> str: ...
    """
    oxidite.write("declared.py", source)
    (route,) = json.loads(oxidite("routes", "declared.py", "--json").out)

    assert route["path"] == "/posts/{post_id:int}"


def test_the_chain_of_each_route(oxidite: Command) -> None:
    oxidite.write("shop2.py", SHOP)
    done = oxidite("routes", "shop2.py", "--middleware", "--filter", "PUT")

    assert done.out.splitlines() == [
        "GET PUT api.example.com/api/users/{id:int}",
        "  → timing",
        "    → limit",
        "      → shop2.py:20 user()",
    ]


def test_on_a_terminal_the_lines_are_a_table_and_a_path_is_no_markup(oxidite: Command) -> None:
    source = """
        from oxidite import Oxidite

        app = Oxidite()

        @app.get("/[bold]/x")
        async def index() -> str: ...
    """
    oxidite.write("marked.py", source)
    terminal, end = pty.openpty()
    program = [sys.executable, "-P", "-m", "oxidite", "routes", "marked.py"]
    environ = {**os.environ, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}
    subprocess.run(program, stdout=end, env=environ, check=True)
    heading, line = os.read(terminal, 4096).decode().splitlines()
    os.close(end)
    os.close(terminal)

    assert heading.split() == ["METHODS", "PATH", "NAME", "HANDLER", "MIDDLEWARE"]
    assert line.split() == ["GET", "/[bold]/x", "index", "marked.py:6", "index()"]
    assert heading.index("NAME") == line.index("index")


def test_routes_as_json(oxidite: Command) -> None:
    oxidite.write("shop3.py", SHOP)
    routes: list[dict[str, Any]] = json.loads(oxidite("routes", "shop3.py", "--json").out)

    assert [route["complete"] for route in routes] == [True, False, False, False]
    assert routes[1] == {
        "methods": ["GET", "PUT"],
        "path": "/api/users/{id:int}",
        "name": "api.user",
        "handler": "shop3.py:20 user()",
        "middleware": ["timing", "limit"],
        "host": "api.example.com",
        "tags": ["public"],
        "complete": False,
        "version": None,
        "deprecated": False,
    }


def test_a_filter_that_nothing_passes_is_talk_and_no_data(oxidite: Command) -> None:
    oxidite.write("shop4.py", SHOP)
    done = oxidite("routes", "shop4.py", "--filter", "nothing like it")

    assert (done.code, done.out, done.err) == (0, "", "No route has 'nothing like it' in it.\n")
    assert oxidite("routes", "shop4.py", "--filter", "nothing like it", "--json").out == "[]\n"


def test_an_application_without_routes(oxidite: Command) -> None:
    oxidite.write("bare.py", "from oxidite import Oxidite\napp = Oxidite()\n")

    assert oxidite("routes", "bare.py").err == "No routes.\n"


def test_an_application_of_another_framework_cannot_be_listed(oxidite: Command) -> None:
    oxidite.write("foreign.py", "async def app(scope, receive, send): ...\n")
    done = oxidite("routes", "foreign.py")

    assert done.code == 1
    assert "This is a function: only an Oxidite application can list its routes." in done.err


def test_a_route_that_cannot_work_is_told(oxidite: Command) -> None:
    oxidite.write("twice.py", SHOP + "\n    app.get('/')(index)\n")
    done = oxidite("routes", "twice.py")

    assert done.code == 1
    assert "registered twice" in done.err


CHAT = """
    from oxidite import Oxidite
    from oxidite.websocket import WebSocket

    app = Oxidite()

    @app.get("/chat")
    async def page() -> str: ...

    @app.websocket("/chat")
    async def chat(socket: WebSocket) -> None: ...
"""


def test_a_websocket_is_told_from_a_page(oxidite: Command) -> None:
    oxidite.write("chat.py", CHAT)
    lines = json.loads(oxidite("routes", "chat.py", "--json").out)

    assert [(line["methods"], line["path"], line["complete"]) for line in lines] == [
        (["GET"], "/chat", True),
        (["WEBSOCKET"], "/chat", False),
    ]


VERSIONED = """
    from datetime import date
    from oxidite import Oxidite
    from oxidite.routing import Version, Versioning

    app = Oxidite(versioning=Versioning([Version("1", date(2020, 1, 1)), "2"], path=True))

    @app.get("/posts", versions="1-2")
    async def posts() -> str: ...

    @app.get("/health")
    async def health() -> str: ...
"""


def test_versions_have_a_column_if_asked_for(oxidite: Command) -> None:
    oxidite.write("shop.py", VERSIONED)
    rows = [line.split() for line in oxidite("routes", "shop.py", "--versions").out.splitlines()]
    assert [row[:4] for row in rows] == [
        ["VERSION", "METHODS", "PATH", "NAME"],
        ["1", "(deprecated)", "GET", "/v1/posts"],
        ["2", "GET", "/v2/posts", "posts@2"],
        ["GET", "/health", "health", "shop.py:11"],
    ]
    assert "VERSION" not in oxidite("routes", "shop.py").out
    lines = json.loads(oxidite("routes", "shop.py", "--json").out)
    assert [(line["version"], line["deprecated"]) for line in lines] == [
        ("1", True),
        ("2", False),
        (None, False),
    ]
