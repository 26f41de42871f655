"""Middleware: what runs around handlers. One file each."""

from oxidite.middleware.errors import ErrorHandler, ErrorRenderer, Problem

__all__ = ["ErrorHandler", "ErrorRenderer", "Problem"]
