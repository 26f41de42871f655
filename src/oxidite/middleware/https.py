"""HTTPS only: those who come without it are sent there, and browsers are told to remember (RFC 6797)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from oxidite.errors import ConfigError
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import RedirectResponse, Response
from oxidite.http.types import Handler, Middleware
from oxidite.http.url import URL
from oxidite.middleware.hosts import Hosts
from oxidite.middleware.paths import Paths

__all__ = ["hsts", "https_redirect"]

YEAR = 365 * 24 * 3600
_SECURE = frozenset(("https", "wss"))


def https_redirect(
    hosts: str | Iterable[str],
    *,
    port: int = 443,
    exclude: Iterable[str] = (),
) -> Middleware:
    """Send requests over plain HTTP to the same URL over HTTPS, by 308: method and body stay.

    A redirect to another scheme needs a host, and that of the request is whatever a client wrote: so
    say for which ``hosts`` you answer, as for ``allowed_hosts``; for others it is refused with 421.
    ``exclude`` are paths, maybe with ``*`` at the end, that are answered without, such as those of
    health checks. Behind a proxy that ends TLS, ``Oxidite(trusted_proxies=…)`` makes the scheme right.

    Raises:
        ConfigError: a host or a path is not one.
    """
    allowed = Hosts(hosts)
    excluded = Paths(exclude)

    async def redirect(request: Request) -> Response:
        host = allowed.find(request.host).host
        path = request.root_path + request.path
        url = URL.from_parts("https", _authority(host or "", port), path, request.query_string)
        return RedirectResponse(str(url), 308)

    @complete
    def middleware(request: Request, call_next: Handler) -> Awaitable[Response]:
        if request.scheme in _SECURE or request.path in excluded:
            return call_next(request)
        return redirect(request)

    return middleware


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def hsts(
    max_age: float = YEAR, *, include_subdomains: bool = False, preload: bool = False
) -> Middleware:
    """Tell browsers to come over HTTPS only for ``max_age`` seconds; said over HTTPS only.

    That cannot be taken back: begin with a day. With 0 browsers forget it. ``preload`` asks to be
    part of what browsers are shipped with, which takes a year at least and all subdomains.

    Raises:
        ConfigError: ``max_age`` is negative, or does not do for ``preload``.
    """
    if max_age < 0:
        raise ConfigError(f"hsts: max_age is in seconds, and {max_age} is negative.")
    if preload and not (max_age >= YEAR and include_subdomains):
        raise ConfigError(
            f"hsts: preload needs max_age={YEAR} or more, and include_subdomains=True. See "
            "https://hstspreload.org before you ask for it."
        )
    parts = [f"max-age={int(max_age)}"]
    parts += ["includeSubDomains"] if include_subdomains else []
    parts += ["preload"] if preload else []
    value = "; ".join(parts)

    @complete
    async def middleware(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        # RFC 6797 section 7.2: never over plain HTTP, where anybody could have written it.
        if request.scheme in _SECURE:
            response.headers.setdefault("strict-transport-security", value)
        return response

    return middleware
