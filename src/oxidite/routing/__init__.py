"""From a request to its handler, and from a handler to its URL."""

from oxidite.http.version import Version
from oxidite.routing.definition import Definition, PlacedRoute, RouteOptions
from oxidite.routing.documented import Documented
from oxidite.routing.endpoint import Encoder
from oxidite.routing.layers import RenderError
from oxidite.routing.pattern import Converter, Param, Pattern
from oxidite.routing.resolve import resolve
from oxidite.routing.route import Route
from oxidite.routing.router import (
    Controller,
    Entry,
    Included,
    Inherited,
    Mount,
    Router,
    based_on,
)
from oxidite.routing.table import RouteTable, TrailingSlash
from oxidite.routing.urls import URLs
from oxidite.routing.version_routes import routes_of
from oxidite.routing.version_table import VersionedTable
from oxidite.routing.versioning import Versioning, VersionSpec

__all__ = [
    "Controller",
    "Converter",
    "Definition",
    "Documented",
    "Encoder",
    "Entry",
    "Included",
    "Inherited",
    "Mount",
    "Param",
    "Pattern",
    "PlacedRoute",
    "RenderError",
    "Route",
    "RouteOptions",
    "RouteTable",
    "Router",
    "TrailingSlash",
    "URLs",
    "Version",
    "VersionSpec",
    "VersionedTable",
    "Versioning",
    "based_on",
    "resolve",
    "routes_of",
]
