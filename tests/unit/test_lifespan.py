from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest

from oxidite.errors import ConfigError
from oxidite.lifespan import Lifespan, Resource

Log = list[str]


class Part:
    """A resource that notes what happens to it."""

    def __init__(
        self,
        log: Log,
        name: str = "part",
        *,
        fails: bool = False,
        fails_late: bool = False,
        swallows: bool = False,
    ) -> None:
        self.log = log
        self.name = name
        self.fails = fails
        self.fails_late = fails_late
        self.swallows = swallows

    async def __aenter__(self) -> Part:
        if self.fails:
            raise OSError(f"{self.name} is down")
        self.log.append(f"+{self.name}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.log.append(f"-{self.name}" + (f" {kind.__name__}" if kind else ""))
        if self.fails_late:
            raise OSError(f"{self.name} does not stop")
        return self.swallows


class Special(Part):
    pass


class Engine:
    """What a resource yields that is not itself."""


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    yield Engine()


async def test_resources_open_in_order_and_close_in_reverse() -> None:
    log: Log = []
    lifespan = Lifespan([Part(log, "a"), Part(log, "b"), Part(log, "c")])

    async with lifespan as opened:
        assert opened is lifespan
        assert lifespan.is_open
        log.append("running")

    assert log == ["+a", "+b", "+c", "running", "-c", "-b", "-a"]
    assert not lifespan.is_open


async def test_a_failure_half_way_closes_what_was_opened() -> None:
    log: Log = []
    lifespan = Lifespan(
        [Part(log, "a"), Part(log, "b"), Part(log, "c", fails=True), Part(log, "d")]
    )

    with pytest.raises(OSError, match="c is down"):
        await lifespan.__aenter__()

    assert log == ["+a", "+b", "-b OSError", "-a OSError"]
    assert not lifespan.is_open


async def test_no_resource_swallows_that_another_did_not_open() -> None:
    log: Log = []
    lifespan = Lifespan([Part(log, "a", swallows=True), Part(log, "b", fails=True)])

    with pytest.raises(OSError, match="b is down"):
        await lifespan.__aenter__()

    assert log == ["+a", "-a OSError"]
    assert not lifespan.is_open


async def test_being_cancelled_while_opening_closes_what_was_opened() -> None:
    log: Log = []
    waiting = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        waiting.set()
        await asyncio.Event().wait()
        yield

    lifespan = Lifespan([Part(log, "a"), slow()])
    task = asyncio.ensure_future(lifespan.__aenter__())
    await waiting.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["+a", "-a CancelledError"]
    assert not lifespan.is_open


async def test_a_resource_that_fails_to_close_does_not_keep_others_open() -> None:
    log: Log = []
    lifespan = Lifespan([Part(log, "a"), Part(log, "b", fails_late=True)])

    with pytest.raises(OSError, match="b does not stop"):
        async with lifespan:
            pass

    assert log == ["+a", "+b", "-b", "-a OSError"]
    assert not lifespan.is_open


async def test_being_cancelled_while_late_ones_end_ends_and_closes_the_others() -> None:
    log, ending = Log(), asyncio.Event()

    class LateOne:
        def __init__(self, name: str, *, hangs: bool = False) -> None:
            self.name = name
            self.hangs = hangs

        async def begin(self, resources: Lifespan) -> None:
            log.append(f"+{self.name}")

        async def end(self) -> None:
            log.append(f"-{self.name}")
            if self.hangs:
                ending.set()
                await asyncio.Event().wait()

    lifespan = Lifespan([Part(log), LateOne("first"), LateOne("second", hangs=True)])
    await lifespan.__aenter__()
    closing = asyncio.create_task(lifespan.__aexit__(None, None, None))
    await ending.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert log == ["+part", "+first", "+second", "-second", "-first", "-part"]
    assert not lifespan.is_open


async def test_resources_see_the_exception_that_ends_the_lifespan() -> None:
    log: Log = []

    with pytest.raises(KeyError):
        async with Lifespan([Part(log, "a")]):
            raise KeyError("x")

    assert log == ["+a", "-a KeyError"]


async def test_it_may_be_opened_again_but_not_twice() -> None:
    log: Log = []
    lifespan = Lifespan([Part(log, "a")])

    for _ in range(2):
        async with lifespan:
            with pytest.raises(ConfigError, match="open already"):
                await lifespan.__aenter__()

    assert log == ["+a", "-a", "+a", "-a"]


async def test_a_resource_is_found_by_its_type_and_by_its_base() -> None:
    part, special = Part([], "a"), Special([], "b")

    async with Lifespan([part, special]) as lifespan:
        assert lifespan.get(Part) is part
        assert lifespan.get(Special) is special
    async with Lifespan([special]) as lifespan:
        assert lifespan.get(Part) is special


async def test_what_a_resource_yields_is_what_is_found() -> None:
    async with Lifespan([engine()]) as lifespan:
        assert isinstance(lifespan.get(Engine), Engine)


async def test_two_of_one_type_are_refused_with_a_way_out() -> None:
    async with Lifespan([Part([]), Part([])]) as lifespan:
        with pytest.raises(ConfigError) as caught:
            lifespan.get(Part)

    assert caught.value.message == (
        "There are 2 resources of type Part. Give each a subclass of its own "
        "(class Other(Part): ...) and ask for that."
    )


async def test_a_type_that_is_not_there_is_named() -> None:
    async with Lifespan([Part([])]) as lifespan:
        assert lifespan.offers(Part)
        assert not lifespan.offers(Engine)
        with pytest.raises(ConfigError, match=r"There is no Engine. Add one to resources="):
            lifespan.get(Engine)


async def test_what_is_no_class_is_not_found() -> None:
    async with Lifespan([Part([])]) as lifespan:
        with pytest.raises(ConfigError, match=r"There is no .*Part \| None"):
            lifespan.get(cast("type[object]", Part | None))


async def test_after_closing_nothing_that_was_yielded_is_found() -> None:
    lifespan = Lifespan([engine()])
    async with lifespan:
        assert lifespan.offers(Engine)

    assert not lifespan.offers(Engine)


async def test_something_without_a_lifespan_of_its_own_may_be_offered() -> None:
    lifespan = Lifespan()
    value = Engine()
    lifespan.offer(value)

    async with lifespan:
        assert lifespan.get(Engine) is value
    assert lifespan.get(Engine) is value


async def test_a_resource_is_added_before_it_is_opened_and_not_after() -> None:
    log: Log = []
    lifespan = Lifespan()
    lifespan.add(Part(log, "a"))

    async with lifespan:
        with pytest.raises(ConfigError, match="while the application runs"):
            lifespan.add(Part(log, "b"))

    assert log == ["+a", "-a"]


async def test_an_override_is_found_instead_and_the_real_one_is_not_opened() -> None:
    log: Log = []
    stand_in = Part(log, "stand-in")
    lifespan = Lifespan([Special(log, "real"), Part(log, "other")])

    lifespan.override(Special, stand_in)
    async with lifespan:
        assert lifespan.get(Special) is stand_in
    lifespan.remove_override(Special)
    async with lifespan:
        assert lifespan.get(Special).name == "real"

    assert log == ["+other", "-other", "+real", "+other", "-other", "-real"]


async def test_an_override_counts_at_once() -> None:
    async with Lifespan([Part([], "real")]) as lifespan:
        assert lifespan.get(Part).name == "real"
        lifespan.override(Part, Part([], "stand-in"))
        assert lifespan.get(Part).name == "stand-in"
        lifespan.remove_override(Part)
        assert lifespan.get(Part).name == "real"


async def test_something_is_made_once_while_it_is_open() -> None:
    log: Log = []

    async def make(stack: AsyncExitStack) -> str:
        log.append("made")
        await asyncio.sleep(0)
        stack.callback(log.append, "ended")
        return "value"

    lifespan = Lifespan([Part(log, "a")])
    async with lifespan:
        values = await asyncio.gather(*(lifespan.once("key", make) for _ in range(3)))
    async with lifespan:
        await lifespan.once("key", make)

    assert values == ["value"] * 3
    assert log == ["+a", "made", "ended", "-a"] * 2


async def test_what_could_not_be_made_is_tried_again() -> None:
    tries = 0

    async def make(stack: AsyncExitStack) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("down")
        return tries

    async with Lifespan() as lifespan:
        with pytest.raises(OSError, match="down"):
            await lifespan.once("key", make)
        assert await lifespan.once("key", make) == 2


async def test_one_that_waits_is_not_hurt_by_another_that_is_cancelled() -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def make(stack: AsyncExitStack) -> str:
        started.set()
        await go.wait()
        return "value"

    async with Lifespan() as lifespan:
        first = asyncio.ensure_future(lifespan.once("key", make))
        await started.wait()
        second = asyncio.ensure_future(lifespan.once("key", make))
        first.cancel()
        go.set()
        assert await second == "value"
        with pytest.raises(asyncio.CancelledError):
            await first


def test_its_resources_can_be_looked_through_before_it_opens() -> None:
    resources: list[Resource] = [Part([]), engine()]
    lifespan = Lifespan(resources)

    assert list(lifespan) == resources
    assert lifespan.offers(Part)


def test_a_provider_is_replaced_and_put_back() -> None:
    def real() -> int:
        return 1

    def stand_in() -> int:
        return 2

    lifespan = Lifespan()
    assert lifespan.replacement(real) is None
    lifespan.replace(real, stand_in)
    assert lifespan.replacement(real) is stand_in
    lifespan.replace(real, None)
    lifespan.replace(real, None)
    assert lifespan.replacement(real) is None


class Plain:
    """It opens nothing."""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Plain(), "Plain is no resource: it needs the async methods __aenter__ and __aexit__"),
        (Lifespan, "The class Lifespan is no resource. Give an instance: Lifespan(...)."),
    ],
)
def test_what_is_no_resource_is_refused_where_it_is_given(wrong: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Lifespan([wrong])
    assert message in caught.value.message
    with pytest.raises(ConfigError):
        Lifespan().add(wrong)
