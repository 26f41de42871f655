"""What keeps the counts of limits, and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from oxidite.rates.rules import Rule

__all__ = ["Claim", "RateStore", "Verdict"]


class Claim(Struct, frozen=True):
    """So much is to be taken from what ``rule`` allows to ``key``.

    ``token`` names the one who holds it, where the rule is about how many there are at once.
    """

    key: str
    rule: Rule
    cost: int = 1
    token: str = ""


class Verdict(Struct, frozen=True):
    """What a store says to a claim.

    ``remaining`` is what is left, ``reset`` the seconds until that becomes more, and ``retry_after``
    the seconds until the claim would be allowed; 0 if it is.
    """

    allowed: bool
    remaining: int
    reset: float
    retry_after: float = 0.0


class RateStore(Protocol):
    """Keeps the counts, for one process or for many.

    All claims of a request come in one call, so that one round trip decides on them, and they are
    taken together or not at all: what one limit refuses must not use up another. It is atomic.
    """

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Take what is claimed if every rule allows it; answer in the order of ``claims``."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was held, where the rule is about how many there are at once."""
        ...
