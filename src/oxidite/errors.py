"""Every error of the framework, and the one way to turn a driver's error into ours.

The tree::

    OxiditeError
    ├── ConfigError                  wrong before the first request: fix the program
    │   ├── MissingExtraError        also an ImportError; says what to install
    │   ├── UnknownBackendError      lists the schemes that exist
    │   └── RouteError               names the file, the handler, the parameter
    ├── HTTPError                    becomes a response; has a status
    │   ├── BadRequestError      400 ── InvalidPathError (InvalidJSONError, … beside their extractor)
    │   ├── UnauthorizedError    401     ForbiddenError             403
    │   ├── NotFoundError        404     MethodNotAllowedError      405
    │   ├── NotAcceptableError   406     RequestTimeoutError        408
    │   ├── ConflictError        409
    │   ├── GoneError            410     LengthRequiredError        411
    │   ├── PreconditionFailedError 412
    │   ├── PayloadTooLargeError 413     UnsupportedMediaTypeError  415
    │   ├── ValidationError      422 ── carries every FieldError of the request
    │   ├── UpgradeRequiredError 426
    │   ├── TooManyRequestsError 429     InternalServerError        500
    │   ├── ServiceUnavailableError 503  GatewayTimeoutError        504
    │   └── InsufficientStorageError 507
    └── BackendError                 a service behind us failed; the driver's error is its cause
        ├── BackendUnavailableError  could not reach it: worth a retry
        └── BackendTimeoutError

Every class has a ``code`` that never changes once released; messages may. The first paragraph of
the class docstring is the default message. Errors of one subsystem live in that subsystem.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, TypeAlias

__all__ = [
    "BackendError",
    "BackendTimeoutError",
    "BackendUnavailableError",
    "BadRequestError",
    "ConfigError",
    "ConflictError",
    "ErrorMap",
    "FieldError",
    "ForbiddenError",
    "GatewayTimeoutError",
    "GoneError",
    "HTTPError",
    "InsufficientStorageError",
    "InternalServerError",
    "InvalidPathError",
    "LengthRequiredError",
    "MethodNotAllowedError",
    "MissingExtraError",
    "NotAcceptableError",
    "NotFoundError",
    "OxiditeError",
    "PayloadTooLargeError",
    "PreconditionFailedError",
    "RequestTimeoutError",
    "RouteError",
    "ServiceUnavailableError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnknownBackendError",
    "UnsupportedMediaTypeError",
    "UpgradeRequiredError",
    "ValidationError",
    "translate",
]


class OxiditeError(Exception):
    """Something went wrong in Oxidite."""

    code: ClassVar[str] = "error"
    """Stable, machine-readable name: what programs and tests compare."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else _default_message(type(self)))

    @property
    def message(self) -> str:
        """What was wrong and what to do about it, for a person."""
        return str(self.args[0])


def _default_message(cls: type[Exception]) -> str:
    # One paragraph, on one line: docstrings are wrapped, messages are not.
    doc = inspect.cleandoc(cls.__doc__ or cls.__name__)
    return " ".join(doc.partition("\n\n")[0].split())


class ConfigError(OxiditeError):
    """The application is not set up correctly."""

    code = "config"


class MissingExtraError(ConfigError, ImportError):
    """A feature needs a package that is not installed."""

    code = "missing_extra"

    def __init__(self, extra: str, *, needed_by: str | None = None) -> None:
        subject = f"{needed_by} needs" if needed_by else "This needs"
        super().__init__(
            f"{subject} a package that is not installed. "
            f"Install it with: pip install 'oxidite[{extra}]'"
        )
        self.extra = extra


class UnknownBackendError(ConfigError):
    """The URL names a backend that does not exist."""

    code = "unknown_backend"

    def __init__(self, kind: str, scheme: str, known: Iterable[str]) -> None:
        super().__init__(
            f"There is no {kind} backend for {scheme}://. Known: {', '.join(sorted(known))}."
        )
        self.kind = kind
        self.scheme = scheme


class RouteError(ConfigError):
    """A route cannot work as it is written."""

    code = "route"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: where it is and what is wrong with it.

    ``source`` is ``path``, ``query``, ``header``, ``cookie`` or ``body``. Outside the body,
    ``name`` is the parameter; inside, ``pointer`` is a JSON Pointer (RFC 6901) such as
    ``/items/0/price``, and ``""`` is the whole body.
    """

    source: str
    message: str
    name: str | None = None
    pointer: str | None = None
    code: str = "invalid"

    def to_dict(self) -> dict[str, str]:
        """The member of a problem document's ``errors``; a pointer is written as a fragment."""
        members = {"in": self.source}
        if self.name is not None:
            members["parameter"] = self.name
        if self.pointer is not None:
            members["pointer"] = f"#{self.pointer}"
        return {**members, "detail": self.message, "code": self.code}


