"""Takes what browsers report: what a policy forbade, and what else they were asked to tell.

https://www.w3.org/TR/reporting-1/ and, older and still in use, https://www.w3.org/TR/CSP3/#deprecated-serialize-violation.
Anybody may post here, so nothing in a report is believed, and the log is not theirs to fill.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from oxidite import clock
from oxidite.concurrency import call
from oxidite.encoding import encode_json
from oxidite.errors import BadRequestError, UnsupportedMediaTypeError
from oxidite.http.request import Request
from oxidite.security.redact import scrub

__all__ = ["BrowserReport", "InvalidReportError", "ReportHandler", "collect_reports"]

_logger = logging.getLogger("oxidite.reports")

_TYPES = ("application/csp-report", "application/reports+json")
_MOST = 50
_LONGEST = 2000
_MINUTE = 60.0


class InvalidReportError(BadRequestError):
    """The body is not a report of a browser."""

    code = "invalid_report"


class BrowserReport(Struct, frozen=True):
    """What a browser reports, if it is one; ``body`` is as it came."""

    type: str
    url: str
    body: Mapping[str, object]


ReportHandler: TypeAlias = Callable[[BrowserReport], Awaitable[object] | object]
"""Is given each report."""


def collect_reports(
    on_report: ReportHandler | None = None, *, per_minute: int = 60
) -> Callable[[Request], Awaitable[None]]:
    """Return a handler for the route that browsers report to.

    ::

        app.post("/reports", max_body=32_768)(collect_reports())

    Reports go to ``on_report``, else to the log ``oxidite.reports``: ``per_minute`` at most, and how
    many were left out is said with the next one.
    """
    budget = _Budget(per_minute)

    async def collect(request: Request) -> None:
        for report in _reports(request.content_type, await request.json()):
            if not budget.take():
                return
            if on_report is None:
                _log(report, budget.left_out())
            else:
                await call(on_report, report)

    return collect


class _Budget:
    """So many in a minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._until = 0.0
        self._taken = 0
        self._refused = 0

    def take(self) -> bool:
        now = clock.monotonic()
        if now >= self._until:
            self._until, self._taken = now + _MINUTE, 0
        if self._taken >= self._per_minute:
            self._refused += 1
            return False
        self._taken += 1
        return True

    def left_out(self) -> int:
        refused, self._refused = self._refused, 0
        return refused


def _reports(content_type: str | None, value: object) -> list[BrowserReport]:
    if content_type not in _TYPES:
        raise UnsupportedMediaTypeError(content_type, _TYPES)
    if content_type == _TYPES[0]:
        body = value.get("csp-report") if isinstance(value, dict) else None
        if not isinstance(body, dict):
            raise InvalidReportError
        return [BrowserReport("csp-violation", str(body.get("document-uri", "")), body)]
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidReportError
    return [_report(each) for each in value[:_MOST]]


def _report(value: Mapping[str, object]) -> BrowserReport:
    body = value.get("body")
    return BrowserReport(
        str(value.get("type", "")),
        str(value.get("url", "")),
        body if isinstance(body, dict) else {},
    )


def _log(report: BrowserReport, left_out: int) -> None:
    # Quoted, so that a report cannot write lines of its own into the log.
    text = scrub(encode_json(report).decode()[:_LONGEST])
    more = f" ({left_out} more were not logged)" if left_out else ""
    _logger.warning("a browser reports%s: %s", more, ascii(text)[1:-1])
