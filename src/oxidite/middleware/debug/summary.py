"""The request of a failure, without its secrets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl

from oxidite.http.request import Request
from oxidite.security.redact import MASK, Redactor, is_secret_name, is_sensitive

__all__ = ["Row", "Summary", "learn_request", "summary_of"]

Row: TypeAlias = tuple[str, str]
"""A name and a value."""

_ROWS = 60
_METHOD = 20
_NAME = 100
_VALUE = 500
_PATH = 300
_QUERY = 8192  # of which fields are read; the rest of a longer one is not of interest


@dataclass(frozen=True, slots=True)
class Summary:
    """What an error page tells of the request. ``path`` is the pattern where the path holds a secret."""

    method: str
    path: str
    pattern: str | None
    params: tuple[Row, ...]
    query: tuple[Row, ...]
    headers: tuple[Row, ...]


def learn_request(request: Request, redactor: Redactor) -> None:
    """Remember the request's credentials: they must not come back in a message."""
    for name, value in request.headers.multi_items():
        if is_sensitive(name):
            redactor.learn(value)
            redactor.learn(value.rpartition(" ")[2])  # "Bearer abc"
    for value in request.cookies.values():
        redactor.learn(value)
    for name, value in (*_query(request), *_params(request)):
        if is_secret_name(name):
            redactor.learn(value)


def summary_of(request: Request, redactor: Redactor) -> Summary:
    """Return what an error page shows of a request."""
    rows = _Rows(redactor)
    pattern = None if request.route is None else request.route.path
    path = redactor.text(request.path[: 2 * _PATH])
    if any(is_sensitive(name) for name in request.params):
        path = pattern or MASK
    return Summary(
        request.method[:_METHOD],
        path if len(path) <= _PATH else f"{path[:_PATH]}…",
        pattern,
        rows(_params(request)),
        rows(_query(request)),
        rows(request.headers.multi_items()),
    )


class _Rows:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, items: Iterable[Row]) -> tuple[Row, ...]:
        rows = list(items)
        shown = [(_cut(name, _NAME), self._value(name, value)) for name, value in rows[:_ROWS]]
        if len(rows) > _ROWS:
            shown.append(("…", f"{len(rows) - _ROWS} more"))
        return tuple(shown)

    def _value(self, name: str, value: str) -> str:
        if value and is_sensitive(name):
            return MASK
        return _cut(self._redactor.text(value[: 4 * _VALUE]), _VALUE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _params(request: Request) -> list[Row]:
    return [(name, str(value)) for name, value in request.params.items()]


def _query(request: Request) -> list[Row]:
    # Not `request.query`, which refuses what is not valid: that may be why there is an error.
    return parse_qsl(request.query_string[:_QUERY], keep_blank_values=True, errors="replace")
