"""The bounded map, against a plain dictionary and its own promises."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.cache import S3FIFO
from oxidite.errors import ConfigError

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["get", "peek", "set", "set", "delete", "clear"]),
        st.integers(0, 30).map(str),
        st.integers(1, 12),
    ),
    max_size=400,
)


@given(STEPS, st.integers(1, 60))
def test_it_holds_what_was_set_last_and_never_more_than_its_room(
    steps: list[tuple[str, str, int]], room: int
) -> None:
    gone: list[str] = []
    kept: S3FIFO[int] = S3FIFO(room, evicted=lambda key, _: gone.append(key))
    model: dict[str, tuple[int, int]] = {}
    for number, (what, key, weight) in enumerate(steps):
        gone.clear()
        if what == "get":
            assert kept.get(key) == (model[key][0] if key in model else None)
        elif what == "peek":
            assert kept.peek(key) == (model[key][0] if key in model else None)
        elif what == "set":
            kept.set(key, number, weight)
            model[key] = (number, weight)
            if weight > room:
                del model[key]
        elif what == "delete":
            assert kept.delete(key) == model.pop(key, (None, 0))[0]
        elif not number % 10:
            kept.clear()
            model.clear()
        for each in gone:
            del model[each]
        # What is not told to be gone is there, with its last value and weight.
        assert {each: kept.peek(each) for each in kept} == {k: v for k, (v, _) in model.items()}
        assert kept.weight == sum(weight for _, weight in model.values()) <= room
        assert len(kept) == len(model)
        queues = len(kept._small) + len(kept._main)
        assert queues <= 2 * len(kept) + 64 + 1
        assert kept._ghost_weight == sum(kept._ghosts.values()) <= room


def test_what_is_used_stays_when_much_is_seen_once() -> None:
    kept: S3FIFO[int] = S3FIFO(100)
    for number in range(50):
        kept.set(f"hot{number}", number)
    for number in range(10_000):
        kept.set(f"once{number}", number)
        kept.get(f"hot{number % 50}")
    assert sum(f"hot{number}" in kept for number in range(50)) == 50


def test_what_comes_back_soon_is_kept() -> None:
    kept: S3FIFO[int] = S3FIFO(100)
    for number in range(150):
        kept.set(str(number), number)
    back = next(str(number) for number in range(150) if str(number) not in kept)
    kept.set(back, 0)
    for number in range(1000, 1060):
        kept.set(str(number), number)
    assert back in kept


def test_it_hits_more_often_than_the_least_recently_used() -> None:
    chance = random.Random(1)
    weights = [1 / (rank**0.9) for rank in range(1, 5001)]
    trace = chance.choices([str(rank) for rank in range(5000)], weights=weights, k=40_000)
    kept: S3FIFO[int] = S3FIFO(100)
    recent: dict[str, None] = {}
    hits = ours = 0
    for key in trace:
        if kept.get(key) is not None:
            ours += 1
        else:
            kept.set(key, 1)
        if key in recent:
            hits += 1
            del recent[key]
        recent[key] = None
        if len(recent) > 100:
            del recent[next(iter(recent))]
    assert ours > 1.2 * hits


def test_there_must_be_room() -> None:
    with pytest.raises(ConfigError, match="room for something"):
        S3FIFO(0)
