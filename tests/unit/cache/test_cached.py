"""Functions whose results are kept, and the keys of their calls."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from tests.unit.cache.stores import Remote

from oxidite import Oxidite
from oxidite.cache import Cache
from oxidite.cache.arguments import ArgumentKeys
from oxidite.config import Secret
from oxidite.errors import ConfigError
from oxidite.testing import Client


class Profile(Struct, frozen=True):
    uid: int
    calls: int


class Colour(Enum):
    RED = 1


class Row(Struct):
    __no_input__ = "no"


class UserId(int):
    pass


@dataclass(frozen=True)
class Filter:
    text: str
    page: int = 1


@pytest.fixture
async def cache() -> AsyncIterator[Cache]:
    async with Cache.from_url("memory://", prefix="app:") as cache:
        yield cache


async def test_a_call_is_made_once_for_the_same_arguments(cache: Cache) -> None:
    calls = 0

    @cache.cached()
    async def profile(uid: int, detail: str = "all") -> Profile:
        """Say who it is."""
        nonlocal calls
        calls += 1
        return Profile(uid, calls)

    first = await profile(7)
    for again in (
        await profile(7),
        await profile(uid=7),
        await profile(7, "all"),
        await profile(detail="all", uid=7),
    ):
        assert again == first
    assert await profile(7, "few") == Profile(7, 2)
    assert await profile(8) == Profile(8, 3)
    assert profile.__name__ == "profile"
    assert profile.__doc__ == "Say who it is."
    assert list(inspect.signature(profile).parameters) == ["uid", "detail"]


async def test_a_result_is_forgotten_made_anew_and_looked_at(cache: Cache) -> None:
    calls = 0

    @cache.cached(key="profile", tags=lambda uid: [f"user:{uid}"])
    async def profile(uid: int) -> Profile:
        nonlocal calls
        calls += 1
        return Profile(uid, calls)

    assert profile.peek(7) is None
    assert await profile(7) == Profile(7, 1)
    assert profile.peek(7) == Profile(7, 1)
    assert await profile.refresh(7) == Profile(7, 2)
    assert await profile(7) == Profile(7, 2)
    await profile.invalidate(7)
    assert profile.peek(7) is None
    assert await profile(7) == Profile(7, 3)
    await cache.invalidate_tags("user:8")
    assert await profile(7) == Profile(7, 3)
    await cache.invalidate_tags("user:7")
    assert await profile(7) == Profile(7, 4)
    assert profile.key(7) == "profile:7"
    assert await cache.get(profile.key(7), Profile) == Profile(7, 4)


async def test_peek_asks_no_store() -> None:
    backend = Remote()
    async with Cache(backend) as cache:

        @cache.cached()
        async def one() -> int:
            return 1

        await one()
        backend.calls.clear()
        assert one.peek() == 1
        assert await one() == 1
        assert not backend.calls


async def test_the_key_is_what_a_function_says(cache: Cache) -> None:
    calls = 0

    @cache.cached(key=lambda request, uid: str(uid))
    async def profile(request: object, uid: int) -> int:
        nonlocal calls
        calls += 1
        return calls

    assert await profile(object(), 7) == 1
    assert await profile(object(), uid=7) == 1
    assert await profile(object(), 8) == 2


async def test_results_that_are_none_are_kept_when_asked_for(cache: Cache) -> None:
    calls = 0

    @cache.cached(negative=60)
    async def find(uid: int) -> Profile | None:
        nonlocal calls
        calls += 1
        return None

    assert [await find(1), await find(1)] == [None, None]
    assert calls == 1


async def test_what_cannot_be_cached_says_why(cache: Cache) -> None:
    sync: Any = len
    with pytest.raises(ConfigError, match="len is not `async def`"):
        cache.cached()(sync)

    with pytest.raises(ConfigError, match="method is a method"):

        class Service:
            @cache.cached()
            async def method(self) -> int:
                return 1

    async def untyped(uid: int) -> int:
        return 1

    del untyped.__annotations__["return"]
    with pytest.raises(ConfigError, match="does not say what it returns"):
        cache.cached()(untyped)

    with pytest.raises(ConfigError, match=r"Row is a model.*Row\.Out"):

        @cache.cached()
        async def row() -> Row:
            return Row()

    @cache.cached(key="same")
    async def one() -> int:
        return 1

    with pytest.raises(ConfigError, match="a cached function app:same already"):

        @cache.cached(key="same")
        async def other() -> str:
            return ""


LATER = """
from __future__ import annotations
from msgspec import Struct

@cache.cached()
async def later() -> Later:
    return Later(1)

class Later(Struct):
    number: int
"""


async def test_a_type_may_be_defined_later(cache: Cache) -> None:
    module: dict[str, Any] = {"__name__": "module", "cache": cache}
    exec(LATER, module)
    assert (await module["later"]()).number == 1
    assert (await module["later"]()).number == 1
    assert module["later"].peek().number == 1


async def test_an_argument_that_is_no_part_of_a_key_is_named(cache: Cache) -> None:
    @cache.cached()
    async def profile(connection: object, uid: int) -> int:
        return 1

    with pytest.raises(TypeError, match=r"the argument 'connection' cannot .*builtins\.object"):
        await profile(object(), 7)
    with pytest.raises(TypeError, match="'connection' cannot"):
        await profile(Secret("password"), 7)
    with pytest.raises(TypeError, match="missing a required argument: 'uid'"):
        await profile(1)  # type: ignore[call-arg]


async def function(
    a: object, b: object = 2, *rest: object, c: object = None, **others: object
) -> int:
    return 1


KEYS = ArgumentKeys(function, "function")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        ("7", "'7'"),
        (True, "True"),
        (1.0, "1.0"),
        (None, "None"),
        (b"x", "b'x'"),
        (Decimal("1.0"), "Decimal('1.0')"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(seconds=1), "datetime.timedelta(seconds=1)"),
        (Colour.RED, "Colour.RED"),
        (UserId(7), "UserId(7)"),
        ([1, "a"], "(1,'a')"),
        ({2, 1}, "{1,2}"),
        ({"b": 1, "a": 2}, "{'a':2,'b':1}"),
        (Filter("x"), "Filter(text='x',page=1)"),
    ],
)
def test_arguments_are_readable_in_keys(value: object, text: str) -> None:
    assert KEYS.text((value,), {}) == f"{text},2,(),None,{{}}"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False)
    | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(VALUES, min_size=2, max_size=2), st.lists(VALUES, min_size=2, max_size=2))
def test_different_arguments_never_have_the_same_key(
    one: list[object], other: list[object]
) -> None:
    same = repr(_sorted(one)) == repr(_sorted(other))
    assert (KEYS.text(tuple(one), {}) == KEYS.text(tuple(other), {})) == same


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    return value


async def test_a_handler_with_parameters_can_be_cached() -> None:
    cache = Cache.from_url("memory://")
    app = Oxidite(resources=[cache])
    asked: list[tuple[int, UUID]] = []

    @app.get("/products/{id:int}")
    @cache.cached(ttl=60)
    async def product(id: int, edition: UUID) -> dict[str, int]:
        asked.append((id, edition))
        return {"id": id}

    edition = UUID(int=5)
    async with Client(app) as client:
        for _ in range(2):
            assert (await client.get(f"/products/7?edition={edition}")).json() == {"id": 7}
        assert (await client.get("/products/7?edition=5")).status_code == 422
    assert asked == [(7, edition)]
