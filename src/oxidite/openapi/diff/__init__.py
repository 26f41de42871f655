"""What changed between two OpenAPI documents, and what of it breaks a client."""

from oxidite.openapi.diff.base import Change
from oxidite.openapi.diff.documents import compare

__all__ = ["Change", "compare"]
