from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import oxidite.middleware
from oxidite.middleware.contents import PassedContent


class Content:
    """What can be iterated, but not closed."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            yield part


async def test_content_is_passed_on_part_by_part() -> None:
    content = PassedContent(Content())

    assert not content.is_begun
    assert [part async for part in content] == [b"a", b"b"]
    assert content.is_begun


async def test_who_asks_for_a_part_at_once_gets_the_first() -> None:
    content = PassedContent(Content())

    assert [await anext(content), await anext(content)] == [b"a", b"b"]
    with pytest.raises(StopAsyncIteration):
        await anext(content)


async def test_what_cannot_be_closed_and_has_not_begun_is_left_alone() -> None:
    await PassedContent(Content()).aclose()


async def test_what_has_not_begun_is_closed_too() -> None:
    closed: list[bool] = []

    class Closable(Content):
        async def aclose(self) -> None:
            closed.append(True)

    await PassedContent(Closable()).aclose()

    assert closed == [True]


def test_the_package_has_what_it_says_and_nothing_else() -> None:
    assert set(oxidite.middleware.__all__) <= set(dir(oxidite.middleware))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = oxidite.middleware.nothing
