"""All that is told of a failure, in whichever form."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata

from oxidite.http.request import Request
from oxidite.middleware.debug.failure import Failure, failure_of, learn_variables
from oxidite.middleware.debug.summary import Summary, learn_request, summary_of
from oxidite.security.redact import Redactor

__all__ = ["Report", "report_of"]


@dataclass(frozen=True, slots=True)
class Report:
    """A failure, the request it happened in, and what ran it. Text only, and masked already."""

    failure: Failure
    request: Summary
    error_id: str
    versions: str


def report_of(request: Request, error: BaseException, error_id: str) -> Report:
    """Make the report of ``error``."""
    redactor = Redactor()
    learn_request(request, redactor)
    learn_variables(error, redactor)
    python = ".".join(map(str, sys.version_info[:3]))
    return Report(
        failure_of(error, redactor),
        summary_of(request, redactor),
        error_id,
        f"Python {python}, Oxidite {_own_version()}",
    )


def _own_version() -> str:
    try:
        return metadata.version("oxidite")
    except metadata.PackageNotFoundError:  # run from its source
        return "(not installed)"
