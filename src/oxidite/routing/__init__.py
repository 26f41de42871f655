"""From a request to its handler, and from a handler to its URL."""

from oxidite.routing.documented import Documented
from oxidite.routing.pattern import Converter, Param, Pattern
from oxidite.routing.route import Definition, Encoder, RenderError, Route, RouteOptions
from oxidite.routing.router import Controller, Entry, Included, Mount, Router
from oxidite.routing.table import RouteTable, TrailingSlash
from oxidite.routing.urls import URLs

__all__ = [
    "Controller",
    "Converter",
    "Definition",
    "Documented",
    "Encoder",
    "Entry",
    "Included",
    "Mount",
    "Param",
    "Pattern",
    "RenderError",
    "Route",
    "RouteOptions",
    "RouteTable",
    "Router",
    "TrailingSlash",
    "URLs",
]
