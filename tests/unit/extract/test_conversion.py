"""Types that no text can become are refused where they stand, and not by the first request."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from msgspec import Meta

from oxidite import Cookie, Header, Oxidite, Query
from oxidite.errors import RouteError


class Mixed(Enum):
    ONE = 1
    TWO = "two"


class Half(Enum):
    HALF = 0.5


UNFIT = [
    Annotated[int, Meta(min_length=1)],
    Annotated[str, Meta(ge=1)],
    str | UUID,
    date | datetime,
    Literal[1.5],
    Half,
    list[Annotated[int, Meta(min_length=1)]],
]


@pytest.mark.parametrize("type_", UNFIT, ids=repr)
@pytest.mark.parametrize(
    ("marker", "source"), [(Query, "query"), (Header, "header"), (Cookie, "cookie")]
)
def test_a_type_that_text_cannot_become_is_refused(type_: Any, marker: Any, source: str) -> None:
    async def show(v: Any) -> None: ...

    show.__annotations__["v"] = marker[type_]
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/")(show)

    assert f"show(): 'v' cannot be read from a {source}: " in caught.value.message
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize("type_", UNFIT[:4], ids=repr)
def test_so_it_is_in_a_path(type_: Any) -> None:
    async def show(v: Any) -> None: ...

    show.__annotations__["v"] = type_
    with pytest.raises(RouteError) as caught:
        Oxidite().get("/{v}")(show)

    assert "show(): 'v' cannot be read from a path: " in caught.value.message


def test_an_enum_of_mixed_kinds_is_for_paths_only() -> None:
    async def show(v: Mixed) -> None: ...

    app = Oxidite()
    app.get("/{v}")(show)
    assert app.url(show, v=Mixed.ONE) == "/1"

    with pytest.raises(RouteError) as caught:
        app.get("/")(show)
    assert "'v' cannot be read from a query: " in caught.value.message
