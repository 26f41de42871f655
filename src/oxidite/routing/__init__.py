"""From a request to its handler, and from a handler to its URL."""

from oxidite.routing.route import Route, RouteOptions
from oxidite.routing.router import Controller, Router
from oxidite.routing.table import TrailingSlash
from oxidite.routing.urls import URLs

__all__ = ["Controller", "Route", "RouteOptions", "Router", "TrailingSlash", "URLs"]
