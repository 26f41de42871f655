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
    from oxidite.middleware.csp import CSP, NONCE, CSPDirectives, CSPNonce, csp_nonce
    from oxidite.middleware.fields import (
        EmbedderPolicy,
        FrameOptions,
        OpenerPolicy,
        ReferrerPolicy,
        ResourcePolicy,
        security_headers,
    )
    from oxidite.middleware.hosts import HostNotAllowedError, Hosts, allowed_hosts
    from oxidite.middleware.https import hsts, https_redirect
    from oxidite.middleware.identity import (
        Identity,
        IdentityFilter,
        RequestID,
        Trace,
        current_identity,
        request_id,
    )
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
    "BrowserReport",
    "CSPDirectives",
    "CSPNonce",
    "EmbedderPolicy",
    "ErrorHandler",
    "ErrorRenderer",
    "FrameOptions",
    "HostNotAllowedError",
    "Hosts",
    "Identity",
    "IdentityFilter",
    "InvalidReportError",
    "OpenerPolicy",
    "Outcome",
    "Problem",
    "ReferrerPolicy",
    "ReportHandler",
    "RequestID",
    "ResourcePolicy",
    "StreamTimeoutError",
    "Trace",
    "TraceContext",
    "access_log",
    "allowed_hosts",
    "collect_reports",
    "csp_nonce",
    "current_identity",
    "hsts",
    "https_redirect",
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
