"""Requests and responses; no server protocol, no routing."""

from oxidite.http.body import ClientDisconnectError
from oxidite.http.cookies import SameSite
from oxidite.http.declared import Declared, SecurityScheme, declared_by, declares
from oxidite.http.form import FormData, FormValue
from oxidite.http.headers import FixedHeaders, Headers, MutableHeaders
from oxidite.http.limits import (
    FileRule,
    FormLimitError,
    FormLimits,
    InvalidFormError,
    UnsupportedFileError,
)
from oxidite.http.middleware import complete, ordered
from oxidite.http.multipart import Part, Parts, Sink
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
from oxidite.http.spool import Spool, Upload
from oxidite.http.types import Handler, Middleware
from oxidite.http.url import URL, QueryParams, URLParts
from oxidite.http.version import Version

__all__ = [
    "URL",
    "ASGIApp",
    "Address",
    "ClientDisconnectError",
    "Declared",
    "FilePart",
    "FileRule",
    "FixedHeaders",
    "FormData",
    "FormLimitError",
    "FormLimits",
    "FormValue",
    "HTMLResponse",
    "Handler",
    "Headers",
    "InvalidFormError",
    "InvalidJSONError",
    "JSONResponse",
    "MatchedRoute",
    "Middleware",
    "MountedResponse",
    "MutableHeaders",
    "Part",
    "Parts",
    "QueryParams",
    "RedirectResponse",
    "Request",
    "Response",
    "SameSite",
    "Scopes",
    "SecurityScheme",
    "Sink",
    "Spool",
    "StoredResponse",
    "StreamingResponse",
    "TextResponse",
    "TrustedProxies",
    "URLParts",
    "UnsupportedFileError",
    "Upload",
    "Version",
    "complete",
    "declared_by",
    "declares",
    "ordered",
    "to_response",
]
