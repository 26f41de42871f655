"""What may be kept, and what may be served of it (RFC 9111 sections 3 and 4, RFC 5861)."""

from __future__ import annotations

from typing import NamedTuple

from oxidite.cache.web.control import Directives, read_control, read_targeted
from oxidite.cache.web.pages import Page, kept_fields
from oxidite.http.dates import parse_date
from oxidite.http.headers import Headers
from oxidite.http.request import Request
from oxidite.http.response import Response

__all__ = ["Limits", "Refusal", "Wish", "judged", "wish_of"]

_HEURISTIC = frozenset((200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
_UNDERSTOOD = _HEURISTIC | frozenset((302, 303, 307, 400, 403, 500, 502, 503, 504))
# 206 is a part, 304 is about what somebody else has.
_NEVER = frozenset((206, 304))
_FOR_ALL = ("public", "s-maxage", "must-revalidate")  # RFC 9111 section 3.5
_HEURISTIC_PART, _HEURISTIC_MOST = 0.1, 86400.0


class Limits(NamedTuple):
    """What a cache keeps at all."""

    max_body: int
    heuristic: bool
    targets: tuple[str, ...]


class Refusal(NamedTuple):
    """Why an answer is not kept."""

    reason: str


class Wish(NamedTuple):
    """What a request says of how it may be answered; times in seconds."""

    no_store: bool = False
    reload: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int = 0
    max_stale: float = 0.0
    stale_if_error: int = 0

    def allows(self, page: Page, age: float, *, is_fresh: bool) -> bool:
        """Tell whether a page may be served without asking."""
        if self.reload or (self.max_age is not None and age > self.max_age):
            return False
        left = page.lifetime - age
        if is_fresh and left > 0:
            return left >= self.min_fresh
        return is_fresh and not page.must and -left < self.max_stale


def wish_of(headers: Headers) -> Wish:
    """Read what a request wishes."""
    fields = headers.get_all("cache-control")
    if not fields:
        # Only where there is no other (RFC 9111 section 5.4).
        return Wish(reload="no-cache" in headers.get("pragma", "").lower())
    control = read_control(fields)
    stale = 0.0
    if "max-stale" in control:
        is_any = control.values["max-stale"] is None
        stale = float("inf") if is_any else float(control.seconds("max-stale") or 0)
    return Wish(
        no_store="no-store" in control,
        reload="no-cache" in control,
        only_if_cached="only-if-cached" in control,
        max_age=control.seconds("max-age"),
        min_fresh=control.seconds("min-fresh") or 0,
        max_stale=stale,
        stale_if_error=control.seconds("stale-if-error") or 0,
    )


def judged(
    request: Request, response: Response, limits: Limits, *, asked: float, cookies: bool
) -> Page | Refusal:
    """Return what is kept of an answer, or why nothing is.

    ``asked`` is when the request was sent on, ``cookies`` whether the handler looked at those it came with.
    """
    headers = response.headers
    control, is_targeted = _control(headers, limits.targets)
    reason = _refused(request, response, control, limits, cookies=cookies)
    if reason:
        return Refusal(reason)
    date = parse_date(headers.get("date", ""))
    age = max(_age(headers), 0.0 if date is None else asked - date)
    lifetime = _lifetime(response, control, asked, limits, is_targeted=is_targeted)
    if lifetime is None:
        return Refusal("no explicit freshness")
    must = "no-cache" in control or "must-revalidate" in control or "proxy-revalidate" in control
    if "no-cache" in control:
        lifetime = 0.0
    page = Page(
        response.status,
        kept_fields(headers),
        response.body,
        asked - age,
        lifetime,
        0.0 if must else float(control.seconds("stale-while-revalidate") or 0),
        0.0 if must else float(control.seconds("stale-if-error") or 0),
        must or "s-maxage" in control,
    )
    usable = max(lifetime + max(page.swr, page.sie) - age, 0.0)
    if not usable and page.etag is None and page.modified is None:
        return Refusal("neither fresh nor with a validator")
    return page


def _control(headers: Headers, targets: tuple[str, ...]) -> tuple[Directives, bool]:
    for target in targets:
        fields = headers.get_all(target)
        found = read_targeted(fields) if fields else None
        if found is not None:
            return found, True
    return read_control(headers.get_all("cache-control")), False


def _refused(
    request: Request, response: Response, control: Directives, limits: Limits, *, cookies: bool
) -> str:
    if not response.complete:
        return "a stream"
    if response.status in _NEVER:
        return f"status {response.status}"
    if len(response.body) > limits.max_body:
        return "too large"
    return _forbidden(response, control) or _personal(request, response, control, cookies=cookies)


def _forbidden(response: Response, control: Directives) -> str:
    if (
        "must-understand" in control
    ):  # who knows it need not mind no-store (RFC 9111 section 5.2.2.3)
        if response.status not in _UNDERSTOOD:
            return "a status that is not understood"
    elif "no-store" in control:
        return "no-store"
    return "private" if "private" in control else ""


def _personal(request: Request, response: Response, control: Directives, *, cookies: bool) -> str:
    headers = response.headers
    if "set-cookie" in headers:
        return "sets a cookie"
    vary = ",".join(headers.get_all("vary")).lower()
    if "*" in vary:
        return "varies by everything"
    if "authorization" in request.headers and not any(each in control for each in _FOR_ALL):
        return "for whom it was authorized"
    # No RFC asks for this, but who looks at cookies hardly answers everybody the same.
    if cookies and "public" not in control and "cookie" not in vary:
        return "made of cookies"
    return ""


def _age(headers: Headers) -> float:
    value = headers.get("age", "").partition(",")[0].strip()
    return min(float(value), 2.0**31) if value.isascii() and value.isdigit() else 0.0


def _lifetime(
    response: Response, control: Directives, asked: float, limits: Limits, *, is_targeted: bool
) -> float | None:
    """Return for how long an answer is fresh from its beginning; ``None`` if it does not say."""
    headers = response.headers
    for name in ("s-maxage", "max-age"):
        seconds = control.seconds(name)
        if seconds is not None:
            return float(seconds)
    date = parse_date(headers.get("date", ""))
    begun = asked if date is None else date
    if "expires" in headers and not is_targeted:
        # One that cannot be read, such as 0, is in the past; of two the first one counts.
        expires = parse_date(headers["expires"])
        return 0.0 if expires is None else max(0.0, expires - begun)
    if "no-cache" in control or "must-revalidate" in control:
        return 0.0
    modified = parse_date(headers.get("last-modified", ""))
    is_guessable = response.status in _HEURISTIC or "public" in control
    if limits.heuristic and is_guessable and modified is not None:
        return max(0.0, min((begun - modified) * _HEURISTIC_PART, _HEURISTIC_MOST))
    return None
