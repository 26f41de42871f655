"""What is said of the files of a form: how large, how many, of which types.

A rule is whatever stands beside ``Upload`` in ``Annotated`` and has the three attributes of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol, TypeGuard, get_args, get_origin

from oxidite.encoding.fields import fields_of
from oxidite.http import Upload
from oxidite.openapi.base import JSON

__all__ = ["FileRule", "encodings_of", "file_fields", "is_file", "limit_file", "rule_of"]


class FileRule(Protocol):
    """What files may be: ``max_size`` in bytes for each, ``types`` media types or ranges of them."""

    @property
    def max_size(self) -> int | None:
        """The most bytes of one file."""
        ...

    @property
    def max_files(self) -> int | None:
        """The most files in a list."""
        ...

    @property
    def types(self) -> Sequence[str]:
        """The types that are accepted; all, if there is none."""
        ...


def is_file(type_: Any) -> bool:
    """Tell whether a type is a file, or a list of files."""
    if isinstance(type_, type):
        return issubclass(type_, Upload)
    return any(map(is_file, get_args(type_)))


def file_fields(type_: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of a structured type that are files: name and type."""
    for field in fields_of(type_) or ():
        if is_file(field.type):
            yield field.key, field.type


def rule_of(type_: object) -> FileRule | None:
    """Return the rule that stands in a type."""
    if get_origin(type_) is Annotated:
        for extra in get_args(type_)[1:]:
            if _is_rule(extra):
                return extra
    return next(filter(None, map(rule_of, get_args(type_))), None)


def _is_rule(extra: object) -> TypeGuard[FileRule]:
    return all(hasattr(extra, name) for name in ("max_size", "max_files", "types"))


def limit_file(schema: JSON, type_: object) -> JSON:
    """Return the schema of a file, or of a list of files, with its limits in it."""
    rule = rule_of(type_)
    if rule is None:
        return schema
    if schema.get("type") == "array":
        schema = {**schema, "items": _limited(schema.get("items", {}), rule)}
        return schema if rule.max_files is None else {**schema, "maxItems": rule.max_files}
    return _limited(schema, rule)


def _limited(schema: JSON, rule: FileRule) -> JSON:
    # Of what is binary, the length is in bytes (OpenAPI 3.1, "Working with Binary Data").
    return schema if rule.max_size is None else {**schema, "maxLength": rule.max_size}


def encodings_of(files: Mapping[str, object]) -> JSON:
    """Return the Encoding Objects of fields whose files are of certain types only."""
    rules = {name: rule_of(type_) for name, type_ in files.items()}
    return {
        name: {"contentType": ", ".join(rule.types)}
        for name, rule in rules.items()
        if rule and rule.types
    }
