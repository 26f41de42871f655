"""What a failure looks like in development."""

from __future__ import annotations

import traceback
from html import escape

from oxidite.http.request import Request

__all__ = ["debug_markdown", "debug_page"]


def debug_markdown(request: Request, error: Exception, error_id: str) -> str:
    """Return the failure as Markdown, to paste into an issue."""
    trace = "".join(traceback.format_exception(error))
    return f"## {type(error).__name__}: {error}\n\n`{request.method} {request.path}` ({error_id})\n\n```\n{trace}```\n"


def debug_page(request: Request, error: Exception, error_id: str) -> str:
    """Return the failure as a page."""
    return f"<!doctype html><pre>{escape(debug_markdown(request, error, error_id))}</pre>"
