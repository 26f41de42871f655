"""What every store of replies promises."""

from __future__ import annotations

import asyncio

from oxidite import clock
from oxidite.clock import TravelClock
from oxidite.middleware import Attempt, Reply, ReplyStore

__all__ = ["ReplyStoreContract"]

_REPLY = Reply(201, [("location", "/orders/1"), ("x", "a"), ("x", "b")], b"made \x00\xff")


class ReplyStoreContract:
    """Subclass it and give it a fixture ``store``: one that is open, and holds nothing."""

    async def test_an_answer_is_given_again(self, store: ReplyStore) -> None:
        """What was answered is known as it was, header fields and bytes."""
        assert await store.begin("k", "f", "one", lease=10) is None
        await store.finish("k", "one", _REPLY, ttl=60)
        for owner in ("two", "three"):
            assert await store.begin("k", "f", owner, lease=10) == Attempt("f", _REPLY)

    async def test_what_was_asked_first_is_known(self, store: ReplyStore) -> None:
        """Another request with the key learns what the first one asked, before and after the answer."""
        await store.begin("k", "f", "one", lease=10)
        assert await store.begin("k", "other", "two", lease=10) == Attempt("f")
        await store.finish("k", "one", _REPLY, ttl=60)
        assert await store.begin("k", "other", "two", lease=10) == Attempt("f", _REPLY)

    async def test_of_many_one_has_the_key(self, store: ReplyStore) -> None:
        """However many begin at once, one of them is told that it is the first."""
        asked = [store.begin("k", "f", f"owner {number}", lease=10) for number in range(20)]
        found = await asyncio.gather(*asked)
        assert found.count(None) == 1
        assert all(each == Attempt("f") for each in found if each is not None)

    async def test_keys_are_their_own(self, store: ReplyStore) -> None:
        """What is known of one key is not known of another."""
        assert await store.begin("a", "f", "one", lease=10) is None
        assert await store.begin("b", "f", "two", lease=10) is None

    async def test_a_key_can_be_given_back(self, store: ReplyStore) -> None:
        """Afterwards it is as if it had never been taken."""
        await store.begin("k", "f", "one", lease=10)
        await store.release("k", "one")
        assert await store.begin("k", "other", "two", lease=10) is None

    async def test_only_its_owner_ends_it(self, store: ReplyStore) -> None:
        """Who has not the key neither answers for it nor gives it back."""
        await store.begin("k", "f", "one", lease=10)
        await store.release("k", "two")
        await store.finish("k", "two", _REPLY, ttl=60)
        assert await store.begin("k", "f", "three", lease=10) == Attempt("f")

    async def test_one_that_was_given_up_changes_nothing(self, store: ReplyStore) -> None:
        """After its lease another has the key, and the first one, coming back, does not."""
        with clock.use(TravelClock()) as travel:
            assert await store.begin("k", "f", "one", lease=10) is None
            travel.jump(11)
            assert await store.begin("k", "f", "two", lease=10) is None
            await store.finish("k", "one", _REPLY, ttl=60)
            await store.release("k", "one")
            assert await store.begin("k", "f", "three", lease=10) == Attempt("f")
            await store.finish("k", "two", _REPLY, ttl=60)
            assert await store.begin("k", "f", "three", lease=10) == Attempt("f", _REPLY)

    async def test_an_answer_is_kept_for_its_time(self, store: ReplyStore) -> None:
        """And longer than the lease of the request that it answers."""
        with clock.use(TravelClock()) as travel:
            await store.begin("k", "f", "one", lease=10)
            await store.finish("k", "one", _REPLY, ttl=60)
            travel.jump(59)
            assert await store.begin("k", "f", "two", lease=10) == Attempt("f", _REPLY)
            travel.jump(2)
            assert await store.begin("k", "f", "two", lease=10) is None
