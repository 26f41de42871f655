"""What a page's Content-Security-Policy must let in for the overlay: one stylesheet, told by its hash.

https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html.parser import HTMLParser
from typing import TypeAlias

__all__ = ["Fields", "admit", "before_policy", "hash_source"]

Fields: TypeAlias = "list[tuple[bytes, bytes]]"

_NAME = "content-security-policy"
# The second forbids nothing, but would tell its owner of something that is not the page's.
_HEADERS = frozenset((_NAME.encode(), f"{_NAME}-report-only".encode()))
_GOVERNING = ("style-src-elem", "style-src", "default-src")
"""What says which ``<style>`` elements count; the first one that is there does."""
_HASHED = ("'nonce-", "'sha256-", "'sha384-", "'sha512-")


def hash_source(style: str) -> str:
    """Return the source expression for a ``<style>`` element with exactly this content."""
    return f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"


def admit(headers: Iterable[tuple[bytes, bytes]], source: str) -> Fields:
    """Return the fields of a response with ``source`` let in by each policy that would keep it out."""
    return [
        (name, _admitting(value, source) if name.lower() in _HEADERS else value)
        for name, value in headers
    ]


def _admitting(value: bytes, source: str) -> bytes:
    # One field may carry several policies, and what one of them forbids is forbidden.
    policies = value.decode("latin-1").split(",")
    return ",".join(_admitting_one(each, source) for each in policies).encode("latin-1")


def _admitting_one(policy: str, source: str) -> str:
    directives = [words for part in policy.split(";") if (words := part.split())]
    # Of two with one name the first one counts.
    found = {words[0].lower(): words for words in reversed(directives)}
    governing = next((found[name] for name in _GOVERNING if name in found), None)
    if governing is None or _allows_all(governing[1:]):
        return policy
    sources = [each for each in governing[1:] if each.lower() != "'none'"]
    if governing[0].lower() == "default-src":
        # In a directive of its own, as scripts and all else ask this one too.
        directives.append(["style-src-elem", *sources, source])
    else:
        governing[1:] = [*sources, source]
    return "; ".join(" ".join(words) for words in directives)


def _allows_all(sources: Iterable[str]) -> bool:
    """Tell whether any ``<style>`` counts: a hash beside ``'unsafe-inline'`` would put an end to it."""
    known = [each.lower() for each in sources]
    return "'unsafe-inline'" in known and not any(each.startswith(_HASHED) for each in known)


def before_policy(page: bytes) -> int:
    """Return where a page's own ``<meta>`` with a policy begins, else where the page ends.

    Such a policy rules what comes after it, so that what is put there needs no leave.
    """
    if _NAME.encode() not in page.lower():
        return len(page)
    # Every byte is a character in it, and what matters is ASCII.
    text = page.decode("latin-1")
    finder = _PolicyFinder()
    finder.feed(text)
    finder.close()
    if finder.place is None:
        return len(page)
    line, column = finder.place
    return sum(len(each) + 1 for each in text.split("\n", line - 1)[:-1]) + column


class _PolicyFinder(HTMLParser):
    """Remembers the line and column of the first ``<meta>`` with a policy."""

    place: tuple[int, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = dict(attrs).get("http-equiv") if tag == "meta" else None
        if self.place is None and kind is not None and kind.strip().lower() == _NAME:
            self.place = self.getpos()
