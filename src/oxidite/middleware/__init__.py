"""Middleware: what runs around handlers. One file each.

The names are imported when they are first asked for (PEP 562): an application pays for those that it
uses. A file is called otherwise than the function in it, or it would stand in that one's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from oxidite.middleware.errors import ErrorHandler, ErrorRenderer, Problem

if TYPE_CHECKING:
    from oxidite.http.trace import TraceContext
    from oxidite.middleware.access import AccessEntry, AccessFormat, Outcome, access_log
    from oxidite.middleware.codings import Coding
    from oxidite.middleware.compress import compression
    from oxidite.middleware.cross_origin import OriginNotAllowedError, cors
    from oxidite.middleware.csp import CSP, NONCE, CSPDirectives, CSPNonce, csp_nonce
    from oxidite.middleware.decode import InvalidContentCodingError
    from oxidite.middleware.decompress import UnsupportedContentCodingError, decompression
    from oxidite.middleware.fields import (
        EmbedderPolicy,
        FrameOptions,
        OpenerPolicy,
        ReferrerPolicy,
        ResourcePolicy,
        security_headers,
    )
    from oxidite.middleware.forgery import CSRFError, CSRFToken, csrf, csrf_token
    from oxidite.middleware.hosts import HostNotAllowedError, Hosts, allowed_hosts
    from oxidite.middleware.https import hsts, https_redirect
    from oxidite.middleware.idempotent import (
        IdempotencyConflictError,
        IdempotencyKeyError,
        IdempotencyMismatchError,
        idempotency,
    )
    from oxidite.middleware.identity import (
        Identity,
        IdentityFilter,
        RequestID,
        Trace,
        current_identity,
        request_id,
    )
    from oxidite.middleware.origins import OriginLike
    from oxidite.middleware.ratelimit import limit, rate_limit
    from oxidite.middleware.replies import Attempt, MemoryReplies, Reply, ReplyStore
    from oxidite.middleware.reports import (
        BrowserReport,
        InvalidReportError,
        ReportHandler,
        collect_reports,
    )
    from oxidite.middleware.timeouts import StreamTimeoutError, timeout
    from oxidite.middleware.timings import server_timing

__all__ = [
    "CSP",
    "NONCE",
    "AccessEntry",
    "AccessFormat",
    "Attempt",
    "BrowserReport",
    "CSPDirectives",
    "CSPNonce",
    "CSRFError",
    "CSRFToken",
    "Coding",
    "EmbedderPolicy",
    "ErrorHandler",
    "ErrorRenderer",
    "FrameOptions",
    "HostNotAllowedError",
    "Hosts",
    "IdempotencyConflictError",
    "IdempotencyKeyError",
    "IdempotencyMismatchError",
    "Identity",
    "IdentityFilter",
    "InvalidContentCodingError",
    "InvalidReportError",
    "MemoryReplies",
    "OpenerPolicy",
    "OriginLike",
    "OriginNotAllowedError",
    "Outcome",
    "Problem",
    "ReferrerPolicy",
    "Reply",
    "ReplyStore",
    "ReportHandler",
    "RequestID",
    "ResourcePolicy",
    "StreamTimeoutError",
    "Trace",
    "TraceContext",
    "UnsupportedContentCodingError",
    "access_log",
    "allowed_hosts",
    "collect_reports",
    "compression",
    "cors",
    "csp_nonce",
    "csrf",
    "csrf_token",
    "current_identity",
    "decompression",
    "hsts",
    "https_redirect",
    "idempotency",
    "limit",
    "rate_limit",
    "request_id",
    "security_headers",
    "server_timing",
    "timeout",
]

_HOMES = {
    "oxidite.http.trace": ("TraceContext",),
    "oxidite.middleware.access": ("AccessEntry", "AccessFormat", "Outcome", "access_log"),
    "oxidite.middleware.csp": (
        "CSP",
        "CSPDirectives",
        "CSPNonce",
        "NONCE",
        "csp_nonce",
    ),
    "oxidite.middleware.fields": (
        "EmbedderPolicy",
        "FrameOptions",
        "OpenerPolicy",
        "ReferrerPolicy",
        "ResourcePolicy",
        "security_headers",
    ),
    "oxidite.middleware.hosts": (
        "HostNotAllowedError",
        "Hosts",
        "allowed_hosts",
    ),
    "oxidite.middleware.https": (
        "hsts",
        "https_redirect",
    ),
    "oxidite.middleware.identity": (
        "Identity",
        "IdentityFilter",
        "RequestID",
        "Trace",
        "current_identity",
        "request_id",
    ),
    "oxidite.middleware.reports": (
        "BrowserReport",
        "InvalidReportError",
        "ReportHandler",
        "collect_reports",
    ),
    "oxidite.middleware.timeouts": (
        "StreamTimeoutError",
        "timeout",
    ),
    "oxidite.middleware.timings": ("server_timing",),
    "oxidite.middleware.codings": ("Coding",),
    "oxidite.middleware.compress": ("compression",),
    "oxidite.middleware.cross_origin": ("OriginNotAllowedError", "cors"),
    "oxidite.middleware.decode": ("InvalidContentCodingError",),
    "oxidite.middleware.decompress": ("UnsupportedContentCodingError", "decompression"),
    "oxidite.middleware.forgery": ("CSRFError", "CSRFToken", "csrf", "csrf_token"),
    "oxidite.middleware.idempotent": (
        "IdempotencyConflictError",
        "IdempotencyKeyError",
        "IdempotencyMismatchError",
        "idempotency",
    ),
    "oxidite.middleware.origins": ("OriginLike",),
    "oxidite.middleware.ratelimit": ("limit", "rate_limit"),
    "oxidite.middleware.replies": ("Attempt", "MemoryReplies", "Reply", "ReplyStore"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'oxidite.middleware' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
