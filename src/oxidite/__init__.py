"""Oxidite: a batteries-included async web framework.

Here is what a first application needs; each subsystem is a package of its own.

The names are imported when they are first asked for (PEP 562): ``oxidite --help`` must not wait for
the whole of the core, and neither must a script that uses one subsystem.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from oxidite.extract import (
        Body,
        Cookie,
        Depends,
        Events,
        File,
        Form,
        Header,
        Json,
        Lines,
        Name,
        Path,
        Query,
        Rows,
        State,
    )
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
    from oxidite.http.files import FileResponse
    from oxidite.http.streams import Event
    from oxidite.routing import Controller, Router

__version__ = "0.1.0"

__all__ = [
    "BadRequestError",
    "Body",
    "ConflictError",
    "Controller",
    "Cookie",
    "Depends",
    "Event",
    "Events",
    "FieldError",
    "File",
    "FileResponse",
    "ForbiddenError",
    "Form",
    "FormData",
    "HTMLResponse",
    "HTTPError",
    "Handler",
    "Header",
    "JSONResponse",
    "Json",
    "Lines",
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
    "Rows",
    "State",
    "StreamingResponse",
    "TextResponse",
    "UnauthorizedError",
    "Upload",
    "ValidationError",
    "__version__",
]

_HOMES = {
    "oxidite.app": ("Oxidite",),
    "oxidite.errors": (
        "BadRequestError",
        "ConflictError",
        "FieldError",
        "ForbiddenError",
        "HTTPError",
        "NotFoundError",
        "OxiditeError",
        "UnauthorizedError",
        "ValidationError",
    ),
    "oxidite.extract": (
        "Body",
        "Cookie",
        "Depends",
        "Events",
        "File",
        "Form",
        "Header",
        "Json",
        "Lines",
        "Name",
        "Path",
        "Query",
        "Rows",
        "State",
    ),
    "oxidite.http": (
        "FormData",
        "Handler",
        "HTMLResponse",
        "JSONResponse",
        "Middleware",
        "RedirectResponse",
        "Request",
        "Response",
        "StreamingResponse",
        "TextResponse",
        "Upload",
    ),
    "oxidite.http.files": ("FileResponse",),
    "oxidite.http.streams": ("Event",),
    "oxidite.routing": (
        "Controller",
        "Router",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'oxidite' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
