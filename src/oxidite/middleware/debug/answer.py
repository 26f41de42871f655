"""The two forms of a failure, and what is left of them should they fail themselves."""

from __future__ import annotations

import logging
import traceback
from html import escape

from oxidite.http.request import Request
from oxidite.middleware.debug.markdown import markdown_of
from oxidite.middleware.debug.page import page_of
from oxidite.middleware.debug.printable import printable
from oxidite.middleware.debug.report import report_of
from oxidite.security.redact import scrub

__all__ = ["debug_markdown", "debug_page"]

_logger = logging.getLogger("oxidite.errors")

_LONGEST = 50_000


def debug_page(request: Request, error: Exception, error_id: str) -> str:
    """Return the failure as a page that needs nothing else; never raises."""
    try:
        report = report_of(request, error, error_id)
        return page_of(report, markdown_of(report))
    except Exception:
        _logger.exception("the error page could not be made; error %s is shown plainly", error_id)
        title = escape(type(error).__name__)
        text = escape(_plain(error, error_id))
        return f'<!doctype html><meta charset="utf-8"><title>{title}</title><pre>{text}</pre>'


def debug_markdown(request: Request, error: Exception, error_id: str) -> str:
    """Return the failure as Markdown, to paste into an issue; never raises."""
    try:
        return markdown_of(report_of(request, error, error_id))
    except Exception:
        _logger.exception("the error report could not be made; error %s is shown plainly", error_id)
        # Indented, which nothing in the text can end.
        return "".join(f"    {line}\n" for line in _plain(error, error_id).splitlines())


def _plain(error: Exception, error_id: str) -> str:
    """Return the traceback with as little of our own code as can be."""
    text = "".join(traceback.format_exception(error))
    return printable(f"Error {error_id}\n\n{scrub(text[-_LONGEST:])}")
