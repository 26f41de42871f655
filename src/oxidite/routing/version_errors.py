"""What is answered when a request asks for a version that cannot be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oxidite.errors import BadRequestError, GoneError, NotAcceptableError, NotFoundError
from oxidite.http.version import Version

__all__ = [
    "ConflictingVersionsError",
    "MissingVersionError",
    "NotInVersionError",
    "UnknownVersionError",
    "VersionGoneError",
    "VersionNotAcceptableError",
    "VersionNotFoundError",
]


class UnknownVersionError(BadRequestError):
    """The version that a header field or the query asks for does not exist."""

    code = "unknown_version"

    def __init__(self, name: str, supported: Sequence[str]) -> None:
        super().__init__(_there_is_no(name, supported), extra={"supported": supported})


class VersionNotFoundError(NotFoundError):
    """The version in the path does not exist."""

    code = "version_not_found"

    def __init__(self, name: str, supported: Sequence[str]) -> None:
        super().__init__(_there_is_no(name, supported), extra={"supported": supported})


class VersionNotAcceptableError(NotAcceptableError):
    """The version that the Accept header asks for does not exist."""

    code = "version_not_acceptable"

    def __init__(self, name: str, supported: Sequence[str]) -> None:
        super().__init__(
            _there_is_no(name, supported),
            headers={"vary": "accept"},
            extra={"supported": supported},
        )


class MissingVersionError(BadRequestError):
    """The request does not say which version it is for."""

    code = "missing_version"

    def __init__(self, where: str, supported: Sequence[str]) -> None:
        super().__init__(
            f"Say which version of this API you want, {where}. Supported: {', '.join(supported)}.",
            extra={"supported": supported},
        )


class ConflictingVersionsError(BadRequestError):
    """The request asks for several versions at once."""

    code = "conflicting_versions"

    def __init__(self, names: Sequence[str], supported: Sequence[str]) -> None:
        asked = ", ".join(name[:64] for name in names)
        super().__init__(
            f"The request asks for several versions of this API: {asked}. Say one.",
            extra={"supported": supported},
        )


class NotInVersionError(NotFoundError):
    """This resource is not in the version that was asked for, but in another."""

    code = "not_in_version"

    def __init__(self, name: str, others: Sequence[str], *, vary: Sequence[str]) -> None:
        super().__init__(
            f"This is not in version {name} of this API, but in: {', '.join(others)}.",
            headers={"vary": ", ".join(vary)} if vary else None,
            extra={"versions": others},
        )


class VersionGoneError(GoneError):
    """The version has ended; another one is to be used."""

    code = "version_gone"

    def __init__(
        self, version: Version, successor: str | None, *, headers: Mapping[str, str]
    ) -> None:
        ended = f"Version {version.name} of this API ended on {version.sunset_at:%Y-%m-%d}."
        hint = f" Use {successor}." if successor else ""
        see = f" See {version.docs}." if version.docs else ""
        extra = {
            key: value for key, value in (("successor", successor), ("docs", version.docs)) if value
        }
        super().__init__(ended + hint + see, headers=headers, extra=extra)


def _there_is_no(name: str, supported: Sequence[str]) -> str:
    return f"There is no version {name[:64]!r} of this API. Supported: {', '.join(supported)}."
