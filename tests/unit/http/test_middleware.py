from __future__ import annotations

import pytest

from oxidite import Oxidite, Request, Response, Router
from oxidite.errors import ConfigError
from oxidite.http import Handler, Middleware, ordered
from oxidite.http.middleware import middleware_name


def cors() -> Middleware:
    async def middleware(request: Request, call_next: Handler) -> Response:
        return await call_next(request)

    return middleware


def compress() -> Middleware:
    @ordered(inside=["cors"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        return await call_next(request)

    return middleware


@ordered(outside=["compress", "Timing"])
async def outermost(request: Request, call_next: Handler) -> Response:
    return await call_next(request)


class Timing:
    inside = ("cors",)

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        return await call_next(request)


def application(
    of_app: list[Middleware], of_group: list[Middleware], of_route: list[Middleware]
) -> Oxidite:
    app = Oxidite(middleware=of_app)
    group = Router("/group", middleware=of_group)

    @group.get("/", middleware=of_route)
    async def index() -> str:
        return "index"

    app.include(group)
    return app


def test_a_middleware_is_called_after_what_made_it() -> None:
    assert middleware_name(cors()) == "cors"
    assert middleware_name(Timing()) == "Timing"
    assert middleware_name(outermost) == "outermost"


@pytest.mark.parametrize(
    ("of_app", "of_group", "of_route"),
    [
        ([cors(), compress()], [], []),
        ([cors()], [compress()], []),
        ([outermost], [cors()], [compress(), Timing()]),
        ([], [], [compress()]),
        ([compress()], [Timing()], []),
    ],
)
async def test_the_right_order_starts(
    of_app: list[Middleware], of_group: list[Middleware], of_route: list[Middleware]
) -> None:
    async with application(of_app, of_group, of_route).running():
        pass


@pytest.mark.parametrize(
    ("of_app", "of_group", "of_route", "outer", "inner"),
    [
        ([compress(), cors()], [], [], "cors", "compress"),
        ([compress()], [cors()], [], "cors", "compress"),
        ([], [Timing()], [cors()], "cors", "Timing"),
        ([compress()], [], [outermost], "outermost", "compress"),
        ([], [Timing(), outermost], [], "outermost", "Timing"),
    ],
)
async def test_the_wrong_order_does_not(
    of_app: list[Middleware],
    of_group: list[Middleware],
    of_route: list[Middleware],
    outer: str,
    inner: str,
) -> None:
    app = application(of_app, of_group, of_route)
    with pytest.raises(ConfigError) as caught:
        async with app.running():
            pass
    assert f"the middleware {outer} has to stand outside of {inner}" in caught.value.message
    assert "test_middleware.py" in caught.value.message
