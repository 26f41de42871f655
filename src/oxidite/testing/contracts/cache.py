"""What every cache backend promises."""

from __future__ import annotations

import asyncio

from oxidite import clock
from oxidite.cache.base import CacheBackend, Claimed, Item
from oxidite.clock import TravelClock
from oxidite.errors import BackendError

__all__ = ["CacheBackendContract"]

_LARGEST = 2**63 - 1


async def _get(backend: CacheBackend, key: str) -> bytes | None:
    (value,) = await backend.get_many([key])
    return value


async def _as_of(backend: CacheBackend) -> int:
    """Ask for the number of the last invalidation, as who makes a value does."""
    claimed = await backend.claim("contract:as-of", "somebody", 60.0, [])
    await backend.release("contract:as-of", "somebody")
    return claimed.as_of


class CacheBackendContract:
    """Subclass it and give it a fixture ``backend``: one that is open, and holds nothing."""

    # Values

    async def test_a_missing_key_is_none(self, backend: CacheBackend) -> None:
        """What was never set is no error."""
        assert await backend.get_many(["absent", "neither"]) == [None, None]
        assert await backend.get_many([]) == []

    async def test_what_was_set_is_there(self, backend: CacheBackend) -> None:
        """Any bytes come back as they were, in the order that was asked for."""
        values = {"empty": b"", "zeros": b"\0\0", "all": bytes(range(256)), "text": b"a b\r\nc"}
        await backend.set_many([Item(key, value) for key, value in values.items()])
        keys = ["text", "absent", "empty", "all", "zeros", "text"]
        assert await backend.get_many(keys) == [values.get(key) for key in keys]

    async def test_a_megabyte_is_kept(self, backend: CacheBackend) -> None:
        """Values may be large."""
        value = bytes(range(256)) * 4096
        await backend.set_many([Item("large", value)])
        assert await _get(backend, "large") == value

    async def test_many_values_at_once(self, backend: CacheBackend) -> None:
        """A thousand values are one call."""
        items = [Item(f"many:{number}", str(number).encode()) for number in range(1000)]
        await backend.set_many(items)
        assert await backend.get_many([item.key for item in items]) == [i.value for i in items]
        assert await backend.delete_many([item.key for item in items]) == 1000

    async def test_the_last_value_counts(self, backend: CacheBackend) -> None:
        """Setting again replaces value and time to live, also within one call."""
        await backend.set_many([Item("key", b"1", 10.0)])
        await backend.set_many([Item("key", b"2"), Item("key", b"3")])
        with clock.use(TravelClock()) as time:
            time.jump(100)
            assert await _get(backend, "key") == b"3"

    async def test_any_key_that_is_allowed(self, backend: CacheBackend) -> None:
        """All printable ASCII is told apart, in keys of up to 250 characters."""
        keys = [
            "a",
            "A",
            "a_",
            "a%",
            "a*",
            "a?",
            "[a]",
            "a\\",
            "a'b",
            'a"b',
            "a:b",
            "{a}",
            "x" * 250,
        ]
        await backend.set_many([Item(key, key.encode()) for key in keys])
        assert await backend.get_many(keys) == [key.encode() for key in keys]

    async def test_a_value_ends_with_its_time(self, backend: CacheBackend) -> None:
        """It is there until its ``ttl`` is over, and no longer."""
        with clock.use(TravelClock()) as time:
            await backend.set_many([Item("short", b"1", 10.0), Item("long", b"2", 100.0)])
            time.jump(8)
            assert await backend.get_many(["short", "long"]) == [b"1", b"2"]
            time.jump(3)
            assert await backend.get_many(["short", "long"]) == [None, b"2"]
            time.jump(100)
            assert await backend.get_many(["short", "long"]) == [None, None]

    async def test_add_keeps_what_is_there(self, backend: CacheBackend) -> None:
        """Of many that add one is first, and the others change nothing."""
        added = await asyncio.gather(
            *(backend.add(Item("once", str(number).encode(), 10.0)) for number in range(20))
        )
        assert added.count(True) == 1
        assert await _get(backend, "once") == str(added.index(True)).encode()
        with clock.use(TravelClock()) as time:
            time.jump(11)
            assert await backend.add(Item("once", b"again", 10.0))

    async def test_touch_moves_the_end(self, backend: CacheBackend) -> None:
        """A value lives on from now; one that is gone does not come back."""
        with clock.use(TravelClock()) as time:
            await backend.set_many([Item("key", b"1", 10.0), Item("other", b"2", 10.0)])
            time.jump(8)
            assert await backend.touch("key", 10.0)
            assert await backend.touch("other", None)
            time.jump(8)
            assert await backend.get_many(["key", "other"]) == [b"1", b"2"]
            time.jump(8)
            assert await backend.get_many(["key", "other"]) == [None, b"2"]
            assert not await backend.touch("key", 10.0)
            assert await _get(backend, "key") is None

    async def test_delete_counts_what_was_there(self, backend: CacheBackend) -> None:
        """It may be asked to delete what is not there."""
        await backend.set_many([Item("a", b"1"), Item("b", b"2")])
        assert await backend.delete_many(["a", "absent", "b"]) == 2
        assert await backend.get_many(["a", "b"]) == [None, None]
        assert await backend.delete_many(["a"]) == 0
        assert await backend.delete_many([]) == 0

    async def test_numbers_are_added_to(self, backend: CacheBackend) -> None:
        """A number begins at 0, is kept as digits, and may be negative."""
        assert await backend.incr("count", 1, None) == 1
        assert await backend.incr("count", 41, None) == 42
        assert await _get(backend, "count") == b"42"
        assert await backend.incr("count", -50, None) == -8
        assert await _get(backend, "count") == b"-8"

    async def test_nobody_counts_twice(self, backend: CacheBackend) -> None:
        """Adding is atomic: of a hundred at once none is lost."""
        sums = await asyncio.gather(*(backend.incr("count", 1, None) for _ in range(100)))
        assert sorted(sums) == list(range(1, 101))

    async def test_the_time_of_a_number_is_that_of_its_beginning(
        self, backend: CacheBackend
    ) -> None:
        """Adding does not prolong it."""
        with clock.use(TravelClock()) as time:
            await backend.incr("count", 1, 10.0)
            time.jump(8)
            assert await backend.incr("count", 1, 10.0) == 2
            time.jump(3)
            assert await backend.incr("count", 1, 10.0) == 1

    async def test_numbers_have_64_bits(self, backend: CacheBackend) -> None:
        """What does not fit changes nothing, and neither does adding to what is no number."""
        assert await backend.incr("count", _LARGEST, None) == _LARGEST
        await _refused(backend, "count", 1)
        assert await _get(backend, "count") == str(_LARGEST).encode()
        assert await backend.incr("count", -1, None) == _LARGEST - 1
        await backend.set_many([Item("text", b"no number")])
        await _refused(backend, "text", 1)
        assert await _get(backend, "text") == b"no number"

    async def test_clear_takes_what_begins_so(self, backend: CacheBackend) -> None:
        """A prefix is taken literally, and what is not a value stays."""
        keys = ["a:1", "a:2", "a%", "b:1", "A:1", "a_1", "a*"]
        await backend.set_many([Item(key, b"1") for key in keys])
        number = await backend.acquire("a:lock", "me", 1, 60.0)
        await backend.clear("a:")
        assert await backend.get_many(keys) == [None, None, b"1", b"1", b"1", b"1", b"1"]
        await backend.clear("a*")
        await backend.clear("a_")
        await backend.clear("a%")
        assert await backend.get_many(keys) == [None, None, None, b"1", b"1", None, None]
        assert await backend.acquire("a:lock", "me", 1, 60.0) == number
        await backend.clear("")
        assert await backend.get_many(["b:1", "A:1"]) == [None, None]

    async def test_scan_shows_what_is_there(self, backend: CacheBackend) -> None:
        """Keys, sizes and the seconds that are left, of values that have not ended."""
        with clock.use(TravelClock()) as time:
            await backend.set_many(
                [
                    Item("a:1", b"123", 100.0),
                    Item("a:2", b"1234"),
                    Item("b", b""),
                    Item("a:3", b"", 1.0),
                ]
            )
            time.jump(10)
            found = {each.key: each async for each in backend.scan("a:")}
            assert sorted(found) == ["a:1", "a:2"]
            assert found["a:1"].size >= 3
            left = found["a:1"].ttl
            assert left is not None
            assert 88 <= left <= 91
            assert found["a:2"].ttl is None
            assert len([each async for each in backend.scan("")]) == 3

    async def test_stats_count_values(self, backend: CacheBackend) -> None:
        """As many keys as there are, at least."""
        await backend.set_many([Item(f"key:{number}", b"x" * 100) for number in range(10)])
        stats = await backend.stats()
        assert stats.keys >= 10
        assert stats.size is None or stats.size >= 1000

    # Tags

    async def test_an_unknown_tag_has_no_epochs(self, backend: CacheBackend) -> None:
        """It becomes known by a claim or a value that has it, as old as the last invalidation."""
        assert await backend.epochs(["unknown", "either"]) == [None, None]
        assert await backend.epochs([]) == []
        claimed = await backend.claim("key", "token", 60.0, ["by-claim"])
        await backend.set_many([Item("other", b"1", 60.0, ("by-value",))])
        for epochs in await backend.epochs(["by-claim", "by-value"]):
            assert epochs is not None
            assert epochs.hard <= claimed.as_of
            assert epochs.soft <= claimed.as_of

    async def test_an_invalidation_is_newer_than_what_was_before(
        self, backend: CacheBackend
    ) -> None:
        """What is made afterwards is newer again; other tags are left alone."""
        before = (await backend.claim("key", "token", 60.0, ["a", "b"])).as_of
        await backend.invalidate(["a"], soft=False)
        a, b = await backend.epochs(["a", "b"])
        assert a is not None
        assert b is not None
        assert a.hard > before >= b.hard
        assert a.soft == a.hard
        assert await _as_of(backend) >= a.hard

    async def test_a_soft_invalidation_leaves_the_hard_epoch(self, backend: CacheBackend) -> None:
        """Values become stale, not gone."""
        before = (await backend.claim("key", "token", 60.0, ["a"])).as_of
        await backend.invalidate(["a"], soft=True)
        (epochs,) = await backend.epochs(["a"])
        assert epochs is not None
        assert epochs.soft > before >= epochs.hard

    async def test_a_tag_nobody_knew_can_be_invalidated(self, backend: CacheBackend) -> None:
        """Also softly: what had it is gone, as nothing is known of it."""
        before = await _as_of(backend)
        await backend.invalidate(["new"], soft=True)
        (epochs,) = await backend.epochs(["new"])
        assert epochs is not None
        assert epochs.soft > before

    async def test_each_invalidation_has_its_number(self, backend: CacheBackend) -> None:
        """Of many at once each is newer than what was read before, and none is lost."""
        before = await _as_of(backend)
        await asyncio.gather(*(backend.invalidate([f"t{n}"], soft=False) for n in range(20)))
        epochs = await backend.epochs([f"t{number}" for number in range(20)])
        numbers = {each.hard for each in epochs if each is not None}
        assert len(numbers) == 20
        assert min(numbers) > before
        assert await _as_of(backend) >= max(numbers)

    # Making a value once

    async def test_one_claim_is_granted(self, backend: CacheBackend) -> None:
        """The others are told that somebody has it."""
        claims = await asyncio.gather(
            *(backend.claim("key", f"token {number}", 60.0, []) for number in range(20))
        )
        assert [claim.granted for claim in claims].count(True) == 1
        assert all(claim.value is None for claim in claims)

    async def test_a_fill_ends_the_claim(self, backend: CacheBackend) -> None:
        """Who claims afterwards finds the value."""
        await backend.claim("key", "token", 60.0, [])
        assert await backend.fill(Item("key", b"made", 60.0), "token")
        assert await _get(backend, "key") == b"made"
        again = await backend.claim("key", "other", 60.0, [])
        assert again == Claimed(True, again.as_of, b"made")
        assert not await backend.fill(Item("key", b"late", 60.0), "token")
        assert await _get(backend, "key") == b"made"

    async def test_a_delete_revokes_a_claim(self, backend: CacheBackend) -> None:
        """What was made of old data is not stored."""
        await backend.claim("key", "token", 60.0, [])
        assert await backend.delete_many(["key"]) == 0
        assert not await backend.fill(Item("key", b"old", 60.0), "token")
        assert await _get(backend, "key") is None

    async def test_a_set_revokes_a_claim(self, backend: CacheBackend) -> None:
        """What somebody set is newer than what was being made."""
        await backend.claim("key", "token", 60.0, [])
        await backend.set_many([Item("key", b"set")])
        assert not await backend.fill(Item("key", b"made", 60.0), "token")
        assert await _get(backend, "key") == b"set"

    async def test_clear_revokes_claims(self, backend: CacheBackend) -> None:
        """Of keys that begin so."""
        await backend.claim("a:1", "token", 60.0, [])
        await backend.claim("b:1", "token", 60.0, [])
        await backend.clear("a:")
        assert not await backend.fill(Item("a:1", b"old"), "token")
        assert await backend.fill(Item("b:1", b"new"), "token")

    async def test_a_claim_ends_with_its_lease(self, backend: CacheBackend) -> None:
        """Somebody else may make the value then, and who comes late does not replace it."""
        with clock.use(TravelClock()) as time:
            assert (await backend.claim("key", "slow", 10.0, [])).granted
            time.jump(8)
            assert not (await backend.claim("key", "other", 10.0, [])).granted
            time.jump(3)
            assert (await backend.claim("key", "other", 10.0, [])).granted
            assert not await backend.renew("key", "slow", 10.0)
            assert not await backend.fill(Item("key", b"slow"), "slow")
            assert await backend.fill(Item("key", b"other"), "other")
            assert await _get(backend, "key") == b"other"

    async def test_a_claim_can_be_renewed(self, backend: CacheBackend) -> None:
        """By who has it."""
        with clock.use(TravelClock()) as time:
            await backend.claim("key", "token", 10.0, [])
            time.jump(8)
            assert await backend.renew("key", "token", 10.0)
            assert not await backend.renew("key", "other", 10.0)
            time.jump(8)
            assert await backend.fill(Item("key", b"made"), "token")
            assert not await backend.renew("key", "token", 10.0)

    async def test_a_claim_can_be_released(self, backend: CacheBackend) -> None:
        """By who has it, and only so."""
        await backend.claim("key", "token", 60.0, [])
        await backend.release("key", "other")
        assert not (await backend.claim("key", "third", 60.0, [])).granted
        await backend.release("key", "token")
        assert (await backend.claim("key", "third", 60.0, [])).granted

    # Locks

    async def test_a_place_is_taken_by_one(self, backend: CacheBackend) -> None:
        """Of many who try one gets it; given back, it is another's."""
        numbers = await asyncio.gather(
            *(backend.acquire("lock", f"owner {number}", 1, 60.0) for number in range(20))
        )
        taken = [number for number in numbers if number is not None]
        assert len(taken) == 1
        owner = f"owner {numbers.index(taken[0])}"
        assert not await backend.leave("lock", "somebody else")
        assert await backend.leave("lock", owner)
        assert not await backend.leave("lock", owner)
        later = await backend.acquire("lock", "somebody else", 1, 60.0)
        assert later is not None
        assert later > taken[0]

    async def test_as_many_places_as_there_are(self, backend: CacheBackend) -> None:
        """Each with a number of its own, the later the larger."""
        numbers = [await backend.acquire("places", f"o{number}", 3, 60.0) for number in range(4)]
        taken = [number for number in numbers if number is not None]
        assert numbers[3] is None
        assert taken == sorted(set(taken))
        assert len(taken) == 3
        assert await backend.leave("places", "o1")
        last = await backend.acquire("places", "o3", 3, 60.0)
        assert last is not None
        assert last > max(taken)

    async def test_a_place_ends_with_its_time(self, backend: CacheBackend) -> None:
        """Unless it is held on to; the number grows for ever."""
        with clock.use(TravelClock()) as time:
            first = await backend.acquire("lock", "a", 1, 10.0)
            time.jump(8)
            assert await backend.extend("lock", "a", 10.0)
            assert not await backend.extend("lock", "b", 10.0)
            time.jump(8)
            assert await backend.acquire("lock", "b", 1, 10.0) is None
            time.jump(3)
            second = await backend.acquire("lock", "b", 1, 10.0)
            assert first is not None
            assert second is not None
            assert second > first
            assert not await backend.extend("lock", "a", 10.0)
            assert not await backend.leave("lock", "a")
            assert await backend.acquire("lock", "c", 1, 10.0) is None

    async def test_who_has_a_place_keeps_it(self, backend: CacheBackend) -> None:
        """Asking again prolongs it, with the same number."""
        with clock.use(TravelClock()) as time:
            number = await backend.acquire("lock", "a", 1, 10.0)
            time.jump(8)
            assert await backend.acquire("lock", "a", 1, 10.0) == number
            time.jump(8)
            assert await backend.acquire("lock", "b", 1, 10.0) is None

    # Time

    async def test_the_time_of_the_store_travels(self, backend: CacheBackend) -> None:
        """It goes on by as much as the clock does."""
        with clock.use(TravelClock()) as time:
            before = backend.now()
            time.jump(1000)
            assert 999 <= backend.now() - before <= 1001


async def _refused(backend: CacheBackend, key: str, by: int) -> None:
    try:
        total = await backend.incr(key, by, None)
    except BackendError:
        return
    raise AssertionError(f"{key} became {total}, and should have been refused.")
