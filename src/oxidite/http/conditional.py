"""Conditional requests: what the client has already, and what it wants only if nothing changed.

The one place where the order of RFC 9110 section 13.2.2 is written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oxidite.errors import PreconditionFailedError
from oxidite.http.dates import parse_date
from oxidite.http.headers import Headers
from oxidite.http.negotiation import etag_matches
from oxidite.http.response import Response

__all__ = ["Validators", "not_modified"]

_READS = frozenset(("GET", "HEAD", "QUERY"))
_FIELDS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a resource from another.

    ``etag`` is written as in its own field; ``modified`` is in seconds since 1970. ``settled`` is
    whether a second has passed since then, so that ``modified`` cannot stand for two states.
    """

    etag: str | None = None
    modified: int | None = None
    settled: bool = True

    def check(self, method: str, headers: Headers) -> Literal["changed", "same"]:
        """Say whether the client needs the content, or has ``"same"``: answer that with 304.

        Raises:
            PreconditionFailedError: it was to be done only in another state.
        """
        match = _field(headers, "if-match")
        if match is not None:
            if not self._is_named(match, weak=False):
                raise _failed("If-Match")
        elif not self._is_unmodified(headers.get("if-unmodified-since")):
            raise _failed("If-Unmodified-Since")
        none_match = _field(headers, "if-none-match")
        if none_match is not None:
            if not self._is_named(none_match, weak=True):
                return "changed"
            if method not in _READS:
                raise _failed("If-None-Match")
            return "same"
        since = headers.get("if-modified-since")
        if since is None or method not in _READS or self.modified is None:
            return "changed"
        date = parse_date(since)
        return "changed" if date is None or self.modified > date else "same"

    def allow_range(self, headers: Headers) -> bool:
        """Tell whether a part still fits what the client has of the rest (RFC 9110 section 13.1.5)."""
        wanted = headers.get("if-range")
        if wanted is None:
            return True
        wanted = wanted.strip(" \t")
        if wanted.startswith('"'):
            return wanted == self.etag
        # A date must be the very one, and a weak tag starts with what no date starts with.
        return self.settled and self.modified is not None and parse_date(wanted) == self.modified

    def _is_named(self, tags: str, *, weak: bool) -> bool:
        if self.etag is None:
            return tags.strip(" \t") == "*"
        return etag_matches(tags, self.etag, weak=weak)

    def _is_unmodified(self, since: str | None) -> bool:
        if since is None or self.modified is None:
            return True
        date = parse_date(since)
        return date is None or self.modified <= date


def is_conditional(headers: Headers) -> bool:
    """Tell whether there is anything to ``check``."""
    return any(headers.get(name) is not None for name in _FIELDS)


def not_modified(response: Response) -> Response:
    """Return the 304 that stands for ``response``, which stays as it is."""
    answer = Response(status=304)
    for name, value in response.headers.multi_items():
        if not name.startswith("content-") or name == "content-location":
            answer.headers.add(name, value)
    return answer


def _field(headers: Headers, name: str) -> str | None:
    """Return a list that may come in several fields."""
    first = headers.get(name)
    return None if first is None else ", ".join(headers.get_all(name))


def _failed(field: str) -> PreconditionFailedError:
    return PreconditionFailedError(
        f"{field} names another state than this resource is in. Fetch it again and decide anew."
    )
