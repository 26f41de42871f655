"""What a form may have, what its files may be, and what is answered when they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oxidite.encoding.explain import pointer_of
from oxidite.errors import BadRequestError, FieldError, HTTPError, PayloadTooLargeError
from oxidite.http.sniff import could_be

__all__ = [
    "FileRule",
    "FormLimitError",
    "FormLimits",
    "InvalidFormError",
    "UnsupportedFileError",
]


class InvalidFormError(BadRequestError):
    """The form in the request body is not valid."""

    code = "invalid_form"


class FormLimitError(PayloadTooLargeError):
    """The form has more of something than is allowed here.

    ``name`` is that of the limit in ``FormLimits`` or ``File``, ``limit`` its value; ``pointer`` leads to
    the field, if it is about one.
    """

    code = "form_limit"

    def __init__(self, name: str, limit: int, message: str, *, pointer: str | None = None) -> None:
        super().__init__(limit, message)
        self.name = name
        extra: dict[str, object] = {"limit": name, "maximum": limit}
        if pointer is not None:
            error = FieldError("body", message, pointer=pointer, code="too_large")
            extra["errors"] = [error.to_dict()]
        self.extra: Mapping[str, object] = extra


class UnsupportedFileError(HTTPError):
    """A file of the form is not of a type that is accepted here."""

    code = "unsupported_file"
    status = 415

    def __init__(self, message: str, problem: str, *, pointer: str) -> None:
        error = FieldError("body", problem, pointer=pointer, code="type")
        # The rest of the body is not read, so the connection cannot be used again.
        super().__init__(
            message, headers={"connection": "close"}, extra={"errors": [error.to_dict()]}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """What a form may have; sizes are in bytes.

    ``max_field_size`` is for each field that is not a file, ``max_fields_total`` for all of them
    with their names. ``max_file_size`` is for each file whose ``File`` says nothing; without one only the
    limit of the body counts. ``max_header_size`` and ``max_headers`` are for the header of one part. Files take
    ``spool_size`` bytes of memory together; what is more goes to a temporary file.
    """

    max_fields: int = 1000
    max_files: int = 100
    max_field_size: int = 1024 * 1024
    max_fields_total: int = 2 * 1024 * 1024
    max_file_size: int | None = None
    max_header_size: int = 4096
    max_headers: int = 8
    spool_size: int = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """What the files of one field may be.

    ``max_size`` in bytes is for each, ``max_files`` says how many. ``types`` are media types, or ranges
    such as ``image/*``, that the content has to have.
    """

    max_size: int | None = None
    max_files: int | None = None
    types: Sequence[str] = ()

    def check_count(self, field: str, count: int) -> None:
        """Refuse the ``count``-th file of a field if that is too many."""
        if self.max_files is not None and count > self.max_files:
            plural = "file" if self.max_files == 1 else "files"
            raise FormLimitError(
                "max_files",
                self.max_files,
                f"The form has more than {self.max_files} {plural} for {field[:100]!r}.",
                pointer=pointer_of(field[:100]),
            )

    def check_size(
        self, filename: str, size: int, *, pointer: str, otherwise: int | None = None
    ) -> None:
        """Refuse a file of ``size`` bytes if that is too many, by the rule or else ``otherwise``."""
        name, limit = "max_file_size", otherwise
        if self.max_size is not None:
            name, limit = "max_size", self.max_size
        if limit is not None and size > limit:
            raise FormLimitError(
                name, limit, f"The file {filename!r} is larger than {limit} bytes.", pointer=pointer
            )

    def check_type(
        self, filename: str, *, sniffed: str | None, claimed: str, field: str, pointer: str
    ) -> None:
        """Refuse a file that is of none of the types.

        Raises:
            UnsupportedFileError: its content is something else.
        """
        if not self.types or any(
            could_be(each, sniffed=sniffed, claimed=claimed) for each in self.types
        ):
            return
        found = sniffed or "of no known type"
        raise UnsupportedFileError(
            f"The file {filename!r} is {found} by its content. Accepted for {field[:100]!r}: "
            f"{', '.join(self.types)}.",
            f"Expected {' or '.join(self.types)}, got {sniffed or 'another type'}.",
            pointer=pointer,
        )


def too_many(what: str, limit: int) -> FormLimitError:
    """Return the error of too many ``fields`` or ``files``."""
    return FormLimitError(f"max_{what}", limit, f"The form has more than {limit} {what}.")


def field_too_large(name: str, limits: FormLimits) -> FormLimitError:
    """Return the error of one field that is too large."""
    limit = limits.max_field_size
    return FormLimitError(
        "max_field_size",
        limit,
        f"The form field {name[:100]!r} is larger than {limit} bytes.",
        pointer=pointer_of(name[:100]),
    )


def fields_too_large(limits: FormLimits) -> FormLimitError:
    """Return the error of fields that are too large together."""
    limit = limits.max_fields_total
    return FormLimitError(
        "max_fields_total",
        limit,
        f"The fields of the form are larger than {limit} bytes together.",
    )
