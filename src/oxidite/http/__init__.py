"""Requests and responses; no server protocol, no routing."""

from oxidite.http.body import ClientDisconnectError
from oxidite.http.cookies import SameSite
from oxidite.http.headers import Headers, MutableHeaders
from oxidite.http.middleware import complete, ordered
from oxidite.http.multipart import FormData, FormLimits, FormValue, Spool, Upload
from oxidite.http.proxies import TrustedProxies
from oxidite.http.request import Address, InvalidJSONError, MatchedRoute, Request, Scopes
from oxidite.http.response import (
    ASGIApp,
    FilePart,
    HTMLResponse,
    JSONResponse,
    MountedResponse,
    RedirectResponse,
    Response,
    StoredResponse,
    StreamingResponse,
    TextResponse,
    to_response,
)
from oxidite.http.types import Handler, Middleware
from oxidite.http.url import URL, QueryParams, URLParts

__all__ = [
    "URL",
    "ASGIApp",
    "Address",
    "ClientDisconnectError",
    "FilePart",
    "FormData",
    "FormLimits",
    "FormValue",
    "HTMLResponse",
    "Handler",
    "Headers",
    "InvalidJSONError",
    "JSONResponse",
    "MatchedRoute",
    "Middleware",
    "MountedResponse",
    "MutableHeaders",
    "QueryParams",
    "RedirectResponse",
    "Request",
    "Response",
    "SameSite",
    "Scopes",
    "Spool",
    "StoredResponse",
    "StreamingResponse",
    "TextResponse",
    "TrustedProxies",
    "URLParts",
    "Upload",
    "complete",
    "ordered",
    "to_response",
]
