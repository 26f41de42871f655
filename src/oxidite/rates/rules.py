"""What a limit says: so many requests in such a time, or so many at once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from oxidite.errors import ConfigError

__all__ = ["Algorithm", "Rule"]

Algorithm: TypeAlias = Literal["fixed", "sliding", "bucket", "concurrency"]
"""How requests are counted.

``fixed``: from the first request on, for one window; then anew. Twice the quota may come around the
change. ``sliding``: never more than the quota in any window. ``bucket``: evenly, with a burst; the
generic cell rate algorithm (GCRA). ``concurrency``: those that are being answered.
"""

_UNITS = {
    "s": 1,
    "second": 1,
    "m": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
}
_TEXT = re.compile(
    r"([0-9]{1,9}) ?(?:(?:/|per) ?([0-9]{1,6})? ?(second|minute|hour|day|s|m|h|d)s?|(at once))"
)
_NAME = re.compile(r"[ !#-\[\]-~]{1,64}")  # what a string of RFC 9651 holds without escapes
_HELD = 3600.0  # seconds until a shared store gives up a request whose process was killed


@dataclass(frozen=True, eq=False)
class Rule:
    """A limit: ``quota`` in ``window`` seconds, or at once.

    ``burst`` is how much a bucket holds, the quota unless said. ``name`` is what the client knows it
    by. Of ``concurrency`` the window is how long a request may take before a store that several
    processes share no longer counts it. Two rules are never equal: each has counts of its own.
    """

    quota: int
    window: float
    algorithm: Algorithm = "sliding"
    name: str = "default"
    burst: int | None = None
    capacity: int = field(init=False)
    """What may be taken at one moment: the burst of a bucket, otherwise the quota."""

    def __post_init__(self) -> None:
        if self.quota < 1 or not 0 < self.window < math.inf:
            raise ConfigError(
                f"A limit allows at least 1 in a time, not {self.quota} in {self.window}."
            )
        if self.burst is not None and (self.algorithm != "bucket" or self.burst < 1):
            raise ConfigError('burst= is a number from 1, and of algorithm="bucket" only.')
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"The name {self.name!r} of a limit is 1 to 64 characters of plain ASCII."
            )
        object.__setattr__(self, "capacity", self.burst or self.quota)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        algorithm: Algorithm = "sliding",
        name: str | None = None,
        burst: int | None = None,
    ) -> Rule:
        """Read ``10/minute``, ``5/10s``, ``1000 per day`` or ``8 at once``.

        Raises:
            ConfigError: it is none of these.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ConfigError(
                f"{text!r} is no limit. Write it as '10/minute', '5/10s', '1000 per day' or '8 at once'."
            )
        quota, count, unit, at_once = found.groups()
        if at_once:
            return cls(int(quota), _HELD, "concurrency", name or f"{quota}-at-once", burst)
        if algorithm == "concurrency":
            raise ConfigError(f"{text!r} is a limit in time. Write '{quota} at once'.")
        every = count or ""
        window = float(int(count or 1) * _UNITS[unit])
        return cls(int(quota), window, algorithm, name or f"{quota}-per-{every}{unit}", burst)

    @property
    def policy(self) -> str:
        """The member of a ``RateLimit-Policy`` field that tells of this limit."""
        if self.algorithm == "concurrency":
            return f'"{self.name}";q={self.quota};qu="concurrent-requests"'
        return f'"{self.name}";q={self.quota};w={math.ceil(self.window)}'

    def __str__(self) -> str:
        if self.algorithm == "concurrency":
            return f"{self.quota} at once"
        return f"{self.quota} in {self.window:g} seconds"
