"""The applications do what their documents say, as schemathesis sees it from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from msgspec import Struct

from oxidite import Oxidite
from oxidite.openapi import OpenAPI
from oxidite.testing import LiveServer

HERE = Path(__file__).parent


def run(app: Oxidite, tmp_path: Path, *options: str) -> None:
    """Send what the document allows and what it forbids; fail with what schemathesis says."""
    with LiveServer(app) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
                f"{server.url}/openapi.json",
                *("--checks", "all", *options),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "hooks"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    assert (
        "No issues found" in done.stdout or "0 failures" in done.stdout or "passed" in done.stdout
    )


@pytest.fixture
def length(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The long form in ``make test-slow``; else a short one that is the same each time."""
    if request.config.getoption("markexpr") == "slow":
        return "--max-examples", "200", "--generation-database", "none"
    return "--max-examples", "3", "--generation-deterministic"


@pytest.mark.slow
def test_the_demonstration_keeps_to_its_document(
    blog: Oxidite, tmp_path: Path, length: tuple[str, ...]
) -> None:
    run(blog, tmp_path, *length)


@pytest.mark.slow
def test_a_large_application_keeps_to_its_document(
    large: Oxidite, tmp_path: Path, length: tuple[str, ...]
) -> None:
    # A text with NUL in it is refused in a URL and in a form, which is not said for each parameter.
    without_nul = ("--generation-allow-x00", "false")
    # Much of what is wrong for a form is right once it is sent, and is left out.
    patient = ("--suppress-health-check", "filter_too_much")
    run(large, tmp_path, *without_nul, *patient, *length)


class Liar(Struct):
    size: int


def test_a_document_that_is_not_true_is_noticed(tmp_path: Path, length: tuple[str, ...]) -> None:
    app = Oxidite(plugins=[OpenAPI(docs=None)])

    @app.get("/size")
    async def size() -> Liar:
        return cast("Liar", {"size": "large"})

    with pytest.raises(AssertionError, match="violates schema"):
        run(app, tmp_path, *length)
