"""What all of it is made of: JSON objects, and the error for a document that cannot be right."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from oxidite.errors import ConfigError

__all__ = ["JSON", "Direction", "OpenAPIError", "ref"]

JSON: TypeAlias = dict[str, Any]  # it is open, and is built here from many sides
"""A JSON object."""

Direction: TypeAlias = Literal["input", "output"]
"""Whether a schema is of what a client sends or of what it gets."""


class OpenAPIError(ConfigError):
    """The OpenAPI document cannot be made as the application describes itself."""

    code = "openapi"


def ref(section: str, name: str) -> JSON:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{section}/{name}"}
