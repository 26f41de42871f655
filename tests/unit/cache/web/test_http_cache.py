"""Answers that are kept for all: what routes say, who waits for whom, and what happens when something fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response as Answer
from tests.unit.cache.stores import Remote
from tests.unit.cache.web.places import KINDS, SHARED, store_url

from oxidite import Cookie, Oxidite, Request, Response, StreamingResponse, clock
from oxidite.cache import Cache
from oxidite.cache.base import CacheBackend
from oxidite.cache.web import CacheControl, http_cache, http_cache_for, memoized
from oxidite.clock import TravelClock
from oxidite.errors import ConfigError
from oxidite.testing import Client


class Site:
    """An application that counts what its handlers do."""

    def __init__(self, backend: CacheBackend | str = "memory://", **options: Any) -> None:
        self.cache = Cache(backend, store_timeout=5)
        self.app = Oxidite(resources=[self.cache], middleware=[http_cache(self.cache, **options)])
        self.asked = 0
        self.running = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    def page(self, path: str = "/", /, **meta: object) -> None:
        @self.app.get(path, meta=meta or http_cache_for(s_maxage=60))
        async def page() -> str:
            self.asked += 1
            answer = f"page {self.asked}"
            self.running.set()
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            return answer

    def client(self, **options: Any) -> Client:
        return Client(self.app, **options)


def told(answer: Answer) -> str:
    status: str = answer.headers["cache-status"]
    return status.removeprefix("Oxidite; ")


async def waiting(tasks: list[asyncio.Task[Answer]]) -> None:
    """Let all tasks come as far as they can."""
    for _ in range(200):
        await clock.sleep(0)
    assert not any(task.done() for task in tasks)


# What routes say.


async def test_a_route_says_for_how_long_and_by_what_its_answers_differ() -> None:
    site = Site()
    site.page(
        **http_cache_for(
            s_maxage=timedelta(minutes=1), swr=30, sie=90, vary=["Accept-Language"], groups=["news"]
        )
    )
    async with site.client() as client:
        first = await client.get("/", headers={"accept-language": "de"})
        other = await client.get("/", headers={"accept-language": "en"})
        again = await client.get("/", headers={"accept-language": "de"})

    assert (first.text, other.text, again.text) == ("page 1", "page 2", "page 1")
    assert first.headers["cache-control"] == (
        "s-maxage=60, stale-while-revalidate=30, stale-if-error=90"
    )
    assert first.headers["vary"] == "accept-language"
    assert first.headers["cache-groups"] == '"news"'


async def test_what_a_handler_says_itself_counts() -> None:
    site = Site()

    @site.app.get("/", meta=http_cache_for(s_maxage=60))
    async def page() -> Response:
        return Response("x", headers={"cache-control": "no-store"})

    async with site.client() as client:
        answer = await client.get("/")

    assert answer.headers["cache-control"] == "no-store"
    assert told(answer) == 'fwd=uri-miss; fwd-status=200; detail="no-store"'


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_errors_of_a_route_are_not_kept(status: int) -> None:
    site = Site()

    @site.app.get("/", meta=http_cache_for(s_maxage=60))
    async def page() -> Response:
        return Response("x", status)

    async with site.client() as client:
        answers = [await client.get("/") for _ in range(2)]

    assert all("cache-control" not in each.headers for each in answers)
    assert all("fwd=" in told(each) for each in answers)


async def test_a_route_may_be_kept_out() -> None:
    site = Site()

    @site.app.get("/", meta={"http_cache": False})
    async def page() -> Response:
        return Response("x", headers={"cache-control": "max-age=60"})

    async with site.client() as client:
        answers = [told(await client.get("/")) for _ in range(2)]

    assert answers == ["fwd=bypass; fwd-status=200"] * 2


async def test_tags_are_those_of_the_cache_and_may_come_from_the_request() -> None:
    site = Site()
    site.page("/{id}", **http_cache_for(s_maxage=60, tags=lambda request: [request.path]))
    async with site.client() as client:
        await client.get("/1")
        await client.get("/2")
        await site.cache.invalidate_tags("/1")
        answers = [(await client.get(path)).text for path in ("/1", "/2")]

    assert answers == ["page 3", "page 2"]


async def test_what_is_softly_invalidated_is_served_while_it_is_made_anew() -> None:
    site = Site()
    site.page(**http_cache_for(s_maxage=60, swr=30, tags=["t"]))
    async with site.client() as client:
        await client.get("/")
        await site.cache.invalidate_tags("t", soft=True)
        stale = await client.get("/")
        while tasks := site.cache._core.background._tasks:
            await asyncio.wait(tasks)
        new = await client.get("/")

    assert (stale.text, new.text) == ("page 1", "page 2")
    assert "stale" in told(stale)


async def test_without_a_window_for_that_it_is_not() -> None:
    site = Site()
    site.page(**http_cache_for(s_maxage=60, tags=["t"]))
    async with site.client() as client:
        await client.get("/")
        await site.cache.invalidate_tags("t", soft=True)
        assert (await client.get("/")).text == "page 2"


# Whose answers they are.


async def test_what_is_made_of_cookies_is_not_for_all() -> None:
    site = Site()

    @site.app.get("/", meta=http_cache_for(s_maxage=60))
    async def page(name: Cookie[str] = "nobody") -> str:
        return name

    async with site.client() as client:
        first = await client.get("/", headers={"cookie": "name=one"})
        other = await client.get("/", headers={"cookie": "name=two"})

    assert (first.text, other.text) == ("one", "two")
    assert told(first) == 'fwd=uri-miss; fwd-status=200; detail="made of cookies"'


@pytest.mark.parametrize("options", [{"public": True}, {"vary": ["cookie"]}], ids=str)
async def test_unless_it_says_that_it_is_or_differs_by_them(options: dict[str, Any]) -> None:
    site = Site()

    @site.app.get("/", meta=http_cache_for(s_maxage=60, **options))
    async def page(request: Request) -> str:
        site.asked += 1
        return f"{len(request.cookies)}"

    async with site.client() as client:
        for _ in range(2):
            await client.get("/", headers={"cookie": "name=one"})

    assert site.asked == 1


async def test_streams_pass_and_are_not_kept() -> None:
    site = Site()

    async def content() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    @site.app.get("/", meta=http_cache_for(s_maxage=60))
    async def page() -> StreamingResponse:
        site.asked += 1
        return StreamingResponse(content())

    async with site.client() as client:
        answers = [await client.get("/") for _ in range(2)]

    assert [each.text for each in answers] == ["ab", "ab"]
    assert site.asked == 2
    assert 'detail="a stream"' in told(answers[0])


async def test_what_is_too_large_is_not_kept() -> None:
    site = Site(max_body=6)
    site.page()
    async with site.client() as client:
        assert told(await client.get("/")).endswith("stored")
    small = Site(max_body=5)
    small.page()
    async with small.client() as client:
        assert 'detail="too large"' in told(await client.get("/"))


# Who waits for whom.


@pytest.mark.parametrize("kind", KINDS)
async def test_of_many_who_ask_at_once_one_asks_the_handler(kind: str, tmp_path: Path) -> None:
    async with store_url(kind, tmp_path) as url:
        site = Site(url)
        site.page()
        site.gate = asyncio.Event()
        async with site.client() as client:
            tasks = [asyncio.ensure_future(client.get("/")) for _ in range(50)]
            await site.running.wait()
            await waiting(tasks)
            site.gate.set()
            answers = await asyncio.gather(*tasks)

    assert {each.text for each in answers} == {"page 1"}
    assert site.asked == 1
    assert sum("collapsed" in told(each) for each in answers) == 49


@pytest.mark.parametrize("kind", SHARED)
async def test_processes_that_share_a_store_share_what_is_kept(kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(store_url(kind, tmp_path))
        one, two = Site(url), Site(url)
        one.page()
        two.page()
        first, second = [await stack.enter_async_context(each.client()) for each in (one, two)]
        await first.get("/")
        kept = await second.get("/")

        @two.app.post("/")
        async def change() -> str:
            return "changed"

        await second.post("/")
        anew = await second.get("/")

    assert kept.text == "page 1"
    assert (one.asked, two.asked) == (1, 1)
    assert told(anew).endswith("stored")


async def test_who_asked_last_of_a_process_asks_when_the_first_one_leaves() -> None:
    site = Site()
    site.page()
    site.gate = asyncio.Event()
    async with site.app.running():
        requests = [Request.of("GET", "/", resources=site.app.lifespan) for _ in range(3)]
        tasks = [asyncio.ensure_future(site.app.handle(each)) for each in requests]
        await site.running.wait()
        tasks[0].cancel()
        for _ in range(50):
            await clock.sleep(0)
        assert site.asked == 2
        site.gate.set()
        answers = await asyncio.gather(*tasks[1:])

    assert [each.body for each in answers] == [b"page 2", b"page 2"]


async def test_nobody_waits_long_for_what_others_cannot_use() -> None:
    site = Site()
    site.page(**http_cache_for(control=CacheControl(private=True, max_age=60)))
    site.gate = asyncio.Event()
    async with site.client() as client:
        first = [asyncio.ensure_future(client.get("/")) for _ in range(5)]
        await site.running.wait()
        await waiting(first)
        assert site.asked == 1
        site.gate.set()
        await asyncio.gather(*first)
        site.gate = asyncio.Event()
        before = site.asked
        later = [asyncio.ensure_future(client.get("/")) for _ in range(5)]
        await waiting(later)
        assert site.asked == before + 5  # it is known now, and nobody waits at all
        site.gate.set()
        await asyncio.gather(*later)


async def test_who_is_authorized_waits_for_nobody_and_nobody_for_them() -> None:
    site = Site()
    site.page(**http_cache_for(max_age=60))
    site.gate = asyncio.Event()
    async with site.client() as client:
        tasks = [
            asyncio.ensure_future(client.get("/", headers={"authorization": f"Bearer {n}"}))
            for n in range(5)
        ]
        await waiting(tasks)
        assert site.asked == 5
        site.gate.set()
        answers = await asyncio.gather(*tasks)
        assert len({each.text for each in answers}) == 5
        # And what they did changes nothing for others.
        assert told(await client.get("/")).endswith("stored")


async def test_one_who_waits_too_long_goes_alone() -> None:
    site = Site(patience=0)
    site.page()
    site.gate = asyncio.Event()
    async with site.client() as client:
        tasks = [asyncio.ensure_future(client.get("/")) for _ in range(2)]
        await waiting(tasks)
        assert site.asked == 2
        site.gate.set()
        await asyncio.gather(*tasks)


async def test_what_was_changed_while_an_answer_was_made_is_not_kept() -> None:
    site = Site()
    site.page(**http_cache_for(s_maxage=60, tags=["t"]))
    site.gate = asyncio.Event()
    async with site.client() as client:
        task = asyncio.ensure_future(client.get("/"))
        await site.running.wait()
        await site.cache.invalidate_tags("t")
        site.gate.set()
        assert (await task).text == "page 1"
        assert (await client.get("/")).text == "page 2"
        assert (await client.get("/")).text == "page 2"


# What fails.


async def test_without_the_store_handlers_answer() -> None:
    store = Remote()
    site = Site(store)
    site.page()
    async with site.client() as client:
        store.is_down = True
        first = await client.get("/")
        posted = await client.post("/")
        store.is_down = False

    assert first.text == "page 1"
    assert posted.status_code == 405


async def test_also_where_errors_of_the_store_are_asked_for() -> None:
    store = Remote()
    cache = Cache(store, raises=True)
    app = Oxidite(resources=[cache], middleware=[http_cache(cache)])

    @app.get("/", meta=http_cache_for(s_maxage=60))
    async def page() -> str:
        return "page"

    @app.post("/")
    async def change() -> str:
        return "changed"

    async with Client(app) as client:
        store.is_down = True
        answers = [(await client.get("/")).text, (await client.post("/")).text]

    assert answers == ["page", "changed"]


async def test_a_handler_that_fails_is_spared_by_what_is_stale() -> None:
    with clock.use(TravelClock()) as time:
        site = Site()
        site.page(**http_cache_for(s_maxage=60, sie=30))
        async with site.client(raise_errors=False) as client:
            await client.get("/")
            site.error = LookupError("broken")
            time.jump(70)
            stale = await client.get("/")
            time.jump(30)
            failed = await client.get("/")

    assert (stale.status_code, stale.text) == (200, "page 1")
    assert told(stale).startswith("fwd=stale; fwd-status=500; ttl=-10")
    assert failed.status_code == 500


async def test_a_failure_is_that_of_its_own_request() -> None:
    site = Site()
    site.page()
    site.gate = asyncio.Event()
    site.error = LookupError("broken")
    async with site.client(raise_errors=False) as client:
        tasks = [asyncio.ensure_future(client.get("/")) for _ in range(3)]
        await site.running.wait()
        await waiting(tasks)
        site.gate.set()
        answers = await asyncio.gather(*tasks)
        site.error = None
        fine = await client.get("/")

    assert [each.status_code for each in answers] == [500, 500, 500]
    assert site.asked == 4
    assert fine.status_code == 200


async def test_what_is_made_behind_ends_what_it_began() -> None:
    ended: list[str] = []
    with clock.use(TravelClock()) as time:
        site = Site()

        @site.app.get("/", meta=http_cache_for(s_maxage=60, swr=30))
        async def page(request: Request) -> str:
            site.asked += 1
            request.after_response(ended.append, f"after {site.asked}")
            request.scopes.stream.callback(ended.append, f"stream {site.asked}")
            return f"page {site.asked}"

        async with site.client() as client:
            await client.get("/")
            time.jump(70)
            await client.get("/")
            while tasks := site.cache._core.background._tasks:
                await asyncio.wait(tasks)

    assert ended == ["stream 1", "after 1", "stream 2", "after 2"]


# Control of caches, written.


@pytest.mark.parametrize(
    ("control", "text"),
    [
        (CacheControl(public=True, max_age=60), "public, max-age=60"),
        (
            CacheControl(s_maxage=timedelta(hours=1), swr=1.9),
            "s-maxage=3600, stale-while-revalidate=1",
        ),
        (CacheControl(max_age=0, must_revalidate=True), "must-revalidate, max-age=0"),
        (CacheControl(no_store=True), "no-store"),
        (
            CacheControl(no_store=True, must_understand=True, max_age=9),
            "no-store, must-understand, max-age=9",
        ),
        (CacheControl(private=True, max_age=60, immutable=True), "private, immutable, max-age=60"),
        (CacheControl(), ""),
    ],
)
def test_a_field_is_written(control: CacheControl, text: str) -> None:
    assert str(control) == text


@pytest.mark.parametrize(
    "nonsense",
    [
        {"public": True, "private": True},
        {"private": True, "s_maxage": 60},
        {"private": True, "proxy_revalidate": True},
        {"no_store": True, "max_age": 60},
        {"no_store": True, "no_cache": True},
        {"must_understand": True},
        {"must_revalidate": True, "max_age": 1, "swr": 60},
        {"no_cache": True, "sie": 60},
        {"immutable": True},
        {"immutable": True, "no_cache": True, "max_age": 1},
        {"max_age": -1},
        {"swr": timedelta(seconds=-1)},
    ],
    ids=str,
)
def test_nonsense_is_refused(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        CacheControl(**nonsense)


@pytest.mark.parametrize(
    "make",
    [
        http_cache_for,
        lambda: http_cache_for(s_maxage=60, control=CacheControl(max_age=60)),
        lambda: http_cache_for(s_maxage=60, tags="news"),
        lambda: http_cache(Cache("memory://"), max_body=0),
    ],
)
def test_mistakes_are_told_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


async def test_a_route_may_say_something_else_to_networks_that_deliver() -> None:
    site = Site(targets=[])
    site.page(**http_cache_for(max_age=5, cdn=CacheControl(max_age=3600, swr=60)))
    async with site.client() as client:
        answer = await client.get("/")

    assert answer.headers["cache-control"] == "max-age=5"
    assert answer.headers["cdn-cache-control"] == "max-age=3600, stale-while-revalidate=60"


# What one request remembers.


async def test_a_request_asks_for_a_key_once() -> None:
    store = Remote()
    cache = Cache(store, l1=None)
    app = Oxidite(resources=[cache], middleware=[memoized(cache)])

    @app.get("/")
    async def page() -> list[int | None]:
        return [await cache.get("key", int) for _ in range(3)]

    async with Client(app) as client:
        await cache.set("key", 7)
        answers = [(await client.get("/")).json() for _ in range(2)]

    assert answers == [[7, 7, 7]] * 2
    assert store.calls.count("get_many") == 2
