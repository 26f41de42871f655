"""What is said of the files of a form: how large, how many, of which types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oxidite.encoding.fields import fields_of
from oxidite.extract.files import file_rule
from oxidite.http.limits import FileRule
from oxidite.openapi.base import JSON

__all__ = ["encodings_of", "file_fields", "limit_file"]


def file_fields(type_: object) -> Iterator[tuple[str, FileRule]]:
    """Yield the fields of a structured type that are files, each with its rule."""
    for field in fields_of(type_) or ():
        rule = file_rule(field.type)
        if rule is not None:
            yield field.key, rule


def limit_file(schema: JSON, rule: FileRule) -> JSON:
    """Return the schema of a file, or of a list of files, with its limits in it."""
    if schema.get("type") == "array":
        schema = {**schema, "items": _limited(schema["items"], rule)}
        return schema if rule.max_files is None else {**schema, "maxItems": rule.max_files}
    return _limited(schema, rule)


def _limited(schema: JSON, rule: FileRule) -> JSON:
    # Of what is binary, the length is in bytes (OpenAPI 3.1, "Working with Binary Data").
    return schema if rule.max_size is None else {**schema, "maxLength": rule.max_size}


def encodings_of(rules: Mapping[str, FileRule]) -> JSON:
    """Return the Encoding Objects of fields whose files are of certain types only."""
    return {
        name: {"contentType": ", ".join(rule.types)} for name, rule in rules.items() if rule.types
    }
