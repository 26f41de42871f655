"""How long a value is good: options as they are written, and what follows from them."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TypeAlias, TypedDict

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Freshness", "Options", "Seconds", "freshness", "seconds"]

Seconds: TypeAlias = float | timedelta

_LONGEST = 10_000_000_000  # seconds, about 300 years: in milliseconds still a number to every store
_SURELY_NOT = 12.0  # exp(-12): so seldom does a draw reach further ahead


class Options(TypedDict, total=False):
    """How a value is kept and made; what is left out is as the cache says, and then as said here.

    ``ttl``: seconds it is fresh, ``None`` for ever. ``grace``: seconds after that in which it is kept, to
    be served if no new one can be had: the factory fails, is too slow, or another process runs it.
    ``soft_timeout``: seconds to wait for the factory while there is a stale value; then that is served
    and the factory ends behind. 0 serves what is stale at once. Without it the factory is waited for.
    ``timeout``: seconds after which a factory is cancelled. ``eager``: after this part of the ``ttl``,
    such as 0.8, the first read makes a new value behind. ``beta``: reads make one ahead by chance, the
    sooner the longer it takes to make; 1.0 is usual, more is earlier. ``jitter``: a value that is made
    lives shorter by up to this part, so that not all end together; 0.1. ``negative``: keep ``None`` too,
    for these seconds; ``True`` as long as anything, and ``False``, the default, not at all.
    """

    ttl: Seconds | None
    grace: Seconds
    soft_timeout: Seconds | None
    timeout: Seconds | None
    eager: float | None
    beta: float | None
    jitter: float
    negative: Seconds | bool


class Freshness(Struct, frozen=True):
    """``Options`` that were checked, in seconds."""

    ttl: float | None = 300.0
    grace: float = 0.0
    soft_timeout: float | None = None
    timeout: float | None = None
    eager: float | None = None
    beta: float | None = None
    jitter: float = 0.1
    negative: float | bool = False

    def keeps(self, value: object) -> bool:
        """Tell whether a value that was made is kept."""
        return value is not None or self.negative is not False

    def life(self, value: object) -> float | None:
        """Draw how long a value that was made is fresh."""
        ttl = self.ttl
        if value is None and self.negative is not True:
            ttl = float(self.negative)
        return None if ttl is None else ttl * (1 - self.jitter * random.random())

    def calm(self, made: float, fresh: float, cost: float) -> float:
        """Return until when a value is surely not made anew, if it is fresh until ``fresh``."""
        until = fresh
        if self.eager is not None:
            until = min(until, made + self.eager * (fresh - made))
        if self.beta is not None:
            until = min(until, fresh - _SURELY_NOT * self.beta * cost)
        return until

    def is_due(self, now: float, made: float, fresh: float, cost: float) -> bool:
        """Tell whether who reads a fresh value at ``now`` is to make a new one.

        By chance it is XFetch of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
        Stampede Prevention", VLDB 2015.
        """
        if fresh == math.inf:
            return False
        if self.eager is not None and now >= made + self.eager * (fresh - made):
            return True
        if self.beta is None:
            return False
        return now - cost * self.beta * math.log(1 - random.random()) >= fresh


def seconds(name: str, value: Seconds, *, zero: bool = False) -> float:
    """Return a time in seconds.

    Raises:
        ValueError: it is negative, zero unless that may be, no number, or longer than any store counts.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"{name} is a number of seconds or a timedelta, not {value!r}.")
    if not (number > 0 or (zero and number == 0)):
        least = "0 or more" if zero else "more than 0"
        raise ValueError(f"{name} is {least} seconds, and not {value!r}.")
    if number > _LONGEST:
        raise ValueError(
            f"{name} is at most {_LONGEST:,} seconds. What is kept for ever has ttl=None."
        )
    return float(number)


def freshness(base: Freshness, options: Options) -> Freshness:
    """Return ``base`` with options of a call.

    Raises:
        ValueError: one makes no sense; the message names it.
    """
    if not options:
        return base
    changed: dict[str, object] = dict(options)
    for name in ("ttl", "grace", "soft_timeout", "timeout", "negative"):
        value = changed.get(name)
        if isinstance(value, int | float | timedelta) and not isinstance(value, bool):
            changed[name] = seconds(name, value, zero=name in ("grace", "soft_timeout"))
        elif value is not None and not (name == "negative" and isinstance(value, bool)):
            raise TypeError(f"{name} is a number of seconds or a timedelta, not {value!r}.")
    _check(changed)
    return replace(base, **changed)


def _check(options: dict[str, object]) -> None:
    for name, least, most in (("eager", 0, 1), ("beta", 0, math.inf), ("jitter", 0, 1)):
        value = options.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or not least <= value < most:
            raise ValueError(f"{name} is a number from {least} and below {most}, not {value!r}.")
