"""Whose word counts on where a request came from; ``middleware/proxies.py`` takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

__all__ = ["TrustedProxies"]


class TrustedProxies(Struct, frozen=True, kw_only=True):
    """The proxies in front of the application, and what they tell.

    ``networks`` are addresses (``10.0.0.1``), networks (``10.0.0.0/8``), and ``unix`` for whoever
    connects over a Unix socket. ``header`` is the family of fields that they write: of
    ``X-Forwarded-*``, those for the address and the scheme are believed, and ``host``, ``port`` and
    ``prefix`` only if said, because many proxies pass on what a client wrote there. ``hops`` is how
    many proxies there are at most, where their addresses do not tell them from clients.
    """

    networks: Sequence[str]
    header: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    host: bool = False
    port: bool = False
    prefix: bool = False
    hops: int | None = None
