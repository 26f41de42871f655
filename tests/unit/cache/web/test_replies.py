"""Answers that are kept for requests that are sent again: of one process, and of all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.unit.cache.stores import Remote
from tests.unit.cache.web.places import KINDS, SHARED, store_url

from oxidite import Oxidite
from oxidite.cache import Cache, Item
from oxidite.cache.keys import stored_key
from oxidite.cache.web import CacheReplies
from oxidite.errors import BackendError
from oxidite.middleware import Attempt, MemoryReplies, Reply, ReplyStore, idempotency, rate_limit
from oxidite.testing import Client
from oxidite.testing.contracts import ReplyStoreContract

REPLY = Reply(200, [], b"secret")


class TestMemoryReplies(ReplyStoreContract):
    @pytest.fixture
    def store(self) -> ReplyStore:
        return MemoryReplies()


class TestCacheReplies(ReplyStoreContract):
    @pytest.fixture(params=KINDS)
    async def store(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[ReplyStore]:
        async with store_url(request.param, tmp_path) as url, Cache(url, store_timeout=5) as cache:
            yield CacheReplies(cache)


@pytest.mark.parametrize("kind", SHARED)
async def test_a_request_sent_again_to_another_process_is_not_done_again(
    kind: str, tmp_path: Path
) -> None:
    done: list[str] = []

    def process(url: str) -> Oxidite:
        cache = Cache(url, store_timeout=5)
        app = Oxidite(resources=[cache], middleware=[idempotency(store=CacheReplies(cache))])

        @app.post("/orders")
        async def order() -> str:
            done.append("order")
            return f"order {len(done)}"

        return app

    headers = {"idempotency-key": "8e03978e"}
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(store_url(kind, tmp_path))
        one, two = [await stack.enter_async_context(Client(process(url))) for _ in range(2)]
        first = await one.post("/orders", headers=headers)
        again = await two.post("/orders", headers=headers)
        other = await two.post("/orders?x=1", headers=headers)

    assert (first.text, again.text) == ("order 1", "order 1")
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert done == ["order"]


@pytest.mark.parametrize("kind", SHARED)
async def test_processes_that_share_a_store_share_their_limits(kind: str, tmp_path: Path) -> None:
    def process(url: str) -> Oxidite:
        cache = Cache(url, store_timeout=5)
        limited = rate_limit("3/hour", store=cache.rates)
        app = Oxidite(resources=[cache], middleware=[limited])

        @app.get("/")
        async def page() -> str:
            return "page"

        return app

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(store_url(kind, tmp_path))
        one, two = [await stack.enter_async_context(Client(process(url))) for _ in range(2)]
        answers = [(await client.get("/")).status_code for client in (one, two, one, two, one)]

    assert answers == [200, 200, 200, 429, 429]


async def test_a_limit_in_memory_is_counted_in_the_cache() -> None:
    cache = Cache("memory://")
    app = Oxidite(resources=[cache], middleware=[rate_limit("1/hour", store=cache.rates)])

    @app.get("/")
    async def page() -> str:
        return "page"

    async with Client(app) as client:
        answers = [(await client.get("/")).status_code for _ in range(2)]

    assert answers == [200, 429]


async def test_a_store_that_fails_is_told_and_nothing_is_done() -> None:
    store = Remote()
    cache = Cache(store)
    done: list[str] = []
    app = Oxidite(resources=[cache], middleware=[idempotency(store=CacheReplies(cache))])

    @app.post("/orders")
    async def order() -> str:
        done.append("order")
        return "order"

    async with Client(app) as client:
        store.is_down = True
        answer = await client.post("/orders", headers={"idempotency-key": "k"})

    assert answer.status_code == 503
    assert done == []


async def test_an_answer_that_cannot_be_read_is_not_taken_for_none() -> None:
    async with Cache("memory://") as cache:
        replies = CacheReplies(cache)
        await cache.backend.set_many([Item(stored_key("replies:k"), b"\x09nonsense")])
        for owner in ("one", "two"):
            with pytest.raises(BackendError, match="cannot be read"):
                await replies.begin("k", "f", owner, lease=10)


async def test_with_a_secret_nothing_can_be_read_in_the_store() -> None:
    async with Cache("memory://", secret="s" * 32) as cache:
        replies = CacheReplies(cache)
        await replies.begin("k", "fingerprint", "one", lease=10)
        (asked,) = await cache.backend.get_many([stored_key("replies:k:asked")])
        await replies.finish("k", "one", REPLY, ttl=60)
        (kept,) = await cache.backend.get_many([stored_key("replies:k")])
        again = await replies.begin("k", "fingerprint", "two", lease=10)

    assert b"fingerprint" not in (asked or b"fingerprint")
    assert b"secret" not in (kept or b"secret")
    assert again == Attempt("fingerprint", REPLY)
