"""Header fields about the form of content: media types, what a client accepts, entity tags.

All of it is read in linear time and with tolerance: what is malformed is as if it were not there
(RFC 9110 sections 8.3, 8.8.3, 12.4, 12.5.1 and 13.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "MediaRange",
    "accepted_codings",
    "best_match",
    "etag_matches",
    "parse_accept",
    "parse_content_type",
]

_MAX_MEMBERS = 64  # media ranges of one Accept field that are looked at; browsers send about 10
_MAX_PARAMS = 32  # parameters of one media type
_MAX_CODINGS = 32  # members of one Accept-Encoding field; browsers send about 4
_CACHED_LENGTH = 512  # characters of a field that may stay in memory

# PERF: the possessive quantifiers (++, *+) are what keeps these linear on hostile text.
_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TYPE = re.compile(rf"[ \t]*+({_TCHARS})(?:/({_TCHARS}))?[ \t]*+(?=;|\Z)")
# Unquoted values are taken up to the next blank or semicolon: clients send "boundary=a/b" bare.
_PARAM = re.compile(
    rf"[ \t]*+;[ \t]*+(?:({_TCHARS})="
    r'(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^" \t;]*+))[ \t]*+(?=;|\Z))?',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEMBER = re.compile(r'[ \t,]*+([^",]*+(?:"(?:[^"\\]|\\.)*+(?:"|\Z)[^",]*+)*+)', re.DOTALL)
_WEIGHT = re.compile(r"0?\.[0-9]{1,6}|0\.?|1(?:\.0{0,6})?", re.ASCII)
_CODING = re.compile(
    rf"[ \t]*+({_TCHARS})[ \t]*+(?:;[ \t]*+[qQ]=(0(?:\.[0-9]{{0,3}})?|1(?:\.0{{0,3}})?)[ \t]*+)?",
    re.ASCII,
)
_ETAG = re.compile(r'[ \t,]*+(W/)?("[^"]*+")[ \t]*+(?=,|\Z)')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One member of an Accept field, such as ``text/*;q=0.5``.

    ``type`` and ``subtype`` are in lower case and may be ``*``; ``params`` are without ``q``, which
    is ``quality``, from 0 (not acceptable) to 1.
    """

    type: str
    subtype: str
    params: tuple[tuple[str, str], ...] = ()
    quality: float = 1.0

    @property
    def specificity(self) -> int:
        """How much it says: ``*/*`` is 0, ``text/*`` 1, ``text/html`` 2, one more per parameter."""
        if self.type == "*":
            return 0
        return 1 if self.subtype == "*" else 2 + len(self.params)

    def matches(self, type_: str, params: Mapping[str, str]) -> bool:
        """Say whether a media type (in lower case, ``text/html``) with ``params`` is in the range.

        A ``charset`` counts only for a type that has one: UTF-8 is what there is otherwise.
        """
        if self.type != "*":
            major, _, minor = type_.partition("/")
            if self.type != major or self.subtype not in ("*", minor):
                return False
        return all(
            (name == "charset" and name not in params)
            or params.get(name, "").lower() == value.lower()
            for name, value in self.params
        )


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Return the media type of a Content-Type field, in lower case, and its parameters.

    Names of parameters are in lower case; of two with one name the first wins, and what follows a
    malformed one is ignored. Something that is not ``type/subtype`` gives ``("", {})``.
    """
    # PERF: most requests of an application carry one of a few values; benchmark `json body`.
    parse = _parse_known_type if len(value) <= _CACHED_LENGTH else _parse_type
    type_, params = parse(value)
    return type_, dict(params)


def _parse_type(value: str) -> tuple[str, dict[str, str]]:
    match = _TYPE.match(value)
    if match is None or match[2] is None:
        return "", {}
    return f"{match[1]}/{match[2]}".lower(), _parse_params(value, match.end())


_parse_known_type = lru_cache(maxsize=256)(_parse_type)


def _parse_params(text: str, start: int) -> dict[str, str]:
    params: dict[str, str] = {}
    for _ in range(_MAX_PARAMS):
        match = _PARAM.match(text, start)
        if match is None:
            break
        start = match.end()
        name, quoted, bare = match.groups()
        if name:
            value = bare if quoted is None else _ESCAPE.sub(r"\1", quoted)
            params.setdefault(name.lower(), value)
    return params


def parse_accept(header: str) -> list[MediaRange]:
    """Return the media ranges of an Accept field in the order they came.

    Malformed members are left out, and so is everything after the first 64 members. ``*`` alone
    means ``*/*``, as some old clients write it.
    """
    ranges = []
    position = 0
    for _ in range(_MAX_MEMBERS):
        match = _MEMBER.match(header, position)
        if match is None or match.end() == position:
            break
        position = match.end()
        media_range = _parse_range(match[1])
        if media_range is not None:
            ranges.append(media_range)
    return ranges


def _parse_range(text: str) -> MediaRange | None:
    match = _TYPE.match(text)
    if match is None:
        return None
    type_, subtype = match[1].lower(), (match[2] or "").lower()
    if type_ == "*" and not subtype:
        subtype = "*"
    if not subtype or (type_ == "*" and subtype != "*"):
        return None
    params = _parse_params(text, match.end())
    weight = params.pop("q", "1")
    if not _WEIGHT.fullmatch(weight):
        return None
    return MediaRange(type_, subtype, tuple(params.items()), float(weight))


def best_match(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the media type of ``offers`` that the client likes best; ``None`` if it accepts none.

    Each offer has the quality of the most specific range that it is in; 0 excludes it. Between
    equals the one that the client named more precisely wins, then the one that is offered first.
    Without an Accept field, or without anything readable in it, that is the first offer.
    """
    if not offers:
        return None
    if not accept:
        return offers[0]
    if len(accept) > _CACHED_LENGTH:
        return _best_match(accept, tuple(offers))
    return _cached_best_match(accept, tuple(offers))


def _best_match(accept: str, offers: tuple[str, ...]) -> str | None:
    ranges = parse_accept(accept)
    if not ranges:
        return offers[0]
    best, best_rank = None, (0.0, 0)
    for offer in offers:
        type_, params = parse_content_type(offer)
        hits = [one for one in ranges if one.matches(type_, params)]
        if not hits:
            continue
        # Of two ranges that say the same, the first counts.
        closest = max(hits, key=lambda one: one.specificity)
        rank = (closest.quality, closest.specificity)
        if closest.quality > 0 and rank > best_rank:
            best, best_rank = offer, rank
    return best


# Few different fields are sent: each browser and library has its own. The number is bounded, and
# so is the length of each, so that no client fills the memory with them.
_cached_best_match = lru_cache(maxsize=256)(_best_match)


def accepted_codings(field: str | None, offers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the content codings of ``offers`` that an Accept-Encoding field names, the best first.

    Between equals the order of ``offers`` decides. What the client likes less than content as it is
    (``identity``) is left out. No field means none, although it would allow any (RFC 9110 section
    12.5.3): who says nothing may not be able to decode. Only the first 32 members are looked at.
    """
    if not field:
        return ()
    if len(field) > _CACHED_LENGTH:
        return _accepted_codings(field, offers)
    return _cached_codings(field, offers)


def _accepted_codings(field: str, offers: tuple[str, ...]) -> tuple[str, ...]:
    qualities: dict[str, float] = {}
    for member in field.split(",", _MAX_CODINGS)[:_MAX_CODINGS]:
        match = _CODING.fullmatch(member)
        if match is not None:
            qualities.setdefault(match[1].lower().removeprefix("x-"), float(match[2] or 1))
    other = qualities.get("*", 0.0)
    # Without a word of its own identity is what nobody would choose who can have less.
    least = qualities.get("identity", 0.0)
    found = [(qualities.get(offer, other), offer) for offer in offers]
    found = [each for each in found if each[0] > 0 and each[0] >= least]
    return tuple(offer for _, offer in sorted(found, key=lambda each: -each[0]))


_cached_codings = lru_cache(maxsize=256)(_accepted_codings)


def etag_matches(header: str, etag: str, *, weak: bool = True) -> bool:
    """Say whether an If-None-Match or If-Match field names ``etag``; ``*`` names every one.

    ``etag`` is written as in its own field: ``"v1"`` or ``W/"v1"``. The weak comparison (for
    If-None-Match) looks at the quoted part only; the strong one (``weak=False``, for If-Match)
    never finds a weak tag on either side. What follows a malformed tag is ignored.
    """
    if header.strip(" \t") == "*":
        return True
    wanted_weak = etag.startswith("W/")
    opaque = etag[2:] if wanted_weak else etag
    if opaque not in header or (wanted_weak and not weak):
        return False
    position = 0
    while match := _ETAG.match(header, position):
        position = match.end()
        if match[2] == opaque and (weak or not match[1]):
            return True
    return False
