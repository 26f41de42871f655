from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from oxidite import Oxidite, Request, Response
from oxidite.errors import ConfigError, ConflictError
from oxidite.extract.base import location
from oxidite.http import Handler, Middleware
from oxidite.routing.passing import passes_on
from oxidite.testing import Client

# Those that only pass on.


async def plain(request: Request, call_next: Handler) -> Response:
    return await call_next(request)


async def guard(request: Request, call_next: Handler) -> Response:
    if request.headers.get("x-refuse") == "answer":
        return Response("no", 403)
    await asyncio.sleep(0)
    if request.headers.get("x-refuse") == "error":
        raise ConflictError("no")
    return await call_next(request)


class Instance:
    async def __call__(self, request: Request, call_next: Handler) -> Response:
        return await call_next(request)

    async def method(self, request: Request, call_next: Handler) -> Response:
        return await call_next(request)


# Those that might see an exception, or of which it cannot be told.


async def ends_with_something(request: Request, call_next: Handler) -> Response:
    response = await call_next(request)
    return response  # noqa: RET504 - the point of it


async def tries(request: Request, call_next: Handler) -> Response:
    try:
        return await call_next(request)
    except ConflictError:
        return Response("seen")


async def cleans_up(request: Request, call_next: Handler) -> Response:
    try:
        return await call_next(request)
    finally:
        request.state["ended"] = True


async def limits_time(request: Request, call_next: Handler) -> Response:
    async with asyncio.timeout(10):
        return await call_next(request)


async def lends(request: Request, call_next: Handler) -> Response:
    return await tries(request, call_next)


async def keeps(request: Request, call_next: Handler) -> Response:
    request.state["again"] = lambda: call_next(request)
    return await call_next(request)


async def replaces(request: Request, call_next: Handler) -> Response:
    request = cast("Request", request.state.get("other", request))
    return await call_next(request)


async def looks_into(request: Request, call_next: Handler) -> Response:
    return (await call_next(request)).made or Response()  # type: ignore[attr-defined]


async def never_asks(request: Request, call_next: Handler) -> Response:
    return Response("mine")


async def has_an_option(request: Request, call_next: Handler, *, on: bool = True) -> Response:
    return await call_next(request)


def not_a_coroutine(request: Request, call_next: Handler) -> object:
    return call_next(request)


@pytest.mark.parametrize("middleware", [plain, guard, Instance(), Instance().method])
def test_what_only_returns_the_answer_passes_on(middleware: object) -> None:
    assert passes_on(middleware)


@pytest.mark.parametrize(
    "middleware",
    [
        ends_with_something,
        tries,
        cleans_up,
        limits_time,
        lends,
        keeps,
        replaces,
        looks_into,
        never_asks,
        has_an_option,
        not_a_coroutine,
        Instance,
        print,
        3,
    ],
)
def test_what_could_tell_an_answer_from_an_exception_does_not(middleware: object) -> None:
    assert not passes_on(middleware)


def application(*middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=list(middleware))

    @app.get("/")
    async def index() -> str:
        return "the answer"

    return app


def watching(seen: list[Response | BaseException]) -> Middleware:
    async def watch(request: Request, call_next: Handler) -> Response:
        try:
            response = await call_next(request)
        except BaseException as exc:
            seen.append(exc)
            raise
        seen.append(response)
        return response

    return watch


@pytest.mark.parametrize("between", [[], [plain], [plain, guard, plain], [plain, tries, plain]])
async def test_whoever_looks_gets_a_response_whatever_is_between(between: list[Middleware]) -> None:
    seen: list[Response | BaseException] = []
    app = application(plain, watching(seen), *between, guard, plain)
    async with Client(app) as client:
        assert (await client.get("/")).text == "the answer"
        answer = await client.get("/", headers={"x-refuse": "answer"})
        assert (answer.status_code, answer.text) == (403, "no")
        assert (await client.get("/", headers={"x-refuse": "error"})).status_code == 409
    assert [each.status for each in seen if isinstance(each, Response)] == [200, 403, 409]
    assert [type(getattr(each, "error", None)) for each in seen] == [
        type(None),
        type(None),
        ConflictError,
    ]


async def no_response(request: Request, call_next: Handler) -> Response:
    return {"not": "a response"}  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ([tries, no_response, plain], lambda text: text.count("test_layers.py") == 1),
        ([plain, guard, no_response, plain], lambda text: text.count("test_layers.py") == 3),
    ],
)
async def test_what_returns_no_response_is_named_among_those_that_passed_it_on(
    chain: list[Middleware], said: Callable[[str], bool], caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(application(*chain), raise_errors=False) as client:
        assert (await client.get("/")).status_code == 500
    assert "returned a dict, not a Response" in caplog.text
    message = next(str(r.exc_info[1]) for r in caplog.records if r.exc_info)
    assert said(message), message
    assert "no_response" in message


# What is no middleware.


def made(*, seconds: float = 1) -> Middleware:
    return plain


class Around:
    def __init__(self, app: object) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (made, f"{location(made)} is no middleware: it cannot be called with a request and what "),
        (Around(None), "is no middleware: it cannot be called with a request and what comes next"),
        (Instance, "The class Instance is no middleware. Give an instance: Instance(...)."),
        (Around, "The class Around is no middleware. Give an instance: Around(...)."),
    ],
    ids=["function", "object", "class", "callable class"],
)
def test_what_is_no_middleware_is_refused_at_the_start(wrong: Any, message: str) -> None:
    async def show() -> None: ...

    app, other = Oxidite(middleware=[wrong]), Oxidite()
    other.get("/", middleware=[wrong])(show)
    for each in (app, other):
        with pytest.raises(ConfigError) as caught:
            _ = each.table
        assert message in caught.value.message
