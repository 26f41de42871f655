"""Fixtures that every test may use."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("oxidite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("oxidite")


@pytest.fixture
def anyio_backend() -> str:
    """The framework runs on asyncio only."""
    return "asyncio"


_KINDS = frozenset(("memory", "file", "postgresql", "mariadb"))
_TESTS = Path(__file__).parent
_ALONE = ("servers", "faults")
_DOOR = os.open(__file__, os.O_RDONLY)
"""Locked by whoever runs a test: this file is what all processes of a run have in common."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what makes no sense with a kind of database, and the long form of tests.

    It is not skipped: in CI a skipped test is one that should have run. What is alone comes last, when
    nobody else has anything left to do.
    """
    left = [each for each in items if _is_of_others(each) or _is_long(each, config)]
    if left:
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [each for each in items if each not in gone]
    items.sort(key=_is_alone)


def _is_alone(item: pytest.Item) -> bool:
    return any(item.path.is_relative_to(_TESTS / each) for each in _ALONE)


def _is_of_others(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("only_on")
    if marker is None or not isinstance(item, pytest.Function):
        return False
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    kinds = {each for each in parameters if isinstance(each, str)} & _KINDS
    return bool(kinds) and not kinds & set(marker.args)


def _is_long(item: pytest.Item, config: pytest.Config) -> bool:
    return item.get_closest_marker("long") is not None and config.getoption("markexpr") != "slow"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let some tests have the machine for themselves, also where several processes run tests.

    They count bytes, connections and seconds, which a test beside them could disturb.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    fcntl.flock(_DOOR, fcntl.LOCK_EX if _is_alone(item) else fcntl.LOCK_SH)
    try:
        return (yield)
    finally:
        fcntl.flock(_DOOR, fcntl.LOCK_UN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test be skipped in CI, and make what was captured printable.

    Some tests log half a character, which xdist cannot send from one process to another.
    """
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        # A machine that lacks what a test needs must not look like one where it passes.
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as a failure in CI: {report.longrepr}"
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
