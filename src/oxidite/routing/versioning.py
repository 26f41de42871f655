"""Versions of an API: which there are, and which one a request asks for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from oxidite.errors import HTTPError, RouteError
from oxidite.http.negotiation import parse_accept
from oxidite.http.request import Request
from oxidite.http.version import Version
from oxidite.routing.version_errors import (
    ConflictingVersionsError,
    MissingVersionError,
    UnknownVersionError,
    VersionNotAcceptableError,
    VersionNotFoundError,
)

__all__ = ["VersionSpec", "Versioning"]

VersionSpec: TypeAlias = str | Sequence[str]
"""Versions by name: one, a range such as ``"1-3"``, ``"2-"`` or ``"-2"``, or a list of names."""

_HOLE = "{version}"
_MOST_CALLERS = 10_000
_LONGEST_CALLER = 100
"""Characters of a name, as it may be whatever a client has sent."""


class Versioning:
    """The versions of an API, oldest first, and where a request says which one it means.

    ``path`` is ``True`` for ``/v1/posts``, or another form with ``{version}`` in it, ``header`` and ``query``
    are names, ``media_type`` has ``{version}`` in it and is looked for in ``Accept``. What says nothing is
    passed over; what contradicts is refused. ``default`` is the version of requests that say none, or
    a function that returns its name. ``answer_header`` is put on every answer of a version;
    ``client`` makes out of a request who it is that still calls a deprecated version: it is told with
    the event ``http.deprecated``, and counted in ``callers``.
    """

    def __init__(
        self,
        versions: Iterable[Version | str],
        *,
        path: bool | str = False,
        header: str | None = None,
        query: str | None = None,
        media_type: str | None = None,
        default: str | Callable[[Request], str | None] | None = None,
        answer_header: str | None = None,
        client: Callable[[Request], object] | None = None,
    ) -> None:
        listed = [Version(each) if isinstance(each, str) else each for each in versions]
        self.versions: tuple[Version, ...] = tuple(listed)
        self.names: tuple[str, ...] = tuple(each.name for each in listed)
        self.path: str | None = "/v" + _HOLE if path is True else path or None
        self.header: str | None = header
        self.query: str | None = query
        self.media_type: str | None = None if media_type is None else media_type.lower()
        self.default: str | Callable[[Request], str | None] | None = default
        self.answer_header: str | None = answer_header
        self.client: Callable[[Request], object] | None = client
        self.callers: Counter[tuple[str, str | None]] = Counter()
        """How often this process was asked for a version that is deprecated or gone, and by whom."""
        self._by_name = {each.name.lower(): each.name for each in listed}
        self._check()
        self._in_path = _with_hole(self.path)
        self._in_accept = _with_hole(self.media_type)

    @property
    def selects(self) -> bool:
        """Whether something beside the path says the version."""
        return bool(self.header or self.query or self.media_type)

    @property
    def vary(self) -> tuple[str, ...]:
        """The header fields that an answer depends on."""
        return tuple(filter(None, (self.header, self.media_type and "accept")))

    @property
    def supported(self) -> tuple[str, ...]:
        """The names of those that answer."""
        return tuple(each.name for each in self.versions if not each.is_over)

    def pick(self, spec: VersionSpec) -> tuple[Version, ...]:
        """Return the versions that ``spec`` names, oldest first.

        Raises:
            RouteError: it names one that is not listed, or can be read in two ways.
        """
        names = (
            {spec}
            if spec in self.names
            else _range(spec, self.names)
            if isinstance(spec, str)
            else spec
        )
        unknown = [each for each in names if each not in self.names]
        if unknown or not names:
            raise RouteError(
                f"versions={spec!r} is neither a version nor a range of them. There are: "
                f"{', '.join(self.names)}."
            )
        return tuple(each for each in self.versions if each.name in names)

    def prefixes(self, version: str) -> Iterator[str]:
        """Yield what stands before a route in that version; nothing if it is not in the path."""
        if self.path:
            yield self.prefix(version)
        if self.selects:
            yield ""

    def prefix(self, version: str) -> str:
        """Return what stands in the path for a version."""
        return (self.path or "").replace(_HOLE, version)

    def successor(self, version: Version) -> str | None:
        """Return the name of the version, or the URL, that follows ``version``."""
        after = self.names[self.names.index(version.name) + 1 :]
        return version.successor or (after[0] if after else None)

    def said(self, request: Request) -> list[str]:
        """Return the versions that the request asks for beside its path, each once."""
        accepted = self.accepted(request)
        found = (
            *(request.headers.get_all(self.header) if self.header else ()),
            *(request.query.get_all(self.query) if self.query else ()),
            *(() if accepted is None else (accepted,)),
        )
        return list(dict.fromkeys(found))

    def accepted(self, request: Request) -> str | None:
        """Return the version that ``Accept`` prefers among those that there are, else the first."""
        if self._in_accept is None:
            return None
        ranges = parse_accept(request.headers.get("accept", ""))
        ranges.sort(key=lambda each: -each.quality)
        matches = (
            self._in_accept.fullmatch(f"{each.type}/{each.subtype}")
            for each in ranges
            if each.quality
        )
        names = [match["version"] for match in matches if match]
        known = [self._by_name[name] for name in names if name in self._by_name]
        return next(iter(known or names), None)

    def count(self, version: Version, client: object) -> None:
        """Count a call of an old version. Of whom there is no room to remember counts as nobody."""
        name = None if client is None else str(client)[:_LONGEST_CALLER]
        key = (version.name, name)
        if key not in self.callers and len(self.callers) >= _MOST_CALLERS:
            key = (version.name, None)
        self.callers[key] += 1

    def select(self, request: Request) -> str | None:
        """Return the name of the version to answer with; ``None`` if that is not clear."""
        said = self.said(request)
        if not said:
            if callable(self.default):
                return self.default(request)
            # A browser that asks what it may do says no version.
            return (
                self.names[-1] if not self.default and request.method == "OPTIONS" else self.default
            )
        return said[0] if len(said) == 1 and said[0] in self.names else None

    def refusal(self, request: Request) -> HTTPError:
        """Return why ``select`` found none."""
        said = self.said(request)
        if len(said) > 1:
            return ConflictingVersionsError(said, self.supported)
        if not said:
            return MissingVersionError(" or ".join(self._places()), self.supported)
        if said[0] == self.accepted(request):
            return VersionNotAcceptableError(said[0], self.supported)
        return UnknownVersionError(said[0], self.supported)

    def unknown_in(self, path: str) -> HTTPError | None:
        """Return the error of a path that begins with a version that there is not."""
        match = self._in_path and self._in_path.match(path)
        if not match or match["version"] in self.names:
            return None
        return VersionNotFoundError(match["version"], self.supported)

    def _places(self) -> Iterator[str]:
        if self.path:
            yield f"in the path ({self.prefix(self.names[-1])}/...)"
        if self.header:
            yield f"in the header field {self.header}"
        if self.query:
            yield f"in the query ({self.query}=...)"
        if self.media_type:
            yield f"in Accept ({self.media_type.replace(_HOLE, self.names[-1])})"

    def _check(self) -> None:
        if not self.versions:
            raise RouteError("Versioning([]) has no version.")
        if len(self._by_name) < len(self.names):
            raise RouteError(f"Versioning({list(self.names)}): two versions have the same name.")
        if not (self.path or self.selects):
            raise RouteError(
                "Versioning(...) does not say where a request has its version: path=True, header=..., "
                "query=... or media_type=..."
            )
        if isinstance(self.default, str) and self.default not in self.names:
            raise RouteError(
                f"Versioning(default={self.default!r}) is none of {', '.join(self.names)}."
            )
        for name, value in (("path", self.path), ("media_type", self.media_type)):
            if value is not None and value.count(_HOLE) != 1:
                raise RouteError(
                    f"Versioning({name}={value!r}): write {_HOLE} where the version stands."
                )
        if self.path is not None and not self.path.startswith("/"):
            raise RouteError(f"Versioning(path={self.path!r}): a path begins with '/'.")
        for each in self.versions:
            if each.successor and "/" not in each.successor and each.successor not in self.names:
                raise RouteError(
                    f"Version({each.name!r}, successor={each.successor!r}) is neither a version nor a URL."
                )


def _with_hole(text: str | None) -> re.Pattern[str] | None:
    """Return what finds the version in something like ``/v{version}``."""
    if text is None:
        return None
    before, _, after = text.partition(_HOLE)
    return re.compile(rf"{re.escape(before)}(?P<version>[^/]+?){re.escape(after)}(?=/|\Z)")


def _range(spec: str, names: Sequence[str]) -> Sequence[str]:
    """Read ``"1-3"``; a name may have a hyphen too, so every one is tried."""
    found: list[Sequence[str]] = []
    for at, char in enumerate(spec):
        first, last = spec[:at].strip(), spec[at + 1 :].strip()
        if char != "-" or not (first or last):
            continue
        if (not first or first in names) and (not last or last in names):
            start = names.index(first) if first else 0
            end = names.index(last) if last else len(names) - 1
            found.append(names[start : end + 1])
    if len(found) > 1:
        raise RouteError(f"versions={spec!r} can be read in two ways. Write a list of names.")
    return found[0] if found else ()
