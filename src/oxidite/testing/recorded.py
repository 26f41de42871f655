"""Which exchange of a test runs in this task, so that an error can be raised where it was caused."""

from __future__ import annotations

import contextvars
from typing import Protocol

from oxidite.http.request import Request

__all__ = ["Exchange", "current_exchange", "record"]


class Exchange(Protocol):
    """One request of a test and its answer."""

    error: Exception | None
    """What went wrong and nobody expected."""


current_exchange: contextvars.ContextVar[Exchange | None] = contextvars.ContextVar(
    "exchange", default=None
)


def record(_request: Request, error: Exception) -> None:
    """Remember an unexpected error for the request being answered in this task."""
    exchange = current_exchange.get()
    if exchange is not None:
        exchange.error = error
