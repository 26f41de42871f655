"""Cross-site request forgery: another site has the user's browser send what the user never wanted.

Only what a browser adds by itself can be abused so: cookies, and passwords of HTTP. Two things are
looked at: where the browser says the request began, and a token that only our own pages know.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from oxidite.errors import ConfigError, ForbiddenError
from oxidite.extract.base import Description
from oxidite.http.declared import declares
from oxidite.http.headers import header_name
from oxidite.http.methods import PathMethods
from oxidite.http.middleware import complete, ordered
from oxidite.http.request import FORM_TYPES, Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.origins import OriginLike, Origins
from oxidite.security.signing import BadSignatureError, Signer, Signers

__all__ = ["CSRFError", "CSRFToken", "csrf", "csrf_token"]

_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "QUERY"))
_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
_STATE = "oxidite.csrf"
_MADE = "oxidite.csrf.made"
_COOKIE = "csrf"
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST = 256  # characters of a token; ours have about 100
_MULTIPART = "multipart/form-data"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class CSRFError(ForbiddenError):
    """The request may not come from a page of this site.

    The problem document has a ``reason``: ``cross_site``, ``token_missing``, ``cookie_missing`` or
    ``token_invalid``.
    """

    code = "csrf"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, extra={"reason": reason})


def csrf(
    *,
    session: str | None = None,
    trusted_origins: Iterable[OriginLike] = (),
    token: Literal["always", "fallback"] = "always",  # noqa: S107 - no secret
    header: str = "x-csrf-token",
    field: str = "csrf_token",
    ttl: float = 86400.0,
) -> Middleware:
    """Refuse requests that change something and were made by a page of another site.

    Requests with cookies are looked at, or with the cookie ``session`` if that is what authenticates;
    those with a token in Authorization are not, nor are methods that change nothing, nor routes with
    ``meta={"csrf": False}``. ``True`` there looks at every request: that of a login has no cookie yet.

    A request has to begin at this site, or at one of ``trusted_origins``, as the browser tells, and
    has to have a token of our own: in ``header`` or in the form's ``field``. With ``token="fallback"``
    only where the browser does not tell. A handler gets one as ``CSRFToken``. It belongs to
    the session cookie, or to a cookie of its own while there is no session, and is good for ``ttl``
    seconds. It is another one each time, so that compression cannot give it away.

    Raises:
        ConfigError: a trusted origin is none.
    """
    trusted = Origins(trusted_origins, credentials=True)
    guard = _Guard(session, trusted, token == "fallback", header_name(header), field, ttl)  # noqa: S105

    # What is replayed was allowed to somebody else, perhaps.
    @complete
    @declares(raises=[CSRFError], methods=_UNSAFE)
    @ordered(outside=["idempotency"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        request.state[_STATE] = guard
        if request.method not in _SAFE:
            await guard.check(request)
        response = await call_next(request)
        made = request.state.get(_MADE)
        if isinstance(made, _Made):
            guard.finish(request, response, made)
        return response

    return middleware


def csrf_token(request: Request) -> str:
    """Return a token for the next form or script of this user.

    Raises:
        ConfigError: no ``csrf`` middleware surrounds this.
    """
    guard = request.state.get(_STATE)
    if not isinstance(guard, _Guard):
        raise ConfigError(
            "Nothing here makes CSRF tokens. Add csrf() to the middleware of the application or group."
        )
    return guard.token(request)


class _TokenExtractor:
    def extract(self, request: Request) -> str:
        return csrf_token(request)

    def describe(self) -> Description:
        return Description("request", str)


CSRFToken = Annotated[str, _TokenExtractor()]
"""A token for a form: ``token: CSRFToken`` in a handler, a hidden field in the page."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What the tokens made for a request belong to, and whether the browser has yet to be told."""

    binding: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Guard:
    """Checks requests, and makes tokens for those that come after them."""

    session: str | None
    trusted: Origins
    fallback: bool
    header: str
    field: str
    ttl: float

    # Checking.

    async def check(self, request: Request) -> None:
        """Return if the request may be ours.

        Raises:
            CSRFError: it is somebody else's, or does not show that it is ours.
        """
        route = request.route
        wanted = None if route is None else route.meta.get("csrf")
        if wanted is False:
            return
        has_cookie = self._has_cookie(request)
        if not has_cookie and not wanted and not _has_password(request):
            return
        told = self._is_told_to_be_ours(request)
        if (told and self.fallback) or not (has_cookie or wanted):
            return  # a password without a cookie is that of a program, where the browser is silent
        await self._check_token(request)

    def _has_cookie(self, request: Request) -> bool:
        headers = request.headers
        if "cookie" not in headers:
            return False
        if "authorization" in headers and not _has_password(request):
            return False  # no other site can make a browser send that
        cookies, session = request.cookies, self.session
        return session is None or session in cookies or _cookie_name(request) in cookies

    def _is_told_to_be_ours(self, request: Request) -> bool:
        """Tell whether the browser says that a page of ours made the request."""
        headers = request.headers
        origin = headers.get("origin")
        if origin is not None and origin in self.trusted:
            return True
        site = headers.get("sec-fetch-site")
        if site is None and origin is None:
            return False
        # Who typed an address or followed a bookmark was led by nobody: "none".
        is_ours = _is_own(request, origin) if site is None else site in ("same-origin", "none")
        if not is_ours:
            raise CSRFError(
                "This request was made by a page of another site. If that site is yours, name it in "
                "csrf(trusted_origins=[...]).",
                "cross_site",
            )
        return True

    async def _check_token(self, request: Request) -> None:
        token = request.headers.get(self.header)
        if token is None and _is_form(request):
            value = (await request.form()).get(self.field)
            token = value if isinstance(value, str) else None
        if not token:
            raise CSRFError(
                f"The CSRF token is missing. Send it in the header {self.header} or in the form "
                f"field {self.field}.",
                "token_missing",
            )
        binding = self._known_binding(request)
        if binding is None:
            raise CSRFError(
                "The cookie that the CSRF token belongs to is missing. Allow cookies, and load the page "
                "again.",
                "cookie_missing",
            )
        nonce, _, seal = token.partition(".")
        try:
            if len(token) > _LONGEST:
                raise BadSignatureError
            _signer(request).verify(f"{nonce}.{binding}", seal)
        except BadSignatureError:
            raise CSRFError(
                "The CSRF token is not valid, or not any more. Load the page again.",
                "token_invalid",
            ) from None

    # Making.

    def token(self, request: Request) -> str:
        """Return a token, another one each time."""
        made = request.state.get(_MADE)
        if not isinstance(made, _Made):
            known = self._known_binding(request)
            made = _Made(known or f"cookie {secrets.token_urlsafe(16)}", known is None)
            request.state[_MADE] = made
        nonce = secrets.token_urlsafe(9)
        return f"{nonce}.{_signer(request).seal(f'{nonce}.{made.binding}', ttl=self.ttl)}"

    def finish(self, request: Request, response: Response, made: _Made) -> None:
        """Tell the browser what the tokens belong to, and caches that this is for nobody else."""
        response.headers.add_vary("cookie")
        response.headers.setdefault("cache-control", "private")
        if made.is_new:
            value = made.binding.removeprefix("cookie ")
            response.set_cookie(_cookie_name(request), value, secure=request.scheme == "https")

    def _known_binding(self, request: Request) -> str | None:
        """Return what tokens of this user belong to, if the browser has it already."""
        cookies = request.cookies
        if self.session is not None and self.session in cookies:
            return f"session {cookies[self.session]}"
        own = cookies.get(_cookie_name(request), "")
        return f"cookie {own}" if _COOKIE_VALUE.fullmatch(own) else None


def _is_form(request: Request) -> bool:
    """Tell whether there is a form that whoever comes after this can still read."""
    kind = request.content_type
    if kind != _MULTIPART:
        return kind in FORM_TYPES
    # Its parts are not kept as they came, and a mounted application reads them by itself.
    return "*" not in request.resources.get(PathMethods)(request)


def _cookie_name(request: Request) -> str:
    # With this prefix no other host of the domain can put a cookie of its own in its place.
    return f"__Host-{_COOKIE}" if request.scheme == "https" else _COOKIE


def _signer(request: Request) -> Signer:
    return request.resources.get(Signers)("csrf")


def _has_password(request: Request) -> bool:
    """Tell whether there are credentials that a browser remembers and adds by itself."""
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    return scheme in ("basic", "digest", "negotiate", "ntlm")


def _is_own(request: Request, origin: str | None) -> bool:
    scheme = request.scheme
    host = request.headers.get("host", "").lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))
    if not host or origin is None:
        return False
    # A proxy that ends TLS may not have told us; the page is as much ours over the safer one.
    return origin == f"{scheme}://{host}" or origin == f"https://{host}"
