"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Generator

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The framework runs on asyncio only."""
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make what was captured printable: some tests log half a character, which xdist cannot send."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
