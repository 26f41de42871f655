"""Middleware: what runs around handlers. One file each.

The names are imported when they are first asked for (PEP 562): who uses one does not wait for all.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxidite.middleware.errors import ErrorHandler, ErrorRenderer, Problem
    from oxidite.middleware.identity import (
        Identity,
        IdentityFilter,
        RequestID,
        Trace,
        current_identity,
        request_id,
    )

__all__ = [
    "ErrorHandler",
    "ErrorRenderer",
    "Identity",
    "IdentityFilter",
    "Problem",
    "RequestID",
    "Trace",
    "current_identity",
    "request_id",
]

_HOMES = {
    "errors": ("ErrorHandler", "ErrorRenderer", "Problem"),
    "identity": (
        "Identity",
        "IdentityFilter",
        "RequestID",
        "Trace",
        "current_identity",
        "request_id",
    ),
}
# No file has the name of something in it: once imported, it would stand here instead.
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'oxidite.middleware' has no attribute {name!r}")
    value: object = getattr(import_module(f"oxidite.middleware.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
