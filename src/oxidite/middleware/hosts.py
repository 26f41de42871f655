"""For which hosts an application answers. A Host field is whatever a client wrote.

RFC 9112 section 3.2: a request without a valid one is answered with 400. RFC 9110 section 15.5.20: 421
says that a host is served elsewhere, if at all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable

from oxidite.errors import ConfigError, HTTPError
from oxidite.http.declared import declares
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.http.url import URL, InvalidHostError

__all__ = ["HostNotAllowedError", "Hosts", "allowed_hosts"]

_PATTERN = re.compile(
    r"\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?"
)
_KEPT = 1024


class HostNotAllowedError(HTTPError):
    """This host is not served here."""

    code = "host_not_allowed"
    status = 421


class Hosts:
    """Patterns of hosts: ``example.com``, ``*.example.com``, ``localhost:8000``, ``[::1]``, ``*``.

    ``*.`` stands for one label or more, so ``example.com`` itself is not in it. A pattern without a
    port is for every port. A dot at the end of a host does not matter, nor does its case.
    """

    def __init__(self, patterns: str | Iterable[str]) -> None:
        if isinstance(patterns, str):
            patterns = patterns.split(",")
        self.patterns: tuple[str, ...] = tuple(
            pattern for each in patterns if (pattern := each.strip().lower())
        )
        for each in self.patterns:
            if not _PATTERN.fullmatch(each):
                raise ConfigError(
                    f"{each!r} is not a host. Write names such as 'example.com', '*.example.com' or "
                    "'localhost:8000', without a scheme or a path."
                )
        if not self.patterns:
            raise ConfigError("No host is allowed: name one, or '*' for any.")
        self._exact = frozenset(self.patterns)
        self._below = tuple(each[1:] for each in self.patterns if each.startswith("*."))
        self.known: dict[str, URL] = {}
        """Host fields that were found to be allowed."""

    def find(self, host: str) -> URL:
        """Return a URL of ``host``, which is a Host field as it came.

        Raises:
            InvalidHostError: it is not the name of a host.
            HostNotAllowedError: no pattern is for it.
        """
        url = self.known.get(host)
        if url is None:
            url = self._look_up(host)
            # Only what is allowed is kept, so nobody pushes it out with inventions; below a "*." there
            # is no end of names, though.
            if len(self.known) < _KEPT:
                self.known[host] = url
        return url

    def _look_up(self, host: str) -> URL:
        if not host:
            raise InvalidHostError("The request does not say for which host it is.")
        url = URL.from_parts("", host, "")
        if "*" in self._exact:
            return url
        name = (url.host or "").removesuffix(".")
        name = f"[{name}]" if ":" in name else name
        for each in (name, f"{name}:{url.port}"):
            if each in self._exact or each.endswith(self._below):
                return url
        raise HostNotAllowedError


def allowed_hosts(patterns: str | Iterable[str]) -> Middleware:
    """Answer only requests for hosts of these ``patterns``; see ``Hosts``.

    A host that is none is answered with 400, one that is not served here with 421. Text is a list
    with commas, as it stands in an environment variable.

    Raises:
        ConfigError: a pattern is not a host, or there is none.
    """
    hosts = Hosts(patterns)
    known, find = hosts.known, hosts.find

    @complete
    @declares(raises=[InvalidHostError, HostNotAllowedError])
    def middleware(request: Request, call_next: Handler) -> Awaitable[Response]:
        # Not all servers refuse two of them, and a cache in front may believe the other one.
        given = request.headers.get_all("host")
        if len(given) > 1:
            raise InvalidHostError("The request says for two hosts that it is for them.")
        if not given or given[0] not in known:
            find(given[0] if given else "")
        return call_next(request)

    return middleware
