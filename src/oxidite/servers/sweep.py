"""Closes connections to uvicorn on which no request comes: it waits for the end of a head for ever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

from oxidite import clock

__all__ = ["Sweep"]

_LOOK = 0.5
"""Seconds between two looks. A timer for each head would cost every request."""


class _Cycle(Protocol):
    more_body: bool
    response_complete: bool


class _Connection(Protocol):
    cycle: _Cycle | None

    @property
    def transport(self) -> _Transport: ...


class _Transport(Protocol):
    def close(self) -> None: ...


class Sweep:
    """Called now and again, it closes what has waited for longer than ``timeout`` seconds.

    A connection waits from its beginning, or from the end of an answer on, until the next head is
    complete, and what is left of an unread body is read.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._next = 0.0
        self._since: dict[object, tuple[object, float]] = {}

    def __call__(self, connections: Iterable[object]) -> None:
        """Look at all of them, if it is time to."""
        now = clock.perf()
        if now < self._next:
            return
        self._next = now + min(_LOOK, self._timeout / 4)
        waiting: dict[object, tuple[object, float]] = {}
        for each in list(connections):
            cycle = cast("_Connection", each).cycle if hasattr(each, "cycle") else _NEVER
            if cycle is not None and not cycle.response_complete:
                continue
            # It is the same wait as long as it is after the same answer.
            known = self._since.get(each)
            began = known[1] if known is not None and known[0] is cycle else now
            if now - began > self._timeout:
                cast("_Connection", each).transport.close()
            else:
                waiting[each] = (cycle, began)
        self._since = waiting


class _Never:
    more_body = False
    response_complete = False


_NEVER = _Never()
