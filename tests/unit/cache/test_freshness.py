"""Options are checked, with a message that names the one that is wrong."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from oxidite.cache import Options
from oxidite.cache.freshness import Freshness, freshness


def test_options_replace_what_was_there() -> None:
    base = freshness(Freshness(), {"ttl": timedelta(minutes=1), "grace": 5})
    assert base == Freshness(ttl=60.0, grace=5.0)
    assert freshness(base, {}) is base
    assert freshness(base, {"ttl": None, "negative": True}).ttl is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, "ttl is more than 0 seconds"),
        ({"ttl": math.nan}, "ttl is more than 0 seconds"),
        ({"grace": -1}, "grace is 0 or more seconds"),
        ({"timeout": 0}, "timeout is more than 0 seconds"),
        ({"negative": 0}, "negative is more than 0 seconds"),
        ({"eager": 1}, "eager is a number from 0 and below 1"),
        ({"beta": -1}, "beta is a number from 0"),
        ({"jitter": 1.0}, "jitter is a number from 0 and below 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        freshness(Freshness(), options)


@pytest.mark.parametrize("name", ["ttl", "grace", "timeout", "soft_timeout", "negative"])
def test_what_is_no_time_is_refused(name: str) -> None:
    wrong: Options = {name: "60s"}  # type: ignore[misc]  # the name is a variable
    with pytest.raises(TypeError, match=f"{name} is a number of seconds or a timedelta, not '60s'"):
        freshness(Freshness(), wrong)


def test_what_is_kept_for_ever_is_never_due() -> None:
    fresh = Freshness(ttl=None, eager=0.5, beta=1.0)
    assert not fresh.is_due(1e9, 0.0, math.inf, 1.0)
    assert fresh.life(1) is None
