"""Middleware: what runs around handlers. One file each.

The names are imported when they are first asked for (PEP 562): an application pays for those that it
uses. A file is called otherwise than the function in it, or it would stand in that one's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from oxidite.middleware.errors import ErrorHandler, ErrorRenderer, Problem

if TYPE_CHECKING:
    from oxidite.middleware.codings import Coding
    from oxidite.middleware.compress import compression
    from oxidite.middleware.cross_origin import OriginNotAllowedError, cors
    from oxidite.middleware.decode import InvalidContentCodingError
    from oxidite.middleware.decompress import UnsupportedContentCodingError, decompression
    from oxidite.middleware.forgery import CSRFError, CSRFToken, csrf, csrf_token
    from oxidite.middleware.idempotent import (
        IdempotencyConflictError,
        IdempotencyKeyError,
        IdempotencyMismatchError,
        idempotency,
    )
    from oxidite.middleware.origins import OriginLike
    from oxidite.middleware.ratelimit import limit, rate_limit
    from oxidite.middleware.replies import Attempt, MemoryReplies, Reply, ReplyStore

__all__ = [
    "Attempt",
    "CSRFError",
    "CSRFToken",
    "Coding",
    "ErrorHandler",
    "ErrorRenderer",
    "IdempotencyConflictError",
    "IdempotencyKeyError",
    "IdempotencyMismatchError",
    "InvalidContentCodingError",
    "MemoryReplies",
    "OriginLike",
    "OriginNotAllowedError",
    "Problem",
    "Reply",
    "ReplyStore",
    "UnsupportedContentCodingError",
    "compression",
    "cors",
    "csrf",
    "csrf_token",
    "decompression",
    "idempotency",
    "limit",
    "rate_limit",
]

_HOMES = {
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
