"""What the access log knows of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["AccessEntry", "Outcome"]

Outcome: TypeAlias = Literal["complete", "cut", "failed", "cancelled"]
"""How it ended: sent; cut, as the client went away during a stream; failed, as a stream raised; or
cancelled, before there was any answer."""


class AccessEntry(Struct, frozen=True, gc=False):
    """A request that was answered, as it came: nothing is masked or escaped yet.

    ``when`` are seconds since 1970 at its end, ``duration`` seconds. ``size`` counts the bytes of the
    body. ``params`` are the names of the path's parameters, ``headers`` those fields that were asked for.
    """

    when: float
    duration: float
    client: str
    method: str
    path: str
    query: str
    http_version: str
    status: int | None
    size: int | None
    outcome: Outcome
    route: str | None
    params: tuple[str, ...]
    error: str | None
    request_id: str | None
    trace_id: str | None
    headers: Mapping[str, str] | None
