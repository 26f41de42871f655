"""OpenAPI documents, made of what routes say already, and a page that shows them.

``Oxidite(plugins=[OpenAPI(title="Shop", version="1.4")])`` serves ``/openapi.json`` and ``/docs``.
"""

from oxidite.openapi.base import JSON, OpenAPIError
from oxidite.openapi.document import About, Built, Spec, Tag, build
from oxidite.openapi.pages import PageHeaders
from oxidite.openapi.plugin import Choose, OpenAPI, documents_of

__all__ = [
    "JSON",
    "About",
    "Built",
    "Choose",
    "OpenAPI",
    "OpenAPIError",
    "PageHeaders",
    "Spec",
    "Tag",
    "build",
    "documents_of",
]
