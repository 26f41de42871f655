"""Fields of a response that tell browsers to be careful with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from oxidite.errors import ConfigError
from oxidite.http.headers import FixedHeaders, MutableHeaders, header_value
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.csp import CSP, used_nonce

__all__ = [
    "EmbedderPolicy",
    "FrameOptions",
    "OpenerPolicy",
    "ReferrerPolicy",
    "ResourcePolicy",
    "security_headers",
]

ReferrerPolicy: TypeAlias = Literal[
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
]
FrameOptions: TypeAlias = Literal["DENY", "SAMEORIGIN"]
OpenerPolicy: TypeAlias = Literal[
    "same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"
]
ResourcePolicy: TypeAlias = Literal["same-origin", "same-site", "cross-origin"]
EmbedderPolicy: TypeAlias = Literal["require-corp", "credentialless", "unsafe-none"]

_DECIDED = "oxidite.security_headers"
_ANCESTORS = {"DENY": "'none'", "SAMEORIGIN": "'self'"}
_WORDS = ("self", "src")
_FEATURE = re.compile(r"[a-z][a-z0-9-]*")
_ORIGIN = re.compile(r"https?://(?:\*\.)?[A-Za-z0-9.-]+(?::[0-9]{1,5})?")


def security_headers(
    *,
    csp: CSP | None = None,
    csp_report_only: CSP | None = None,
    reports: str | None = None,
    referrer: ReferrerPolicy | None = "strict-origin-when-cross-origin",
    frame: FrameOptions | None = "DENY",
    opener: OpenerPolicy | None = "same-origin",
    resource: ResourcePolicy | None = None,
    embedder: EmbedderPolicy | None = None,
    permissions: Mapping[str, Sequence[str]] | None = None,
) -> Middleware:
    """Add fields that keep browsers from guessing types, from framing and from leaking referrers.

    A field that the response has already stays. Used twice, the innermost alone decides: so a route
    may have others, or none. ``reports`` is the URL where browsers report what the policies forbade;
    see ``collect_reports``. ``permissions`` has for each feature who may use it: ``()`` nobody,
    ``("self", "https://maps.example")``. Policies that would keep an API or pictures from other sites
    (``resource``, ``embedder``, ``csp``) are off unless said.

    Raises:
        ConfigError: a policy is not written as it has to be.
    """
    fields = MutableHeaders({"x-content-type-options": "nosniff"})
    optional = {
        "referrer-policy": referrer,
        "x-frame-options": frame,
        "cross-origin-opener-policy": opener,
        "cross-origin-resource-policy": resource,
        "cross-origin-embedder-policy": embedder,
        "permissions-policy": None if permissions is None else _permissions(permissions),
        "reporting-endpoints": None if reports is None else _endpoint(reports),
    }
    fields.update({name: value for name, value in optional.items() if value is not None})
    varying: list[tuple[str, CSP]] = []
    for name, policy in (
        ("content-security-policy", csp),
        ("content-security-policy-report-only", csp_report_only),
    ):
        if policy is None:
            continue
        whole = _whole(policy, frame, reports)
        if whole.has_nonce:
            varying.append((name, whole))
        else:
            fields[name] = whole.value()
    # PERF: made once for the many responses that have no nonce; benchmark `micro`.
    fixed = FixedHeaders(fields)
    fields.update({name: policy.value() for name, policy in varying})
    bare = FixedHeaders(fields)

    @complete
    async def middleware(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        state = request.state
        # That of an answer to a failure on the way back has not been here yet.
        if state.get(_DECIDED) is response:
            return response
        state[_DECIDED] = response
        nonce = used_nonce(request, is_last=not response.complete) if varying else ""
        if varying and response.status == 304:
            # What is in the browser's store has the nonce that came with it, not this one.
            response.add_fixed(fixed)
            return response
        if nonce:
            for name, policy in varying:
                response.headers.setdefault(name, policy.value(nonce))
        response.add_fixed(bare)
        return response

    return middleware


def _whole(policy: CSP, frame: FrameOptions | None, reports: str | None) -> CSP:
    """Return a policy that also says who may frame a page, and where to report to."""
    if frame is not None:
        policy = policy.extended("frame-ancestors", _ANCESTORS[frame])
    if reports is not None:
        # Two names for one thing: not all browsers know the newer one.
        policy = policy.extended("report-uri", reports).extended("report-to", "reports")
    return policy


def _endpoint(url: str) -> str:
    try:
        header_value(url)
    except ValueError:
        url = ""
    if not url.startswith(("/", "https://")) or any(each in url for each in '"\\ ;,'):
        raise ConfigError(
            f"reports={url!r} is not the URL of reports: write '/reports' or 'https://…'."
        )
    return f'reports="{url}"'


def _permissions(permissions: Mapping[str, Sequence[str]]) -> str:
    """Return the policy as a structured field (https://www.w3.org/TR/permissions-policy/)."""
    parts = []
    for feature, given in permissions.items():
        name = feature.replace("_", "-")
        allowed = [given] if isinstance(given, str) else given
        if not _FEATURE.fullmatch(name):
            raise ConfigError(f"permissions: {feature!r} is not a feature, such as 'camera'.")
        parts.append(f"{name}={_allowlist(name, allowed)}")
    return ", ".join(parts)


def _allowlist(name: str, allowed: Sequence[str]) -> str:
    if "*" in allowed:
        return "*"
    for each in allowed:
        if each not in _WORDS and not _ORIGIN.fullmatch(each):
            raise ConfigError(
                f"permissions: {each!r} cannot have {name}. Write 'self', '*' or an origin such as "
                "'https://example.com'."
            )
    quoted = (each if each in _WORDS else f'"{each}"' for each in allowed)
    return f"({' '.join(quoted)})"
