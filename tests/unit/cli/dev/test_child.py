"""``oxidite.cli.dev.child`` and ``process``: a process that does what its supervisor says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

import httpx2
import pytest

from oxidite.cli.dev.messages import Order, Report
from oxidite.cli.dev.process import Child
from oxidite.servers import Target

TIMEOUT = 20.0

Start: TypeAlias = Callable[[str], Awaitable[Child]]


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
async def start(tmp_path: Path, listener: socket.socket) -> AsyncIterator[Start]:
    """Start a child for an application; none is left after the test."""
    children: list[Child] = []

    async def started(source: str) -> Child:
        (tmp_path / "app.py").write_text(dedent(source))
        children.append(await Child.start(Target("app", None, tmp_path), listener))
        return children[-1]

    with listener:
        yield started
        for child in children:
            await child.kill()


async def tell(child: Child, do: str) -> Report:
    assert do in ("load", "serve")
    child.tell(Order("load" if do == "load" else "serve"))
    async with asyncio.timeout(TIMEOUT):
        return await child.report()


async def ended(child: Child) -> str:
    async with asyncio.timeout(TIMEOUT):
        return await child.ended()


HELLO = """
    from oxidite import Oxidite

    app = Oxidite()

    @app.get("/")
    async def index() -> str:
        return "hello"
"""


async def test_it_loads_and_serves_when_it_is_told_to(
    start: Start, listener: socket.socket
) -> None:
    child = await start(HELLO)

    assert await tell(child, "load") == Report("loaded")
    assert await tell(child, "serve") == Report("serving")
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get("http://{}:{}/".format(*listener.getsockname()))
    assert response.text == "hello"
    was_alive = child.is_alive
    await child.stop(TIMEOUT, TIMEOUT)
    assert (was_alive, child.is_alive) == (True, False)
    assert await ended(child) == "The process of the application ended by itself, with exit code 0."


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("settings = {}['missing']\n", "KeyError: 'missing'"),
        ("app = 3\n", "app"),
        (HELLO + "    app.get('/')(index)\n", "registered twice"),
        ("def create_app():\n    raise LookupError('no settings')\n", "LookupError: no settings"),
    ],
    ids=["import", "application", "routes", "factory"],
)
async def test_an_application_that_cannot_be_loaded_is_told_and_ends(
    start: Start, source: str, said: str
) -> None:
    child = await start(source)
    report = await tell(child, "load")

    assert report.event == "failed"
    assert said in report.text
    assert "oxidite/cli" not in report.text
    assert await ended(child) == "The process of the application ended by itself, with exit code 1."


async def test_what_raises_while_its_routes_are_looked_at_is_shown_from_its_own_line(
    start: Start,
) -> None:
    source = """
        from oxidite import Oxidite

        class Strict(Oxidite):
            @property
            def table(self):
                raise ZeroDivisionError("of the application")

        app = Strict()
    """
    report = await tell(await start(source), "load")

    assert report.event == "failed"
    assert report.text.endswith("ZeroDivisionError: of the application\n")
    assert report.text.count('  File "') == 1


async def test_a_resource_that_does_not_open_is_told(start: Start) -> None:
    source = """
        from oxidite import Oxidite

        class Database:
            async def __aenter__(self):
                raise OSError("no such host")
            async def __aexit__(self, *_): ...

        app = Oxidite(resources=[Database()])
    """
    child = await start(source)
    assert (await tell(child, "load")).event == "loaded"
    report = await tell(child, "serve")

    assert report.event == "failed"
    assert report.text.rstrip().endswith("OSError: no such host")


async def test_an_application_that_says_itself_that_it_does_not_start_is_quoted(
    start: Start,
) -> None:
    source = """
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "out of coffee"})
    """
    child = await start(source)
    await tell(child, "load")

    assert await tell(child, "serve") == Report("failed", "out of coffee")


async def test_an_overlay_is_laid_over_its_pages(start: Start, listener: socket.socket) -> None:
    source = HELLO.replace("-> str", "-> HTMLResponse").replace('"hello"', 'HTMLResponse("hello")')
    child = await start(source.replace("import Oxidite", "import HTMLResponse, Oxidite"))
    await tell(child, "load")
    await tell(child, "serve")
    child.tell(Order("overlay", "LookupError: new"))

    url = "http://{}:{}/".format(*listener.getsockname())
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(TIMEOUT):
        # Nothing tells when the order was read; the next page shows it.
        while "LookupError: new" not in (text := (await client.get(url)).text):
            assert "hello" in text


async def test_a_process_that_was_killed_is_told_by_its_signal(start: Start) -> None:
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    report = await tell(await start(source), "load")

    assert report == Report("failed", "The process of the application was ended by SIGKILL.")


@pytest.mark.parametrize("do", [(), ("load",), ("load", "serve")], ids=len)
async def test_without_its_supervisor_it_ends(
    tmp_path: Path, start: Start, do: tuple[str, ...]
) -> None:
    source = (
        HELLO
        + f"""
    import os, pathlib
    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
    """
    )
    child = await start(source)
    for order in do:
        await tell(child, order)
    child._writer.close()

    assert await ended(child) == "The process of the application was ended by SIGKILL."
    assert (tmp_path / "pid").exists() == bool(do)