class HTTPError(OxiditeError):
    """The request cannot be answered as asked.

    Raise one anywhere below a handler or a middleware: it becomes a problem document (RFC 9457)
    with ``status``. ``headers`` are added to that response; ``extra`` to the document's members.
    """

    code = "http_error"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "about:blank"

    def __init__(
        self,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers: Mapping[str, str] = headers or {}
        self.extra: Mapping[str, object] = extra or {}

    @property
    def title(self) -> str:
        """The short name of the kind of problem; the same for every occurrence."""
        return HTTPStatus(self.status).phrase


class BadRequestError(HTTPError):
    """The request is malformed."""

    code = "bad_request"
    status = 400


class InvalidPathError(BadRequestError):
    """The path of the request is not valid: it contains NUL or is not UTF-8."""

    code = "invalid_path"


class UnauthorizedError(HTTPError):
    """Authentication is needed."""

    code = "unauthorized"
    status = 401


class ForbiddenError(HTTPError):
    """You may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(HTTPError):
    """There is nothing here."""

    code = "not_found"
    status = 404


class MethodNotAllowedError(HTTPError):
    """This resource does not have that method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        allow = ", ".join(sorted(allowed))
        super().__init__(
            f"{method} is not allowed here. Allowed: {allow}.", headers={"allow": allow}
        )


class NotAcceptableError(HTTPError):
    """The resource has no form that the Accept header allows."""

    code = "not_acceptable"
    status = 406


class RequestTimeoutError(HTTPError):
    """The request took too long to arrive."""

    code = "request_timeout"
    status = 408


class ConflictError(HTTPError):
    """The request conflicts with the current state of the resource."""

    code = "conflict"
    status = 409


class GoneError(HTTPError):
    """The resource is gone and will not come back."""

    code = "gone"
    status = 410


class LengthRequiredError(HTTPError):
    """The request body needs a Content-Length here."""

    code = "length_required"
    status = 411


class PreconditionFailedError(HTTPError):
    """A condition in the request's headers does not hold."""

    code = "precondition_failed"
    status = 412


class PayloadTooLargeError(HTTPError):
    """The request body is too large."""

    code = "payload_too_large"
    status = 413

    def __init__(self, limit: int | None = None, message: str | None = None) -> None:
        if message is None and limit is not None:
            message = f"The request body is larger than the {limit} bytes allowed here."
        # The rest of the body is not read, so the connection cannot be used again.
        super().__init__(message, headers={"connection": "close"})
        self.limit = limit

    @property
    def title(self) -> str:
        """The phrase of RFC 9110, the same on every Python."""
        return "Content Too Large"


class UnsupportedMediaTypeError(HTTPError):
    """The request body is in a format that is not accepted here."""

    code = "unsupported_media_type"
    status = 415

    def __init__(self, got: str | None, accepted: Iterable[str]) -> None:
        wanted = ", ".join(accepted)
        given = f"Content-Type {got!r}" if got else "a body without Content-Type"
        super().__init__(
            f"{given} is not accepted here. Accepted: {wanted}.", headers={"accept": wanted}
        )


_SHOWN = 10  # errors in a traceback


class ValidationError(HTTPError):
    """The request does not fit what is expected here.

    It carries every error of the request at once.
    """

    code = "validation"
    status = 422

    def __init__(self, errors: Iterable[FieldError], message: str | None = None) -> None:
        self.errors: tuple[FieldError, ...] = tuple(errors)
        count = len(self.errors)
        super().__init__(
            message or f"{count} {'error' if count == 1 else 'errors'} in the request."
        )

    def __str__(self) -> str:
        """The message and the first errors: what a traceback shows where there is no request."""
        first = [
            f"{place}: {error.message}" if (place := error.pointer or error.name) else error.message
            for error in self.errors[:_SHOWN]
        ]
        more = [f"and {len(self.errors) - _SHOWN} more"] if len(self.errors) > _SHOWN else []
        return f"{self.message} {'; '.join(first + more)}".rstrip()

    @property
    def title(self) -> str:
        """The phrase of RFC 9110, the same on every Python."""
        return "Unprocessable Content"


class UpgradeRequiredError(HTTPError):
    """There is a WebSocket here and nothing else: connect with one."""

    code = "upgrade_required"
    status = 426

    def __init__(self, message: str | None = None) -> None:
        # RFC 9110 section 15.5.22.
        super().__init__(message, headers={"upgrade": "websocket"})


class TooManyRequestsError(HTTPError):
    """Too many requests: try again later."""

    code = "too_many_requests"
    status = 429


class InternalServerError(HTTPError):
    """Something went wrong on our side. It has been logged."""

    code = "internal"
    status = 500


class ServiceUnavailableError(HTTPError):
    """The service cannot answer just now: try again later."""

    code = "unavailable"
    status = 503


class GatewayTimeoutError(HTTPError):
    """The answer took too long."""

    code = "timeout"
    status = 504


class InsufficientStorageError(HTTPError):
    """There is no room to keep what was sent: try again later."""

    code = "insufficient_storage"
    status = 507


class BackendError(OxiditeError):
    """A service behind the application failed."""

    code = "backend"


class BackendUnavailableError(BackendError):
    """A service behind the application could not be reached."""

    code = "backend_unavailable"


class BackendTimeoutError(BackendError):
    """A service behind the application did not answer in time."""

    code = "backend_timeout"


ErrorMap: TypeAlias = Mapping[type[Exception], type[OxiditeError]]


@contextlib.contextmanager
def translate(errors: ErrorMap) -> Iterator[None]:
    """Raise our error in place of a driver's, keeping the driver's as its cause."""
    try:
        yield
    except tuple(errors) as exc:
        ours = next(ours for theirs, ours in errors.items() if isinstance(exc, theirs))
        raise ours(str(exc)) from exc
