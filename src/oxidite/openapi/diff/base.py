"""One change, and how to follow the references of a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from oxidite.openapi.base import JSON, OpenAPIError

__all__ = ["Change", "Document", "Side"]

Side: TypeAlias = Literal["input", "output"]
"""Whether data goes to the application or comes from it: what widens one breaks the other."""


@dataclass(frozen=True, order=True)
class Change:
    """One difference. ``code`` names its kind and does not change; ``where`` begins with the operation."""

    where: str
    code: str
    message: str
    breaking: bool


class Document:
    """A document whose references can be followed."""

    def __init__(self, content: JSON, name: str) -> None:
        version = content.get("openapi")
        if not (isinstance(version, str) and version.startswith("3.")):
            raise OpenAPIError(f"{name} is not an OpenAPI 3 document: `openapi` is {version!r}.")
        self.content = content
        self.name = name

    def follow(self, value: Any) -> JSON:
        """Return what ``value`` is, or refers to; members beside a reference are kept.

        Raises:
            OpenAPIError: a reference leads nowhere, or out of the document.
        """
        found: JSON = value if isinstance(value, dict) else {}
        seen: set[str] = set()
        while isinstance(reference := found.get("$ref"), str):
            if reference in seen:
                raise OpenAPIError(f"{self.name}: {reference!r} refers to itself.")
            seen.add(reference)
            beside = {key: each for key, each in found.items() if key != "$ref"}
            found = {**self._find(reference), **beside}
        return found

    def _find(self, reference: str) -> JSON:
        found: Any = self.content
        if not reference.startswith("#/"):
            raise OpenAPIError(
                f"{self.name}: {reference!r} is not in the document. Bundle it first."
            )
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, Mapping) else None
        if not isinstance(found, dict):
            raise OpenAPIError(f"{self.name}: {reference!r} refers to nothing.")
        return found
