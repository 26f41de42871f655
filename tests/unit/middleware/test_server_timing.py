from __future__ import annotations

import asyncio
import re

import pytest

from oxidite import Oxidite, Request, Response
from oxidite.http import Middleware
from oxidite.instrument import event, is_listening, span
from oxidite.middleware import server_timing
from oxidite.testing import Client


def application(middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=[middleware])

    @app.get("/")
    async def index() -> bool:
        with span("db.query"), span("db.query"):
            event("db.hit")
        with span('ca"che, x'):
            pass
        with span("db.query"):
            await asyncio.sleep(0)
        return is_listening()

    return app


async def test_it_tells_where_the_time_went() -> None:
    async with Client(application(server_timing(show=True))) as client:
        value = (await client.get("/")).headers["server-timing"]

    number = r"\d+\.\d\d"
    total, *others = value.split(", ")
    assert re.fullmatch(f"total;dur={number}", total)
    assert sorted(re.sub(number, "0", each) for each in others) == [
        "ca_che__x;dur=0",
        'db.query;dur=0;desc="2 times"',
    ]


async def test_who_may_see_it_is_chosen_for_each_request() -> None:
    def is_ours(request: Request) -> bool:
        return request.headers.get("x-staff") == "1"

    async with Client(application(server_timing(show=is_ours))) as client:
        shown = await client.get("/", headers={"x-staff": "1"})
        hidden = await client.get("/")

    assert "server-timing" in shown.headers
    assert "server-timing" not in hidden.headers
    assert (shown.json(), hidden.json()) == (True, False)


@pytest.mark.parametrize(
    ("environment", "is_shown"), [("development", True), ("production", False)]
)
async def test_it_is_shown_in_development_only_unless_said(
    environment: str, is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OXIDITE_ENV", environment)

    async with Client(application(server_timing())) as client:
        assert ("server-timing" in (await client.get("/")).headers) is is_shown


async def test_requests_at_once_do_not_hear_each_other() -> None:
    app = Oxidite(middleware=[server_timing(show=True)])
    both = asyncio.Barrier(2)

    @app.get("/{name}")
    async def named(name: str) -> str:
        await both.wait()
        with span(name):
            await both.wait()
        return name

    async with Client(app) as client:
        one, other = await asyncio.gather(client.get("/one"), client.get("/other"))

    assert ", one;" in one.headers["server-timing"]
    assert "other" not in one.headers["server-timing"]
    assert ", other;" in other.headers["server-timing"]


async def test_work_of_tasks_counts_and_what_the_handler_says_stays() -> None:
    app = Oxidite(middleware=[server_timing(show=True)])

    async def work() -> None:
        with span("task"):
            await asyncio.sleep(0)

    @app.get("/")
    async def index() -> Response:
        await asyncio.gather(work(), work())
        return Response("x", headers={"server-timing": "mine;dur=1"})

    async with Client(app) as client:
        values = (await client.get("/")).headers.get_list("server-timing")

    assert values[0] == "mine;dur=1"
    assert "task;dur=" in values[1]
    assert 'desc="2 times"' in values[1]


async def test_the_field_is_bounded() -> None:
    app = Oxidite(middleware=[server_timing(show=True)])

    @app.get("/")
    async def index() -> None:
        for number in range(100):
            with span(f"span{number}"):
                pass

    async with Client(app) as client:
        value = (await client.get("/")).headers["server-timing"]

    assert len(value.split(", ")) == 21
