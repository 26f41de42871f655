"""Requests and responses; no server protocol, no routing."""

from oxidite.http.body import ClientDisconnectError
from oxidite.http.cookies import SameSite
from oxidite.http.declared import Declared, SecurityScheme, declared_by, declares
from oxidite.http.headers import Headers, MutableHeaders
from oxidite.http.middleware import complete, ordered
from oxidite.http.multipart import FormData, FormLimits, FormValue, Spool, Upload
from oxidite.http.request import Address, InvalidJSONError, MatchedRoute, Request, Scopes
from oxidite.http.response import (
    ASGIApp,
    HTMLResponse,
    JSONResponse,
    MountedResponse,
    RedirectResponse,
    Response,
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
    "Declared",
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
    "SecurityScheme",
    "Spool",
    "StreamingResponse",
    "TextResponse",
    "URLParts",
    "Upload",
    "complete",
    "declared_by",
    "declares",
    "ordered",
    "to_response",
]
