"""Which pages may open a WebSocket: a browser lets any page try, with the user's cookies.

https://owasp.org/www-community/attacks/Cross-Site_WebSocket_Hijacking; RFC 6455 section 10.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from oxidite.http.request import Request
from oxidite.websocket.errors import OriginError

__all__ = ["check_origin", "parse_origin"]

_PORTS = {"http": 80, "https": 443}


def parse_origin(text: str) -> str:
    """Return an allowed origin in the form that browsers send it in.

    Raises:
        ValueError: it is none.
    """
    if text in ("*", "null"):
        return text
    origin = _parts(text)
    if origin is None:
        raise ValueError(
            f"origins: {text!r} is not an origin. Write a scheme and a host, without a path: "
            "'https://app.example.com'."
        )
    scheme, host, port = origin
    return f"{scheme}://{host}" + ("" if _PORTS.get(scheme) == port else f":{port}")


def check_origin(request: Request, allowed: Sequence[str], *, required: bool) -> None:
    """Refuse a handshake that a page from elsewhere began.

    Clients that are no browsers send no Origin. A page on HTTPS may open a socket of the same host over
    plain HTTP: what terminates TLS in front of us makes it look so. The other way round it may not.

    Raises:
        OriginError: the origin is neither that of this host nor among those allowed.
    """
    if "*" in allowed:
        return
    values = request.headers.get_all("origin")
    if not values:
        if required:
            raise OriginError("A WebSocket needs the Origin header here.")
        return
    if len(values) > 1:
        raise OriginError("There is more than one Origin header.")
    origin = values[0]
    if origin not in allowed and not _is_same(origin, request):
        raise OriginError(
            f"Pages of {origin[:100]!r} may not open a WebSocket here. Allow them with "
            "origins=[...] of the route."
        )


def _is_same(origin: str, request: Request) -> bool:
    page = _parts(origin)
    here = _parts(f"{request.scheme}://{request.headers.get('host', '')}")
    if page is None or here is None:
        return False
    if page[:1] == here[:1]:
        return page == here
    # TLS ended before us: the default port of one scheme is that of the other.
    return page[0] == "https" and page[1] == here[1] and _same_port(page[2], here[2])


def _same_port(https: int, http: int) -> bool:
    return https == http or (https, http) == (443, 80)


def _parts(text: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an origin; ``None`` if it is none."""
    try:
        url = urlsplit(text)
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        return None
    if not url.hostname or url.path or url.query or url.fragment or url.username is not None:
        return None
    return None if port is None else (url.scheme, url.hostname, port)
