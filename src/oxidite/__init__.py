"""Oxidite: a batteries-included async web framework.

Here is what a first application needs; each subsystem is a package of its own.
"""

from oxidite.app import Oxidite
from oxidite.errors import (
    BadRequestError,
    ConflictError,
    FieldError,
    ForbiddenError,
    HTTPError,
    NotFoundError,
    OxiditeError,
    UnauthorizedError,
    ValidationError,
)
from oxidite.extract import Body, Cookie, Depends, Form, Header, Json, Name, Path, Query, State
from oxidite.http import (
    FormData,
    Handler,
    HTMLResponse,
    JSONResponse,
    Middleware,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    TextResponse,
    Upload,
)
from oxidite.routing import Controller, Router

__version__ = "0.1.0"

__all__ = [
    "BadRequestError",
    "Body",
    "ConflictError",
    "Controller",
    "Cookie",
    "Depends",
    "FieldError",
    "ForbiddenError",
    "Form",
    "FormData",
    "HTMLResponse",
    "HTTPError",
    "Handler",
    "Header",
    "JSONResponse",
    "Json",
    "Middleware",
    "Name",
    "NotFoundError",
    "Oxidite",
    "OxiditeError",
    "Path",
    "Query",
    "RedirectResponse",
    "Request",
    "Response",
    "Router",
    "State",
    "StreamingResponse",
    "TextResponse",
    "UnauthorizedError",
    "Upload",
    "ValidationError",
    "__version__",
]
